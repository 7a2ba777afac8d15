"""A server of lineament as if it were here: the library's values, its errors, its arguments.

Client         ``with lineament.Client("http://127.0.0.1:8000", key=...) as client:``
AsyncClient    the same, awaited

client.verify("a.jpg", "b.jpg")                        a ``Decision``, as ``lineament.verify``
client.gallery("staff").identify("door.jpg")           an ``IdentifiedPhoto``, as ``Gallery``
client.jobs, streams, liveness                         long work, cameras, active liveness
client.keys, users, audit                              for those who run the server

_uploads       sources of photos -> what is sent
_calls         one request, and how its answer is read; ``_photo_calls``, ``_gallery_calls``,
               ``_work_calls``, ``_liveness_calls``, ``_admin_calls``; ``_pages`` of long lists
_values        JSON -> the library's values
_errors        answers that say what went wrong -> the library's errors
_connection    what sends: retries, time limits
_client, _async_client    the methods; ``_gallery``, ``_jobs``, ``_liveness``, ``_admin``
"""

from __future__ import annotations

from lineament.client._admin import ServedAudit, ServedKeys, ServedUsers
from lineament.client._admin_calls import (
    AuditCheck,
    NewKey,
    ServedKey,
    ServedSigningKey,
    ServedUser,
    Ticket,
)
from lineament.client._async_client import AsyncClient
from lineament.client._async_gallery import AsyncServedGallery
from lineament.client._client import Client
from lineament.client._gallery import ServedGallery
from lineament.client._jobs import ServedJobs, ServedStreams
from lineament.client._liveness import ServedLiveness, ShownSession
from lineament.client._liveness_calls import LivenessSession
from lineament.client._photo_calls import AnonymizedPhoto
from lineament.client._work_calls import ServedEvent, ServedJob, ServedStream

__all__ = [
    "AnonymizedPhoto",
    "AsyncClient",
    "AsyncServedGallery",
    "AuditCheck",
    "Client",
    "LivenessSession",
    "NewKey",
    "ServedAudit",
    "ServedEvent",
    "ServedGallery",
    "ServedJob",
    "ServedJobs",
    "ServedKey",
    "ServedKeys",
    "ServedLiveness",
    "ServedSigningKey",
    "ServedStream",
    "ServedStreams",
    "ServedUser",
    "ServedUsers",
    "ShownSession",
    "Ticket",
]
