"""Other packages' stores: read, put under names, kept apart, and never run."""

from __future__ import annotations

import json
import os
import pickle
import pickletools
import sqlite3
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from lineament.cli import app
from lineament.errors import ContractError, DataError, LineamentError, OptionError
from lineament.gallery import Gallery
from lineament.gallery.foreign import embeddings_of, import_store, read_store

PKL = "ds_model_sface_detector_opencv_aligned_normalization_base_expand_0.pkl"
GENERATOR = np.random.default_rng(7)


def vectors(n: int, dimension: int = 128) -> Any:
    return np.random.default_rng(n).normal(size=(n, dimension))


def rows(identities: list[str], dimension: int = 128) -> list[dict[str, Any]]:
    """As deepface 0.0.100 pickles them."""
    return [
        {
            "identity": identity,
            "hash": "ab" * 20,
            "embedding": vector.tolist(),
            "target_x": 10,
            "target_y": 20,
            "target_w": 50,
            "target_h": 60,
        }
        for identity, vector in zip(identities, vectors(len(identities), dimension), strict=True)
    ]


IDENTITIES = ["db/Ada/1.jpg", "db/Ada/2.jpg", "db/Bob.jpg", "db/Charlie/Charlie.jpg"]


def written(folder: Path, value: Any, name: str = PKL, protocol: int = 4) -> Path:
    (folder / "db").mkdir(exist_ok=True)
    path = folder / "db" / name
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


# --- deepface -------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_deepfaces_pickle(tmp_path: Path, protocol: int) -> None:
    none = {"identity": "db/Ada/3.jpg", "hash": "", "embedding": None, "target_x": 0}
    path = written(tmp_path, [*rows(IDENTITIES), none], protocol=protocol)
    store = read_store("deepface-pkl", path)
    assert (store.package, store.model) == ("deepface", "SFace")
    assert store.people == {"Ada": 2, "Bob": 1, "Charlie": 1}
    assert store.without_face == 1
    assert store.contract.weights == "deepface-sface"
    assert store.contract.alignment == "foreign-opencv-aligned-base-expand0"
    assert store.contract.dimension == 128
    assert store.contract.is_foreign
    assert store.samples[0].metadata == {"box_xywh": [10, 20, 50, 60]}
    np.testing.assert_array_equal(store.samples[1].vector, vectors(4)[1])


