"""Requests that a server does: the examples of its description, with things and photos that it has.

What lies behind the first checks of a request is reached by requests that are right but for one
value, drawn ones seldom are.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import random
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from _harness import DEMO
from doors.things import ABSENT_CAMERA, GALLERY, PASSWORD, PERSON, USER

MADE_GALLERY, MADE_USER = "drawn", "drawn"
ROOM = {"POST /v1/galleries": f"/galleries/{MADE_GALLERY}", "POST /v1/users": f"/users/{MADE_USER}"}
"""What the examples make: it goes before each of them."""
OF_SESSION = ("DELETE /v1/session", "GET /v1/session", "POST /v1/session/password")
"""By the cookie of a user."""
SNAPSHOT = "GET /v1/streams/{stream}/snapshot"
"""Only of a stream that has not ended."""
_OTHER_FACE = ("POST /v1/galleries/{gallery}/people/{person}/reject",)
_PHOTOS = ("image", "images", "a", "b", "photo", "files")


class Likely:
    """Makes drawn requests likely ones."""

    def __init__(self, description: Mapping[str, Any], seed: int) -> None:
        """Read the examples.

        Args:
            description: OpenAPI, of the server.
            seed: says which of the drawn values stay.
        """
        self._random = random.Random(seed)
        self._operations = {
            f"{method.upper()} {path}": operation
            for path, methods in description["paths"].items()
            for method, operation in methods.items()
        }

    def make(self, case: Any, name: str, known: Mapping[str, str], *, pure: bool) -> None:
        """Put the operation's example into a case of schemathesis, in the form that was drawn.

        Args:
            case: changed.
            name: "POST /v1/detect".
            known: of the server: what a path may name.
            pure: whether nothing of what was drawn stays; else one option of it does.
        """
        operation = self._operations[name]
        parameters = operation.get("parameters", [])
        case.path_parameters = {
            one["name"]: "-" if one.get("example") == "-" else known[one["name"]]
            for one in parameters
            if one["in"] == "path"
        }
        drawn_query = case.query if isinstance(case.query, dict) else {}
        case.query = {
            one["name"]: PERSON if one["name"] == "name" else one["example"]
            for one in parameters
            if one["in"] == "query" and "example" in one
        }
        if not pure:
            self._keep_one(case.query, drawn_query)
        case.headers = {}
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            return
        drawn = case.body if isinstance(case.body, dict) else drawn_query
        values = self._own(name, content["application/json"].get("example", {}), known)
        if not pure:
            self._keep_one(values, {key: drawn[key] for key in drawn if key not in _PHOTOS})
        photo = (DEMO / ("biden.jpg" if name in _OTHER_FACE else "obama.jpg")).read_bytes()
        self._put(case, values, photo)

    def _keep_one(self, values: dict[str, Any], drawn: Mapping[str, Any]) -> None:
        if drawn:
            key = self._random.choice(sorted(map(str, drawn)))
            values[key] = drawn.get(key)

    def _own(
        self, name: str, example: Mapping[str, Any], known: Mapping[str, str]
    ) -> dict[str, Any]:
        """The example's values, of what is there."""
        values = copy.deepcopy(dict(example))
        own = {
            "POST /v1/galleries": {"name": MADE_GALLERY},
            "POST /v1/galleries/{gallery}/people/{person}/merge": {"others": [int(known["other"])]},
            "POST /v1/users": {"name": MADE_USER},
            "POST /v1/session": {"name": USER, "password": PASSWORD},
            "POST /v1/session/password": {"old": PASSWORD, "new": PASSWORD},
            "POST /v1/streams": {"url": ABSENT_CAMERA, "give_up_s": 0, "gallery": GALLERY},
            "POST /v1/tickets": {"path": f"/v1/streams/{known['stream']}/live"},
            "POST /v1/galleries/{gallery}/people/{person}/samples": {
                "name": PERSON,
                "force": True,
            },
        }
        return values | own.get(name, {})

    def _put(self, case: Any, values: dict[str, Any], photo: bytes) -> None:
        """Values as the body, in the form of the case's media type."""
        from schemathesis.transport.serialization import Binary

        kind = case.media_type or "application/json"

        def filled(value: Any, one: Any) -> Any:
            return [one] * len(value) if isinstance(value, list) else one

        names = [name for name in values if name in _PHOTOS]
        if kind == "application/json":
            coded = base64.b64encode(photo).decode()
            case.body = values | {name: filled(values[name], coded) for name in names}
            return
        rest = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in values.items()
            if name not in names
        }
        if kind == "multipart/form-data":
            case.body = rest | {name: filled(values[name], Binary(photo)) for name in names}
            return
        if kind == "application/zip":
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("photo.jpg", photo)
            photo = file.getvalue()
        case.query |= rest
        case.body = Binary(photo)


@contextmanager
def camera() -> Iterator[str]:
    """The address of an MJPEG camera that shows one picture a second, while it is in use."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 90)).save(file, "JPEG")
    picture = file.getvalue()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=next")
            self.end_headers()
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                while not over.is_set():
                    self.wfile.write(head.encode() + picture + b"\r\n")
                    over.wait(1)
            except OSError:
                return  # whoever looked is gone

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/door.mjpeg"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
