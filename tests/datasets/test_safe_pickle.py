"""Nothing in a file is carried out, whatever it says; and what files hold is read."""

from __future__ import annotations

import builtins
import pickle
import pickletools
import struct
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineament.datasets.safe_pickle import PlainArray, read_plain_pickle
from lineament.errors import DataError

PHOTOS = [bytes(range(256)) * 3, b"", b"\xff\xd8 'quoted' \\ \n \x00\xff\xd9" * 40]
ANSWERS = [True, False, True]


def plain(value: Any) -> Any:
    """What was read, with arrays as bytes."""
    if isinstance(value, PlainArray):
        return [bool(b) for b in value.data] if value.kind == "b1" else value.data
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "photos",
    [
        PHOTOS,
        [np.frombuffer(p, np.uint8) for p in PHOTOS],
        [np.frombuffer(p, np.uint8).reshape(-1, 1) for p in PHOTOS],
    ],
    ids=["bytes", "array", "column"],
)
@pytest.mark.parametrize(
    "answers",
    [ANSWERS, [np.bool_(a) for a in ANSWERS], np.array(ANSWERS), [1, 0, 1]],
    ids=["bool", "numpy bool", "array", "int"],
)
def test_what_python_3_writes(protocol: int, photos: list[Any], answers: Any) -> None:
    data = pickle.dumps((photos, answers), protocol=protocol)
    assert plain(read_plain_pickle(data, "x")) == (PHOTOS, ANSWERS)


def python_2(protocol: int) -> bytes:
    """As Python 2 writes (list of str, list of bool): its str are bytes."""

    def string(photo: bytes) -> bytes:
        if len(photo) < 256:
            return b"U" + bytes([len(photo)]) + photo
        return b"T" + struct.pack("<i", len(photo)) + photo

    head = b"\x80\x02" if protocol == 2 else b""
    truth = [(b"\x88" if a else b"\x89") if protocol == 2 else b"I0%d\n" % a for a in ANSWERS]
    photos = (
        b"]q\x01(" + b"".join(string(p) + b"q%c" % (i + 2) for i, p in enumerate(PHOTOS)) + b"e"
    )
    pair = b"]q\x08(" + b"".join(truth) + b"e"
    if protocol == 2:
        return head + photos + pair + b"\x86q\x09."
    return b"(" + photos + pair + b"tq\x09."


@pytest.mark.parametrize("protocol", [1, 2])
def test_what_python_2_writes(protocol: int) -> None:
    data = python_2(protocol)
    assert pickle.loads(data, encoding="bytes") == (PHOTOS, ANSWERS)
    assert read_plain_pickle(data, "x") == (PHOTOS, ANSWERS)


def test_an_array_of_old_numpy() -> None:
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03K\x01\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x03abctb."
    )
    found = read_plain_pickle(data, "x")
    assert (found.kind, found.shape, found.data) == ("u1", (3, 1), b"abc")


# --- hostile files ------------------------------------------------------------------------------


