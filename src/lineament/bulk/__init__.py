"""Photos by the million: one process, a cluster, files that survive a crash.

job.py      ``embed_many``: a folder of photos -> a folder of parts, each exactly once
on_ray.py   ``stream_on_ray``: ``Recognizer.stream`` on a cluster
parts.py    the folder: parts, manifest, errors
tables.py   rows and the files that hold them
"""

from __future__ import annotations

from lineament.bulk._job import SHARD, BulkProgress, BulkReport, embed_many

__all__ = ["SHARD", "BulkProgress", "BulkReport", "embed_many"]