def test_deepfaces_archive(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    path = tmp_path / "db" / PKL.replace(".pkl", ".npz")
    table = vectors(4)
    table[3] = 0
    np.savez(
        path,
        identity=np.array(IDENTITIES),
        hash=np.array(["x"] * 4),
        embedding=table,
        has_embedding=np.array([True, True, True, False]),
        **{f"target_{key}": np.arange(4) for key in "xywh"},
    )
    for place in (path, path.parent):
        store = read_store("deepface-pkl", place)
        assert store.people == {"Ada": 2, "Bob": 1}
        assert store.without_face == 1
        assert store.samples[1].metadata == {"box_xywh": [1, 1, 1, 1]}


def test_deepfaces_older_lists(tmp_path: Path) -> None:
    values = [[one["identity"], one["embedding"]] for one in rows(IDENTITIES, 2622)]
    path = written(tmp_path, values, "representations_vgg_face.pkl")
    store = read_store("deepface-pkl", path)
    assert (store.model, store.contract.dimension) == ("VGG-Face", 2622)
    assert store.contract.alignment == "foreign"
    assert store.notes == ("the file's name does not say which detector found the faces",)
    path = written(tmp_path, rows(IDENTITIES, 512), "ds_arcface_retinaface_v2.pkl")
    assert read_store("deepface-pkl", path).contract.alignment == "foreign-retinaface"


def test_deepfaces_tables_are_refused(tmp_path: Path) -> None:
    import pandas as pd

    path = written(tmp_path, pd.DataFrame({"identity": IDENTITIES}))
    with pytest.raises(DataError, match=r"a table of pandas, of an older deepface: have deepface"):
        read_store("deepface-pkl", path)


@pytest.mark.parametrize(
    ("paths", "layout", "people"),
    [
        (["db/Ada/1.jpg", "db/Bob/1.jpg"], "auto", ["Ada", "Bob"]),
        (["db/Ada/x/1.jpg", "db/Bob/1.jpg"], "auto", ["Ada", "Bob"]),
        (["C:\\db\\Ada\\1.jpg", "C:\\db\\Bob\\1.jpg"], "auto", ["Ada", "Bob"]),
        (["db/Ada/1.jpg", "db/Ada/2.jpg"], "auto", ["Ada", "Ada"]),
        (["db/Ada_1.jpg", "db/Bob_2.jpg"], "auto", ["Ada", "Bob"]),
        (["x/Ada_1.jpg", "x/Bob_2.jpg"], "auto", ["Ada", "Bob"]),
        (["x/Ada_1.jpg"], "folders", ["x"]),
        (["db/2024-05-01/Ada_1.jpg", "db/Bob/1.jpg"], "auto", ["", "Bob"]),
        (["db/2024-05-01/Ada_1.jpg", "db/Bob/1.jpg"], "folders", ["2024-05-01", "Bob"]),
        (["db/a/Ada_1.jpg", "db/b/IMG_0001.jpg"], "flat", ["Ada", ""]),
        ([""], "auto", [""]),
    ],
)
def test_who_is_in_the_photos(
    tmp_path: Path, paths: list[str], layout: str, people: list[str]
) -> None:
    store = read_store("deepface-pkl", written(tmp_path, rows(paths)), layout=layout)
    assert [one.person for one in store.samples] == people
    assert len(store.nobody) == people.count("")


@pytest.mark.parametrize(
    ("value", "name", "options", "words"),
    [
        ([], PKL, {}, "expected a list of faces, got none"),
        ({}, PKL, {}, "expected a list of faces"),
        ([{"identity": 1}], PKL, {}, "row 1: expected identity and embedding"),
        ([{"identity": "a", "embedding": [1.0, float("nan")]}], PKL, {}, "finite numbers"),
        ([{"identity": "a", "embedding": ["1"]}], PKL, {}, "finite numbers"),
        (rows(IDENTITIES, 512), PKL, {}, "expected 128 numbers of SFace, got 512"),
        (rows(IDENTITIES), "mine.pkl", {}, "does not say which model"),
        (rows(IDENTITIES), "mine.pkl", {"model": "Nobody"}, "expected one of VGG-Face"),
        (rows(IDENTITIES), PKL, {"collection": "x"}, "with compreface only"),
        (rows(IDENTITIES), PKL, {"layout": "x"}, "expected one of auto, folders, flat"),
        (rows(["db/1.jpg"]), PKL, {}, None),
    ],
)
def test_deepfaces_store_does_not_fit(
    tmp_path: Path, value: Any, name: str, options: dict[str, Any], words: str | None
) -> None:
    path = written(tmp_path, value, name)
    if words is None:
        assert read_store("deepface-pkl", path).nobody == [
            "row 1: '1.jpg' is nobody: it is a number or a date"
        ]
        return
    with pytest.raises((DataError, OptionError), match=words):
        read_store("deepface-pkl", path, **options)


# --- names with embeddings ------------------------------------------------------------------------


def saved(path: Path, value: Any) -> Path:
    if path.suffix == ".npy":
        np.save(path, value, allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(value))
    return path


def a_default_dict() -> defaultdict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    found["Ada"] = [*vectors(2)]
    return found


NAMED: list[tuple[str, Any, dict[str, int]]] = [
    ("ada_01.npy", vectors(2), {"ada": 2}),
    ("ada.npy", vectors(1)[0], {"ada": 1}),
    ("people.npy", {"Ada": vectors(2), "Bob": vectors(1)[0]}, {"Ada": 2, "Bob": 1}),
    ("people.pkl", {"encodings": [*vectors(2)], "names": ["Ada", "Bob"]}, {"Ada": 1, "Bob": 1}),
    ("people.dat", ([*vectors(2)], ["Ada", "Bob"]), {"Ada": 1, "Bob": 1}),
    ("people.pkl", [{"name": "Ada", "encoding": vectors(1)[0].tolist()}], {"Ada": 1}),
    ("people.pkl", a_default_dict(), {"Ada": 2}),
    ("people.pkl", OrderedDict(Ada=vectors(1)), {"Ada": 1}),
    ("people.pkl", {"Ada": {"embedding": vectors(1)[0]}}, {"Ada": 1}),
    ("people.pkl", {"Ada": np.asfortranarray(vectors(2))}, {"Ada": 2}),
]


@pytest.mark.parametrize(("name", "value", "people"), NAMED)
def test_names_with_encodings(
    tmp_path: Path, name: str, value: Any, people: dict[str, int]
) -> None:
    store = read_store("face-recognition-npy", saved(tmp_path / name, value))
    assert store.people == people
    expected = vectors(max(sum(people.values()), 1))[0]
    if len(people) == 1 or name.endswith((".dat",)):
        np.testing.assert_array_equal(store.samples[0].vector, expected)
    assert store.contract.id.startswith("face_recognition-dlib-resnet-")


def test_encodings_with_names_beside(tmp_path: Path) -> None:
    path = saved(tmp_path / "known_face_encodings.npy", vectors(2))
    saved(tmp_path / "known_face_names.npy", np.array(["Ada", "김구"]))
    store = read_store("face-recognition-npy", path)
    assert store.people == {"Ada": 1, "김구": 1}
    assert store.notes == ("the names are those of known_face_names.npy",)
    saved(tmp_path / "known_face_names.npy", np.array(["Ada"]))
    with pytest.raises(DataError, match="as many names as embeddings, got 1 and 2"):
        read_store("face-recognition-npy", path)


def test_a_folder_of_encodings(tmp_path: Path) -> None:
    (tmp_path / "Bob").mkdir()
    saved(tmp_path / "ada_2.npy", vectors(1)[0])
    saved(tmp_path / "Bob" / "7.npy", vectors(3))
    store = read_store("face-recognition-npy", tmp_path)
    assert store.people == {"Bob": 3, "ada": 1}
    assert store.samples[0].source == "Bob/7.npy"


def test_insightfaces_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "people.npz", Ada=vectors(2, 512), Bob=vectors(1, 512)[0])
    store = read_store("insightface", tmp_path / "people.npz", model="buffalo_l")
    assert store.people == {"Ada": 2, "Bob": 1}
    assert store.contract.weights == "insightface-buffalo_l"
    with pytest.raises(OptionError, match=r"model: .*name the pack"):
        read_store("insightface", tmp_path / "people.npz")
    with pytest.raises(DataError, match="expected encodings of 128 numbers, got 512"):
        read_store("face-recognition-npy", tmp_path / "people.npz")


