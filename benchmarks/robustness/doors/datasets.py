"""Data sets from others: RecordIO, shards, packed sets, Matlab, lists of pairs, tables."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from doors import people
from doors.case import AbsentError, Case, Door, Kind, rng_of
from doors.damage import CONTROLS, NUMBERS, TEXTS, damaged
from lineament import LineamentError

PHOTOS = ("Ada", "Zoe", "Bo")


def _make_people(root: Path, photos: list[bytes]) -> None:
    for i, name in enumerate(PHOTOS):
        (root / name).mkdir(parents=True)
        for j in range(2):
            (root / name / f"{name}_{j + 1:04d}.jpg").write_bytes(photos[2 * i + j])


def _lfw(root: Path, photos: list[bytes]) -> None:
    _make_people(root / "lfw", photos)
    same = "Ada\t1\t2\n"
    other = "Ada\t1\tZoe\t1\n"
    for name in ("pairsDevTrain.txt", "pairsDevTest.txt"):
        (root / name).write_text("1\n" + same + other)
    (root / "pairs.txt").write_text("2\t1\n" + (same + other) * 2)


def _calfw(root: Path, photos: list[bytes]) -> None:
    _make_people(root / "x", photos)
    images = root / "images"
    images.mkdir()
    for path in (root / "x").rglob("*.jpg"):
        shutil.copy(path, images / path.name)
    shutil.rmtree(root / "x")
    lines = ["Ada_0001.jpg 1", "Ada_0002.jpg 1", "Zoe_0001.jpg 2", "Zoe_0002.jpg 2"]
    lines += ["Ada_0001.jpg 0", "Zoe_0001.jpg 0"] * 2
    (root / "pairs_CALFW.txt").write_text("\n".join(lines) + "\n")


def _cfp(root: Path, photos: list[bytes]) -> None:
    for side, n in (("frontal", 2), ("profile", 2)):
        folder = root / "Data" / "Images" / "001" / side
        folder.mkdir(parents=True)
        for i in range(n):
            (folder / f"{i + 1:02d}.jpg").write_bytes(photos[i])
    lists = root / "Protocol"
    for letter, side in (("F", "frontal"), ("P", "profile")):
        (lists / "Split").mkdir(parents=True, exist_ok=True)
        text = "".join(f"{i} ../Data/Images/001/{side}/{i:02d}.jpg\n" for i in (1, 2))
        (lists / f"Pair_list_{letter}.txt").write_text(text)
    for kind in ("FF", "FP"):
        for fold in ("01", "02"):
            folder = lists / "Split" / kind / fold
            folder.mkdir(parents=True)
            (folder / "same.txt").write_text("1,2\n")
            (folder / "diff.txt").write_text("2,1\n")


def _agedb(root: Path, photos: list[bytes]) -> None:
    folder = root / "AgeDB"
    folder.mkdir(parents=True)
    for i in range(4):
        (folder / f"{i}_Ada_3{i}_f.jpg").write_bytes(photos[i])
    lines = ["0_Ada_30_f.jpg 1_Ada_31_f.jpg 1 0", "2_Ada_32_f.jpg 3_Ada_33_f.jpg 0 0"]
    lines += ["0_Ada_30_f.jpg 2_Ada_32_f.jpg 1 1", "1_Ada_31_f.jpg 3_Ada_33_f.jpg 0 1"]
    (root / "agedb_30_pairs.txt").write_text("\n".join(lines) + "\n")


def _matlab(root: Path, photos: list[bytes]) -> None:
    _agedb(root, photos)
    (root / "agedb_30_pairs.txt").unlink()
    try:
        import scipy.io
    except ImportError:
        (root / "04_FINAL_protocol_30_years.mat").write_bytes(b"MATLAB" + bytes(200))
        return
    folds = np.empty((2, 1), object)
    for fold in range(2):
        names = np.empty((2, 2), object)
        for i in range(4):
            names[i % 2, i // 2] = {"name": f"{i}_Ada_3{i}_f"}
        folds[fold, 0] = {"pairs": names, "labels": np.array([1.0, -1.0])}
    scipy.io.savemat(root / "04_FINAL_protocol_30_years.mat", {"splits": folds})


def _ytf(root: Path, photos: list[bytes]) -> None:
    base = root / "frame_images_DB"
    for name in ("Ada", "Zoe"):
        for video in ("1", "2"):
            folder = base / name / video
            folder.mkdir(parents=True)
            for i in range(3):
                (folder / f"{video}.{i}.jpg").write_bytes(photos[i])
        rows = [f"{name}\\{v}\\{v}.{i}.jpg,0,50,60,40,50,0,0" for v in (1, 2) for i in range(3)]
        (base / f"{name}.labeled_faces.txt").write_text("\n".join(rows) + "\n")
    lines = ["split number, pair number in split, first name, second name, is same"]
    lines += ["1, 1, Ada/1, Ada/2, 1", "1, 2, Ada/1, Zoe/1, 0"]
    lines += ["2, 1, Zoe/1, Zoe/2, 1", "2, 2, Ada/2, Zoe/2, 0"]
    (root / "splits.txt").write_text("\n".join(lines) + "\n")


def _ijb(root: Path, photos: list[bytes]) -> None:
    lists = root / "protocols" / "test1"
    lists.mkdir(parents=True)
    (root / "images").mkdir()
    for i in range(4):
        (root / "images" / f"{i}.jpg").write_bytes(photos[i])
    head = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT\n"
    (lists / "enroll_templates.csv").write_text(
        head + "1,1,0.jpg,1,1,2,30,40\n2,2,1.jpg,2,1,2,3,4\n"
    )
    (lists / "verif_templates.csv").write_text(
        head + "3,1,2.jpg,3,1,2,30,40\n4,2,3.jpg,4,1,2,3,4\n"
    )
    (lists / "match.csv").write_text("1,3\n2,4\n1,4\n")


def _pairs(root: Path, photos: list[bytes]) -> None:
    _make_people(root, photos)
    lines = ["file_a,file_b,same,person_a,person_b"]
    lines += ["Ada/Ada_0001.jpg,Ada/Ada_0002.jpg,1,Ada,Ada"] * 2
    lines += ["Ada/Ada_0001.jpg,Zoe/Zoe_0001.jpg,0,Ada,Zoe"] * 2
    (root / "pairs.csv").write_text("\n".join(lines) + "\n")


def _attributes(root: Path, photos: list[bytes]) -> None:
    root.mkdir(parents=True)
    (root / "attributes.csv").write_text("person,sex,age\nAda,f,36\nZoe,f,\nBo,m,20\n")


def _wider(root: Path, photos: list[bytes]) -> None:
    (root / "images").mkdir(parents=True)
    (root / "images" / "a.jpg").write_bytes(photos[0])
    (root / "annotations.csv").write_text(
        "file,x,y,w,h,easy,medium,hard\na.jpg,10,20,30,40,1,1,1\na.jpg,1,2,3,4,0,0,1\n"
    )


def _packed(root: Path, photos: list[bytes]) -> None:
    root.mkdir(parents=True)
    (root / "lfw.bin").write_bytes(pickle.dumps((photos[:4] * 2, [True, False, True, False])))


def _list(root: Path, photos: list[bytes]) -> None:
    _make_people(root, photos)
    rows = [f"{n}/{n}_{j:04d}.jpg,{n}" for n in PHOTOS for j in (1, 2)]
    (root / "list.csv").write_text("path,person\n" + "\n".join(rows) + "\n")


def _record(data: bytes) -> bytes:
    return struct.pack("<II", 0xCED7230A, len(data)) + data + bytes(-len(data) % 4)


def _recordio(root: Path, photos: list[bytes]) -> None:
    root.mkdir(parents=True)
    parts = [_record(struct.pack("<IfQQ2f", 2, 0.0, 0, 0, 7.0, 10.0))]
    for i in range(6):
        parts.append(_record(struct.pack("<IfQQ", 0, float(i // 2), i + 1, 0) + photos[i]))
    for i in range(3):
        header = struct.pack("<IfQQ2f", 2, 0.0, 7 + i, 0, 1.0 + 2 * i, 3.0 + 2 * i)
        parts.append(_record(header))
    (root / "train.rec").write_bytes(b"".join(parts))
    at, lines = 0, []
    for number, part in enumerate(parts):
        lines.append(f"{number}\t{at}\n")
        at += len(part)
    (root / "train.idx").write_text("".join(lines))
    (root / "names.json").write_text(json.dumps(list(PHOTOS)))
    (root / "property").write_text("3,112,112\n")


def _shards(root: Path, photos: list[bytes]) -> None:
    root.mkdir(parents=True)
    with tarfile.open(root / "faces-000000.tar", "w") as file:
        for i in range(6):
            for suffix, data in (
                ("jpg", photos[i]),
                ("json", json.dumps({"person": PHOTOS[i // 2]}).encode()),
            ):
                member = tarfile.TarInfo(f"{i:06d}.{suffix}")
                member.size = len(data)
                file.addfile(member, io.BytesIO(data))


def _rows(root: Path, photos: list[bytes]) -> None:
    from lineament.bulk.tables import encode

    root.mkdir(parents=True)
    rows = [
        {
            "source": f"{i}.jpg",
            "face": 0,
            "box_xyxy": [1.0, 2.0, 30.0, 40.0],
            "score": 0.9,
            "norm": 11.0,
            "vector": people.vector_of(i).tolist(),
        }
        for i in range(3)
    ]
    for suffix in (".npz", ".parquet"):
        data = encode(suffix, rows, people.CONTRACT, notes={"images": "[]"})
        (root / f"faces{suffix}").write_bytes(data)


def _read_rows(root: Path) -> None:
    from lineament.bulk.tables import read_note, read_rows

    for path in sorted(root.glob("faces*")):
        try:
            read_rows(path)
            read_note(path, "images")
        except LineamentError as error:
            last = error
        else:
            last = None
    if last is not None:
        raise last


def _faces(path: str) -> Callable[[Path], None]:
    def read(root: Path) -> None:
        try:
            from lineament.train.data import open_faces
        except ImportError as error:
            raise AbsentError("training needs packages that are not installed") from error
        faces = open_faces(root / path)
        for i in range(min(len(faces), 8)):
            faces.name(i)
            faces.read(i)

    return read


def _by(module: str, name: str, *arguments: Any, path: str = "") -> Callable[[Path], Any]:
    def read(root: Path) -> Any:
        import importlib

        made = getattr(importlib.import_module(f"lineament.datasets.{module}"), name)
        return made(root / path if path else root, *arguments)

    return read


SETS: dict[str, tuple[Callable[[Path, list[bytes]], None], Callable[[Path], Any]]] = {
    "lfw": (_lfw, _by("lfw", "read_lfw")),
    "calfw": (_calfw, _by("pair_lists", "read_two_line_pairs", "calfw")),
    "cfp": (_cfp, _by("cfp", "read_cfp", "fp")),
    "agedb": (_agedb, _by("agedb", "read_agedb")),
    "agedb_matlab": (_matlab, _by("agedb", "read_agedb")),
    "ytf": (_ytf, _by("ytf", "read_ytf")),
    "ijb": (_ijb, _by("ijb", "read_ijb", "c", "1:1")),
    "pairs": (_pairs, _by("pairs_csv", "read_pairs", path="pairs.csv")),
    "attributes": (_attributes, _by("attributes", "read_attributes", path="attributes.csv")),
    "wider": (_wider, _by("wider", "read_wider_csv")),
    "packed": (_packed, _by("insightface_bin", "read_bin", path="lfw.bin")),
    "people": (_make_people, _by("people_folder", "read_people")),
    "list": (_list, _faces("list.csv")),
    "recordio": (_recordio, _faces("")),
    "shards": (_shards, _faces("faces-000000.tar")),
    "rows": (_rows, _read_rows),
}


def _lists(root: Path) -> list[Path]:
    """The files that are no photos, unless there are photos only."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    other = [path for path in files if path.suffix != ".jpg"]
    return other or files


