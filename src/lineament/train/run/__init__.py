"""A run: its components, steps, state on the disk, and log. ``loop.fit`` is all of it."""
