"""Rules for the package as a whole: cheap to import, one direction of imports, public names."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import lineament

SOURCE = Path(lineament.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

ORDER = (
    ("text",),
    (
        *(
            "errors",
            "arguments",
            "assignment",
            "files",
            "forms",
            "geometry",
            "pickles",
            "pose",
            "pyramid",
            "raster",
            "results",
            "suggest",
            "types",
            "encoded",
        ),
        *("offline", "machine", "forks", "web", "signing", "sealed", "audit"),
    ),
    ("demo",),
    ("models",),
    ("weights",),
    ("images",),
    ("detect",),
    ("align",),
    ("bars", "visible", "recognizability"),
    ("covered", "quality", "boxed", "finder"),
    ("embed",),
    ("batching", "attributes"),
    ("decide",),
    ("liveness",),
    ("pipeline",),
    ("ensemble", "bulk"),
    ("datasets",),
    ("search",),
    ("gallery",),
    ("video",),
    ("anonymize",),
    ("evaluate", "fit", "explain"),
    ("pictures",),
    ("report",),
    ("quantize", "train"),
    ("zoo",),
    ("client",),
    ("server",),
    ("cli", "compat"),
    ("__main__",),
)
"""Each may import what stands before it, and its own row."""

STAGES = {
    *("images", "detect", "align", "quality", "embed", "decide", "finder", "pipeline"),
    *(
        "attributes",
        "ensemble",
        "bulk",
        "report",
        "search",
        "gallery",
        "liveness",
        "video",
        "anonymize",
        "evaluate",
        "datasets",
        "fit",
        "pictures",
        "quantize",
        "train",
        "client",
        "server",
        "cli",
        "compat",
    ),
}
FORBIDDEN = {
    "models": STAGES,
    "evaluate": {"pictures"},
    "fit": {"pictures"},
    "pictures": {"pipeline", "ensemble"},
}
"""What no module of a room imports, although the order would allow it."""

FORMS_OF_DECIDE = {"decide.calibration", "decide.ensemble_file", "decide.siamese"}
"""The modules of ``decide`` that read or write a file of their own; all others take values."""

LEVEL = {name: level for level, row in enumerate(ORDER) for name in row}
ENGINES = {"openvino", "onnxruntime"}
THIRD_PARTY = {
    *(
        "numpy",
        "cv2",
        "PIL",
        "msgspec",
        "filelock",
        "tomli_w",
        "click",
        "rich",
        "pyarrow",
        "pillow_heif",
        "pandas",
    ),
    *("matplotlib", "lightgbm", "turbovec", "pymilvus", "ray", "av", "openTSNE", "umap", "scipy"),
    *("psycopg", "pgvector", "qdrant_client", "elasticsearch", "opensearchpy"),
    "cryptography",
    "dlib",
    "h5py",
    *("fastapi", "starlette", "pydantic", "uvicorn", "httpx", "argon2", "prometheus_client"),
    *("h11", "websockets", "httptools"),  # what uvicorn speaks
    "python_multipart",
    *("torch", "kornia", "webdataset", "tensorboard", "onnx", "onnxscript", "nncf"),
    *ENGINES,
}


def module_of(path: Path) -> tuple[str, ...]:
    """("detect", "yunet") for detect/yunet.py; () for the package's own file."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file: several tests walk them, and walking takes longer than parsing."""
    return tuple(ast.walk(tree_of(path)))


@pytest.fixture(scope="module", autouse=True)
def _forget_the_nodes() -> Iterator[None]:
    """A million objects: every later collection of garbage would look at each of them."""
    yield
    nodes_of.cache_clear()
    tree_of.cache_clear()