def test_insightfaces_desktop_program(tmp_path: Path) -> None:
    path = tmp_path / "insightface_gui.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, display_name TEXT);"
        "CREATE TABLE face_samples (id INTEGER PRIMARY KEY, person_id INTEGER, embedding BLOB,"
        "embedding_dim INTEGER, model_name TEXT, source_image_path TEXT);"
        "INSERT INTO people VALUES (1, 'ada', 'Ada Lovelace'), (2, 'bob', NULL);"
    )
    for person, model in ((1, "buffalo_l"), (1, "buffalo_l"), (2, "antelopev2")):
        blob = GENERATOR.normal(size=512).astype("<f4").tobytes()
        connection.execute(
            "INSERT INTO face_samples (person_id, embedding, embedding_dim, model_name, "
            "source_image_path) VALUES (?, ?, 512, ?, 'a.jpg')",
            (person, blob, model),
        )
    connection.commit()
    connection.close()
    with pytest.raises(OptionError, match="embeddings of antelopev2, buffalo_l: name one"):
        read_store("insightface", path)
    store = read_store("insightface", path, model="buffalo_l")
    assert store.people == {"Ada Lovelace": 2}
    assert store.notes == ("1 embeddings of other models are left out",)
    path.write_bytes(b"SQLite format 3\0" + b"\1" * 5000)
    with pytest.raises(DataError, match="expected a database"):
        read_store("insightface", path)


