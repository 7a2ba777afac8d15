"""Photos by the million: several processes, a cluster, files that survive a crash.

job.py          ``embed_many``: a folder of photos -> a folder of parts, each exactly once
processes.py    ``stream_in_processes``: ``Recognizer.stream`` in processes of this machine
cluster.py      ``stream_on_ray``: the same on a cluster
parts.py        the folder: parts, manifest, errors
tables.py       rows and the files that hold them
spec.py         a recognizer and its results on the way to another process
"""

from __future__ import annotations

from lineament.bulk.job import SHARD, BulkProgress, BulkReport, embed_many
from lineament.bulk.processes import stream_chosen_in_processes, stream_in_processes

__all__ = [
    "SHARD",
    "BulkProgress",
    "BulkReport",
    "embed_many",
    "stream_chosen_in_processes",
    "stream_in_processes",
]
