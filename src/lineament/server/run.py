"""Start a server and say in one line where it is and how to log in."""

from __future__ import annotations

import socket
from collections.abc import Callable

from lineament.errors import MissingExtraError, OptionError, ServiceError
from lineament.server.settings import ServerSettings
from lineament.text import reason_of


def serve(
    settings: ServerSettings, *, started: Callable[[str, str | None], None] | None = None
) -> None:
    """Answer requests until the process is told to end.

    Args:
        settings: of the server.
        started: called once the port is taken, with the address ("localhost" where it listens on
            all interfaces), and with the link that logs in to the page as admin: once, within 15
            minutes; None while there is an admin.

    Raises:
        MissingExtraError: FastAPI or uvicorn is not installed.
        ServiceError: the address cannot be listened on.
    """
    try:
        from lineament.server.app import create_app
        from lineament.server.connections import make_server
        from lineament.server.logs import set_up
        from lineament.server.sessions import login_code
        from lineament.server.supervisor import supervise
    except ImportError as error:
        raise MissingExtraError("serving over HTTP", "server") from error
    listening = _listen(settings)
    several = settings.workers > 1
    if several and not hasattr(socket, "AF_UNIX"):
        raise OptionError("expected 1: this system has no Unix sockets", option="workers")
    set_up(settings.log, "supervisor" if several else "server")
    app = None if several else create_app(settings)
    host, port = listening.getsockname()[:2]
    scheme = "http" if settings.tls_certificate is None else "https"
    shown = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):  # all interfaces: no address that a browser can open
        shown = "localhost"
    try:
        if started is not None:
            address = f"{scheme}://{shown}:{port}"
            code = login_code(settings.data) if settings.page else None
            started(address, None if code is None else f"{address}/#code={code}")
        if app is None:
            supervise(settings, listening)
        else:
            app.state.lineament.load()  # an error is said here: uvicorn would print its trace
            make_server(app, settings, app.state.admission).run(sockets=[listening])
    finally:
        listening.close()


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
        made.listen(2048)
    except OSError as error:
        made.close()
        raise ServiceError(
            f"{settings.host} port {settings.port} cannot be listened on ({reason_of(error)})",
            option="port",
            hint="choose another port; 0 takes a free one",
        ) from error
    return made