def hostile(canary: Path) -> dict[str, tuple[bytes, str]]:
    """Files that would make the canary, with the start of the message."""
    command = f"touch {canary}".encode()
    text = b"X" + struct.pack("<I", len(command)) + command
    python = f"open({str(canary)!r}, 'w')".encode()
    code = b"X" + struct.pack("<I", len(python)) + python
    path = str(canary).encode()
    system = b"cos\nsystem\n"
    call = system + b"(S'" + command + b"'\ntR"
    evaluate = b"\x8c\x08builtins\x8c\x04eval\x93"
    return {
        "GLOBAL os.system, REDUCE": (b"\x80\x02" + call + b".", "refused: it names 'os' 'system'"),
        "GLOBAL posix.system": (
            b"cposix\nsystem\n(S'" + command + b"'\ntR.",
            "refused: it names 'posix' 'system'",
        ),
        "protocol 0": (b"cos\nsystem\n(V" + command + b"\ntR.", "refused: it names 'os' 'system'"),
        "STACK_GLOBAL eval": (
            b"\x80\x04" + evaluate + code + b"\x85R.",
            "refused: it names 'builtins' 'eval'",
        ),
        "STACK_GLOBAL exec": (
            b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93" + code + b"\x85R.",
            "refused: it names 'builtins' 'exec'",
        ),
        "STACK_GLOBAL with bytes": (
            b"\x80\x04C\x02osC\x06system\x93" + text + b"\x85R.",
            "expected a pickle of photos, got: STACK_GLOBAL",
        ),
        "STACK_GLOBAL by memo": (
            b"\x80\x04\x8c\x02os\x94\x8c\x06system\x9400h\x00h\x01\x93" + text + b"\x85R.",
            "refused: it names 'os' 'system'",
        ),
        "in a list": (b"\x80\x02](" + call + b"e.", "refused: it names 'os' 'system'"),
        "in a tuple": (b"\x80\x02(K\x01" + call + b"t.", "refused: it names 'os' 'system'"),
        "in the memo": (b"\x80\x02](" + call + b"q\x00h\x00e.", "refused: it names 'os' 'system'"),
        "popped": (b"\x80\x02" + call + b"0]]\x86.", "refused: it names 'os' 'system'"),
        "popped to the mark": (
            b"\x80\x02(" + call + b"1]]\x86.",
            "refused: it names 'os' 'system'",
        ),
        "in the shape of an array": (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + call + b"U\x01b\x87R.",
            "refused: it names 'os' 'system'",
        ),
        "after the photos": (
            b"\x80\x02](C\x01ae](\x88e" + call + b"0\x86.",
            "refused: it names 'os' 'system'",
        ),
        "BUILD with __setstate__": (
            b"\x80\x02ccopy_reg\n_reconstructor\n(cos\n_wrap_close\nc__builtin__\nobject\nNtR"
            b"}U\x0c__setstate__cos\nsystem\nsbS'" + command + b"'\nb.",
            "refused: it has dicts and tuples",
        ),
        "BUILD of a list": (b"]" + text + b"b.", "expected a pickle of photos"),
        "BUILD of a token": (
            b"cnumpy\nndarray\n" + text + b"b.",
            "refused: it changes numpy.ndarray",
        ),
        "INST": (b"(S'" + command + b"'\nios\nsystem\n.", "refused INST at byte"),
        "OBJ": (b"(" + system + text + b"o.", "refused OBJ at byte"),
        "OBJ of a token": (b"(cnumpy\nndarray\n" + text + b"o.", "refused OBJ at byte"),
        "NEWOBJ": (b"\x80\x02cnumpy\nndarray\nK\x01\x85\x81.", "refused NEWOBJ at byte"),
        "NEWOBJ_EX": (b"\x80\x04cnumpy\nndarray\n)}\x92.", "refused NEWOBJ_EX at byte 19"),
        "NEWOBJ_EX at once": (b"\x80\x04cnumpy\nndarray\n))\x92.", "refused NEWOBJ_EX at byte"),
        "EXT1": (b"\x80\x02\x82\x01" + text + b"\x85R.", "refused EXT1 at byte"),
        "EXT2": (b"\x80\x02\x83\x01\x00" + text + b"\x85R.", "refused EXT2 at byte"),
        "EXT4": (b"\x80\x02\x84\x01\x00\x00\x00.", "refused EXT4 at byte"),
        "PERSID": (b"P" + path + b"\n.", "refused PERSID at byte"),
        "BINPERSID": (b"\x80\x02" + text + b"Q.", "refused BINPERSID at byte"),
        "NEXT_BUFFER": (b"\x80\x05\x97.", "refused NEXT_BUFFER at byte"),
        "READONLY_BUFFER": (b"\x80\x05\x97\x98.", "refused NEXT_BUFFER at byte 2"),
        "encode, another codec": (
            b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
            "refused: it calls _codecs.encode",
        ),
        "encode, errors": (b"c_codecs\nencode\n(Va\nVlatin1\nVstrict\ntR.", "expected a pickle"),
        "encode, no text": (
            b"c_codecs\nencode\nK\x01Vlatin1\n\x86R.",
            "refused: it calls _codecs.encode",
        ),
        "encode, no arguments": (b"c_codecs\nencode\n)R.", "expected a pickle"),
        "encode, list": (b"c_codecs\nencode\n]R.", "expected a pickle"),
        "encode, a token": (
            b"c_codecs\nencode\nc_codecs\nencode\nVlatin1\n\x86R.",
            "refused: it calls _codecs.encode",
        ),
        "another name of _codecs": (
            b"c_codecs\nlookup\nVlatin1\n\x85R.",
            "refused: it names '_codecs' 'lookup'",
        ),
        "dots in a name": (
            b"c_codecs\nencode.__globals__\n.",
            "refused: it names '_codecs' 'encode.__globals__'",
        ),
        "bytes of a length": (b"c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.", "expected a pickle"),
        "ndarray called": (b"cnumpy\nndarray\nK\x09\x85R.", "refused: it calls numpy.ndarray"),
        "dtype of objects": (
            b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R.",
            "refused: it calls numpy.dtype",
        ),
        "dtype with fields": (
            b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|K\x00K\x00NK\x00K\x00K\x00tb.",
            "refused: it makes a dtype with fields",
        ),
        "scalar of a dtype of objects": (
            b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n" + text + b"\x86R.",
            "refused: it makes an array",
        ),
        "call of a text": (text + b")R.", "expected a pickle"),
        "call of a list": (b"](K\x01e)R.", "expected a pickle"),
    }