# --- CompreFace -----------------------------------------------------------------------------------


def dump_of(faces: list[tuple[str, str, Any]], key: str = "k1") -> str:
    def line(i: int, vector: Any, calculator: str) -> str:
        numbers = ",".join(map(str, vector))
        return f"e{i}\ts{i}\t{{{numbers}}}\t{calculator}\t\\N\n"

    names = {f"s{i}": name for i, (name, _, _) in enumerate(faces)}
    return (
        "--\n-- PostgreSQL database dump\n--\nSET lock_timeout = 0;\n\n"
        "COPY public.embedding (id, subject_id, embedding, calculator, img_id) FROM stdin;\n"
        + "".join(line(i, vector, calculator) for i, (_, calculator, vector) in enumerate(faces))
        + "\\.\n\nCOPY public.img (id, content) FROM stdin;\ni1\t\\\\x"
        + "00" * 100
        + "\n\\.\n\n\nCOPY public.subject (id, api_key, subject_name) FROM stdin;\n"
        + "".join(f"{one}\t{key}\t{name}\n" for one, name in names.items())
        + "\\.\n"
    )


NET = "facenet.Calculator@20180402-114759"


def test_comprefaces_dump(tmp_path: Path) -> None:
    path = tmp_path / "faces.sql"
    faces = [("Ada", NET, v) for v in vectors(2)] + [("B\\tob", NET, vectors(1)[0])]
    path.write_text(dump_of(faces))
    store = read_store("compreface", path)
    assert store.people.keys() == {"Ada", "B\tob"}
    assert (store.package, store.model) == ("compreface", NET)
    assert store.contract.weights == "compreface-facenet.calculator-20180402-114759"
    np.testing.assert_array_equal(store.samples[1].vector, vectors(2)[1])
    faces.append(("Cy", "other", vectors(1)[0]))
    path.write_text(dump_of(faces))
    with pytest.raises(OptionError, match=r"several networks .*name one of facenet.* \(3\), other"):
        read_store("compreface", path)
    assert read_store("compreface", path, model="other").people == {"Cy": 1}
    with pytest.raises(OptionError, match="expected one of k1, got 'k2'"):
        read_store("compreface", path, collection="k2")


