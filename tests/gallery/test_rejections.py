"""Not this person: negative examples, and what searches make of them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import CONTRACT, embed, make_gallery, turned, vectors

import lineament
from lineament import Recognizer
from lineament.errors import OptionError, UnknownPersonError
from lineament.gallery import Gallery, NewSample, Settings
from lineament.gallery._schema import MIGRATIONS, VERSION

DEMO = Path(lineament.__file__).parent / "data" / "demo"


def near(vector: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """A vector of length 1 between the two."""
    mixed = share * vector + (1 - share) * other
    return mixed / np.linalg.norm(mixed)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Ada, and somebody who looks like her: a cosine of 0.7."""
    ada = vectors(1)[0]
    return ada, turned(ada, 0.7, seed=7)


def test_who_is_like_the_example_is_not_named(
    tmp_path: Path, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    ada, other = pair
    with make_gallery(tmp_path / "g") as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada)])
        probe = embed(near(other, ada, 0.8))
        assert gallery.identify_embeddings([probe])[0].name == "Ada"

        made = gallery.reject(NewSample(embed(other), "door.jpg"), "Ada")
        assert (made.person, made.source, made.searched) == ("Ada", "door.jpg", True)
        assert gallery.rejections("Ada") == gallery.rejections() == [made]
        assert gallery.reject(embed(other), "Ada") == made  # the same one again

        (found,) = gallery.identify_embeddings([probe])
        assert found.name is None
        assert found.reason == "rejected"
        assert found.candidates[0].rejected_by == made.id
        assert found.to_dict()["candidates"][0]["rejected_by"] == made.id
        assert "not to be Ada's" in found.reason_in_words
        # Ada herself is found, and nothing of her is lost.
        (found,) = gallery.identify_embeddings([embed(near(ada, other, 0.8))])
        assert found.name == "Ada"
        assert found.candidates[0].rejected_by is None

        assert gallery.remove_rejection(made.id) == made
        assert gallery.rejections() == []
        assert gallery.identify_embeddings([probe])[0].name == "Ada"
        with pytest.raises(UnknownPersonError, match="no negative example"):
            gallery.remove_rejection(made.id)
        assert gallery.check() == []


def test_the_next_one_is_named(tmp_path: Path, pair: tuple[np.ndarray, np.ndarray]) -> None:
    ada, other = pair
    with make_gallery(tmp_path / "g") as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada)])
        gallery.enroll_embeddings("Bea", [embed(turned(other, 0.65, seed=9))], force=True)
        probe = embed(near(other, ada, 0.9))
        assert gallery.identify_embeddings([probe])[0].name == "Ada"
        gallery.reject(embed(other), "Ada")
        (found,) = gallery.identify_embeddings([probe], top=1)
        assert found.name == "Bea"
        assert "said not to be Ada's" in "; ".join(found.notes)


@pytest.mark.parametrize("rule", ["mean", "centroid"])
@pytest.mark.parametrize("index", ["exact", "turbo"])
def test_other_rules_and_indexes(
    tmp_path: Path, pair: tuple[np.ndarray, np.ndarray], rule: str, index: str
) -> None:
    ada, other = pair
    with make_gallery(tmp_path / "g", person_score=rule, index=index, threshold=0.5) as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada), embed(turned(ada, 0.8))], force=True)
        gallery.reject(embed(other), "Ada")
        named = gallery.identify_embeddings([embed(near(other, ada, 0.85)), embed(ada)])
        assert [one.name for one in named] == [None, "Ada"]


def test_enrolling_respects_it(tmp_path: Path, pair: tuple[np.ndarray, np.ndarray]) -> None:
    ada, other = pair
    with make_gallery(tmp_path / "g") as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada)])
        sample = NewSample(embed(near(other, ada, 0.9)), "new.jpg")
        assert gallery.enroll_embeddings("Bea", [sample]).refused[0].reason == "someone else"
        gallery.reject(embed(other), "Ada")
        (refusal,) = gallery.enroll_embeddings("Ada", [sample]).refused
        assert (refusal.reason, refusal.source) == ("rejected", "new.jpg")
        assert len(gallery.enroll_embeddings("Bea", [sample]).enrolled) == 1
        assert len(gallery.enroll_embeddings("Ada", [sample], force=True).enrolled) == 1


def test_what_cannot_be_rejected(tmp_path: Path, pair: tuple[np.ndarray, np.ndarray]) -> None:
    ada, other = pair
    with make_gallery(tmp_path / "g") as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada)])
        with pytest.raises(OptionError, match="nearly the same photo as sample 1 of Ada"):
            gallery.reject(embed(ada), "Ada")
        with pytest.raises(UnknownPersonError):
            gallery.reject(embed(other), "Bea")
        with pytest.raises(OptionError, match="expected a photo with it"):
            gallery.reject(embed(other), "Ada", face=0)
        assert gallery.rejections() == []


