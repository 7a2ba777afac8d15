"""What the package never calls, since the bytes of others would act by it: found in its source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import lineament

SOURCE = Path(lineament.__file__).parent

Condition = Callable[[ast.Call], bool]


def _given(name: str, value: object) -> Condition:
    """The call has that keyword, with that constant."""

    def holds(call: ast.Call) -> bool:
        return any(
            word.arg == name and isinstance(word.value, ast.Constant) and word.value.value is value
            for word in call.keywords
        )

    return holds


def _not_given(name: str) -> Condition:
    """The call has that keyword not at all, or false, and none that are spread."""

    def holds(call: ast.Call) -> bool:
        words = [word for word in call.keywords if word.arg in (name, None)]
        return all(
            word.arg is not None and isinstance(word.value, ast.Constant) and not word.value.value
            for word in words
        )

    return holds


def _never(_: ast.Call) -> bool:
    return False


PICTURES = "pictures are opened by lineament.images only"
RUNS = "it runs what the bytes say"

DANGEROUS: dict[str, tuple[Condition, str]] = {
    **dict.fromkeys(
        (
            *("PIL.Image.open", "PIL.ImageFile.Parser", "PIL.ImageGrab.grab"),
            *("cv2.imread", "cv2.imdecode", "cv2.imreadmulti", "cv2.imdecodemulti"),
            *("cv2.imreadanimation", "cv2.imdecodeanimation", "cv2.VideoCapture"),
            *("imageio.imread", "imageio.v2.imread", "imageio.v3.imread", "imageio.get_reader"),
            *("matplotlib.image.imread", "matplotlib.pyplot.imread", "skimage.io.imread"),
            *("torchvision.io.read_image", "torchvision.io.decode_image"),
            *("pillow_heif.open_heif", "pillow_heif.read_heif", "pillow_heif.HeifFile"),
            *("pillow_heif.register_heif_opener", "pillow_heif.register_avif_opener"),
        ),
        (_never, PICTURES),
    ),
    **dict.fromkeys(("numpy.load", "numpy.lib.npyio.load"), (_given("allow_pickle", False), RUNS)),
    "numpy.lib.format.read_array": (_given("allow_pickle", False), RUNS),
    "torch.load": (_given("weights_only", True), RUNS),
    **dict.fromkeys(
        (
            *("torch.jit.load", "torch.hub.load", "torch.hub.load_state_dict_from_url"),
            *("torch.package.PackageImporter", "torch.ops.load_library"),
            *(
                f"{name}.{call}"
                for name in ("pickle", "_pickle", "cPickle", "dill", "cloudpickle")
                for call in ("load", "loads", "Unpickler")
            ),
            *("joblib.load", "pandas.read_pickle", "shelve.open", "marshal.load", "marshal.loads"),
            *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.Loader"),
            *("eval", "exec", "builtins.eval", "builtins.exec", "code.interact", "runpy.run_path"),
            *("scipy.io.loadmat", "logging.config.listen", "multiprocessing.connection.Client"),
        ),
        (_never, RUNS),
    ),
    **dict.fromkeys(
        (
            *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
            *("pty.spawn", "asyncio.create_subprocess_shell"),
        ),
        (_never, "a shell reads the text"),
    ),
    **dict.fromkeys(
        [f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")],
        (_not_given("shell"), "a shell reads the text"),
    ),
    **dict.fromkeys(
        (
            *("xml.etree.ElementTree.parse", "xml.etree.ElementTree.fromstring"),
            *("xml.etree.ElementTree.XML", "xml.etree.ElementTree.iterparse"),
            *("xml.etree.ElementTree.XMLParser", "xml.dom.minidom.parse"),
            *("xml.dom.minidom.parseString", "xml.sax.parse", "xml.sax.parseString"),
            *("lxml.etree.parse", "lxml.etree.fromstring"),
        ),
        (_never, "entities in it grow without end"),
    ),
    **dict.fromkeys(
        ("tempfile.mktemp", "os.tempnam", "os.tmpnam"),
        (_never, "somebody else may take the name"),
    ),
    **dict.fromkeys(("shutil.unpack_archive",), (_never, "its names may lead out of the folder")),
}

METHODS = {
    "extractall": "names in an archive may lead out of the folder",
    "extract": "names in an archive may lead out of the folder",
}
"""Dangerous whatever they are called on."""

ALLOWED = {
    ("images/decode.py", "cv2.imdecode"): "16-bit colors of a file that Pillow has just decoded",
    ("train/data/augment.py", "cv2.imdecode"): "a JPEG that the line before has encoded",
    ("arguments.py", "eval"): "annotations of the package's own functions",
    ("detect/cascade_file.py", "xml.etree.ElementTree.fromstring"): "likewise",
    ("models/ir.py", "xml.etree.ElementTree.fromstring"): "a text without definitions, see there",
    ("bulk/on_ray.py", "pickle.loads"): "what this process's own workers send",
}


def _names(nodes: Sequence[ast.AST]) -> dict[str, str]:
    """What names of a file stand for: modules and what is in them, by import or assignment."""
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname is None:
                    root = alias.name.partition(".")[0]
                    found[root] = root
                else:
                    found[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    given = [n for n in nodes if isinstance(n, (ast.Assign, ast.AnnAssign, ast.NamedExpr))]
    for _ in range(3):  # names of names
        for node in given:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            full = None if node.value is None else _full_name(node.value, found)
            if full is not None and (full in DANGEROUS or _leads_to_danger(full)):
                found |= {t.id: full for t in targets if isinstance(t, ast.Name)}
    return found


def _leads_to_danger(full: str) -> bool:
    return any(name.startswith(f"{full}.") for name in DANGEROUS)


def _full_name(node: ast.AST, names: dict[str, str]) -> str | None:
    """The dotted name that an expression stands for; None when it is no name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id if node.id in ("eval", "exec") else None)
    if isinstance(node, ast.Attribute):
        inner = _full_name(node.value, names)
        return None if inner is None else f"{inner}.{node.attr}"
    if isinstance(node, ast.Call):
        called = node.func.id if isinstance(node.func, ast.Name) else None
        called = called or _full_name(node.func, names)
        texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
        if called in ("__import__", "importlib.import_module") and texts:
            return texts[0] if isinstance(texts[0], str) else None
        if called == "getattr" and len(node.args) >= 2 and texts:
            inner = _full_name(node.args[0], names)
            return None if inner is None else f"{inner}.{texts[0]!s}"
    return None


