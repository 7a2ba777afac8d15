"""Waiting for jobs of a server in tests."""

from __future__ import annotations

import time

from lineament.server.jobs import Job, Jobs
from lineament.server.roles import Principal

PATIENCE_S = 300.0
"""Of a busy machine."""


def wait(jobs: Jobs, number: str, *states: str) -> Job:
    """The job of the caller "key" as soon as it is in one of these states."""
    due = time.monotonic() + PATIENCE_S
    while time.monotonic() < due:
        job = jobs.get(number, Principal("key", "enroll"))
        if job.state in states:
            return job
        time.sleep(0.01)
    raise AssertionError(job)
