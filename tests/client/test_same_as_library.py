"""The same calls through the library and through the client give equal results."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from server_under_test import DEMO, Served

from lineament import AsyncClient, Client, Gallery, Recognizer, load_image, models
from lineament.anonymize import anonymize
from lineament.client import AsyncServedGallery, ServedGallery
from lineament.detect import DetectOptions
from lineament.errors import (
    ConflictError,
    EnrollRefusedError,
    GalleryExistsError,
    GalleryNotFoundError,
    LineamentError,
    NoFaceError,
    OptionError,
    PersonExistsError,
    UnknownPersonError,
    UnlikePeopleError,
)
from lineament.finder import FaceFinder
from lineament.gallery import Settings
from lineament.gallery.consent import Consent
from lineament.gallery.grouping import group, summary

A, B, OTHER, GROUP = (DEMO / f"{name}.jpg" for name in ("obama", "obama2", "biden", "group"))
LIST = [A, GROUP, OTHER]
PIXELS = load_image(A)
BLANK = PIXELS * 0 + 128


Ask = Callable[[Any], Any]
CALLS: dict[str, list[tuple[Ask, Ask]]] = {
    "detect": [
        (lambda c: c.detect(GROUP), lambda r: r.detect(GROUP)),
        (lambda c: c.detect(LIST), lambda r: r.detect(LIST)),
        (
            lambda c: c.detect(GROUP, min_score=0.6, max_faces=2),
            lambda r: FaceFinder(options=DetectOptions(min_score=0.6, max_faces=2)).find(GROUP),
        ),
    ],
    "verify": [
        (lambda c: c.verify(A, B), lambda r: r.verify(A, B)),
        (lambda c: c.verify(A, OTHER, fmr=1e-3), lambda r: r.verify(A, OTHER, fmr=1e-3)),
        (lambda c: c.verify(A, GROUP, threshold=0.2), lambda r: r.verify(A, GROUP, threshold=0.2)),
        (
            lambda c: c.verify(A, B, threshold=limit()),
            lambda r: r.verify(A, B, threshold=limit().value),
        ),
        (
            lambda c: c.verify(A, B, liveness="passive"),
            lambda r: r.verify(A, B, liveness="passive"),
        ),
        (lambda c: c.verify(LIST, [B] * 3), lambda r: r.verify(LIST, [B] * 3)),
    ],
    "models": [
        (lambda c: c.models().contract, lambda r: r.embedder.contract),
        (lambda c: c.models().models, lambda r: [card.to_dict() for card in models.entries()]),
    ],
    "embed": [
        (lambda c: c.embed(A), lambda r: r.embed(A)),
        (lambda c: c.embed(PIXELS), lambda r: r.embed(PIXELS)),
        (lambda c: c.embed(GROUP, faces=[2, 0]), lambda r: r.embed(GROUP, faces=[2, 0])),
        (lambda c: c.embed([A, OTHER]), lambda r: r.embed([A, OTHER])),
    ],
    "attributes": [
        (lambda c: c.attributes(GROUP), lambda r: r.attributes(GROUP)),
        (
            lambda c: c.attributes([A, OTHER], only=["age", "pose"]),
            lambda r: r.attributes([A, OTHER], only=["age", "pose"]),
        ),
    ],
    "anonymize": [
        (
            lambda c: covered(c.anonymize(GROUP)),
            lambda r: covered(anonymize(GROUP)),
        ),
        (
            lambda c: covered(c.anonymize(PIXELS, method="solid", shape="box")),
            lambda r: covered(anonymize(PIXELS, method="solid", shape="box")),
        ),
    ],
    "quality": [
        (
            lambda c: [one.to_dict() for one in c.quality(A)],
            lambda r: [r.verify(A, A).quality_a.to_dict()],
        ),
    ],
    "group": [
        (
            lambda c: c.group([A, B, OTHER, GROUP], min_size=1),
            lambda r: grouped(r, [A, B, OTHER, GROUP]),
        ),
    ],
    "thresholds": [
        (
            lambda c: c.thresholds(fmr=1e-3)["points"][0]["threshold"],
            lambda r: r.calibration.threshold(1e-3).plain.value,
        ),
        (
            lambda c: [point["threshold"] for point in c.thresholds()["points"]],
            lambda r: [point.value for point in r.calibration.points],
        ),
    ],
}
"""Method of the client -> (call through the client, the same through the library)."""

NOT_OF_THE_LIBRARY = {"close", "health", "ready", "ticket"}
"""Methods about the server itself."""
OF_GALLERIES = {"gallery", "galleries", "create_gallery", "delete_gallery"}
"""Methods that the last test here goes through."""


OF_SERVERS = {"info", "rotate_key"}
"""Methods of galleries that say and do what only servers do; tests of their own."""
NOT_SERVED = {
    **dict.fromkeys(
        ("create", "in_memory", "open", "open_or_create", "exists", "save", "close", "compact",
         "discard_if_empty", "encrypt", "decrypt", "remove_damaged", "check", "reindex", "migrate"),
        "of a folder: whoever runs the server does it there, or a job",
    ),
    **dict.fromkeys(
        ("export", "import_", "import_entries"), "files of whole galleries are not sent over HTTP"
    ),
    **dict.fromkeys(
        ("embedding", "enroll_embeddings", "identify_embeddings", "enroll_samples", "examine"),
        "templates of enrolled people do not leave the server, and it embeds photos itself",
    ),
    **dict.fromkeys(("to_dict", "to_json", "to_rows", "to_pandas"), "of people()"),
    **dict.fromkeys(("check_search", "filter_notes", "metadata_keys"), "for command lines"),
    "left_out": "answers of searches count them",
    "identify_stream": "identify of a list",
    "use": "the server has the recognizers",
    "name_of": "numbers are of the HTTP interface",
    "pseudonym": "audit.entries(person=...) has them as the log does",
    "rotate_key": "takes a key, which does not go over the network: the server reads its own",
}  # fmt: skip
"""Methods of ``Gallery`` that a gallery of a server has not, and why."""
CONSENT = Consent("form 7", ("access",), 1.7e9, method="signed form")


BOX = (60.0, 60.0, 160.0, 180.0)


def covered(done: Any) -> list[Any]:
    """What is left of a photo, and of how many faces nothing is."""
    n_faces = done.n_faces if hasattr(done, "n_faces") else len(done.faces)
    return [done.source, n_faces, done.n_hidden, sha256(done.pixels.tobytes()).hexdigest()]


def exported(gallery: Any, name: str) -> Any:
    """What stands in the file, but for moments and what only a server knows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "person.zip"
        gallery.export_person(name, path)
        with zipfile.ZipFile(path) as packed:
            about = json.loads(packed.read("person.json"))
            for sample in about["person"]["samples"]:
                del sample["vector"]
            names = set(packed.namelist()) - {"audit.json"}  # a server has a log
            return sorted(names), sorted(about), about["person"]