def dangers(text: str) -> Iterator[tuple[str, int, str]]:
    """The dangerous names in a file: which, on which line, and why."""
    nodes = list(ast.walk(ast.parse(text)))
    names = _names(nodes)
    called = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in METHODS and id(node) in called:
            yield f".{node.attr}", node.lineno, METHODS[node.attr]
        if isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
            if isinstance(getattr(node, "ctx", None), ast.Store):
                continue
            full = _full_name(node, names)
            if full in DANGEROUS:
                holds, reason = DANGEROUS[full]
                call = called.get(id(node))
                if call is not None and holds(call):
                    continue
                if call is None and isinstance(node, ast.Attribute) and _is_type(node, nodes):
                    continue
                yield full, node.lineno, reason


def _is_type(node: ast.Attribute, nodes: Sequence[ast.AST]) -> bool:
    """Whether it stands in an annotation, or in ``except``."""
    for other in nodes:
        places: list[ast.AST | None] = []
        if isinstance(other, (ast.arg, ast.AnnAssign)):
            places.append(other.annotation)
        elif isinstance(other, (ast.FunctionDef, ast.AsyncFunctionDef)):
            places.append(other.returns)
        elif isinstance(other, ast.ExceptHandler):
            places.append(other.type)
        if any(place is not None and node in set(ast.walk(place)) for place in places):
            return True
    return False


FILES = sorted(SOURCE.rglob("*.py"))


