"""Take pictures of every screen of the server's page, to be looked at; and those of the docs.

    python -m scripts.build.page_pictures FOLDER [--only NAME ...] [--docs]

Wide and narrow, light and dark, after the task of each screen is done, with the photographs of the
package. What axe-core has against a screen, what is too wide, and what the console says is printed.
Needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from scripts.packages import ROOT

sys.path.insert(0, str(ROOT / "tests" / "builders"))

from page_browser import browser, camera_film, visit
from page_tasks import LOOKS, fill
from server_under_test import run_server

from lineament.server.settings import ServerSettings

SIZES = ((1440, 900, False), (1440, 900, True), (390, 844, False), (390, 844, True))
DOCS = {"person": 1360, "groups": 900}
"""Screen -> height of its picture in docs/images."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", help="names of screens")
    parser.add_argument("--sizes", nargs="*", help="such as 390-dark; all four otherwise")
    parser.add_argument("--docs", action="store_true", help="also write docs/images")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with tempfile.TemporaryDirectory() as data:
        film = camera_film(Path(data) / "camera.mjpeg")
        for served in run_server(ServerSettings(data=Path(data) / "server", port=0)):
            fill(served)
            with browser(film) as browsing:
                if options.docs:
                    _docs(browsing, served)
                for width, height, dark in SIZES:
                    if (
                        options.sizes
                        and f"{width}-{'dark' if dark else 'light'}" not in options.sizes
                    ):
                        continue
                    kind = f"{width}-{'dark' if dark else 'light'}.png"
                    with visit(
                        browsing, served, width=width, height=height, dark=dark, user=None
                    ) as seen:
                        seen.page.goto(served.address)
                        seen.page.get_by_label("Password").wait_for()
                        seen.page.screenshot(path=options.folder / f"login-{kind}", full_page=True)
                    with visit(browsing, served, width=width, height=height, dark=dark) as seen:
                        seen.go("live")
                        seen.page.screenshot(path=options.folder / f"no-cameras-{kind}")
                        for name, (screen, task) in LOOKS.items():
                            if options.only and name not in options.only:
                                continue
                            file = f"{name}-{kind}"
                            seen.page.goto("about:blank")
                            seen.go(screen)
                            if screen != "account" and not seen.listed(screen):
                                print(f"{file}: not in the menu")
                                continue
                            try:
                                task(seen)
                                found = seen.axe() + seen.overflow() + seen.complaints
                                known = seen.allowed
                                found = [x for x in found if not any(a in x for a in known)]
                            except Exception as error:  # the others are still wanted
                                found = [str(error)[:1500]]
                            seen.complaints.clear()
                            wrong += len(found)
                            for text in found:
                                print(f"{file}: {text}", flush=True)
                            seen.page.evaluate("scrollTo(0, 0)")  # the head stays where one is
                            seen.page.screenshot(path=options.folder / file, full_page=True)
    print(f"{wrong} complaints")


def _docs(browsing, served) -> None:  # type: ignore[no-untyped-def]
    for name, height in DOCS.items():
        with visit(browsing, served, width=1200, height=height) as seen:
            screen, task = LOOKS[name]
            seen.go(screen)
            task(seen)
            seen.page.mouse.move(0, 0)
            shot = Image.open(io.BytesIO(seen.page.screenshot()))
            path = ROOT / "docs" / "images" / f"page-{name}.webp"
            shot.convert("RGB").save(path, quality=78, method=6)
            print(f"{path}: {path.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