def imports(path: Path) -> set[str]:
    """The full names of all modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            assert node.module is not None
            assert [alias.name for alias in node.names] != ["*"], path
            if node.module == "lineament":
                names = {alias.name for alias in node.names} - set(lineament.__all__)
                found |= {f"lineament.{name}" for name in names - {"__version__"}}
            else:
                found.add(node.module)
    return found


MODULES = {".".join(module_of(path)): path for path in FILES}
every_file = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: "/".join(module_of(path)) or "lineament"
)


def imported_modules(path: Path) -> set[str]:
    """Names in MODULES of what a file imports anywhere: in functions and for types, too."""
    found: set[str] = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                is_module = submodule.removeprefix("lineament.") in MODULES
                found.add(submodule if is_module else str(node.module))
    inside = {name.removeprefix("lineament.") for name in found if name.startswith("lineament.")}
    return inside & MODULES.keys()


def circles() -> set[frozenset[str]]:
    """Groups of modules of which each leads to each other one by imports."""
    edges = {name: imported_modules(path) for name, path in MODULES.items()}
    reached: dict[str, set[str]] = {}
    for start in edges:
        seen: set[str] = set()
        pending = list(edges[start])
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending += edges[name]
        reached[start] = seen
    return {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in edges
        if name in reached[name]
    }


def in_a_fresh_process(code: str, *flags: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *flags, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.strip()


def test_there_is_something_to_check() -> None:
    assert {module_of(path)[:1] for path in FILES} >= {("models",), ("detect",), ("pipeline",), ()}


def test_import_is_cheap_and_silent(tmp_path: Path) -> None:
    code = f"""
