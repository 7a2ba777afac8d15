"""A server of lineament as if it were here: the library's values, its errors, its arguments.

Client         ``with lineament.Client("http://127.0.0.1:8000", key=...) as client:``
AsyncClient    the same, awaited

client.verify("a.jpg", "b.jpg")                        a ``Decision``, as ``lineament.verify``
client.gallery("staff").identify("door.jpg")           an ``IdentifiedPhoto``, as ``Gallery``

_uploads       sources of photos -> what is sent
_calls         one request, and how its answer is read; ``_photo_calls``, ``_gallery_calls``
_values        JSON -> the library's values
_errors        answers that say what went wrong -> the library's errors
_connection    what sends: retries, time limits
_client, _async_client    the methods
"""

from __future__ import annotations

from lineament.client._async_client import AsyncClient
from lineament.client._async_gallery import AsyncServedGallery
from lineament.client._client import Client
from lineament.client._gallery import ServedGallery

__all__ = ["AsyncClient", "AsyncServedGallery", "Client", "ServedGallery"]
