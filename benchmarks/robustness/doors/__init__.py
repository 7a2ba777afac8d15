"""The doors through which something comes from others: one module each.

A door is a module with ``DOOR``, a ``Door``: kinds of cases, and how many. A kind is a function
that gets a ``Case``, makes something hostile in its folder, and hands it to lineament as a user
would. It returns whether that was accepted; a ``LineamentError`` says that it was refused, and that
is as good. What lineament promises beyond that, a kind checks with ``case.expect``.

``case``     what a kind gets and says
``watch``    sees what escapes: files, programs, sockets
``team``     worker processes, their limits, the figures
``terminal`` commands at a pseudo-terminal
``server``   a server that does what it likes
``served``   a server of lineament, and how it is asked
``things``   one thing of each kind that it has
``damage``   bytes and values made wrong
``people``   galleries with made-up people
``planted``  a door whose cases do wrong on purpose: are they counted?
"""

from __future__ import annotations

import importlib

from doors.case import Door

NAMES = (
    "pictures",
    "arrays",
    "urls",
    "requests",
    "galleries",
    "exports",
    "parquet",
    "filters",
    "names",
    "calibrations",
    "models",
    "checkpoints",
    "weights",
    "datasets",
    "folders",
    "jobs",
    "terminals",
)
"""All doors, in the order of the table."""


def load(name: str) -> Door:
    """The door of that name."""
    door: Door = importlib.import_module(f"doors.{name}").DOOR
    return door
