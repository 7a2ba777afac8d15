"""A gallery in everyday use: opened twice in one process, in memory, copied, shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import CONTRACT, embed, make_gallery, turned, vectors

import lineament
from lineament.errors import (
    GalleryClosedError,
    GalleryExistsError,
    GalleryLockedError,
    LineamentError,
    MissingExtraError,
    PersonExistsError,
)
from lineament.files import locked
from lineament.gallery import Gallery, NewSample, Settings


def names(gallery: Gallery) -> list[str]:
    return [person.name for person in gallery]


def test_a_cell_is_run_twice(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    first = make_gallery(folder, people=2)
    second = Gallery.open(folder, wait_s=0)
    third = Gallery.open_or_create(os.fspath(folder / ".." / "g"), wait_s=0)
    third.enroll_samples([("Ada", NewSample(embed(vectors(9)[8])))])
    for gallery in (first, second, third):
        assert names(gallery) == ["Ada", "person 0", "person 1"]
        (found,) = gallery.identify_embeddings([embed(vectors(9)[8])])
        assert found.name == "Ada"
    first.close()
    second.rename("Ada", "Ada Lovelace")
    assert "Ada Lovelace" in third
    second.close()
    third.close()
    with Gallery.open(folder, wait_s=0) as again:
        assert names(again) == ["Ada Lovelace", "person 0", "person 1"]
        assert again.check() == []


def test_the_last_one_to_leave_unlocks(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    gallery, other = make_gallery(folder), Gallery.open(folder)
    code = (
        "import sys; from lineament.gallery import Gallery\n"
        "from lineament.errors import GalleryLockedError\n"
        "try: Gallery.open(sys.argv[1], wait_s=0).close(); print('free')\n"
        "except GalleryLockedError as error: print(error)"
    )

    def elsewhere() -> str:
        command = [sys.executable, "-c", code, str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    gallery.close()
    assert f"another process (process {os.getpid()})" in elsewhere()
    other.close()
    assert elsewhere() == "free\n"


def test_what_was_dropped_without_closing_locks_nobody_out(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    gallery = make_gallery(folder, people=1)
    gallery = Gallery.open(folder, wait_s=0)  # the first one is gone, as in a notebook
    gallery.close()
    with Gallery.open(folder, wait_s=0) as gallery:
        assert gallery.check() == []
    shutil.rmtree(folder)
    with make_gallery(folder, people=3) as new:  # another gallery under the same name
        assert len(new) == 3


def test_many_threads_open_and_close(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    make_gallery(folder).close()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(4):
                with Gallery.open(folder) as gallery:
                    at = 10 * number + turn
                    gallery.enroll_samples([(f"p{at}", NewSample(embed(vectors(50)[at])))])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Gallery.open(folder) as gallery:
        assert len(gallery) == 16
        assert gallery.check() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_is_another_process(tmp_path: Path) -> None:
    code = f"""
import os, sys
from lineament.errors import GalleryLockedError
from lineament.gallery import Gallery
from lineament.types import Contract
g = Gallery.create({str(tmp_path / "g")!r}, Contract("x", "0" * 64, "crop-8", "rgb", False, 4))
child = os.fork()
if child == 0:
    try:
        Gallery.open(g.folder, wait_s=0)
    except GalleryLockedError as error:
        os._exit(0 if f"another process (process {{os.getppid()}})" in str(error) else 3)
    os._exit(4)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_lock_of_this_process_is_not_called_another_process(tmp_path: Path) -> None:
    # Its lock is held, and no gallery of that file is open here.
    folder = tmp_path / "g"
    make_gallery(folder).close()
    with (
        locked(folder / "gallery.lock", busy=GalleryLockedError),
        pytest.raises(GalleryLockedError, match=r"this process \(process \d+\) has"),
    ):
        Gallery.open(folder, wait_s=0)


