"""Every value of an exported file replaced by what somebody else may have put there.

It is refused with its place, and nothing was changed; or it is taken, and then everything works:
lists, pages, pictures, exports of both kinds, searches, and a migration.
"""

from __future__ import annotations

import copy
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from gallery_builders import vectors

from lineament import Recognizer
from lineament.cli import app
from lineament.errors import DataError, LineamentError, OptionError
from lineament.gallery import Gallery, NewSample, Settings
from lineament.gallery import values as schema
from lineament.pictures.identified import person_sheet, sample_picture
from lineament.text import printable
from lineament.types import Embedding, Face, Quality

NAME = "Ada Lovelace"
NUMBERS = [
    *(0, -1, 1, 0.5, -0.0, 1e-320, 1e15, 1e300, 3e38, 2**31, 2**53 + 1, 2**63, 2**64, 10**400),
    *(math.nan, math.inf, -math.inf, -62135596801, 253402300800, 30_000, 1e6, -1e6, 1e9, 180),
    *(schema.EARLIEST, schema.LATEST),
]
TEXTS = [
    *("", " ", "x", "NaN", "\0", "a\u200bb", "\u202ex", "\ufeff", "\u0301", "\n", "x" * 300),
    *("x" * 70_000, "../../etc/passwd", "/dev/zero", "{}", "[]", "AAAA", "00", "zz", "ab" * 16),
    *("\u00e9", "e\u0301", "\U0001f469\u200d\U0001f52c", "y" * 200, "ab" * 32),
]
OTHERS: list[Any] = [
    *(None, True, False, [], {}, [[]], [None], [1, 2], [0] * 5, {"": 1}, {"a": {"a": None}}),
    *([1e30] * 4, [0, 0, 30_000, 30_000], [[1, 2]] * 5, [[1e30, 0]] * 5, [["x", 0]] * 5),
    *({"k" * 300: 1}, {"a": 2**70}, {"a": [1e999]}, {"norm": 1}, {"norm": 1, "score": 1}),
]
HOSTILE = [*NUMBERS, *TEXTS, *OTHERS]
RAW: list[bytes] = [
    *(b"", b"\n", b"{", b"null\n", b"[]\n", b"7\n", b"\xff\xfe{}\n", b"\0\n", b'"person"\n'),
    *(b'{"person": {}}\n', b'{"sample": {}}\n', b"{}\n", b'{"person": null, "sample": null}\n'),
    *(b"[" * 100_000 + b"\n", b'{"person":' * 50_000 + b"\n", b"\xef\xbb\xbf{}\n"),
    *(b'{"person": {"name": "\\ud800", "metadata": {}, "created": 0}}\n', b" " * 5_000_000 + b"\n"),
    *(b'{"person": {"name": "B", "metadata": {"a": 1e999}, "created": 0}}\n', b"x" * 5_000_000),
    b'{"person": {"name": "B", "created": 0, "metadata": ' + b'{"a":' * 500 + b"1" + b"}" * 502,
]
"""Lines in the place of one."""


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def lines(recognizer: Recognizer, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """A head, a person, and two samples: one with everything, one with as little as can be."""
    contract = recognizer.embedder.contract
    drawn = vectors(2, dimension=contract.dimension)
    embeddings = [Embedding(vector, 9.5, contract) for vector in drawn]
    face = Face([10, 20, 60, 80], 0.875, np.arange(10).reshape(5, 2) + 20, 90)
    quality = Quality(20.5, 0.1, 3.0, -2.0, 0.5, 0.25, 9.5)
    crop = np.repeat(np.add.outer(np.arange(112), np.arange(112))[..., None], 3, 2).astype(np.uint8)
    full = NewSample(embeddings[0], "a.jpg", bytes(32), face, quality, crop, {"lens": "50 mm"})
    path = tmp_path_factory.mktemp("export") / "all.jsonl"
    with new_gallery(recognizer) as gallery:
        gallery.enroll_embeddings(NAME, [full], metadata={"a": [1, "x"], "b": None}, force=True)
        gallery.enroll_embeddings(NAME, [embeddings[1]], force=True)
        gallery.export(path)
    return [json.loads(line) for line in path.read_text().splitlines()]


def new_gallery(recognizer: Recognizer) -> Gallery:
    return Gallery.create(
        ":memory:",
        recognizer.embedder.contract,
        recognizer=recognizer,
        settings=Settings(keep_crops=True, threshold=0.5),
    )


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of each value in a value of JSON."""
    if place:
        yield place
    if isinstance(value, (dict, list)):
        pairs = [*(value.items() if isinstance(value, dict) else enumerate(value))]
        alike = place != () and isinstance(value, list)  # numbers, of which one is enough
        for key, inner in pairs[:1] if alike else pairs:
            yield from places(inner, (*place, key))


def changed(lines: list[Any], place: tuple[Any, ...], value: Any) -> list[Any]:
    new = copy.deepcopy(lines)
    inner = new
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return new


def dump(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def refusal(gallery: Gallery, path: Path, **options: Any) -> LineamentError | None:
    """Import a file; the error, if it is refused."""
    try:
        gallery.import_(path, **options)
    except LineamentError as error:
        return error
    return None


def state(gallery: Gallery) -> bytes:
    return gallery._state.store.connection.serialize()


def check_all_works(gallery: Gallery, folder: Path, recognizer: Recognizer) -> None:
    """Lists, pages, pictures, exports and what reads them, searches."""
    repr(gallery), gallery._repr_html_()
    json.dumps([gallery.to_dict(), gallery.to_rows()], allow_nan=False)
    n_people, n_samples = gallery.n_people, gallery.n_samples
    assert len(gallery.people()) == n_people
    assert gallery.check() == []
    gallery.people(where={"a": {"has": 1}}, after="A")
    for one in gallery.people():
        person = gallery.person(one.name)
        json.dumps(person.to_dict(), allow_nan=False)
        pictures = [sample_picture(gallery, sample, 32) for sample in person.samples]
        shown = [(picture, "words") for picture in pictures if picture is not None]
        if shown:
            person_sheet(person.name, shown, 4)
        for sample in person.samples:
            gallery.embedding(sample.id)
    contract = recognizer.embedder.contract
    probe = Embedding(vectors(1, dimension=contract.dimension)[0], 1.0, contract)
    gallery.identify_embeddings([probe])[0].to_dict()
    for suffix in (".jsonl", ".parquet"):
        path = folder / f"again{suffix}"
        assert gallery.export(path) == n_samples
        with new_gallery(recognizer) as other:
            report = other.import_(path)
            assert (report.new_people, report.new_samples) == (n_people, n_samples)
            assert [one.name for one in other.people()] == [one.name for one in gallery.people()]


@pytest.mark.parametrize(
    "share", [0.06, pytest.param(1.0, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_every_value_is_refused_or_does_no_harm(
    lines: list[Any], recognizer: Recognizer, tmp_path: Path, share: float
) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "some.jsonl"
    cases = [(place, value) for place in places(lines) for value in HOSTILE]
    cases = random.Random(0).sample(cases, round(share * len(cases)))
    taken = refused = 0
    gallery = new_gallery(recognizer)
    empty = state(gallery)
    with new_gallery(recognizer) as all_taken:
        for number, (place, value) in enumerate(cases):
            written = changed(lines, place, value)
            path.write_bytes(b"".join(map(dump, written)))
            error = refusal(gallery, path)
            if error is not None:
                refused += 1
                text = str(error)
                if place[0] > 0:
                    assert isinstance(error, DataError)
                    assert "line" in text
                assert len(text) < 1200
                assert printable(text) == text
                assert state(gallery) == empty
                if place[0] > 0 and number % 5 == 0:
                    report = gallery.import_(path, damaged="skip")
                    assert report.n_damaged >= 1
                    json.dumps(report.to_dict())
            else:
                taken += 1
                if place[:3] not in ((1, "person", "name"), (2, "sample", "person")):
                    rename_in(written, f"{place} {number}"[:150])
                path.write_bytes(b"".join(map(dump, written)))
                all_taken.import_(path, damaged="skip")
            if state(gallery) != empty:
                gallery.close()
                gallery = new_gallery(recognizer)
                empty = state(gallery)
        gallery.close()
        assert refused > 1000 * share
        assert taken > 100 * share
        check_all_works(all_taken, tmp_path, recognizer)
        new = Recognizer(flip=True)
        assert all_taken.migrate(new).from_crops > 0
        check_all_works(all_taken, tmp_path, new)


def rename_in(lines: list[Any], name: str) -> None:
    """Another person, of samples of its own."""
    for line in lines[1:]:
        if isinstance(line, dict) and isinstance(line.get("person"), dict):
            line["person"]["name"] = name
        if isinstance(line, dict) and isinstance(line.get("sample"), dict):
            line["sample"]["person"] = name
            line["sample"]["uid"] = os.urandom(16).hex()


@pytest.mark.parametrize("at", [1, 2, 3])
def test_every_line_is_read_or_named(
    lines: list[Any], recognizer: Recognizer, tmp_path: Path, at: int
) -> None:
    path = tmp_path / "some.jsonl"
    with new_gallery(recognizer) as gallery:
        for raw in RAW:
            for inserted in (False, True):
                written = list(map(dump, lines))
                written[at : at + (0 if inserted else 1)] = [raw]
                path.write_bytes(b"".join(written))
                empty = state(gallery)
                if raw:
                    with pytest.raises(DataError, match=rf"line {at + 1}\b.*nothing was imported"):
                        gallery.import_(path)
                    assert state(gallery) == empty
                    report = gallery.import_(path, damaged="skip")
                    assert report.n_damaged >= 1
                    assert report.damaged[0].entry == f"line {at + 1}"
                    if inserted and raw.endswith(b"\n") and b'"B"' not in raw:
                        assert report.new_samples == 2
                for one in gallery.people():
                    gallery.remove(one.name)
                gallery.compact()


def test_ends_of_lines_and_marks_of_order_do_no_harm(
    lines: list[Any], recognizer: Recognizer, tmp_path: Path
) -> None:
    path = tmp_path / "some.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(map(dump, lines)).replace(b"\n", b"\r\n"))
    with new_gallery(recognizer) as gallery:
        assert gallery.import_(path).new_samples == 2


def test_what_is_left_out_is_said(lines: list[Any], recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    bad = dump({"person": {"name": "a\u202eb", "metadata": {}, "created": 0}})
    path.write_bytes(b"".join([*map(dump, lines), bad * 1500]))
    run = CliRunner().invoke
    folder = str(tmp_path / "g")
    refused = run(app, ["gallery", "import", str(path), "--gallery", folder])
    assert refused.exit_code == 2
    assert "--skip-damaged" in refused.output
    assert "line 5" in refused.output
    assert "\u202e" not in refused.output
    assert not Gallery.exists(folder)
    took = run(app, ["gallery", "import", str(path), "--gallery", folder, "--skip-damaged"])
    assert took.exit_code == 1
    assert "2 new embeddings" in took.output
    assert "1,480 more entries" in took.output
    again = run(
        app, ["gallery", "import", str(path), "--gallery", folder, "--skip-damaged", "--json"]
    )
    imported = json.loads(again.stdout)["imported"]
    assert (imported["n_damaged"], len(imported["damaged"])) == (1500, 1000)
    assert imported["damaged"][0]["entry"] == "line 5"
    assert imported["n_known_samples"] == 2


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_what_is_no_file_is_not_waited_for(
    recognizer: Recognizer, tmp_path: Path, suffix: str
) -> None:
    pytest.importorskip("pyarrow")
    pipe, link = tmp_path / f"pipe{suffix}", tmp_path / f"zero{suffix}"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / f"empty{suffix}").write_bytes(b"")
    with new_gallery(recognizer) as gallery:
        for path in tmp_path.iterdir():
            with pytest.raises((DataError, OptionError), match=r"expected|empty"):
                gallery.import_(path)


# --- parquet --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(
    lines: list[Any], recognizer: Recognizer, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path_factory.mktemp("table")
    (folder / "all.jsonl").write_bytes(b"".join(map(dump, lines)))
    with new_gallery(recognizer) as gallery:
        gallery.import_(folder / "all.jsonl")
        gallery.export(folder / "all.parquet")
    return parquet.read_table(folder / "all.parquet")


def as_double(value: float) -> float:
    return float(min(value, 10**300)) if isinstance(value, int) else value


@pytest.mark.parametrize(
    "share", [0.4, pytest.param(1.0, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_every_cell_is_refused_or_does_no_harm(
    table: Any, recognizer: Recognizer, tmp_path: Path, share: float
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells: dict[str, list[Any]] = {
        "string": [None, *TEXTS, json.dumps({"norm": 1e30}), "{" * 10_000, '{"a": 1e999}'],
        "double": [None, *(value for value in map(as_double, NUMBERS))],
        "binary": [
            None,
            b"",
            b"x",
            bytes(16),
            bytes(32),
            bytes(512),
            b"\xff" * 512,
            bytes(2 << 20),
        ],
    }
    path = tmp_path / "some.parquet"
    chosen = random.Random(0)
    refused = taken = 0
    with new_gallery(recognizer) as gallery:
        empty = state(gallery)
        for name in table.schema.names:
            kind = str(table.schema.field(name).type)
            for value in cells[kind]:
                if chosen.random() > share:
                    continue
                column = pa.array([value, table[name][1].as_py()], table.schema.field(name).type)
                at = table.schema.get_field_index(name)
                pq.write_table(table.set_column(at, name, column), path)
                error = refusal(gallery, path)
                if error is not None:
                    refused += 1
                    assert isinstance(error, DataError)
                    assert "row 1" in str(error)
                    assert len(str(error)) < 1200
                    assert state(gallery) == empty
                    assert gallery.import_(path, damaged="skip").n_damaged == 1
                else:
                    taken += 1
                for one in gallery.people():
                    json.dumps(gallery.person(one.name).to_dict(), allow_nan=False)
                    gallery.remove(one.name)
                gallery.compact()
                empty = state(gallery)
    assert refused > 100 * share
    assert taken > 5 * share


def test_other_columns_are_named(table: Any, recognizer: Recognizer, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "some.parquet"

    def with_(name: str, column: Any) -> Any:
        return table.set_column(table.schema.get_field_index(name), name, column)

    nested = pa.array([{"a": [1]}, {"a": [2]}])
    bad = [
        table.drop_columns(["uid"]),
        with_("uid", nested),
        with_("person", pa.array([1, 2])),
        with_("person", pa.array([b"a", b"b"])),
        with_("person_created", pa.array(["0", "0"])),
        with_("vector", pa.array([[1.0], [2.0]])),
        with_("added", pa.array([0, 0], pa.timestamp("us"))),
        with_("uid", pa.array([bytes(16)] * 2, pa.binary(16))),
        table.append_column("uid", table["uid"]),
    ]
    with new_gallery(recognizer) as gallery:
        for one in bad:
            pq.write_table(one, path)
            with pytest.raises(DataError, match=r"expected the export of a gallery, with \w+"):
                gallery.import_(path)
        # What pandas, polars and others make of it
        wide = {"string": pa.large_string(), "binary": pa.large_binary(), "double": pa.float64()}
        schema = pa.schema(
            [(one.name, wide[str(one.type)]) for one in table.schema], table.schema.metadata
        )
        pq.write_table(table.cast(schema).append_column("more", nested), path)
        assert gallery.import_(path).new_samples == 2


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
def test_files_that_were_cut_or_altered(
    table: Any, recognizer: Recognizer, tmp_path: Path, compression: str
) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "some.parquet"
    pq.write_table(table, path, compression=compression)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    with new_gallery(recognizer) as gallery:
        empty = state(gallery)
        for number in range(80):
            data = bytearray(whole)
            if number % 4 == 0:
                data = data[: rng.integers(len(data))]
            else:
                for at in rng.integers(0, len(data), number % 7 + 1):
                    data[at] = rng.integers(256)
            path.write_bytes(data)
            error = refusal(gallery, path)
            if error is not None:
                assert printable(str(error)) == str(error)
                assert state(gallery) == empty
                again = refusal(gallery, path, damaged="skip")
                assert again is None or printable(str(again)) == str(again)
            for one in gallery.people():
                gallery.person(one.name)
                gallery.remove(one.name)
            gallery.compact()
            empty = state(gallery)


BOMBS = """
import pyarrow as pa, pyarrow.parquet as pq

kinds = dict(string=pa.string(), binary=pa.binary(), double=pa.float64())

def write(name, rows, long, value, **options):
    "One value in every row; it stands once in the file, however many rows there are."
    fields, arrays = [], []
    for column, kind in {columns!r}:
        texts = dict(person="A", person_consents="[]")
        given = texts.get(column, "{{}}") if kind == "string" else 0.0
        given = value if column == long else None if kind == "binary" else given
        one = pa.array([given], kinds[kind])
        if options:
            array = pa.concat_arrays([one] * rows)
        else:
            at = 0 if one[0].is_valid else None
            one = one if one[0].is_valid else pa.array([b""])
            array = pa.DictionaryArray.from_arrays(pa.array([at] * rows, pa.int32()), one)
        fields.append((column, array.type))
        arrays.append(array)
    schema = pa.schema(fields)
    how = dict(compression="zstd", store_schema=False, **options)
    with pq.ParquetWriter({folder!r} + name, schema, **how) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        writer.add_key_value_metadata(dict(lineament={head!r}))

write("crops.parquet", 1000, "crop", bytes(500_000))
write("faces.parquet", 1000, "face", "x" * 400_000)
write("long.parquet", 1000, "crop", bytes(50_000_000))
write("one.parquet", 1, "crop", bytes(210_000_000), use_dictionary=False)
write("plain.parquet", 100, "vector", bytes(1_500_000), use_dictionary=False, write_batch_size=1)
"""

READ = """
import json, resource
from pathlib import Path
import pyarrow.parquet
from lineament.errors import LineamentError
from lineament.gallery import Gallery
from lineament.gallery.exchange import contract_in

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

found = {{}}
for path in sorted(Path({folder!r}).iterdir()):
    with Gallery.create(":memory:", contract_in(path)) as gallery:
        before = peak()
        try:
            gallery.import_(path)
        except LineamentError:
            pass
        first = peak() - before
        report = gallery.import_(path, damaged="skip")
        found[path.name] = (report.n_damaged, first, peak() - before)
print(json.dumps(found))
"""


@pytest.mark.slow
def test_small_files_take_little_memory(table: Any, tmp_path: Path) -> None:
    """In a process of its own, of which the most that it ever held is known."""
    columns = [(one.name, str(one.type)) for one in table.schema]
    head = table.schema.metadata[b"lineament"].decode()
    make = BOMBS.format(head=head, folder=f"{tmp_path}/", columns=columns)
    subprocess.run([sys.executable, "-c", make], check=True)
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < 100_000
    with (tmp_path / "line.jsonl").open("wb") as file:
        file.write(head.encode() + b"\n")
        file.truncate(256 << 20)  # one line of NUL characters, of which nothing is on the disk
    done = subprocess.run(
        [sys.executable, "-c", READ.format(folder=str(tmp_path))],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert {name: damaged for name, (damaged, _, _) in found.items()} == {
        "crops.parquet": 1000,
        "faces.parquet": 0,
        "line.jsonl": 1,
        "long.parquet": 1,
        "one.parquet": 1,
        "plain.parquet": 100,
    }
    for name, (_, refused_mb, skipped_mb) in found.items():
        assert max(refused_mb, skipped_mb) < 400, (name, found)
