"""The page in a real Chromium: from login to the result of each task; axe-core on every screen.

Skipped where Chromium is missing, with a line that says so; `.ci/run` installs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from page_browser import ADMIN, PASSWORD, browser, camera_film, chromium, visit
from page_tasks import CHANGES, LOOKS, fill, give
from server_under_test import Served, run_server

from lineament.server.sessions import login_code
from lineament.server.settings import ServerSettings


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    chromium()
    settings = ServerSettings(data=tmp_path_factory.mktemp("page"), port=0, threads=2)
    for served in run_server(settings):
        fill(served)
        yield served


@pytest.fixture(scope="module")
def browsing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(camera_film(tmp_path_factory.mktemp("film") / "camera.mjpeg")) as started:
        yield started


def test_from_the_first_link_to_a_decision(browsing: Any, served: Served) -> None:
    """The one test that `make test` has: everything else here is slow."""
    served.app.state.lineament.logins.users.add("first", PASSWORD, "admin")  # type: ignore[attr-defined]
    with visit(browsing, served, user=None) as seen:
        page = seen.page
        page.goto(served.address)
        page.get_by_label("Name").fill("first")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Are these the same person?").wait_for()
        LOOKS["verify"][1](seen)
        assert seen.axe() == []
        seen.check()
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("heading", name="Log in to lineament").wait_for()
        assert page.context.cookies() == []


@pytest.mark.slow
def test_the_first_admin_comes_by_a_link(browsing: Any, served: Served) -> None:
    code = login_code(served.settings.data, always=True)
    with visit(browsing, served, user=None) as seen:
        page = seen.page
        page.goto(f"{served.address}/#code={code}")
        page.get_by_role("heading", name="Welcome to lineament").wait_for()
        assert code not in page.url
        assert seen.axe() == []
        page.get_by_label("Name", exact=True).fill("root")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password, once more").fill("another one, longer")
        page.get_by_role("button", name="Create account").click()
        page.get_by_text("The two passwords differ.").wait_for()
        page.get_by_label("Password, once more").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        page.get_by_role("heading", name="Are these the same person?").wait_for()
        assert page.get_by_role("link", name="root").count() == 1
        seen.check()
    with visit(browsing, served, user=None) as seen:
        seen.allowed.append("401")
        seen.page.goto(f"{served.address}/#code={code}")
        seen.page.get_by_text("This link was used already").wait_for()
        seen.check()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
@pytest.mark.parametrize("name", LOOKS)
def test_a_task_is_done_on_its_screen(
    name: str, width: int, dark: bool, browsing: Any, served: Served
) -> None:
    screen, task = LOOKS[name]
    with visit(browsing, served, width=width, dark=dark) as seen:
        seen.go(screen)
        if screen != "account" and not seen.listed(screen):
            pytest.skip(f"this server has no routes for {screen}")
        task(seen)
        assert seen.axe() == []
        assert seen.overflow() == []
        seen.check()


@pytest.mark.slow
@pytest.mark.parametrize("shown", [330, 560])
def test_names_on_a_photo_hide_no_face(shown: int, browsing: Any, served: Served) -> None:
    """Neither their own nor another, and no other name; where a name has no room, its number."""
    boxes = [(60, 30, 98, 78), (130, 20, 168, 70), (190, 28, 216, 60), (20, 120, 40, 146),
             (46, 122, 66, 150), (250, 4, 320, 96), (2, 168, 30, 198)]  # fmt: skip
    faces = [
        {"box": box, "label": f"Somebody Called {n}", "short": str(n)}
        for n, box in enumerate(boxes)
    ]
    with visit(browsing, served) as seen:
        seen.go("verify")
        found = seen.page.evaluate(
            """async ([faces, shown]) => {
                const { draw } = await import(
                    new URL("media.js", document.querySelector("script[src]").src)
                );
                const canvas = document.createElement("canvas");
                const context = canvas.getContext("2d");
                const found = [];
                context.roundRect = (x, y, w, h) => found.push([x, y, x + w, y + h]);
                canvas.getContext = () => context;
                draw(canvas, null, [330, 200], faces, { shown });
                const scale = canvas.width / 330;
                return { found, boxes: faces.map(({ box }) => box.map((one) => one * scale)) };
            }""",
            [faces, shown],
        )
        seen.check()
    names = found["found"]
    assert len(names) == len(boxes)
    for number, name in enumerate(names):
        for other in [*names[:number], *found["boxes"][:5], found["boxes"][6]]:
            assert apart(name, other), (number, name, other)
        assert apart(name, found["boxes"][5]) or number == 5  # in a large box it may be


def apart(a: list[float], b: list[float]) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_made(name: str, browsing: Any, served: Served) -> None:
    screen, task = CHANGES[name]
    with visit(browsing, served) as seen:
        seen.go(screen)
        task(seen)
        assert seen.axe() == []
        seen.check()


@pytest.mark.slow
def test_what_goes_wrong_is_said(browsing: Any, served: Served) -> None:
    with visit(browsing, served) as seen:
        seen.allowed.append("422")
        seen.go("verify")
        inputs = seen.page.locator("input[type=file]")
        give(seen, "obama")
        inputs.nth(1).set_input_files(
            {"name": "notes.txt", "mimeType": "image/png", "buffer": b"no photo"}
        )
        seen.page.get_by_role("alert").get_by_text("This is no photo").wait_for()
        assert seen.axe() == []
        seen.check()


@pytest.mark.slow
def test_who_has_the_wrong_password_is_told(browsing: Any, served: Served) -> None:
    with visit(browsing, served, user=None) as seen:
        seen.allowed.append("401")
        seen.page.goto(served.address)
        seen.page.get_by_label("Name").fill(ADMIN)
        seen.page.get_by_label("Password").fill("wrong wrong wrong")
        seen.page.get_by_label("Password").press("Enter")
        seen.page.get_by_role("alert").get_by_text("Name or password is wrong").wait_for()
        assert seen.axe() == []
        seen.check()


@pytest.mark.slow
def test_a_session_that_ends_leads_to_the_login(browsing: Any, served: Served) -> None:
    with visit(browsing, served) as seen:
        seen.allowed.append("401")
        seen.go("people")
        served.app.state.lineament.logins.end_all(ADMIN)  # type: ignore[attr-defined]
        seen.page.get_by_role("link", name="Thresholds").click()
        seen.page.get_by_text("Your session has ended.").wait_for()
        seen.check()


@pytest.mark.slow
def test_the_menu_has_what_a_role_may(browsing: Any, served: Served) -> None:
    users = served.app.state.lineament.logins.users  # type: ignore[attr-defined]
    users.add("guest", PASSWORD, "verify", galleries=["staff"])
    with visit(browsing, served, user="guest") as seen:
        seen.go("verify")
        names = seen.page.get_by_role("navigation").get_by_role("link").all_inner_texts()
        assert {"Verify", "Identify", "People"} <= set(names)
        assert {"Enroll", "Keys", "Users", "Audit log"}.isdisjoint(names)
        seen.check()


@pytest.mark.slow
def test_the_keyboard_is_enough(browsing: Any, served: Served) -> None:
    """Skip link, menu, a photo's buttons, a dialog that gives the focus back."""
    with visit(browsing, served) as seen:
        page = seen.page
        seen.go("verify")
        page.keyboard.press("Tab")
        order = []
        for _ in range(40):
            order.append(
                page.evaluate(
                    "document.activeElement.getAttribute('aria-label') || "
                    "document.activeElement.innerText"
                )
            )
            page.keyboard.press("Tab")
        assert any("Choose: First photo" in str(text) for text in order)
        button = page.get_by_role("button", name="Camera: First photo")
        button.focus()
        page.keyboard.press("Enter")
        page.get_by_role("dialog", name="Take a photo").wait_for()
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="detached")
        seen.check()