def test_comprefaces_table(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    numbers = ",".join(map(str, vectors(1)[0]))
    path.write_text(f'subject_name,embedding,calculator\nAda,"{{{numbers}}}",{NET}\n')
    assert read_store("compreface", path).people == {"Ada": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PGDMP\x01\x0e", "expected a dump as text, got a packed one: unpack it"),
        (b"CREATE TABLE x;\n", "no rows of embedding and subject: dump both"),
        (dump_of([("Ada", NET, vectors(1)[0])])[:-60].encode(), "no rows of subject|cut short"),
        (dump_of([("Ada", NET, vectors(1)[0])]).replace("{", "(").encode(), "such as {0.1,-0.2}"),
        (dump_of([("Ada", NET, ["nan", "1"])]).encode(), "finite numbers"),
        (dump_of([("Ada", NET, ["x", "1"])]).encode(), "finite numbers"),
        (dump_of([("Ada", NET, [1, 2])]).replace("s0\tk", "s9\tk").encode(), "its subject is not"),
        (b"\xff" * 100, "expected the tables"),
    ],
)
def test_dumps_that_do_not_fit(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "faces.sql"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_store("compreface", path)


# --- pickles that are programs --------------------------------------------------------------------


class _Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def hostile(marker: Path) -> dict[str, bytes]:
    """Pickles that leave a file behind when they are run."""
    command = f"touch {marker}"
    return {
        "system": pickle.dumps(_Calls(os.system, command)),
        "inside": pickle.dumps([{"identity": "a", "embedding": _Calls(os.system, command)}]),
        "eval": pickle.dumps(_Calls(eval, f"open({str(marker)!r}, 'w')")),
        "getattr": b"cos\nsystem\n.",
        "inst": f"(S'{command}'\nios\nsystem\n.".encode(),
        "obj": f"(cos\nsystem\nS'{command}'\no.".encode(),
        "reduce a dtype": b"cnumpy\ndtype\n(S'f8'\ntRN.",
        "build": b"cnumpy\nndarray\n}S'__class__'\nNsb.",
        "extension": b"\x82\x01.",
        "persistent": b"Pmodule\n.",
        "numpy load": b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        "newobj": b"\x80\x02cbuiltins\nlist\n)\x81.",
        "next buffer": b"\x80\x05\x97.",
        "frozen": b"\x80\x04(K\x01\x91.",
        "unhashable": b"}]NsN.",
        "number as key": b"}K\x01Ns.",
        "deep": b"]" * 50_000 + b"a" * 49_999 + b".",
        "huge text": b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        "memo": b"g7\n.",
        "stack": b"0000.",
        "empty": b"",
        "behind the end": pickle.dumps([]) + b"cos\nsystem\n.",
    }


NAMES = sorted(hostile(Path("x")))


@pytest.mark.parametrize("which", NAMES)
@pytest.mark.parametrize("kind", ["deepface-pkl", "face-recognition-npy"])
def test_hostile_pickles(tmp_path: Path, which: str, kind: str) -> None:
    marker = tmp_path / "done"
    (tmp_path / PKL).write_bytes(hostile(marker)[which])
    with pytest.raises(LineamentError):
        read_store(kind, tmp_path / PKL)
    assert not marker.exists()


def test_hostile_arrays_of_objects(tmp_path: Path) -> None:
    marker = tmp_path / "done"
    array = np.empty(1, object)
    array[0] = _Calls(os.system, f"touch {marker}")
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=array)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match=r"refused: it names 'posix\.system'"):
            read_store("face-recognition-npy", tmp_path / name)
    assert not marker.exists()


def test_lists_that_refer_to_lists_take_no_time(tmp_path: Path) -> None:
    """A list of a thousand references to a list of a thousand references, six deep."""
    inner: Any = [0.0] * 1000
    for _ in range(6):
        inner = [inner] * 1000
    (tmp_path / PKL).write_bytes(pickle.dumps(inner))
    with pytest.raises(DataError):
        read_store("deepface-pkl", tmp_path / PKL)


def test_mutants(tmp_path: Path) -> None:
    """What a bit more or less makes of a store is read, or refused by an error of ours."""
    generator = np.random.default_rng(3)
    whole = pickletools.optimize(pickle.dumps(rows(IDENTITIES[:2], 4)))
    people = pickle.dumps({"Ada": vectors(1, 4), "Bob": [*vectors(2, 4)]})
    marker = tmp_path / PKL
    read = refused = 0
    for number in range(300):
        data = bytearray(whole if number % 2 else people)
        for place in generator.integers(0, len(data), 1 + number % 4):
            data[place] = generator.integers(0, 256)
        marker.write_bytes(bytes(data[: generator.integers(1, len(data) + 1)] if number % 5 == 0
                                 else data))  # fmt: skip
        try:
            read_store(*(("deepface-pkl", marker) if number % 2 else ("insightface", marker)),
                       model="SFace")  # fmt: skip
            read += 1
        except LineamentError:
            refused += 1
    assert read + refused == 300
    assert refused > 50