def test_it_goes_with_the_person(tmp_path: Path, pair: tuple[np.ndarray, np.ndarray]) -> None:
    ada, other = pair
    folder = tmp_path / "g"
    with make_gallery(folder) as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada)])
        gallery.enroll_embeddings("Countess", [embed(turned(ada, 0.8))], force=True)
        gallery.reject(NewSample(embed(other), "a-name-to-look-for.jpg"), "Countess")
        gallery.merge("Ada", "Countess", force=True)
        (kept,) = gallery.rejections("Ada")
        assert kept.searched
        gallery.rename("Ada", "Ada Lovelace")
        assert [one.person for one in gallery.rejections()] == ["Ada Lovelace"]
        assert gallery.rejections()[0].searched
        assert gallery.remove("Ada Lovelace").erased
        assert gallery.rejections() == []
        assert gallery.check() == []
    raw = (folder / "gallery.sqlite").read_bytes()
    assert b"a-name-to-look-for.jpg" not in raw
    assert embed(other).vector.astype("<f4").tobytes() not in raw


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_exported_and_imported(
    tmp_path: Path, pair: tuple[np.ndarray, np.ndarray], suffix: str
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    ada, other = pair
    path = tmp_path / f"all{suffix}"
    with make_gallery(tmp_path / "g") as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada), embed(turned(ada, 0.8))])
        made = gallery.reject(NewSample(embed(other), "door.jpg", bytes(range(32))), "Ada")
        gallery.export(path)
    with make_gallery(tmp_path / "h") as gallery:
        gallery.import_(path)
        gallery.import_(path)  # what is there is not added again
        (found,) = gallery.rejections("Ada")
        assert (found.source, found.sha256, found.added) == (
            made.source,
            made.sha256,
            made.added,
        )
        named = gallery.identify_embeddings([embed(near(other, ada, 0.8))])
        assert named[0].reason == "rejected"
        assert gallery.check() == []


def test_a_file_with_damaged_ones_is_refused(
    tmp_path: Path, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    ada, other = pair
    path = tmp_path / "all.jsonl"
    with make_gallery(tmp_path / "g") as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada)])
        gallery.reject(embed(other), "Ada")
        gallery.export(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    person = json.loads(lines[1])
    for change in ({"vector": "AAAA"}, {"sha256": "zz"}, {"added": 1e300}, {"source": "\0"}):
        changed = {"person": person["person"] | {}}
        changed["person"]["rejections"] = [person["person"]["rejections"][0] | change]
        path.write_text("\n".join([lines[0], json.dumps(changed), *lines[2:], ""]))
        with make_gallery(tmp_path / f"h{next(iter(change))}") as gallery:
            with pytest.raises(lineament.LineamentError, match="nothing was imported"):
                gallery.import_(path)
            assert gallery.n_people == 0


def test_what_is_damaged_is_not_respected(
    tmp_path: Path, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    ada, other = pair
    folder = tmp_path / "g"
    with make_gallery(folder) as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada)])
        made = gallery.reject(embed(other), "Ada")
    with closing(sqlite3.connect(folder / "gallery.sqlite")) as connection:
        vector = embed(turned(ada, 0.9)).vector.astype("<f4").tobytes()
        connection.execute("UPDATE negatives SET vector = ?", (vector,))
        connection.commit()
    with Gallery.open(folder) as gallery:
        assert gallery.identify_embeddings([embed(near(ada, other, 0.8))])[0].name == "Ada"
        assert [one.searched for one in gallery.rejections()] == [False]
        (problem,) = gallery.check()
        assert f"negative example {made.id}: it is not what was written" in problem
        gallery.remove_rejection(made.id)
        assert gallery.check() == []


def test_a_gallery_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    with make_gallery(folder, people=2):
        pass
    assert len(MIGRATIONS) == VERSION
    with Gallery.open(folder, read_only=True) as gallery:
        assert gallery.rejections() == []
        assert gallery.identify_embeddings([embed(vectors(2)[0])])[0].name == "person 0"


def test_photos_and_one_of_their_faces(tmp_path: Path) -> None:
    recognizer = Recognizer()
    settings = Settings(threshold=0.1)  # so low that strangers are named
    with Gallery.create(tmp_path / "g", recognizer=recognizer, settings=settings) as gallery:
        gallery.enroll("Joe Biden", DEMO / "biden.jpg")
        found = gallery.identify(DEMO / "obama2.jpg")
        assert found.names == ("Joe Biden",)
        made = gallery.reject(DEMO / "obama.jpg", "Joe Biden", face=0)
        assert made.source == str(DEMO / "obama.jpg")
        assert made.sha256 is not None
        (face,) = gallery.identify(DEMO / "obama2.jpg").faces
        assert (face.name, face.reason) == (None, "rejected")
        decision = gallery.verify("Joe Biden", DEMO / "obama2.jpg", threshold=0.1)
        assert decision.verdict == "undecided"
        assert "negative example" in decision.reasons[0]
        assert gallery.verify("Joe Biden", DEMO / "biden.jpg").same
        with pytest.raises(OptionError, match="face: expected a number from 0 to 0"):
            gallery.reject(DEMO / "obama.jpg", "Joe Biden", face=3)


def test_encrypted(tmp_path: Path, pair: tuple[np.ndarray, np.ndarray]) -> None:
    pytest.importorskip("cryptography")
    from lineament.gallery.keys import Key

    ada, other = pair
    folder = tmp_path / "g"
    key, second = Key.from_bytes(b"k" * 32), Key.from_bytes(b"l" * 32)
    with make_gallery(folder) as gallery:
        gallery.enroll_embeddings("Ada", [embed(ada)])
        gallery.reject(NewSample(embed(other), "door.jpg"), "Ada")
        gallery.encrypt(key)
        assert gallery.identify_embeddings([embed(near(other, ada, 0.8))])[0].reason == "rejected"
        gallery.rotate_key(second, reencrypt=True)
    raw = (folder / "gallery.sqlite").read_bytes()
    assert b"door.jpg" not in raw
    assert embed(other).vector.astype("<f4").tobytes() not in raw
    with Gallery.open(folder, key=second) as gallery:
        (found,) = gallery.rejections("Ada")
        assert (found.source, found.searched) == ("door.jpg", True)
        gallery.reject(embed(vectors(3)[2]), "Ada")
        assert gallery.check() == []
        gallery.decrypt()
        assert gallery.identify_embeddings([embed(near(other, ada, 0.8))])[0].reason == "rejected"
        assert gallery.check() == []
    assert CONTRACT.dimension == 32
