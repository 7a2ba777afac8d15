"""What people do on the server's page, screen by screen: from its opening to its result."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from page_browser import Visit
from PIL import Image as PILImage
from server_under_test import DEMO, Served

GALLERY = "staff"
PEOPLE = {
    "Barack Obama": ("obama", "obama2"),
    "Eileen Collins": ("astronaut",),
    "Joe Biden": ("biden",),
}


def fill(served: Served) -> None:
    """A gallery with three people, and a key."""
    with served.client("admin") as client:
        client.post("/galleries", json={"name": GALLERY, "settings": {"keep_crops": True}})
        for name, photos in PEOPLE.items():
            files = [("images", (DEMO / f"{photo}.jpg").read_bytes()) for photo in photos]
            answer = client.post(
                f"/galleries/{GALLERY}/people/-/samples", params={"name": name}, files=files
            )
            assert answer.json()["enrolled"], answer.text
        client.post("/galleries", json={"name": "tower"})
        client.post("/keys", json={"label": "door", "role": "verify", "galleries": [GALLERY]})


def photo(name: str) -> str:
    return str(DEMO / f"{name}.jpg")


def give(visit: Visit, *names: str, well: int = 0) -> None:
    """Choose photos for a well."""
    inputs = visit.page.locator("input[type=file]")
    inputs.nth(well).set_input_files([photo(name) for name in names])


def verify(visit: Visit) -> None:
    page = visit.page
    give(visit, "obama")
    page.locator("canvas.picture").wait_for()
    give(visit, "obama2", well=1)
    page.get_by_role("heading", name="The same person").wait_for()
    page.get_by_text("What this rests on").click()
    assert page.locator(".basis").get_by_text("LFW View 1").count() >= 1
    assert "Score 0." in page.locator(".axis").inner_text()


def identify(visit: Visit) -> None:
    give(visit, "group")
    page = visit.page
    page.get_by_role("heading", name="Joe Biden").first.wait_for()
    purpose = page.get_by_label("Purpose")
    purpose.fill("payroll")
    purpose.press("Enter")
    page.get_by_text("people did not consent to it, and were left out").first.wait_for()
    page.get_by_role("heading", name="Joe Biden").wait_for(state="detached")
    purpose.fill("")
    purpose.press("Enter")
    page.get_by_role("heading", name="Joe Biden").first.wait_for()


def enroll(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("Name of the person").fill("Barack Obama")
    give(visit, "obama", "group")
    page.get_by_role("button", name="Enroll 2 photos").click()
    page.get_by_text("What became of each photo").wait_for()
    page.get_by_text("This photo is enrolled already.").first.wait_for()


def enroll_by_camera(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("Name of the person").fill("President")
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_text("Good: take the picture").wait_for()
    page.get_by_role("button", name="Take photo").click()
    page.locator(".thumbs canvas").wait_for()
    page.get_by_text("Options").click()
    page.get_by_label("Do not compare with who is enrolled").check()
    page.get_by_role("button", name="Enroll 1 photo").click()
    page.get_by_role("link", name="President").wait_for()


def people(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Joe Biden").wait_for()
    page.get_by_label("Search by name").fill("oba")
    page.get_by_role("link", name="Joe Biden").wait_for(state="detached")
    page.get_by_label("Search by name").fill("")
    page.get_by_role("link", name="Joe Biden").wait_for()


def person(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Joe Biden").click()
    page.get_by_role("heading", name="Joe Biden", exact=True).wait_for()
    face = page.get_by_role("img", name="Face of sample").first
    face.wait_for()
    assert face.evaluate("image => image.decode().then(() => image.naturalWidth)") > 50
    page.get_by_label("What", exact=True).fill("building")
    page.get_by_label("Value").fill("B")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Remove: building").wait_for()
    if page.get_by_role("heading", name="Is it Joe Biden?").count():
        inputs = page.locator(".card", has_text="Is it Joe Biden?").locator("input[type=file]")
        inputs.set_input_files(photo("obama"))
        page.get_by_role("heading", name="Different people").wait_for()
        visit.allowed.append("422")
        page.get_by_label("Purpose").fill("payroll")
        page.get_by_label("Purpose").press("Enter")
        page.get_by_text("That person did not consent to this").wait_for()
        page.get_by_label("Purpose").fill("")
        page.get_by_label("Purpose").press("Enter")
        page.get_by_role("heading", name="Different people").wait_for()


def groups(visit: Visit) -> None:
    page = visit.page
    give(visit, "group", "obama", "obama2", "biden")
    page.get_by_role("button", name="Find groups").click()
    page.get_by_role("heading", name="Group 1").wait_for()
    face = page.locator(".face").first
    face.click()
    page.get_by_text("1 face chosen").wait_for()
    page.get_by_role("button", name="Into a new group").click()
    assert page.locator(".face[aria-pressed=true]").count() == 0


def name_group(visit: Visit) -> None:
    groups(visit)
    page = visit.page
    page.get_by_role("button", name="Name: Group 1").click()
    # In "staff" the faces are somebody's already.
    page.get_by_role("dialog").get_by_label("Gallery").select_option("tower")
    page.get_by_role("dialog").get_by_label("Name of the person").fill("Somebody")
    page.get_by_role("dialog").get_by_role("button", name="Enroll", exact=True).click()
    page.wait_for_selector("dialog", state="detached")
    page.get_by_role("heading", name="Somebody").wait_for()


def thresholds(visit: Visit) -> None:
    slider = visit.page.get_by_role("slider")
    figures = visit.page.locator(".figures")
    before = figures.inner_text()
    slider.focus()
    slider.press("End")
    assert figures.inner_text() != before
    assert "1 in" in figures.inner_text()


def anonymize(visit: Visit) -> None:
    give(visit, "group")
    visit.page.get_by_role("link", name="Download").wait_for()


def liveness(visit: Visit) -> None:
    """The camera shows photographs, so nobody is there."""
    page = visit.page
    page.get_by_role("button", name="Begin").click()
    page.locator(".dots").wait_for()


def live(visit: Visit) -> None:
    """With a camera that is not there: its address is long, and shown in place of a name."""
    page = visit.page
    url = "http://camera.invalid/the/entrance/at/the/back/of/the/warehouse/channel-1.mjpeg"
    with visit.served.client("admin") as client:
        if not client.get("/streams").json()["streams"]:
            client.post("/streams", json={"url": url, "give_up_s": 0})
    page.reload()
    visit.settle()
    page.get_by_role("heading", name=url).wait_for()
    page.get_by_role("button", name="Add camera").first.click()
    page.get_by_role("dialog").get_by_label("Address").fill("http://camera.invalid/door.mjpeg")
    page.get_by_role("dialog").get_by_label("Gallery").select_option(GALLERY)
    page.get_by_role("dialog").get_by_label("Purpose").fill("access")


def galleries(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name=GALLERY, exact=True).wait_for()


def make_gallery(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="New gallery").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("visitors")
    page.get_by_role("dialog").get_by_role("button", name="New gallery").click()
    page.get_by_role("link", name="visitors").wait_for()
    page.get_by_role("button", name="Remove: visitors").click()
    page.get_by_label("Type visitors to go on").fill("visitors")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_role("link", name="visitors").wait_for(state="detached")


def keys(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="New key").first.click()
    page.get_by_role("dialog").get_by_label("Label").fill("turnstile")
    page.get_by_role("dialog").get_by_label("Expires").fill("2090-02-28")
    page.get_by_role("dialog").get_by_role("button", name="New key").click()
    secret = page.locator(".secret")
    secret.wait_for()
    key = secret.inner_text()
    page.get_by_role("button", name=f"Revoke {key.split('_')[1]}").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    page.wait_for_selector("dialog", state="detached")
    page.get_by_role("row", name="turnstile").first.get_by_text("revoked").wait_for()
    page.get_by_role("row", name="turnstile").first.get_by_text("2090").wait_for()


def users(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Add user").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("vera")
    dialog.get_by_label("Password", exact=True).fill("correct horse battery")
    dialog.get_by_role("button", name="Add user").click()
    page.get_by_role("row", name="vera").wait_for()
    page.get_by_role("button", name="Remove: vera").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_role("row", name="vera").wait_for(state="detached")


def audit(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Check the log").click()
    page.get_by_text("The log is whole").first.wait_for()


def requests(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("button", name="Eileen Collins").click()
    page.get_by_role("button", name="Record consent").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Where it is kept").fill("form 17")
    dialog.get_by_label("For what").fill("access")
    dialog.get_by_role("button", name="Save").click()
    page.get_by_text("form 17").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename == "person.zip"


def erase(visit: Visit) -> None:
    requests(visit)
    page = visit.page
    page.get_by_role("button", name="Erase with receipt").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase with receipt").click()
    page.get_by_text("Nothing of this person is left.").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the signed receipt").click()
    assert download.value.suggested_filename == "receipt.json"


def account(visit: Visit) -> None:
    visit.page.get_by_label("Present password").wait_for()


def not_this_person(visit: Visit) -> None:
    """Of a small face; photos that are enrolled are refused as examples of somebody else."""
    page = visit.page
    whole = PILImage.open(photo("group")).convert("RGB")
    small = io.BytesIO()
    whole.crop((388, 458, 458, 540)).save(small, "PNG")
    one = {"name": "small.png", "mimeType": "image/png", "buffer": small.getvalue()}
    page.locator("input[type=file]").first.set_input_files([one])
    button = page.get_by_role("button", name="Not this person: Joe Biden").first
    button.click()
    page.get_by_role("dialog").get_by_role("button", name="Not this person").click()
    page.wait_for_selector("dialog", state="detached")
    visit.settle()
    button.wait_for(state="detached")


Task = Callable[[Visit], Any]
LOOKS: dict[str, tuple[str, Task]] = {
    "verify": ("verify", verify),
    "identify": ("identify", identify),
    "liveness": ("liveness", liveness),
    "anonymize": ("anonymize", anonymize),
    "enroll": ("enroll", enroll),
    "people": ("people", people),
    "person": ("people", person),
    "groups": ("groups", groups),
    "live": ("live", live),
    "thresholds": ("thresholds", thresholds),
    "galleries": ("galleries", galleries),
    "keys": ("keys", keys),
    "users": ("users", users),
    "audit": ("audit", audit),
    "requests": ("requests", requests),
    "account": ("account", account),
}
"""Name -> screen and task; each may be done again and again on one server."""

CHANGES: dict[str, tuple[str, Task]] = {
    "enroll by camera": ("enroll", enroll_by_camera),
    "name a group": ("groups", name_group),
    "not this person": ("identify", not_this_person),
    "make a gallery": ("galleries", make_gallery),
    "erase": ("requests", erase),
}
"""Those that leave the server changed."""
