"""A gallery is opened with the recognizer that it was made with; filters are read from text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gallery_builders import CONTRACT, make_gallery

from lineament import Recognizer
from lineament.errors import ContractError, GalleryNotFoundError, LineamentError, OptionError
from lineament.gallery import Gallery
from lineament.gallery._store import Store
from lineament.gallery.filters import parse_filter, parse_metadata, parse_value


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty gallery of "mobilefacenet" with the mirror image and the alignment "eyes"."""
    folder = tmp_path_factory.mktemp("fast") / "g"
    recognizer = Recognizer("mobilefacenet", flip=True, alignment="eyes")
    Gallery.create(folder, recognizer=recognizer).close()
    return folder


def test_the_contract_makes_the_recognizer(fast: Path) -> None:
    with Gallery.open(fast, read_only=True) as gallery:
        made = gallery.recognizer
    assert (made.weights.name, made.flip, made.alignment) == ("mobilefacenet", True, "eyes")


def test_options_complete_the_recognizer(fast: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    open_store = Store.open.__func__  # type: ignore[attr-defined]

    def counted(cls: type[Store], folder: Path, **named: Any) -> Store:
        opened.append(folder)
        found = open_store(cls, folder, **named)
        assert isinstance(found, Store)
        return found

    monkeypatch.setattr(Store, "open", classmethod(counted))
    options = {"detector": "yunet", "choose": "central", "flip": None}
    with Gallery.open(fast, recognizer=options) as gallery:
        made = gallery.recognizer
    assert (made.weights.name, made.flip, made.alignment) == ("mobilefacenet", True, "eyes")
    assert (made.finder.detector_name, made.finder.choose) == ("yunet", "central")
    assert opened == [fast]


def test_options_may_not_contradict_the_contract(fast: Path) -> None:
    with pytest.raises(ContractError, match=r"leave out the options of the recognizer.*migrate\("):
        Gallery.open(fast, recognizer={"flip": False})
    with pytest.raises(ContractError, match="the options describe sface-mobilefacenet-int8"):
        Gallery.open(fast, recognizer={"recognizer": "balanced"})
    Gallery.open(fast, recognizer={"recognizer": "mobilefacenet"}).close()  # nothing is locked


def test_a_network_of_ones_own_has_to_be_named(tmp_path: Path) -> None:
    make_gallery(tmp_path / "g").close()
    with pytest.raises(OptionError, match=f"made by '{CONTRACT.weights}', which is none of"):
        Gallery.open(tmp_path / "g", recognizer={})


def test_opened_or_created(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    with pytest.raises(LineamentError):
        Gallery.open_or_create(folder, recognizer={"recognizer": "nobody"})
    assert not Gallery.exists(folder)
    with pytest.raises(GalleryNotFoundError):
        Gallery.open(folder)
    with Gallery.open_or_create(folder, recognizer={"recognizer": "fast"}) as gallery:
        assert gallery.contract.weights == "sface-int8"
        assert not gallery.settings.keep_crops
    assert Gallery.exists(folder)
    with Gallery.open_or_create(folder, keep_crops=True) as gallery:
        assert gallery.settings.keep_crops
        assert gallery.recognizer.weights.name == "sface-int8"
    with Gallery.open_or_create(folder) as gallery:
        assert gallery.settings.keep_crops


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], None),
        (["building=B"], {"building": {"=": "B"}}),
        (["age>=18", "age<65"], {"age": {">=": 18, "<": 65}}),
        (["groups~night shift"], {"groups": {"has": "night shift"}}),
        (['building=["A", "B"]', "left=null"], {"building": ["A", "B"], "left": None}),
        (["text!='1'", "yes=true"], {"text": {"!=": "'1'"}, "yes": {"=": True}}),
        (["a=b=c"], {"a": {"=": "b=c"}}),
    ],
)
def test_filters_are_read_from_text(entries: list[str], expected: object) -> None:
    assert parse_filter(entries) == expected


@pytest.mark.parametrize(
    "entries", [["building"], ["=B"], [" =B"], ["a=1", "a=2"], ["a=1", "a=null"]]
)
def test_bad_filters_are_refused(entries: list[str]) -> None:
    with pytest.raises(OptionError, match=r"^--where: "):
        parse_filter(entries, "--where")


def test_metadata_are_read_from_text() -> None:
    assert parse_metadata(None) == {}
    assert parse_metadata(["a=1", "b = x", 'c=["y"]', "d=NaN"]) == {
        "a": 1,
        "b": " x",
        "c": ["y"],
        "d": "NaN",
    }
    assert parse_value('{"a": [true]}') == {"a": [True]}
    for entries in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(OptionError, match=r"^set: "):
            parse_metadata(entries)


def test_another_recognizer_is_used_from_now_on(fast: Path) -> None:
    shared = Recognizer("mobilefacenet", flip=True, alignment="eyes")
    with Gallery.open(fast) as gallery, Gallery.open(fast, read_only=True) as reader:
        for one in (gallery, reader):
            one.use(shared)
            assert one.recognizer is shared
        with pytest.raises(ContractError, match=r"holds embeddings of .*migrate\("):
            gallery.use(Recognizer("mobilefacenet", flip=False))
        assert gallery.recognizer is shared