def _kind(name: str) -> Kind:
    read = SETS[name][1]

    def kind(case: Case) -> bool:
        root = case.folder / "set"
        shutil.copytree(case.shared / name, root)
        path = case.pick(_lists(root))
        _spoil(case, path, root)
        case.start()
        read(root)
        return True

    kind.__name__ = name
    return kind


def _spoil(case: Case, path: Path, root: Path) -> None:
    deed = case.rng.integers(12)
    case.say(path.relative_to(root), deed)
    if deed < 5:
        path.write_bytes(damaged(path.read_bytes(), case.rng))
    elif deed < 8 and path.suffix in (".txt", ".csv", ".idx", ".json"):
        _spoil_text(case, path)
    elif deed < 8:
        data = bytearray(path.read_bytes())
        for _ in range(int(case.rng.integers(1, 4))):
            at = int(case.rng.integers(0, max(1, len(data) - 8)))
            value = case.pick([0, 1, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1])
            data[at : at + 8] = struct.pack("<Q", value)[: min(8, len(data) - at)]
        path.write_bytes(data)
    elif deed == 8:
        path.unlink()
        if case.chance(0.5):
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
    elif deed == 9:
        path.unlink()
        path.mkdir()
    elif deed == 10:
        path.write_bytes(case.pick([b"", b"\0", b"\xff\xfe", bytes(100_000), b"\n" * 1_000_000]))
    else:
        other = root.parent / f"x{case.pick(CONTROLS)}".replace("\0", "").replace("/", "")
        other.mkdir(exist_ok=True)
        path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])