import os, sys, warnings
filters = list(warnings.filters)
os.chdir({str(tmp_path)!r})
os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = {str(tmp_path)!r}
import lineament
assert warnings.filters == filters
print(sorted(sys.modules.keys() & {THIRD_PARTY | {"importlib.metadata", "asyncio"}!r}))
print(sorted(m for m in sys.modules if m.startswith("lineament")))
"""
    assert in_a_fresh_process(code).splitlines() == ["[]", "['lineament']"]
    assert list(tmp_path.rglob("*")) == []


NOT_FORMS = THIRD_PARTY - {"msgspec"}


@pytest.mark.parametrize("name", ["errors", "models", "models.registry", "models._download"])
def test_what_needs_no_arrays_loads_none(name: str) -> None:
    loaded = f"import sys, lineament.{name}; print(sorted(sys.modules.keys() & {NOT_FORMS!r}))"
    assert in_a_fresh_process(loaded) == "[]"


def test_an_engine_is_loaded_by_the_first_network() -> None:
    code = (
        "import sys, lineament.pipeline, lineament.detect, lineament.evaluate.protocols.lfw; "
        f"print(sorted(sys.modules.keys() & {ENGINES!r}))"
    )
    assert in_a_fresh_process(code) == "[]"


@pytest.mark.parametrize("name", lineament.__all__)
def test_public_names_exist_and_are_documented(name: str) -> None:
    value = getattr(lineament, name)
    assert name in dir(lineament)
    assert inspect.getdoc(value)
    assert value.__module__.startswith("lineament")
    assert value.__name__ == name


def test_public_names_are_listed_once_and_sorted() -> None:
    assert list(lineament.__all__) == sorted(set(lineament.__all__))
    assert {"FaceFinder", "Photo", "Batcher", "Recognizer", "verify"} <= set(lineament.__all__)
    typed = {
        alias.name: statement.module
        for statement in ast.parse((SOURCE / "__init__.pyi").read_text("utf-8")).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert typed == lineament._HOMES  # what type checkers see is what there is


def test_public_names_have_one_home() -> None:
    for name, home in lineament._HOMES.items():
        assert getattr(importlib.import_module(home), name) is getattr(lineament, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lineament' has no attribute 'verfy'"):
        lineament.verfy  # noqa: B018
    assert not hasattr(lineament, "__wrapped__")


def test_version_is_a_release() -> None:
    assert len([int(part) for part in lineament.__version__.split(".")]) == 3


@every_file
def test_imports_go_one_way(path: Path) -> None:
    module = module_of(path)
    imported = {name.split(".")[1] for name in imports(path) if name.startswith("lineament.")}
    if not module:  # the package's own file names homes, and imports the pipeline when called
        assert "cli" not in imported
        return
    assert module[0] in LEVEL, f"{module[0]}: say in ORDER where it stands"
    unknown = imported - LEVEL.keys()
    assert not unknown
    above = {name for name in imported if LEVEL[name] > LEVEL[module[0]]}
    assert not above, f"{'/'.join(module)} imports {above} from above"


def test_no_modules_import_each_other() -> None:
    assert circles() == set()


def test_rooms_know_nothing_of_what_is_not_theirs() -> None:
    for module, path in MODULES.items():
        rooms = {name.partition(".")[0] for name in imported_modules(path)}
        assert not rooms & FORBIDDEN.get(module.partition(".")[0], set()), module


def test_only_the_entry_point_imports_the_command_line() -> None:
    for module, path in MODULES.items():
        if module.partition(".")[0] not in ("cli", "__main__"):
            rooms = {name.partition(".")[0] for name in imported_modules(path)}
            assert "cli" not in rooms, module


def test_nothing_imports_the_compatible_interfaces() -> None:
    for module, path in MODULES.items():
        if module.partition(".")[0] != "compat":
            rooms = {name.partition(".")[0] for name in imported_modules(path)}
            assert "compat" not in rooms, module


def test_decisions_are_made_without_files() -> None:
    reading = set()
    for module, path in MODULES.items():
        if module.partition(".")[0] != "decide":
            continue
        called = {
            node.func.id
            for node in nodes_of(path)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        if imports(path) & {"lineament.files", "pathlib", "os", "io"} or "open" in called:
            reading.add(module)
    assert reading == FORMS_OF_DECIDE


def test_private_modules_are_imported_by_their_own_package_only() -> None:
    for module, path in MODULES.items():
        for name in imported_modules(path):
            private = [i for i, part in enumerate(name.split(".")) if part.startswith("_")]
            if private and name != "__main__":
                home = name.split(".")[: private[0]]
                assert module.split(".")[: private[0]] == home, f"{module} imports {name}"


@every_file
def test_third_parties_where_they_belong(path: Path) -> None:
    module = module_of(path)
    roots = {name.split(".")[0] for name in imports(path)} - {"lineament"}
    outside = {root for root in roots if root not in sys.stdlib_module_names}
    assert outside <= THIRD_PARTY
    if module != ("models", "runtime"):
        assert not outside & ENGINES
    if module[:1] != ("cli",) and module != ("pictures", "photos"):
        assert not outside & {"click", "rich"}
    theirs = module == ("compat", "insightface", "app", "common")  # a name of insightface's
    assert theirs or path.stem not in ("utils", "util", "base", "helpers", "common", "misc")


@every_file
def test_every_file_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree_of(path))


def test_only_our_own_errors_are_raised() -> None:
    import lineament.errors

    own = {name for name, value in vars(lineament.errors).items() if inspect.isclass(value)}
    import lineament.compat.deepface.modules.exceptions as deepfaces

    own |= {name for name, value in vars(deepfaces).items() if inspect.isclass(value)}
    # Raised to be caught a few lines on, or part of Python's own protocols.
    allowed = own | {
        "AttributeError",
        "KeyError",
        "Exit",
        "AddonsTypeError",
        "DamagedPickleError",
        "SizeError",
        "NoDetectionError",
        "NoSuchPhotoError",
        "NotAFileError",
        "UnknownArgumentError",
        "PhotoFormatError",
        "PhotoNotFoundError",
        "PrivateAddressError",
        "RedirectError",
        "RefusedPickleError",
        "TimeoutError",
        "TooManyBytesError",
        "UnfitPagesError",
        "WebError",
        "ValueError",
        "_DamagedError",
        "_RefusedError",
        "_TemporaryError",
    }
    raised = {
        (node.exc.func.id, path.name)
        for path in FILES
        for node in nodes_of(path)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and not node.exc.func.id.lstrip("_").islower()  # a function that makes the error
    }
    assert len(raised) > 20
    assert {(name, file) for name, file in raised if name not in allowed} == set()
    assert {file for name, file in raised if name == "ValueError"} <= {
        *(
            "runtime.py",
            "borrowed.py",
            "decode.py",
            "ijb.py",
            "filters.py",
            "boxes.py",
            "plain.py",
            "pnm.py",
            "_containers.py",
            "tiff.py",
        ),  # caught a few lines on
        *("_contents.py", "_state.py"),  # caught by what reads the checkpoint
        *("bundled.py", "_distributed.py"),  # batch norms, as PyTorch's own do
    }


def test_a_wheel_stays_within_35_mb() -> None:
    # A wheel compresses each file by itself; names and the central directory add about 0.1 MB.
    files = (path for path in SOURCE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert sum(len(zlib.compress(path.read_bytes())) for path in files) < 34_900_000
