"""Cameras and films that the server watches by itself, whether anybody looks or not.

streams    Streams: adds, lists and ends them; they are there again after a restart
watching   one stream: a thread with ``lineament.watch``, its states and events
preview    the newest frame with people marked, for whoever looks
"""

from lineament.server.streams.streams import Streams
from lineament.server.streams.watching import WatchedStream

__all__ = ["Streams", "WatchedStream"]
