"""Long work: sent once, done one after the other by the process that writes, looked at meanwhile.

archives   photos and films out of a zip of anybody's, member by member
uploads    bodies of any length, straight into files
kinds      what can be done: enroll, group, tune, anonymize, reindex, expire
vault      uploads, results and what names people, encrypted where the server has a key
store      jobs as rows of ``jobs.sqlite``, with their uploads and results in folders
jobs       Jobs: the line, the thread, progress, cancel, restart
"""

from lineament.server.jobs.jobs import Jobs
from lineament.server.jobs.store import Job

__all__ = ["Job", "Jobs"]