# --- into a gallery -------------------------------------------------------------------------------


def test_a_foreign_gallery(tmp_path: Path) -> None:
    store = read_store("deepface-pkl", written(tmp_path, rows(IDENTITIES)))
    with Gallery.create(tmp_path / "g", store.contract) as gallery:
        report = import_store(gallery, store)
        assert (report.new_people, report.new_samples, report.n_damaged) == (3, 4, 0)
        again = import_store(gallery, store)
        assert (again.new_samples, again.known_samples) == (0, 4)
        ada = gallery.person("Ada")
        assert [one.source for one in ada.samples] == ["db/Ada/1.jpg", "db/Ada/2.jpg"]
        assert ada.samples[0].norm == pytest.approx(np.linalg.norm(vectors(4)[0]), rel=1e-3)
        assert ada.samples[0].metadata == {"box_xywh": [10, 20, 50, 60]}
        query = embeddings_of(gallery.contract, vectors(4)[2] * 3)
        (found,) = gallery.identify_embeddings(query, threshold=0.9)
        assert found.name == "Bob"
        assert gallery.check() == []
        with pytest.raises(OptionError, match="expected 128 finite numbers, got 5"):
            embeddings_of(gallery.contract, [1.0] * 5)
    with Gallery.open(tmp_path / "g") as gallery:
        with pytest.raises(ContractError, match="deepface-sface's, which another package made"):
            gallery.identify("x.jpg")
        with pytest.raises(ContractError, match="enroll the photos anew"):
            gallery.enroll("Ada", "x.jpg")
        for other in (read_store("deepface-pkl", written(tmp_path, rows(IDENTITIES, 512),
                                 PKL.replace("sface", "facenet512"))),):  # fmt: skip
            with pytest.raises(ContractError, match="deepface-facenet512"):
                import_store(gallery, other)


def test_names_that_nobody_may_have(tmp_path: Path) -> None:
    path = saved(tmp_path / "p.pkl", {"Ada": vectors(1), "B\u202eb": vectors(2)})
    store = read_store("face-recognition-npy", path)
    with Gallery.create(tmp_path / "g", store.contract) as gallery:
        with pytest.raises(DataError, match="nothing was imported"):
            import_store(gallery, store, damaged="refuse")
        assert gallery.n_people == 0
        report = import_store(gallery, store)
        assert (report.new_people, report.n_damaged) == (1, 2)


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["import", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_the_command(tmp_path: Path) -> None:
    path = str(written(tmp_path, rows([*IDENTITIES, "db/IMG_0001.jpg"])))
    target = str(tmp_path / "g")
    code, out, _ = run("deepface-pkl", path, "--gallery", target, "--dry-run", "--json")
    found = json.loads(out)
    assert (code, found["dry_run"], found["store"]["n_samples"]) == (1, True, 4)
    assert found["store"]["people"][0] == {"name": "Ada", "n_samples": 2}
    assert not Gallery.exists(target)
    code, out, _ = run("deepface-pkl", path, "--gallery", target, "--dry-run")
    assert code == 1
    assert "Charlie" in out
    code, out, err = run("deepface-pkl", path, "--gallery", target, "--threshold", "0.4")
    assert (code, "4 new embeddings" in out) == (1, True)
    assert "IMG_0001.jpg' is nobody" in err
    with Gallery.open(target) as gallery:
        assert gallery.settings.threshold == 0.4
        assert gallery.identify_embeddings(embeddings_of(gallery.contract, vectors(5)[0]))[0].name
    code, out, _ = run("deepface-pkl", path, "--gallery", target, "--json")
    assert json.loads(out)["imported"]["n_known_samples"] == 4
    code, _, err = run("deepface-pkl", str(tmp_path / "none.pkl"))
    assert (code, "there is nothing of that name" in err) == (2, True)
    code, _, err = run("jsonl", path)
    assert (code, "expected one of deepface-pkl" in err) == (2, True)