def receipts(given: list[Any]) -> list[Any]:
    """What is equal of receipts: they name a gallery, a moment and who signed."""
    return [(one.reason, one.n_samples, one.found, one.clean) for one in given]


def limit() -> Any:
    return Recognizer().threshold(value=0.35)


def grouped(recognizer: Recognizer, photos: list[Any]) -> dict[str, Any]:
    found = group(photos, recognizer)
    return summary(found, found.groups(recognizer.calibration, min_size=1))


def plain(result: Any) -> Any:
    """As JSON has it."""
    if isinstance(result, LineamentError):
        return type(result).__name__, result.message  # hints name what to call, here and there
    if isinstance(result, (list, tuple)):
        return [plain(one) for one in result]
    return json.loads(json.dumps(result.to_dict() if hasattr(result, "to_dict") else result))


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name, calls in CALLS.items() for n in range(len(calls))]
)
def test_equal_results(name: str, number: int, client: Client, recognizer: Recognizer) -> None:
    through_client, through_library = CALLS[name][number]
    assert plain(through_client(client)) == plain(through_library(recognizer))


def public(kind: type[Any]) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}


def test_every_method_is_compared() -> None:
    assert public(Client) == CALLS.keys() | NOT_OF_THE_LIBRARY | OF_GALLERIES
    assert public(ServedGallery) == {name for name, _ in STEPS} | OF_SERVERS
    assert public(Gallery) == {name for name, _ in STEPS} | NOT_SERVED.keys()
    assert not NOT_SERVED.keys() & {name for name, _ in STEPS}


