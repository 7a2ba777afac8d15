"""``lineament train`` and what goes with it: one command a file."""

from __future__ import annotations
