"""The client that waits for its answers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, overload

from lineament.anonymize.covering import Method
from lineament.anonymize.regions import Shape
from lineament.arguments import checked
from lineament.attributes.results import PhotoAttributes
from lineament.client import _admin_calls as admin_calls
from lineament.client import _gallery_calls as gallery_calls
from lineament.client import _photo_calls as calls
from lineament.client._admin import ServedAudit, ServedKeys, ServedUsers
from lineament.client._admin_calls import Ticket
from lineament.client._calls import Call
from lineament.client._connection import RETRIES, TIMEOUT_S, Connection
from lineament.client._gallery import ServedGallery
from lineament.client._jobs import ServedJobs, ServedStreams
from lineament.client._liveness import ServedLiveness
from lineament.client._photo_calls import AnonymizedPhoto, ServedModels
from lineament.client._uploads import Upload, upload_of
from lineament.errors import LineamentError, OptionError
from lineament.finder import Source
from lineament.gallery import Settings
from lineament.images import Many, expand, is_many, source_name
from lineament.liveness.passive import LivenessMode
from lineament.pipeline import paired
from lineament.types import ColorOrder, Decision, Embedding, Photo, Quality, Threshold


class Client:
    """A server of lineament, asked over HTTP.

    Methods, arguments and results are those of the library (``Recognizer``, ``Gallery``): one photo
    gives one result and raises its error, many give a list with errors in their places. Photos are
    sent as they are, arrays as PNG, and results call them as they are called here; they have no
    pixels and no crops. One object may be used from several threads; use it as a context manager,
    or ``close`` it.

    A request that found the server busy, or whose connection broke, is sent again after what the
    server says (Retry-After), or after 0.25 seconds, 0.5, 1, ...; one that changes something has an
    Idempotency-Key, so that it is done once however often it is sent.

    Attributes:
        address: of the server.
        jobs: long work.
        streams: cameras and streams that it watches.
        liveness: sessions of active liveness: is somebody there?
        keys, users, audit: for those who run it: keys, users of its page, its audit log.

    Examples:
        >>> with lineament.Client("http://127.0.0.1:8000", key="lin_...") as client:
        ...     print(client.verify("a.jpg", "b.jpg"))
        ...     client.gallery("staff").identify("door.jpg").names
    """

    @checked
    def __init__(
        self,
        address: str,
        *,
        key: str | None = None,
        timeout: float = TIMEOUT_S,
        retries: int = RETRIES,
        certificate: str | os.PathLike[str] | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            address: such as "http://127.0.0.1:8000".
            key: one that `lineament keys add` printed; None takes the environment's
                LINEAMENT_KEY.
            timeout: seconds to wait for an answer.
            retries: how often a request is sent again when the server is busy or cannot be reached.
            certificate: PEM file of whom a https server's certificate is to be from; None trusts
                what the system does.

        Raises:
            OptionError: no address, no key, or numbers out of range.
            MissingExtraError: httpx is not installed.
        """
        self._connection = Connection(address, key, timeout, retries, certificate)
        self.address = address
        self.jobs = ServedJobs(self._connection)
        self.streams = ServedStreams(self._connection)
        self.liveness = ServedLiveness(self._connection)
        self.keys = ServedKeys(self._connection)
        self.users = ServedUsers(self._connection)
        self.audit = ServedAudit(self._connection)

    def __repr__(self) -> str:
        """In short; the key is not shown."""
        return f"Client({self.address!r})"

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    # --- the server -------------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """Whether its process answers: {"status": "ok", "version": ...}. Needs no key."""
        return self._connection.send(calls.health())

    def ready(self) -> dict[str, Any]:
        """Whether its networks are loaded. ServiceError: not yet, after all retries."""
        return self._connection.send(calls.ready())

    def models(self) -> ServedModels:
        """What it runs: recognizer, detector, contract, and the cards of all networks."""
        return self._connection.send(calls.models())

    @checked
    def ticket(self, path: str) -> Ticket:
        """A one-use ticket for a WebSocket: a browser opens it, and never sees the key.

        Args:
            path: of the WebSocket, such as "/v1/streams/6b.../live".

        Raises:
            OptionError: no path of a WebSocket.
        """
        return self._connection.send(admin_calls.ticket(path))

    # --- photos -----------------------------------------------------------------------------------

    @overload
    def detect(
        self,
        source: Many,
        *,
        min_score: float | None = None,
        max_faces: int | None = None,
        color_order: ColorOrder | None = None,
    ) -> list[Photo]: ...
    @overload
    def detect(
        self,
        source: Source,
        *,
        min_score: float | None = None,
        max_faces: int | None = None,
        color_order: ColorOrder | None = None,
    ) -> Photo: ...
    @checked
    def detect(
        self,
        source: Any,
        *,
        min_score: float | None = None,
        max_faces: int | None = None,
        color_order: ColorOrder | None = None,
    ) -> Photo | list[Photo]:
        """Find the faces, as ``Recognizer.detect``. A photo without faces is no error.

        Args:
            source: one photo, or many.
            min_score, max_faces: as of ``DetectOptions``; None leaves them to the server.
            color_order: of NumPy arrays.
        """

        def call(upload: Upload) -> Call[Photo]:
            return calls.detect(upload, min_score, max_faces)

        if not is_many(source):
            return self._connection.send(call(upload_of(source, color_order=color_order)))
        return [
            Photo(source_name(one), None, error=done) if isinstance(done, LineamentError) else done
            for one, done in self._connection.send_each(source, call, color_order)
        ]

    @overload
    def verify(
        self,
        a: Many,
        b: Many,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> list[Decision | LineamentError]: ...
    @overload
    def verify(
        self,
        a: Source,
        b: Source,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Decision: ...
    @checked
    def verify(
        self,
        a: Any,
        b: Any,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Decision | list[Decision | LineamentError]:
        """Are two photos of the same person? As ``Recognizer.verify``.

        Args:
            a, b: two photos, or two lists of equal length: a[0] against b[0], and so on.
            threshold: cosine from which on it is one person; or
            fmr: the false match rate that the threshold is for, 0 to 1.
            liveness: "passive" checks whether both faces are of somebody who was there.
            color_order: of NumPy arrays.

        Raises:
            NoFaceError: no face was found in one of them.
            ImageError: one of them could not be read.
            OptionError: only one of them is a list, their lengths differ, or a value out of range.
        """

        def decide(x: Any, y: Any) -> Decision:
            first, second = (upload_of(one, color_order=color_order) for one in (x, y))
            return self._connection.send(calls.verify(first, second, threshold, fmr, liveness))

        if not is_many(a) and not is_many(b):
            return decide(a, b)
        results: list[Decision | LineamentError] = []
        unique, pairs = paired(a, b)
        for i, j in pairs:
            try:
                results.append(decide(unique[i], unique[j]))
            except LineamentError as error:
                results.append(error.as_result())
        return results

    @overload
    def embed(
        self, source: Many, *, color_order: ColorOrder | None = None
    ) -> list[Embedding | LineamentError]: ...
    @overload
    def embed(self, source: Source, *, color_order: ColorOrder | None = None) -> Embedding: ...
    @overload
    def embed(
        self, source: Source, *, faces: Sequence[int], color_order: ColorOrder | None = None
    ) -> tuple[Embedding, ...]: ...
    @checked
    def embed(
        self,
        source: Any,
        *,
        faces: Sequence[int] | None = None,
        color_order: ColorOrder | None = None,
    ) -> Embedding | tuple[Embedding, ...] | list[Embedding | LineamentError]:
        """Embed the one face that each photo is of, or some of one photo, as ``Recognizer.embed``.

        Args:
            source: one photo, or many.
            faces: of one photo: numbers of the faces to embed; returns one embedding for each.
            color_order: of NumPy arrays.

        Raises:
            NoFaceError: a photo has none; in a list, it takes the place of the embedding.
        """

        def call(upload: Upload) -> Call[tuple[Embedding, ...]]:
            return calls.embed(upload, faces)

        if not is_many(source):
            found = self._connection.send(call(upload_of(source, color_order=color_order)))
            return found[0] if faces is None else found
        if faces is not None:
            raise OptionError("expected one photo, not a list, with faces", option="faces")
        return [
            done if isinstance(done, LineamentError) else done[0]
            for _, done in self._connection.send_each(source, call, color_order)
        ]

    @overload
    def attributes(
        self,
        source: Many,
        *,
        only: Sequence[str] | None = None,
        color_order: ColorOrder | None = None,
    ) -> list[PhotoAttributes | LineamentError]: ...
    @overload
    def attributes(
        self,
        source: Source,
        *,
        only: Sequence[str] | None = None,
        color_order: ColorOrder | None = None,
    ) -> PhotoAttributes: ...
    @checked
    def attributes(
        self,
        source: Any,
        *,
        only: Sequence[str] | None = None,
        color_order: ColorOrder | None = None,
    ) -> PhotoAttributes | list[PhotoAttributes | LineamentError]:
        """Say how faces look, as ``Recognizer.attributes``.

        Args:
            source: one photo, or many.
            only: of ``lineament.attributes.NAMES``; None: all of them.
            color_order: of NumPy arrays.

        Raises:
            ImageError: the photo could not be read; in a list, the error takes its place.
            OptionError: a name that there is not.
        """

        def call(upload: Upload) -> Call[PhotoAttributes]:
            return calls.attributes(upload, only)

        if not is_many(source):
            return self._connection.send(call(upload_of(source, color_order=color_order)))
        sent = self._connection.send_each(source, call, color_order)
        return [done for _, done in sent]

    @checked
    def quality(
        self, source: Source, *, color_order: ColorOrder | None = None
    ) -> tuple[Quality | None, ...]:
        """How good each face of a photo is for recognition, in the order of ``detect``.

        Args:
            source: one photo.
            color_order: of NumPy arrays.
        """
        return self._connection.send(calls.quality(upload_of(source, color_order=color_order)))

    @checked
    def group(
        self,
        photos: Any,
        *,
        min_size: int = 2,
        threshold: float | None = None,
        fmr: float | None = None,
    ) -> dict[str, Any]:
        """Which faces of these photos are of one person? Nothing is kept.

        Args:
            photos: all go in one request.
            min_size: smaller groups are left out.
            threshold: mean cosine from which on two groups are one person; or
            fmr: the false match rate that it is for.

        Returns:
            What ``lineament.gallery.grouping.summary`` gives: "groups" with their faces, ...
        """
        uploads = [upload_of(photo) for photo in expand(photos)]
        return self._connection.send(calls.group(uploads, min_size, threshold, fmr))

    @checked
    def anonymize(
        self,
        source: Source,
        *,
        method: Method = "blur",
        shape: Shape = "ellipse",
        gallery: str | None = None,
        keep: str | None = None,
        only: str | None = None,
        color_order: ColorOrder | None = None,
    ) -> AnonymizedPhoto:
        """Cover the faces of a photo so that nobody recognizes them, as ``lineament.anonymize``.

        Args:
            source: one photo.
            method: "blur", "pixelate" or "solid".
            shape: "ellipse", "box" or "mesh": along the outline of the face.
            gallery: name of the server's gallery that knows who may be left out; with neither
                ``keep`` nor ``only`` all who are enrolled.
            keep: name of the one who is not covered.
            only: name of the one who is covered, and nobody else.
            color_order: of NumPy arrays.

        Raises:
            ImageError: the photo cannot be read.
            OptionError: names without a gallery, or both kinds of names.
            UnknownPersonError, GalleryNotFoundError: there is none of that name.
        """
        return self._connection.send(
            calls.anonymize(
                upload_of(source, color_order=color_order), method, shape, gallery, keep, only
            )
        )

    @checked
    def thresholds(self, *, fmr: float | None = None) -> dict[str, Any]:
        """What false match rates take: for each a threshold, and how far it is to be believed.

        Args:
            fmr: only of that rate, 0 to 1.
        """
        return self._connection.send(calls.thresholds(fmr))

    # --- galleries --------------------------------------------------------------------------------

    @checked
    def gallery(self, name: str) -> ServedGallery:
        """A gallery of the server by name; nothing is asked yet."""
        return ServedGallery(self._connection, name)

    def galleries(self) -> list[str]:
        """Names of the galleries that the key is for, sorted."""
        entries = self._connection.entries(gallery_calls.galleries)
        return [one["name"] for one in entries]

    @checked
    def create_gallery(self, name: str, settings: Settings | None = None) -> ServedGallery:
        """Make an empty gallery. GalleryExistsError: there is one; OptionError: no name for one."""
        self._connection.send(gallery_calls.create_gallery(name, settings))
        return self.gallery(name)

    @checked
    def delete_gallery(self, name: str) -> None:
        """Delete a gallery with everybody in it. GalleryNotFoundError: there is none."""
        self._connection.send(gallery_calls.delete_gallery(name))