# --- galleries: the same steps, one after the other -----------------------------------------------

STEPS: list[tuple[str, Ask]] = [
    ("people", lambda g: g.people()),
    ("identify", lambda g: g.identify(A)),
    ("enroll", lambda g: g.enroll("Barack Obama", [A, B], metadata={"office": 44, "x": None})),
    ("enroll", lambda g: g.enroll("Barack Obama", A)),  # a duplicate: an error of one photo
    ("enroll", lambda g: g.enroll("Barack Obama", [A, BLANK, OTHER, b"no picture"])),
    ("enroll", lambda g: g.enroll("Nobody", BLANK)),
    ("enroll", lambda g: g.enroll("Nobody", b"no picture")),
    ("enroll", lambda g: g.enroll("a/../b?#%\u00e4\u4e2d", OTHER, sample_metadata={"roll": [1]})),
    ("enroll", lambda g: g.enroll("Group", GROUP)),
    ("enroll", lambda g: g.enroll("Group", [GROUP], choose=True, on_low_quality="accept")),
    ("enroll", lambda g: g.enroll("Twice", A, force=True)),
    ("enroll", lambda g: g.enroll("", A)),
    ("people", lambda g: g.people()),
    ("people", lambda g: g.people(limit=2)),
    ("people", lambda g: g.people(where={"office": {">=": 40}})),
    ("people", lambda g: g.people(where={"office": [44, "44"]})),
    ("people", lambda g: g.people(part="obam")),
    ("person", lambda g: g.person("Barack Obama")),
    ("person", lambda g: g.person("a/../b?#%\u00e4\u4e2d")),
    ("person", lambda g: g.person("Nobody")),
    ("identify", lambda g: g.identify(GROUP)),
    ("identify", lambda g: g.identify(PIXELS, top=2, fpir=0.1, threshold=0.2)),
    ("identify", lambda g: g.identify(A, where={"office": 44}, one_person_per_photo=False)),
    ("identify", lambda g: g.identify(A, where={"office": 45})),
    ("identify", lambda g: g.identify(A, liveness="passive")),
    ("identify", lambda g: g.identify([A, OTHER])),
    ("verify", lambda g: g.verify("Barack Obama", A)),
    ("verify", lambda g: g.verify("Barack Obama", OTHER, fmr=1e-3)),
    ("verify", lambda g: g.verify("a/../b?#%\u00e4\u4e2d", [OTHER, BLANK, A], threshold=0.4)),
    ("verify", lambda g: g.verify("Nobody", A)),
    ("verify", lambda g: g.verify("Barack Obama", GROUP, box=BOX)),
    ("verify", lambda g: g.verify("Barack Obama", A, box=[5, 5, 2, 2])),
    ("set_consent", lambda g: g.set_consent("Barack Obama", CONSENT)),
    ("identify", lambda g: g.identify(A, purpose="access")),
    ("identify", lambda g: g.identify([A, OTHER], purpose="ACCESS", where={"office": 44})),
    ("identify", lambda g: g.identify(A, purpose="payroll")),
    ("verify", lambda g: g.verify("Barack Obama", A, purpose="payroll")),
    ("verify", lambda g: g.verify("Barack Obama", A, purpose="access")),
    ("identify", lambda g: g.identify(A, purpose="")),
    ("set_consent", lambda g: g.set_consent("Barack Obama", CONSENT, add=True)),
    ("set_consent", lambda g: g.set_consent("Barack Obama", None)),
    ("set_consent", lambda g: g.set_consent("Nobody", CONSENT)),
    ("keep_until", lambda g: g.keep_until("Barack Obama", 4e9)),
    ("person", lambda g: g.person("Barack Obama")),
    ("keep_until", lambda g: g.keep_until("Barack Obama", None)),
    ("keep_until", lambda g: g.keep_until("Nobody", 4e9)),
    ("keep_until", lambda g: g.keep_until("Barack Obama", 1e13)),
    ("reject", lambda g: g.reject(GROUP, "Twice", face=1)),
    ("reject", lambda g: g.reject(OTHER, "Nobody")),
    ("reject", lambda g: g.reject(GROUP, "Twice", box=BOX)),
    ("rejections", lambda g: g.rejections("Twice")),
    ("identify", lambda g: g.identify(GROUP, threshold=-0.2)),
    ("remove_rejection", lambda g: g.remove_rejection(1)),
    ("remove_rejection", lambda g: g.remove_rejection(1)),
    ("annotate", lambda g: g.annotate("Barack Obama", {"team": "A", "office": None})),
    ("person", lambda g: g.person("Barack Obama")),
    ("annotate", lambda g: g.annotate("Barack Obama", {"team": "B"}, replace=True)),
    ("person", lambda g: g.person("Barack Obama")),
    ("rename", lambda g: g.rename("Twice", "Barack Obama")),
    ("rename", lambda g: g.rename("Twice", "President")),
    ("merge", lambda g: g.merge("Barack Obama", "a/../b?#%\u00e4\u4e2d")),
    ("merge", lambda g: g.merge("Barack Obama", ["President"])),
    ("sample", lambda g: g.sample(1)),
    ("sample", lambda g: g.sample(99)),
    ("crop", lambda g: g.crop(1)),
    ("configure", lambda g: g.configure(keep_crops=True, prior=0.25)),
    ("configure", lambda g: g.configure(color="blue")),
    ("enroll", lambda g: g.enroll("Twice", A, force=True)),
    ("crop", lambda g: g.crop(max(one.id for one in g.person("Twice").samples)).hex()),
    ("remove", lambda g: g.remove(1)),
    ("remove", lambda g: g.remove("Barack Obama")),
    ("remove", lambda g: g.remove("Nobody")),
    ("people", lambda g: g.people()),
    ("export_person", lambda g: exported(g, "Twice")),
    ("export_person", lambda g: exported(g, "Nobody")),
    ("keep_until", lambda g: g.keep_until("Group", 1e9)),  # who has expired since
    ("person", lambda g: g.person("Group")),
    ("expire", lambda g: receipts(g.expire())),
    ("expire", lambda g: receipts(g.expire())),
    ("erase", lambda g: receipts([g.erase("Twice")])),
    ("erase", lambda g: receipts([g.erase("Twice")])),
    ("people", lambda g: g.people()),
]
"""Method, and a call of it on either kind of gallery."""


