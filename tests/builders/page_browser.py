"""A real Chromium on the page of a server: what it complains of, what it asks others for, axe."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from server_under_test import DEMO, Served

from lineament.server.sessions import COOKIE

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
AXE = Path(__file__).parents[1] / "server" / "axe" / "axe.min.js"
ADMIN, PASSWORD = "anna", "correct horse battery"


def chromium() -> str:
    """The path of Chromium; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"the page was not opened: none of {', '.join(BROWSERS)} is installed")
    return found


def camera_film(path: Path, names: tuple[str, ...] = ("obama", "obama2"), each: int = 6) -> Path:
    """Photographs of the package one after the other, as Chromium's fake camera wants them."""
    frames = []
    for name in names:
        with Image.open(DEMO / f"{name}.jpg") as photo:
            picture = Image.new("RGB", (640, 480), (196, 202, 200))
            small = photo.convert("RGB")
            small.thumbnail((640, 480))
            picture.paste(small, ((640 - small.width) // 2, (480 - small.height) // 2))
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=92)
        frames += [data.getvalue()] * each
    path.write_bytes(b"".join(frames))
    return path


@contextmanager
def browser(film: Path) -> Iterator[Any]:
    """Chromium without a window, with that film as its camera."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the page was not opened")
    executable = chromium()
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=executable,
            timeout=120_000,
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={film}",
            ],
        )
        try:
            yield started
        finally:
            started.close()


@dataclass
class Visit:
    """A page that is open, and what came of it.

    Attributes:
        page: playwright's.
        complaints: of the console: errors, warnings, refusals by the policy.
        elsewhere: addresses of other servers that were asked for.
        allowed: texts of complaints that the test brings about on purpose.
    """

    page: Any
    served: Served
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def go(self, screen: str) -> None:
        """Open a screen and wait until it is drawn."""
        self.page.goto(f"{self.served.address}/#/{screen}")
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is loading."""
        self.page.wait_for_selector("h1")
        for busy in (".loading", "progress", ".spinner"):
            self.page.wait_for_selector(busy, state="detached")

    def listed(self, screen: str) -> bool:
        """Whether the menu has a screen."""
        return bool(self.page.locator(f"nav a[href='#/{screen}']").count())

    def check(self) -> None:
        """Nothing was complained of, and nobody else was asked."""
        left = [
            text for text in self.complaints if not any(known in text for known in self.allowed)
        ]
        assert left == []
        assert self.elsewhere == []

    def axe(self) -> list[str]:
        """What axe-core has against the page as it stands."""
        if not self.page.evaluate("typeof axe !== 'undefined'"):
            self.page.evaluate(AXE.read_text("utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    def overflow(self) -> list[str]:
        """What is wider than the window."""
        return list(
            self.page.evaluate(
                """() => document.documentElement.scrollWidth <= innerWidth ? [] :
                [...document.querySelectorAll('main *')].filter(
                    (e) => e.getBoundingClientRect().right > innerWidth + 1
                ).map((e) => e.tagName + '.' + e.className).slice(0, 10)"""
            )
        )


@contextmanager
def visit(
    browsing: Any,
    served: Served,
    *,
    width: int = 1440,
    height: int = 900,
    dark: bool = False,
    language: str = "en",
    user: str | None = ADMIN,
) -> Iterator[Visit]:
    """A window of its own, logged in as a user unless that is None."""
    context = browsing.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        locale=language,
        permissions=["camera"],
        accept_downloads=True,
    )
    context.set_default_timeout(60_000)
    try:
        if user is not None:
            logins = served.app.state.lineament.logins
            if user not in {known.name for known in logins.users.list()}:
                logins.users.add(user, PASSWORD, "admin")
            context.add_cookies(
                [{"name": COOKIE, "value": logins.begin(user), "url": served.address,
                  "httpOnly": True, "sameSite": "Strict"}]
            )  # fmt: skip
        page = context.new_page()
        seen = Visit(page, served)
        own = urlsplit(served.address).netloc

        def asked(request: Any) -> None:
            parts = urlsplit(request.url)
            if parts.scheme not in ("blob", "data") and parts.netloc != own:
                seen.elsewhere.append(request.url)

        page.on("request", asked)
        page.on(
            "console",
            lambda message: (
                seen.complaints.append(f"{message.type}: {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: seen.complaints.append(f"error: {error}"))
        yield seen
    finally:
        context.close()