@pytest.mark.slow
def test_a_photo_of_the_camera_and_a_pasted_one_are_compared(browsing: Any, served: Served) -> None:
    with visit(browsing, served) as seen:
        page = seen.page
        seen.go("verify")
        page.get_by_role("button", name="Camera: First photo").click()
        page.get_by_role("button", name="Take photo").click()
        page.wait_for_selector("dialog", state="detached")
        page.evaluate(
            """async () => {
                const canvas = document.querySelector('canvas.picture');
                const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
                const data = new DataTransfer();
                data.items.add(new File([blob], 'pasted.png', {type: 'image/png'}));
                document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data}));
            }"""
        )
        page.get_by_role("heading", name="The same person").wait_for()
        seen.check()


@pytest.mark.slow
def test_the_page_speaks_german(browsing: Any, served: Served) -> None:
    with visit(browsing, served, language="de") as seen:
        seen.go("verify")
        seen.page.get_by_role("heading", name="Ist das dieselbe Person?").wait_for()
        assert seen.page.evaluate("document.documentElement.lang") == "de"
        seen.page.get_by_role("button", name="EN – English").click()
        seen.page.get_by_role("heading", name="Are these the same person?").wait_for()
        seen.page.get_by_role("button", name="Dark theme").click()
        assert seen.page.evaluate("document.documentElement.dataset.theme") == "dark"
        seen.page.reload()
        seen.page.get_by_role("heading", name="Are these the same person?").wait_for()
        assert seen.page.evaluate("document.documentElement.dataset.theme") == "dark"
        seen.check()


@pytest.mark.slow
def test_a_script_that_gets_into_the_page_does_not_run(browsing: Any, served: Served) -> None:
    """The policy holds: what is written into the page as a script is refused."""
    with visit(browsing, served) as seen:
        seen.go("verify")
        seen.page.evaluate(
            """() => {
                const script = document.createElement('script');
                script.textContent = 'window.ran = true';
                document.body.append(script);
                const image = new Image();
                image.src = 'https://elsewhere.invalid/x.png';
                document.body.append(image);
            }"""
        )
        seen.page.wait_for_timeout(200)
        assert seen.page.evaluate("window.ran") is None
        assert sum("Content Security Policy" in text for text in seen.complaints) == 2