def _spoil_text(case: Case, path: Path) -> None:
    lines = path.read_text().split("\n")
    at = int(case.rng.integers(len(lines)))
    what = case.rng.integers(7)
    value = str(case.pick([*TEXTS, *(n for n in NUMBERS if n != 10**400), 10**30]))
    if what == 0:
        lines[at] = value
    elif what == 1:
        words = lines[at].replace("\t", " ").split(" ")
        words[int(case.rng.integers(len(words)))] = value
        lines[at] = " ".join(words)
    elif what == 2:
        cells = lines[at].split(",")
        cells[int(case.rng.integers(len(cells)))] = value
        lines[at] = ",".join(cells)
    elif what == 3:
        lines = lines * 2000
    elif what == 4:
        lines[at] = lines[at] * 20_000
    elif what == 5:
        lines.insert(at, '"' + value)
    else:
        lines = lines[at:]
    path.write_text("\n".join(lines), errors="surrogateescape")


def evil_shards(case: Case) -> bool:
    """Members of a tar that lead elsewhere, or lie about themselves."""
    path = case.folder / "x.tar"
    photo = (case.shared / "people" / "Ada" / "Ada_0001.jpg").read_bytes()
    with tarfile.open(
        path, "w", format=case.pick([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    ) as file:
        for name, data in (("a.jpg", photo), ("a.json", b'{"person": "Ada"}')):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            kind = case.rng.integers(8)
            if kind == 0:
                member.name = case.pick(["../../outside/x.jpg", "/etc/passwd", "a/../../x.jpg", ""])
            elif kind == 1:
                member.type = case.pick(
                    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
                )
                member.linkname = case.pick(["../../outside/private.key", "/etc/passwd", "a.jpg"])
                member.size = 0
            elif kind == 2:
                member.pax_headers = {case.pick(["size", "path", "GNU.sparse.size"]): "1" * 30}
            elif kind == 3:
                member.name = case.pick(CONTROLS).replace("\0", "").replace("\udce9", "") + name
            file.addfile(member, io.BytesIO(data))
    if case.chance(0.4):
        data = bytearray(path.read_bytes())
        at = int(case.pick([124, 0, 148, 156, 257, 345]))
        data[at : at + 12] = case.pick([b"77777777777\0", b"\x80" + b"\xff" * 11, bytes(12)])
        path.write_bytes(data)
    case.may_read_outside = False
    _faces("x.tar")(case.folder)
    return True


class _Runs:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo x > {self.mark}",)


def evil_packed(case: Case) -> bool:
    """Pickles that start something, or ask for much, in the place of a packed set and an .npz."""
    evil = _Runs(str(case.outside / "ran"))
    kind = case.rng.integers(5)
    if kind == 0:
        case.file("lfw.bin", pickle.dumps(([evil], [True])))
    elif kind == 1:
        case.file("lfw.bin", pickle.dumps(evil, protocol=0))
    elif kind == 2:
        case.file("lfw.bin", b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x" * 100)
    elif kind == 3:
        case.file("lfw.bin", b"(" * 5_000_000 + b".")
    else:
        buffer = io.BytesIO()
        np.savez(buffer, vectors=np.array([evil], object), sources=np.array(["a"]))
        case.file("faces.npz", buffer.getvalue())
        _read_rows(case.folder)
        case.expect(False, "an evil array was accepted")
    _by("insightface_bin", "read_bin", path="lfw.bin")(case.folder)
    case.expect(False, "an evil pickle was accepted")
    return True


def bombs(case: Case) -> bool:
    """Arrays and archives that unpack to much more than they are."""
    kind = case.rng.integers(3)
    if kind == 0:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, sources=np.zeros(300_000_000, np.uint8))
        case.file("faces.npz", buffer.getvalue())
        case.start()
        _read_rows(case.folder)
    elif kind == 1:
        head = b"\x93NUMPY\1\0"
        text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999,), }"
        buffer = io.BytesIO()
        import zipfile

        with zipfile.ZipFile(buffer, "w") as file:
            for name in ("sources", "faces", "boxes_xyxy", "scores", "norms", "vectors"):
                file.writestr(f"{name}.npy", head + struct.pack("<H", len(text)) + text)
        case.file("faces.npz", buffer.getvalue())
        case.start()
        _read_rows(case.folder)
    else:
        import zlib

        body = zlib.compress(bytes(300_000_000))
        data = (
            b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<II", 15, len(body)) + body
        )
        from lineament.datasets.matlab import read_mat

        case.start()
        read_mat(data, "x.mat")
    return True


def _prepare(home: Path, seed: int) -> Path:
    rng = rng_of(seed, "datasets", 0)
    from PIL import Image

    from doors.pictures import encode

    pixels = [rng.integers(0, 256, (112, 112, 3), np.uint8) for _ in range(6)]
    photos = [encode(Image.fromarray(one), "JPEG", quality=30) for one in pixels]
    place = home / "templates"
    for name, (make, read) in SETS.items():
        make(place / name, photos)
        try:
            read(place / name)
        except AbsentError:
            continue
        except LineamentError as error:
            raise RuntimeError(f"the sound {name} is refused: {error}") from error
    return place


DOOR = Door(
    "datasets",
    (
        *(_kind(name) for name in SETS),
        evil_shards,
        evil_packed,
        *(_kind(name) for name in SETS),
        bombs,
    ),
    cases=900,
    bound_mb=300.0,
    prepare=_prepare,
)
