"""``lineament serve``: the pipeline over HTTP, and its keys."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.numbers import Number
from lineament.cli.output import print_json, print_line, print_table


@command("lineament serve --port 8000")
@option("--host", metavar="ADDRESS", help="Address to listen on.", show_default="127.0.0.1")
@option(
    "--port",
    type=Number(0, 65_535, whole=True),
    metavar="N",
    help="Port to listen on; 0: a free one.",
    show_default="8000",
)
@option("--data", type=FILE, metavar="DIR", help="Galleries, keys, jobs and the audit log.")
@option("--workers", type=Number(1, 64, whole=True), metavar="N", help="Processes that answer.")
@option("--threads", type=Number(0, 256, whole=True), metavar="N", help="That compute, of each.")
@option("--queue", type=Number(0, whole=True), metavar="N", help="Requests that may wait.")
@option("--recognizer", metavar="NAME", help="Of comparisons and new galleries.")
@option("--detector", metavar="NAME", help="What finds faces.")
@option("--tls-certificate", type=FILE, metavar="FILE.pem", help="With it: https.")
@option("--tls-key", type=FILE, metavar="FILE.pem", help="Of the certificate.")
@option("--urls", is_flag=True, default=None, help="Photos may be named by public addresses.")
@option("--config", type=FILE, metavar="FILE.toml", help="Settings, by the options' names.")
@option("--print-config", is_flag=True, help="Show the settings and where each is from; end.")
@options.json
def serve(config: Path | None, print_config: bool, json: bool, **flags: Any) -> int:
    """Answer requests over HTTP: detect, compare, enroll, identify.

    Every setting may also stand in the file of --config, and in the environment as
    LINEAMENT_SERVER_NAME; what is given here goes first. Keys are made by `lineament keys add`.
    Ctrl-C ends it once the requests under way are answered.
    """
    from lineament.server.run import serve as run
    from lineament.server.settings import help_of, load_settings

    settings, origins = load_settings(flags, file=config)
    shown = {name: _plain(getattr(settings, name)) for name in origins}
    if print_config:
        if json:
            print_json(
                {"settings": {n: {"value": shown[n], "origin": origins[n]} for n in origins}}
            )
        else:
            texts = help_of()
            rows = [[name, str(shown[name]), origins[name], texts[name]] for name in origins]
            print_table(["setting", "value", "from", "what it is"], rows)
        return 0

    def started(address: str, link: str | None) -> None:
        if json:
            print_json({"address": address, "data": str(settings.data), "login": link})
        elif link is not None:
            print_line(f"lineament answers on {address}; log in once, within 15 minutes: {link}")
        else:
            print_line(f"lineament answers on {address} (data: {settings.data})")

    run(settings, started=started)
    return 0


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _store(data: Path | None) -> Any:
    from lineament.server.keys import KeyStore
    from lineament.server.settings import load_settings, make_data

    settings, _ = load_settings({"data": data})
    make_data(settings.data)
    return KeyStore(settings.data)


DATA = option("--data", type=FILE, metavar="DIR", help="The server's data folder.")


@command("lineament keys add --role enroll --gallery staff --label door")
@option(
    "--role", type=click.Choice(["verify", "enroll", "admin"]), default="verify",
    help="What it may.", show_default=True,
)  # fmt: skip
@option(
    "--gallery", multiple=True, metavar="NAME", help="For which it holds.", show_default="all",
    api=["galleries"],
)  # fmt: skip
@option("--label", default="", metavar="TEXT", help="For people.")
@option(
    "--expires", metavar="WHEN", help="From when on it is refused: 2027-01-31, 12h, 90d, 4w.",
    show_default="never",
)  # fmt: skip
@DATA
@options.json
def add(
    role: Any,
    gallery: tuple[str, ...],
    label: str,
    expires: str | None,
    data: Path | None,
    json: bool,
) -> int:
    """Make a key of a server; it is shown once.

    Only a keyed hash of it is kept. Send it as `Authorization: Bearer KEY`.
    """
    store = _store(data)
    key = store.add(role, galleries=gallery or ("*",), label=label, expires=expires)
    if json:
        number = key.split("_")[1]
        print_json({"key": key, "id": number, "role": role, "galleries": list(gallery or ("*",)),
                    "expires": store.info(number).expires})  # fmt: skip
    else:
        print_line(key)
    return 0


@command("lineament keys list")
@DATA
@options.json
def list_(data: Path | None, json: bool) -> int:
    """The keys of a server, without their secrets."""
    keys = _store(data).list()
    if json:
        print_json({"keys": [key.to_dict() for key in keys]})
    elif keys:
        rows = [
            [k.id, k.role, ", ".join(k.galleries), _state(k, time.time()), k.label] for k in keys
        ]
        print_table(["id", "role", "galleries", "", "label"], rows)
    else:
        print_line("there are no keys; `lineament keys add` makes one")
    return 0


def _state(key: Any, now: float) -> str:
    """In words: whether a key holds, and until when."""
    from lineament.gallery.consent import in_words

    if key.revoked is not None:
        return "revoked"
    if key.expires is None:
        return ""
    return "expired" if key.expires <= now else f"until {in_words(key.expires)}"


@command("lineament keys revoke 0f3a5b7c9d1e")
@argument("number", metavar="ID", help="Of the key, as `lineament keys list` shows it.")
@DATA
@options.json
def revoke(number: str, data: Path | None, json: bool) -> int:
    """Refuse a key from now on."""
    _store(data).revoke(number)
    if json:
        print_json({"revoked": number})
    else:
        print_line(f"revoked {number}")
    return 0


@command("lineament keys login --address https://faces.example.org")
@option(
    "--address", default="http://127.0.0.1:8000", metavar="URL", help="Of the server.",
    show_default=True,
)  # fmt: skip
@DATA
@options.json
def login(address: str, data: Path | None, json: bool) -> int:
    """Make a link that logs in to the page as admin, once.

    It holds for 15 minutes, and those made before hold no more. With it an admin who has lost the
    password gets in, and whoever can read the data folder.
    """
    from lineament.server.sessions import login_code

    store = _store(data)
    link = f"{address.rstrip('/')}/#code={login_code(store.folder, always=True)}"
    if json:
        print_json({"login": link})
    else:
        print_line(link)
    return 0