def test_nothing_dangerous_is_called() -> None:
    found = {
        (path.relative_to(SOURCE).as_posix(), name): f"line {line}: {name}: {reason}"
        for path in FILES
        for name, line, reason in dangers(path.read_text("utf-8"))
    }
    assert {key: said for key, said in found.items() if key not in ALLOWED} == {}
    assert ALLOWED.keys() <= found.keys(), "what is allowed is there"


PLANTED = [
    "import PIL.Image\nPIL.Image.open('a')",
    "from PIL import Image\nImage.open('a')",
    "from PIL import Image as Picture\nPicture.open('a')",
    "from PIL.Image import open as look\nlook('a')",
    "from PIL import Image\nlook = Image.open\nlook('a')",
    "from PIL import Image\nlist(map(Image.open, []))",
    "from PIL import Image\ngetattr(Image, 'open')('a')",
    "import importlib\nimportlib.import_module('PIL.Image').open('a')",
    "import cv2\ncv2.imread('a')",
    "import cv2 as c\nc.imdecode(b'', 1)",
    "def f():\n    from cv2 import imdecode\n    return imdecode(b'', 1)",
    "import numpy as np\nnp.load('a')",
    "import numpy as np\nnp.load('a', allow_pickle=True)",
    "import numpy as np\nnp.load('a', allow_pickle=bool(1))",
    "from numpy import load\nload('a', None, False)",
    "import torch\ntorch.load('a')",
    "import torch\ntorch.load('a', weights_only=False)",
    "import torch\nload = torch.load\nload('a')",
    "import pickle\npickle.loads(b'')",
    "import pickle as p\nclass A(p.Unpickler): pass",
    "from pickle import load\nload(None)",
    "import dill\ndill.load(None)",
    "__import__('pickle').loads(b'')",
    "import tarfile\ntarfile.open('a').extractall('b')",
    "import zipfile\nwith zipfile.ZipFile('a') as z:\n    z.extract('b')",
    "import shutil\nshutil.unpack_archive('a')",
    "import yaml\nyaml.load('a')",
    "import yaml\nyaml.load('a', Loader=yaml.Loader)",
    "eval('1')",
    "exec('1')",
    "run = eval\nrun('1')",
    "import shelve\nshelve.open('a')",
    "import marshal\nmarshal.loads(b'')",
    "import joblib\njoblib.load('a')",
    "import subprocess\nsubprocess.run('a', shell=True)",
    "import subprocess as s\ns.Popen('a', shell=1)",
    "import subprocess\nsubprocess.run('a', **options)",
    "from subprocess import check_output as run\nrun('a', shell=yes)",
    "import os\nos.system('a')",
    "from os import popen\npopen('a')",
    "import xml.etree.ElementTree as ET\nET.fromstring('a')",
    "from xml.dom import minidom\nminidom.parseString('a')",
    "import tempfile\ntempfile.mktemp()",
    "import matplotlib.pyplot as plt\nplt.imread('a')",
    "import imageio.v3 as iio\niio.imread('a')",
    "import pandas as pd\npd.read_pickle('a')",
    "import pillow_heif\npillow_heif.register_heif_opener()",
]

HARMLESS = [
    "from PIL import Image\nImage.fromarray(a).save('a')",
    "import numpy as np\nnp.load('a', allow_pickle=False)",
    "import torch\ntorch.load('a', map_location='cpu', weights_only=True)",
    "import subprocess\nsubprocess.run(['a'])",
    "import subprocess\nsubprocess.run(['a'], shell=False)",
    "import pickle\npickle.dumps(1)",
    "import tarfile\ntarfile.open('a').extractfile('b')",
    "model.eval()",
    "import pickle\ntry:\n    f()\nexcept pickle.UnpicklingError:\n    pass",
    "open('a')",
    "import json\njson.load(file)",
]


@pytest.mark.parametrize("text", PLANTED)
def test_what_is_planted_is_found(text: str) -> None:
    assert list(dangers(text))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_is_not(text: str) -> None:
    assert list(dangers(text)) == []
