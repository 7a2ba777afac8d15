"""Every operation of the server, and the method of the client that asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from server_under_test import DEMO

from lineament import AsyncClient, Client
from lineament.client._calls import Call
from lineament.gallery import Settings
from lineament.gallery.consent import Consent
from lineament.server.app import ROUTERS
from lineament.server.routes import metrics
from lineament.server.table import find, operations

TABLE = operations([*ROUTERS, metrics.router])
PHOTO = DEMO / "obama.jpg"
CONSENT = Consent("form 7", ("access",), 1.7e9)

Ask = Callable[[Any], Any]
METHODS: dict[str, Ask] = {
    "health": lambda c: c.health(),
    "ready": lambda c: c.ready(),
    "list_models": lambda c: c.models(),
    "detect": lambda c: c.detect(PHOTO),
    "compare": lambda c: c.verify(PHOTO, PHOTO),
    "anonymize": lambda c: c.anonymize(PHOTO),
    "embed": lambda c: c.embed(PHOTO),
    "quality": lambda c: c.quality(PHOTO),
    "attributes": lambda c: c.attributes(PHOTO),
    "group": lambda c: c.group([PHOTO]),
    "list_thresholds": lambda c: c.thresholds(),
    "list_galleries": lambda c: c.galleries(),
    "create_gallery": lambda c: c.create_gallery("staff", Settings()),
    "get_gallery": lambda c: c.gallery("staff").info(),
    "change_gallery": lambda c: c.gallery("staff").configure(prior=0.3),
    "delete_gallery": lambda c: c.delete_gallery("staff"),
    "rotate_key": lambda c: c.gallery("staff").rotate_key(),
    "list_people": lambda c: c.gallery("staff").people(),
    "get_person": lambda c: c.gallery("staff").person("Ada"),
    "put_person": lambda c: c.gallery("staff").annotate("Ada", {}, replace=True),
    "change_person": lambda c: c.gallery("staff").keep_until("Ada", None),
    "delete_person": lambda c: c.gallery("staff").erase("Ada"),
    "merge_people": lambda c: c.gallery("staff").merge("Ada", []),
    "reject": lambda c: c.gallery("staff").reject(PHOTO, "Ada"),
    "list_rejections": lambda c: c.gallery("staff").rejections("Ada"),
    "delete_rejection": lambda c: c.gallery("staff").remove_rejection(1),
    "enroll": lambda c: c.gallery("staff").enroll("Ada", PHOTO),
    "get_sample": lambda c: c.gallery("staff").sample(1),
    "delete_sample": lambda c: c.gallery("staff").remove(1),
    "get_crop": lambda c: c.gallery("staff").crop(1),
    "identify": lambda c: c.gallery("staff").identify(PHOTO),
    "verify_person": lambda c: c.gallery("staff").verify("Ada", PHOTO),
    "put_consent": lambda c: c.gallery("staff").set_consent("Ada", CONSENT),
    "delete_consents": lambda c: c.gallery("staff").set_consent("Ada", None),
    "export_person": lambda c: c.gallery("staff").export_person("Ada", "ada.zip"),
    "expire_people": lambda c: c.gallery("staff").expire(),
    "list_audit": lambda c: c.audit.entries(),
    "verify_audit": lambda c: c.audit.verify(),
    "get_signing_key": lambda c: c.audit.signing_key(),
    "list_keys": lambda c: c.keys.all(),
    "make_key": lambda c: c.keys.make("verify"),
    "revoke_key": lambda c: c.keys.revoke("a"),
    "users": lambda c: c.users.all(),
    "add_user": lambda c: c.users.add("anna", "correct horse battery"),
    "change_user": lambda c: c.users.change("anna", role="enroll"),
    "remove_user": lambda c: c.users.remove("anna"),
    "issue_ticket": lambda c: c.ticket("/v1/streams/a/live"),
    "create_liveness_session": lambda c: c.liveness.create(photo=PHOTO),
    "get_liveness_session": lambda c: c.liveness.get("a"),
    "list_streams": lambda c: c.streams.all(),
    "add_stream": lambda c: c.streams.add("rtsp://camera.example/door"),
    "get_stream": lambda c: c.streams.get("a"),
    "delete_stream": lambda c: c.streams.end("a"),
    "stream_events": lambda c: c.streams.events("a"),
    "stream_snapshot": lambda c: c.streams.snapshot("a"),
    "stream_preview": lambda c: c.streams.preview("a"),
    "list_jobs": lambda c: c.jobs.all(),
    "create_job": lambda c: c.jobs.create("group", photos=PHOTO),
    "get_job": lambda c: c.jobs.get("a"),
    "delete_job": lambda c: c.jobs.end("a"),
    "job_result": lambda c: c.jobs.save_result("a", "a.zip"),
    "job_events": lambda c: c.jobs.events("a"),
}
"""Operation -> a call of the client that asks for it."""

NONE = {
    "who": "sessions are the page's: a program has a key",
    "log_in": "sessions are the page's: a program has a key",
    "log_out": "sessions are the page's: a program has a key",
    "new_password": "of the user who is logged in to the page; users.change gives another one",
    "get_consents": "person() has consents, expires and kept_until of the same person",
    "metrics": "for Prometheus, which asks for it itself",
}
"""Operation -> why there is no method."""

WEBSOCKETS = {
    "stream_live": "streams.events: the same events, server-sent",
    "liveness_frames": "liveness.show and liveness.run",
}


class Sent(Exception):  # noqa: N818
    """What would have been sent."""

    def __init__(self, call: Call[Any]) -> None:
        """With it."""
        super().__init__(call.path)
        self.call = call


def catching(client: Any) -> None:
    """Let a client raise what it would send."""

    def send(call: Call[Any]) -> Any:
        raise Sent(call)

    def events(call: Callable[[int | None], Call[Any]], after: int | None) -> Any:
        raise Sent(call(after))

    def send_photo(source: Any, call: Callable[[Any], Call[Any]], color_order: Any = None) -> Any:
        from lineament.client._uploads import upload_of

        raise Sent(call(upload_of(source)))

    connection = client._connection
    connection.send, connection.events, connection.pictures = send, events, send
    connection.send_photo = send_photo


def asked_for(call: Call[Any]) -> str:
    found = find(TABLE, call.method, unquote(call.path))
    assert found is not None, call
    return found[0].id


@pytest.mark.parametrize("operation", METHODS)
def test_the_method_asks_for_the_operation(operation: str) -> None:
    with Client("http://127.0.0.1:9") as client:
        catching(client)
        with pytest.raises(Sent) as sent:
            list(METHODS[operation](client))  # of events, the first is asked for
        assert asked_for(sent.value.call) == operation

    async def ask() -> None:
        async with AsyncClient("http://127.0.0.1:9") as asking:
            catching(asking)
            result = METHODS[operation](asking)
            await (anext(result) if hasattr(result, "__anext__") else result)

    with pytest.raises(Sent) as sent:
        asyncio.run(ask())
    assert asked_for(sent.value.call) == operation


def test_no_operation_is_left_out() -> None:
    names = {operation.id for operation in TABLE}
    assert names == METHODS.keys() | NONE.keys()
    assert not METHODS.keys() & NONE.keys()


def test_no_websocket_is_left_out() -> None:
    from fastapi.routing import APIWebSocketRoute

    found = {
        route.name
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIWebSocketRoute)
    }
    assert found == WEBSOCKETS.keys()
