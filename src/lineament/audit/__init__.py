"""An audit log that can only be appended to: a line of JSON an entry, each with the hash of the one
before it.

    {"n": 7, "time": ..., "action": "identify", "actor": "key-3", "gallery": "...", "person": null,
     "outcome": "found", "details": {...}, "keyed": true, "previous": "...", "hash": "..."}

Whoever changes, removes or inserts an entry in the middle breaks the chain. With a key (``key``,
32 bytes that lie elsewhere) the hashes are HMAC-SHA256, so that nobody without it can make the
chain anew; without one they are SHA-256, which finds accidents and edits, not somebody who
recomputes everything. Entries that are cut off at the end leave a whole chain behind: that is found
by a *head*, the number and hash of the last entry, signed (``lineament.signing``) and kept
elsewhere.

No names are in it: a person is the keyed hash that ``Gallery.pseudonym`` gives. When the person is
erased, what stays in the log says nothing to anybody who does not know both the gallery's secret
and the name. Several processes may append at once. An entry is on the disk when ``append`` returns;
what a crash left of a line that was being written is cut off by the next one, which says so.
"""

from __future__ import annotations

from lineament.audit._checking import AuditHead, AuditReport, head_of, verify
from lineament.audit._entries import AuditEntry, read_entries
from lineament.audit._log import AuditLog, read_hash_key

__all__ = [
    "AuditEntry",
    "AuditHead",
    "AuditLog",
    "AuditReport",
    "head_of",
    "read_entries",
    "read_hash_key",
    "verify",
]
