"""A request for each operation: the examples of the OpenAPI description, and what tests send.

Every route has an entry under its operation id; a test fails where one is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

PHOTO = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP////////////////////////////////////////////////////////////"
    "//////////////////////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAA"
    "AAAAAAD/2gAIAQEAAD8AP//Z"
)
"""One gray pixel as JPEG in base64, in the place of a photo."""

NUMBERS = {
    "gallery": "staff",
    "person": "1",
    "sample": "1",
    "rejection": "1",
    "key": "0f3a5b7c9d1e",
    "name": "anna",
    "session": "9b1e04d7c2a85f36e1d4b7a0",
    "stream": "6b5d2f0a9c3e1748",
    "job": "f27c81d05a9e4b63",
}
"""Values of paths."""


@dataclass(frozen=True, slots=True)
class Example:
    """A request.

    Attributes:
        path: values of the path, where they are not those of ``NUMBERS``.
        query: of the address.
        body: JSON; None: there is none.
        status: of the answer, when all goes well.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    status: int = 200

    def url(self, template: str, values: Mapping[str, str] = NUMBERS) -> str:
        """The path and the query, for a route's path with ``{names}``."""
        path = template
        for name, value in {**NUMBERS, **values, **self.path}.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return path + (f"?{urlencode(self.query, doseq=True)}" if self.query else "")


EXAMPLES: dict[str, Example] = {
    "health": Example(),
    "ready": Example(),
    "list_models": Example(),
    "detect": Example(body={"image": PHOTO, "max_faces": 10}),
    "compare": Example(body={"a": PHOTO, "b": PHOTO, "fmr": 1e-4}),
    "embed": Example(body={"image": PHOTO, "faces": "chosen"}),
    "quality": Example(body={"image": PHOTO}),
    "attributes": Example(body={"image": PHOTO, "only": ["age", "gender"]}),
    "group": Example(body={"images": [PHOTO, PHOTO], "min_size": 1}),
    "list_thresholds": Example(query={"fmr": "0.0001"}),
    "list_galleries": Example(query={"limit": 10}),
    "create_gallery": Example(
        body={"name": "staff", "settings": {"keep_crops": True}}, status=201
    ),
    "get_gallery": Example(),
    "change_gallery": Example(body={"settings": {"keep_crops": True}}),
    "rotate_key": Example(status=409),  # the example's gallery is not encrypted
    "delete_gallery": Example(status=204),
    "list_people": Example(query={"limit": 10, "where": "building=B"}),
    "get_person": Example(path={"person": "-"}, query={"name": "Ada Lovelace"}),
    "put_person": Example(body={"metadata": {"building": "B", "groups": ["night shift"]}}),
    "change_person": Example(body={"name": "Ada Byron", "metadata": {"building": "C"}}),
    "merge_people": Example(body={"others": [2], "force": True}),
    "delete_person": Example(query={"receipt": "true"}),
    "enroll": Example(
        path={"person": "-"},
        body={
            "name": "Ada Lovelace", "images": [PHOTO], "metadata": {"building": "B"},
            "on_low_quality": "accept",
        },
    ),
    "get_sample": Example(),
    "delete_sample": Example(),
    "get_crop": Example(),
    "identify": Example(body={"image": PHOTO, "top": 3, "where": {"building": "B"}}),
    "verify_person": Example(body={"image": PHOTO, "fmr": 1e-3}),
    "get_consents": Example(),
    "put_consent": Example(
        body={
            "reference": "form 17", "purposes": ["access"], "given": 1767225600,
            "method": "signed form", "expires": 4102444800,
        },
    ),
    "delete_consents": Example(),
    "export_person": Example(),
    "expire_people": Example(),
    "list_audit": Example(query={"limit": 10, "newest": "true"}),
    "verify_audit": Example(),
    "get_signing_key": Example(),
    "reject": Example(body={"image": PHOTO, "face": 0}),
    "list_rejections": Example(),
    "delete_rejection": Example(),
    "list_keys": Example(query={"limit": 10}),
    "make_key": Example(
        body={"role": "enroll", "galleries": ["staff"], "label": "door", "expires": "90d"},
        status=201,
    ),
    "revoke_key": Example(status=204),
    "add_user": Example(
        body={
            "name": "anna", "password": "correct horse battery", "role": "enroll",
            "galleries": ["staff"],
        },
        status=201,
    ),
    "users": Example(),
    "change_user": Example(body={"role": "verify"}),
    "remove_user": Example(status=204),
    "log_in": Example(body={"name": "anna", "password": "correct horse battery"}),
    "who": Example(),
    "new_password": Example(
        body={"old": "correct horse battery", "new": "staple battery correct"}
    ),
    "log_out": Example(status=204),
    "anonymize": Example(body={"image": PHOTO, "method": "pixelate", "form": "jpeg"}),
    "issue_ticket": Example(body={"path": "/v1/streams/6b5d2f0a9c3e1748/live"}),
    "create_liveness_session": Example(body={"photo": PHOTO}, status=201),
    "get_liveness_session": Example(),
    "add_stream": Example(
        body={"url": "rtsp://user:password@camera.example/door", "gallery": "staff"}, status=201
    ),
    "list_streams": Example(),
    "get_stream": Example(),
    "stream_events": Example(query={"after": 0}),
    "stream_snapshot": Example(),
    "stream_preview": Example(),
    "delete_stream": Example(status=204),
    "create_job": Example(
        body={"kind": "anonymize", "method": "solid", "files": [PHOTO]}, status=202
    ),
    "list_jobs": Example(),
    "get_job": Example(),
    "job_events": Example(query={"after": 0}),
    "job_result": Example(),
    "delete_job": Example(status=204),
}  # fmt: skip
"""Operation id -> request."""


def describe(schema: dict[str, Any]) -> None:
    """Put the examples into an OpenAPI description: of parameters and bodies, and as curl."""
    for template, methods in schema["paths"].items():
        for method, operation in methods.items():
            example = EXAMPLES.get(operation.get("operationId", ""))
            if example is None:
                continue
            given = {"path": {**NUMBERS, **example.path}, "query": example.query}
            for parameter in operation.get("parameters", []):
                values = given.get(parameter["in"], {})
                if parameter["name"] in values:
                    parameter["example"] = values[parameter["name"]]
            content = operation.get("requestBody", {}).get("content", {})
            if example.body is not None and "application/json" in content:
                content["application/json"]["example"] = dict(example.body)
            operation["x-codeSamples"] = [
                {"lang": "Shell", "label": "curl", "source": as_curl(method, template, example)}
            ]


def as_curl(method: str, template: str, example: Example) -> str:
    """The request as it is typed; photos as files."""
    words = ["curl", "-H 'Authorization: Bearer KEY'"]
    if method.upper() not in ("GET", "POST") or (method.upper() == "POST" and not example.body):
        words.append(f"-X {method.upper()}")
    body = example.body or {}
    photos = [
        (name, value) for name, value in body.items()
        for value in (value if isinstance(value, list) else [value]) if value == PHOTO
    ]  # fmt: skip
    if photos:
        words += [f"-F {name}=@photo{n}.jpg" for n, (name, _) in enumerate(photos, 1)]
        words += [
            f"-F {name}={_quoted(value)}" for name, value in body.items()
            if name not in dict(photos)
        ]  # fmt: skip
    elif body:
        words += ["-H 'Content-Type: application/json'", f"-d {_quoted(body)}"]
    words.append(f"'http://127.0.0.1:8000{example.url(template)}'")
    return " \\\n  ".join(words)


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "'" + text.replace("'", "'\\''") + "'"
