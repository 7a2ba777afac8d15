"""What is said of where a server listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineament.server.run import serve
from lineament.server.settings import ServerSettings


class EnoughError(Exception):
    """Ends a server before it answers."""


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "localhost"), ("127.0.0.1", "127.0.0.1")])
def test_the_address_is_one_that_a_browser_opens(host: str, shown: str, tmp_path: Path) -> None:
    said = []

    def started(address: str, link: str | None) -> None:
        said.extend([address, link])
        raise EnoughError

    with pytest.raises(EnoughError):
        serve(ServerSettings(host=host, port=0, data=tmp_path), started=started)
    address, link = said
    assert address.rpartition(":")[0] == f"http://{shown}"
    assert link.startswith(f"{address}/#code=")