NAMES = tuple(hostile(Path("canary")))


@pytest.mark.parametrize("name", NAMES)
def test_hostile_files_execute_nothing(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    data, words = hostile(canary)[name]
    with pytest.raises(DataError, match=rf"^x\.bin: {words}"):
        read_plain_pickle(data, "x.bin")
    assert not canary.exists()


def test_the_hostile_files_would_bite(tmp_path: Path) -> None:
    """Python's own reader does what some of them say: the tests above mean something."""
    canary = tmp_path / "canary"
    for name in ("GLOBAL os.system, REDUCE", "STACK_GLOBAL eval", "INST", "popped"):
        data, _ = hostile(canary)[name]
        try:
            value = pickle.loads(data)
        finally:
            assert canary.exists(), name
        if hasattr(value, "close"):
            value.close()
        canary.unlink()


# --- files that want too much -------------------------------------------------------------------

BOMBS: dict[str, Callable[[], bytes]] = {
    "1 GiB in 4 bytes": lambda: b"\x80\x03B\xff\xff\xff\x3f.",
    "2**63 bytes": lambda: b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "text": lambda: b"X\xff\xff\xff\x7fabc.",
    "long text": lambda: b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
    "bytearray": lambda: b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "negative length": lambda: b"T\xff\xff\xff\xffabc.",
    "frame": lambda: b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f].",
    "number": lambda: b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "decimal": lambda: b"I" + b"9" * 100_000 + b"\n.",
    "decimal long": lambda: b"L" + b"9" * 100_000 + b"L\n.",
    "place in the memo": lambda: b"]p" + b"9" * 100_000 + b"\n.",
    "shape": lambda: (
        b"cnumpy.core.numeric\n_frombuffer\n(C\x01acnumpy\ndtype\nU\x02u1\x85R"
        b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7ftU\x01CtR."
    ),
    "a million lists in one another": lambda: (
        b"\x80\x02" + b"]" * 200_000 + b"a" * (200_000 - 1) + b"."
    ),
    "a million tuples in one another": lambda: b"\x80\x02)" + b"\x85" * 200_000 + b".",
    "a million marks": lambda: b"(" * 200_000 + b".",
    "a memo without end": lambda: (
        b"]" + b"".join(b"r" + struct.pack("<I", i) for i in range(300_000)) + b"."
    ),
    "doubled without end": lambda: b"](" + b"2" * 200_000 + b"e.",
    "list of lists, each the last one twice": lambda: (
        b"]q\x00" + b"](h\x00h\x00eq\x00" * 60_000 + b"."
    ),
    "one text encoded again and again": lambda: (
        b"c_codecs\nencode\nq\x000X\x00\x00\x01\x00"
        + b"a" * 65536
        + b"q\x01"
        + b"X\x06\x00\x00\x00latin1q\x0200("
        + b"h\x00h\x01h\x02\x86R" * 20_000
        + b"l."
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", tuple(BOMBS))
def test_bombs_are_refused_within_a_small_multiple_of_the_file(name: str) -> None:
    data = BOMBS[name]()
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"^x: "):
            read_plain_pickle(data, "x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20 + 4 * len(data)


def test_dicts_and_floats_are_read_but_no_dicts_with_tuples() -> None:
    rows = [{"identity": "a.jpg", "embedding": [0.5, -1.25e-3], "x": 3, "found": True, "z": None}]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert read_plain_pickle(pickle.dumps(rows, protocol=protocol), "x") == rows
    for value in ({"a": (1,)}, [{1: 2}, np.ones(3)]):
        with pytest.raises(DataError, match="dicts and tuples"):
            read_plain_pickle(pickle.dumps(value), "x")
    with pytest.raises(DataError, match="EMPTY_SET"):
        read_plain_pickle(pickle.dumps({1}), "x")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["b1", "u1", "<i4", "<i8", "<f4", "<f8"])
def test_arrays_of_numbers(protocol: int, dtype: str) -> None:
    values = np.arange(12).astype(dtype).reshape(3, 4)
    for array in (values, values[:0], values[0, 0:1].reshape(())):
        found = read_plain_pickle(pickle.dumps([array], protocol=protocol), "x")[0].array()
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    assert read_plain_pickle(pickle.dumps(values[2, 3], protocol=protocol), "x") == values[2, 3]


@pytest.mark.parametrize(
    "array",
    [
        np.array([len, None], object),  # not print, which Ray takes another one for
        np.array(["text"]),
        np.zeros(2, ">f4"),
        np.zeros(2, [("a", "u1")]),
        np.zeros(2, "datetime64[s]"),
        np.asfortranarray(np.ones((3, 2))),
        np.ma.array([1]),
    ],
    ids=["objects", "text", "big endian", "fields", "times", "Fortran", "subclass"],
)
def test_other_arrays_are_refused(array: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(DataError):
            read_plain_pickle(pickle.dumps([array], protocol=protocol), "x")


def test_what_is_built_does_not_stay() -> None:
    """A file that sets attributes of what names stand for changes nothing for the next one."""
    for state in (b"}Vmake\nI1\ns", b"N}Vmake\nI1\ns\x86", b"]"):
        with pytest.raises(DataError):
            read_plain_pickle(b"c_codecs\nencode\n" + state + b"b.", "x")
    assert read_plain_pickle(pickle.dumps([b"\xff"], protocol=2), "x") == [b"\xff"]


def test_a_list_that_holds_itself_is_read_and_no_more() -> None:
    found = read_plain_pickle(b"]q\x00h\x00a.", "x")
    assert found[0] is found


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"\x89PNG\r\n", "refused"),
        (b".", "expected a pickle"),
        (b"]", "whole pickle"),
        (b"].more", "4 more bytes"),
        (b"\x80\x09].", "protocol 0 to 5"),
        (b"h\x05.", "Memo value not found"),
        (b"e.", "MARK"),
        (b"K\x01K\x02a.", "append"),
        (b"I1x\n.", "whole pickle"),
        (b"X\x01\x00\x00\x00\xff.", "decode"),
        (b"c_codecs\nencode\nV\\u1234\nVlatin1\n\x86R.", "latin-1"),
        (b"\xfe.", "0xfe|xfe"),
        (b"cos", "whole pickle"),
    ],
)
def test_damaged_files(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_plain_pickle(data, "x")


def test_every_cut_of_a_file_is_refused() -> None:
    data = pickle.dumps(([b"abc" * 20, b"d"], [True]), protocol=4)
    for end in range(len(data)):
        with pytest.raises(DataError):
            read_plain_pickle(data[:end], "x")


def test_random_changes_give_data_errors_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """2,000 damaged files: a value, or DataError; and nothing is imported or run."""
    seeds = [pickle.dumps((PHOTOS, ANSWERS), protocol=p) for p in (0, 2, 4, 5)]
    seeds.append(pickle.dumps(([np.frombuffer(p, np.uint8) for p in PHOTOS], ANSWERS), protocol=4))
    seeds += [python_2(p) for p in (1, 2)]
    seeds += [data for data, _ in hostile(tmp_path / "canary").values()]
    codes = np.frombuffer(
        b"".join(op.code.encode("latin1") for op in pickletools.opcodes), np.uint8
    )
    random = np.random.default_rng(0)

    reader = threading.get_ident()

    def forbidden(name: str, real: Any) -> Any:
        def called(*arguments: Any, **options: Any) -> Any:
            if threading.get_ident() != reader:  # a server of other tests runs in its own thread
                return real(*arguments, **options)
            raise AssertionError(f"the reader called {name}, which it never may")

        return called

    changed = []
    for _ in range(2_000):
        data = np.frombuffer(seeds[random.integers(len(seeds))], np.uint8).copy()
        for _ in range(int(random.integers(1, 6))):
            at = int(random.integers(len(data)))
            kind = int(random.integers(4))
            if kind == 0:
                data[at] = random.integers(256)
            elif kind == 1:
                data[at] = random.choice(codes)
            elif kind == 2:
                data = np.insert(data, at, random.choice(codes))
            elif len(data) > 1:
                data = np.delete(data, at)
        changed.append(data.tobytes())
    for data in seeds[:7]:  # Python imports a codec when it is first used
        assert plain(read_plain_pickle(data, "x")) == (PHOTOS, ANSWERS)
    seen = {"value": 0, "error": 0}
    with monkeypatch.context() as patch:
        patch.setattr(pickle, "loads", forbidden("loads", pickle.loads))
        for name in ("eval", "exec", "compile", "__import__"):  # the import last: pytest imports
            patch.setattr(builtins, name, forbidden(name, getattr(builtins, name)))
        for data in changed:
            try:
                read_plain_pickle(data, "x")
                seen["value"] += 1
            except DataError:
                seen["error"] += 1
    assert seen["error"] > 500
    assert seen["value"] > 50
    assert not (tmp_path / "canary").exists()