def outcome(ask: Ask, gallery: Any) -> Any:
    """What a step gives, without what differs: times, and names of files, which no server keeps."""
    try:
        result = plain(ask(gallery))
    except LineamentError as error:
        return type(error).__name__, error.option
    return _comparable(result)


def _comparable(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _comparable(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_comparable(each, key) for each in value]
    if key in ("created", "added", "n_uncached"):  # the last one: of what was embedded before
        return "some number"
    if key == "reason_in_words" and value is not None:
        return re.sub(r"^\S+: ", "", value)  # the gallery's name
    if isinstance(value, str) and key in ("source", "sample_source", "explanation", "message"):
        return re.sub(r"photo \d+|/\S*?\.jpg|array \([^)]*\) uint8|\d+ bytes", "PHOTO", value)
    return value


@pytest.fixture(scope="module")
def galleries(client: Client, recognizer: Recognizer) -> Iterator[tuple[ServedGallery, Gallery]]:
    """The same gallery twice: on the server and here."""
    settings = Settings(keep_crops=False, prior=0.4)
    with Gallery.in_memory(recognizer=recognizer, settings=settings) as here:
        yield client.create_gallery("staff", settings), here


@pytest.mark.slow
def test_galleries_give_equal_results(galleries: tuple[ServedGallery, Gallery]) -> None:
    served, here = galleries
    assert served.info().settings == here.settings
    assert served.info().contract == here.contract
    for number, (name, ask) in enumerate(STEPS):
        assert outcome(ask, served) == outcome(ask, here), (number, name)
    assert served.info().n_people == here.n_people
    assert [one.name for one in served] == [one.name for one in here]


@pytest.mark.slow
def test_errors_of_galleries(client: Client) -> None:
    gallery = client.create_gallery("errors")
    with pytest.raises(GalleryExistsError):
        client.create_gallery("errors")
    assert "errors" in client.galleries()
    with pytest.raises(ConflictError, match="expected an encrypted gallery"):
        gallery.rotate_key()
    with pytest.raises(OptionError, match="box"):
        gallery.verify("Ada", [A, B], box=BOX)
    with pytest.raises(NoFaceError, match=r"array .*: .*no face"):
        gallery.enroll("Ada", BLANK)
    gallery.enroll("Ada", A)
    with pytest.raises(EnrollRefusedError) as refused:
        gallery.enroll("Ada", A)
    assert refused.value.refusal.reason == "duplicate"
    assert refused.value.refusal.source == str(A)
    gallery.enroll("Bea", OTHER)
    with pytest.raises(PersonExistsError):
        gallery.rename("Ada", "Bea")
    with pytest.raises(UnlikePeopleError):
        gallery.merge("Ada", "Bea")
    with pytest.raises(UnknownPersonError):
        gallery.merge("Ada", "Nobody")
    client.delete_gallery("errors")
    assert "errors" not in client.galleries()
    with pytest.raises(GalleryNotFoundError):
        gallery.info()


@pytest.mark.slow
def test_data_of_people(client: Client, tmp_path: Path) -> None:
    gallery = client.create_gallery("data")
    consent = Consent("form 7", ("access",), 1.7e9, expires=1.7e9 + 1)
    gallery.enroll("Ada", A)
    gallery.enroll("Bea", OTHER, consent=consent)  # who has expired since
    gallery.export_person("Ada", tmp_path / "ada.zip")
    with zipfile.ZipFile(tmp_path / "ada.zip") as packed:
        assert any(b"Ada" in packed.read(name) for name in packed.namelist())
    (expired,) = gallery.expire()
    assert (expired.reason, expired.n_samples) == ("expired", 1)
    receipt = gallery.erase("Ada")
    assert (receipt.reason, receipt.n_samples, receipt.found) == ("request", 1, ())
    assert receipt.signature
    assert gallery.people() == []
    with pytest.raises(UnknownPersonError):
        gallery.erase("Ada")
    client.delete_gallery("data")


@pytest.mark.slow
def test_an_awaited_gallery_does_the_same(server: Served, client: Client) -> None:
    async def ask() -> list[Any]:
        async with AsyncClient(server.address, key=server.keys["admin"]) as asking:
            gallery = await asking.create_gallery("awaited")
            results: list[Any] = []
            for _, step in STEPS[:8]:
                try:
                    results.append(_comparable(plain(await step(gallery))))
                except LineamentError as error:
                    results.append((type(error).__name__, error.option))
            await asking.delete_gallery("awaited")
            return results

    found = asyncio.run(ask())
    expected = client.create_gallery("waited")
    assert found == [outcome(step, expected) for _, step in STEPS[:8]]


def test_awaited_galleries_have_the_same_methods() -> None:
    assert public(ServedGallery) == public(AsyncServedGallery)
    for name in public(ServedGallery):
        own, awaited = getattr(ServedGallery, name), getattr(AsyncServedGallery, name)
        assert inspect.signature(own).parameters == inspect.signature(awaited).parameters, name