def test_closed_is_said_by_everything(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    gallery, other = make_gallery(folder, people=1), Gallery.open(folder)
    gallery.close()
    gallery.close()
    asked = [
        lambda: gallery.identify_embeddings([embed(vectors(1)[0])]),
        lambda: gallery.enroll_embeddings("Ada", [embed(vectors(1)[0])]),
        gallery.people,
        lambda: list(gallery),
        lambda: len(gallery),
        lambda: "Ada" in gallery,
        lambda: gallery.rename("person 0", "x"),
        lambda: gallery.remove("person 0"),
        lambda: gallery.merge("person 0", "x"),
        lambda: gallery.annotate("person 0", {"a": 1}),
        lambda: gallery.export(tmp_path / "x.jsonl"),
        lambda: gallery.save(tmp_path / "copy"),
        gallery.reindex,
        gallery.check,
        gallery.to_dict,
        lambda: gallery.settings,
        lambda: gallery.contract,
    ]
    for ask in asked:
        with pytest.raises(GalleryClosedError, match=re.escape(f"{folder}: this gallery was clos")):
            ask()
    assert repr(gallery) == f"<Gallery {str(folder)!r}: closed>"
    assert "closed" in gallery._repr_html_()
    assert names(other) == ["person 0"]
    other.close()


def test_create_says_how_to_open(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g"), pytest.raises(GalleryExistsError, match="open_or_create"):
        make_gallery(tmp_path / "g")


def test_it_stays_where_it_is_when_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    gallery = make_gallery(Path("g"), people=1)
    monkeypatch.chdir(tmp_path / "elsewhere")
    gallery.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "g" / "index").is_dir()


# --- in memory ------------------------------------------------------------------------------------


def in_memory(people: int = 0) -> Gallery:
    gallery = Gallery.create(":memory:", CONTRACT, settings=Settings(threshold=0.6))
    for i, vector in enumerate(vectors(people) if people else []):
        gallery.enroll_samples([(f"person {i}", NewSample(embed(vector)))])
    return gallery


def test_in_memory_it_does_what_it_does_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = [embed(turned(vectors(6)[i], 0.8)) for i in range(6)]
    answers = []
    with in_memory(6) as here, make_gallery(tmp_path / "g", people=6) as there:
        for gallery in (here, there):
            gallery.annotate("person 3", {"number": 3})
            gallery.rename("person 1", "Ada")
            gallery.merge("Ada", "person 2")
            assert gallery.remove("person 0").erased
            with pytest.raises(PersonExistsError):
                gallery.rename("Ada", "person 5")
            gallery.compact()
            assert gallery.reindex() == 5
            assert gallery.check() == []
            found = gallery.identify_embeddings(asked, where=None)
            answers.append([(one.name, one.margin) for one in found])
        assert answers[0] == answers[1]
        assert repr(here) == (
            f"<Gallery ':memory:': 4 people, 5 samples, recognizer {CONTRACT.weights}>"
        )
        assert here.export(tmp_path / "x.jsonl") == 5
        other = in_memory()
        assert other.import_(tmp_path / "x.jsonl").new_people == 4
        assert names(other) == names(here)
        assert len(in_memory()) == 0  # each is one of its own
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g", "x.jsonl"]
    with pytest.raises(GalleryClosedError, match=r"what was in it is gone.*save\(folder\)"):
        here.people()


def test_in_memory_by_recognizer() -> None:
    with Gallery.in_memory(recognizer={"recognizer": "fast", "flip": None}) as gallery:
        assert gallery.contract.weights == "sface-int8"
        assert gallery.settings.keep_crops
        assert not gallery.read_only
    with Gallery.open(":memory:", recognizer={"recognizer": "fast"}) as gallery:
        assert len(gallery) == 0
    with pytest.raises(LineamentError, match="nobody"):
        Gallery.in_memory(recognizer={"recognizer": "nobody"})


def test_saved_into_a_folder(tmp_path: Path) -> None:
    with in_memory(3) as gallery:
        gallery.remove("person 1")
        gallery.save(tmp_path / "kept")
        with pytest.raises(GalleryExistsError):
            gallery.save(tmp_path / "kept")
        with Gallery.open(tmp_path / "kept") as kept:
            assert names(kept) == ["person 0", "person 2"]
            assert kept.check() == []
            kept.remove("person 2")
        assert names(gallery) == ["person 0", "person 2"]
        with Gallery.open(tmp_path / "kept", read_only=True) as kept:
            kept.save(tmp_path / "again")
    assert not list(tmp_path.rglob("*.tmp"))
    with Gallery.open(tmp_path / "again") as again:
        assert names(again) == ["person 0"]
        assert again.settings.threshold == 0.6


# --- shown ----------------------------------------------------------------------------------------


def test_at_the_top_level() -> None:
    assert lineament.Gallery is Gallery


def test_length_iteration_and_dictionaries(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=3) as gallery:
        assert len(gallery) == len(list(gallery)) == 3
        assert "person 1" in gallery
        assert "person 9" not in gallery
        assert 1 not in gallery
        found = json.loads(gallery.to_json())
        assert found["n_people"] == 3
        assert [one["name"] for one in found["people"]] == names(gallery)
        assert found["people"][1]["metadata"] == {"building": "B", "number": 1}


def test_as_a_table_of_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_gallery(tmp_path / "g", people=2) as gallery:
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(MissingExtraError, match="pip install pandas"):
            gallery.to_pandas()
        monkeypatch.undo()
        pytest.importorskip("pandas")
        table = gallery.to_pandas()
        assert list(table["name"]) == ["person 0", "person 1"]
        assert list(table["building"]) == ["A", "B"]
        with make_gallery(tmp_path / "empty") as empty:
            assert list(empty.to_pandas().columns) == ["name", "n_samples", "created"]


def test_in_a_notebook(tmp_path: Path) -> None:
    crop = np.full((112, 112, 3), 200, np.uint8)
    with make_gallery(tmp_path / "g", people=30, keep_crops=True) as gallery:
        gallery.enroll_samples([("<b>Ada</b>", NewSample(embed(vectors(99)[98]), crop=crop))])
        page = gallery._repr_html_()
    assert page.count('src="data:image/jpeg;base64,') == 1
    assert "&lt;b&gt;Ada&lt;/b&gt;" in page
    assert "<b>Ada" not in page
    assert page.count("no picture") == 23
    assert "and 7 more" in page
    with make_gallery(tmp_path / "empty") as empty:
        assert "nobody is enrolled" in empty._repr_html_()


def test_a_photo_that_was_changed_is_not_shown(tmp_path: Path, astronaut_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    shutil.copy(astronaut_path, photo)
    with Gallery.in_memory(
        recognizer={"recognizer": "fast"}, settings=Settings(keep_crops=False)
    ) as gallery:
        gallery.enroll("Eileen", photo)
        assert "data:image/jpeg" in gallery._repr_html_()
        photo.write_bytes(photo.read_bytes() + b"\0")
        assert "no picture" in gallery._repr_html_()
