"""What weights exist, where they lie, under which license, and how to read them safely.

    entries()  get(name)          what exists: the package's manifest and the user's own
    from_file(path)               an ONNX file that no manifest describes
    read(weights)                 its bytes, after the license policy and the SHA-256 agreed
    LicensePolicy                 which licenses may be used

A manifest is a JSON file, ``{"schema": 1, "weights": [entry, ...]}``; the keys of an entry are the
attributes of ``Weights`` (``input``, ``source``, ``measured`` and ``thresholds`` are objects with
the attributes of the classes below). Paths in it are relative to the manifest's own folder.

Environment variables:

- ``LINEAMENT_MANIFEST``: one more manifest to read;
- ``LINEAMENT_CACHE``: the folder for what is downloaded (default: the platform's cache folder);
- ``LINEAMENT_LICENSE_POLICY``: the policy in force, see ``LicensePolicy.parse`` (default "any");
- ``LINEAMENT_OFFLINE``: 1 forbids every download.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from lineament.errors import (
    LicenseError,
    OptionError,
    UnknownWeightsError,
    WeightsError,
    WeightsHashError,
)
from lineament.files import DATA

# hashlib, difflib and the modules "manifest" and "download" are imported where they are used:
# importing this module is part of every start.

Task = Literal["recognizer", "detector", "landmarks"]
CommercialUse = Literal["yes", "no", "unknown"]
Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all."""

PACKAGE_MANIFEST = DATA / "manifest.json"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the network wants to see.

    Attributes:
        size_wh: width and height in pixels, or None when the network takes any size.
        color_order: "rgb", "bgr" or "gray" (one channel).
        mean, scale: the network is fed ``(x - mean) * scale`` with x from 0 to 255. 0 and 1 where
            the graph scales by itself, as all bundled ones do.
        layout: "nchw": (photos, channels, height, width), float32.
    """

    size_wh: tuple[int, int] | None
    color_order: Literal["rgb", "bgr", "gray"]
    mean: float
    scale: float
    layout: Literal["nchw"] = "nchw"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a bundled file was taken from: a package of a registry, and the path inside it."""

    package: str
    version: str
    path: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """One score, with the protocol and data that make it a score of something."""

    value: float
    protocol: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which value on two embeddings of these weights count as one person.

    Attributes:
        metric: the name of the comparison, for example "cosine".
        threshold: in the metric's unit.
        fmr: the false match rate that it is meant for, 0 to 1.
        flip: whether the embeddings were averaged over the mirrored crop.
        data: the protocol and data it was fitted on.
        n_impostor_pairs: how many pairs of two persons it was fitted on.
    """

    metric: str
    threshold: float
    fmr: float
    flip: bool
    data: str
    n_impostor_pairs: int


@dataclass(frozen=True, slots=True)
class Member:
    """One network of a recognizer that is made of several.

    Attributes:
        name: of its entry; it takes the same crops as the others.
        share: of its cosine in the whole's, above 0; the shares sum to 1.
    """

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class NormTerm:
    """One more coordinate of the vector, from the norm of the first member's embedding.

    Impostor scores hardly depend on how long the embeddings are, genuine ones do: those of a poor
    photo are lower. The coordinate ``offset - slope * clip((norm - mean) / sd, least, most)``
    raises the score of two poor photos a little and lowers that of two good ones.
    """

    mean: float
    sd: float
    offset: float
    slope: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Weights:
    """One weights file: what it is, what it wants, and what may be done with it.

    Attributes:
        name: how it is asked for: lower-case letters, digits, ".", "_" and "-".
        task: "recognizer", "detector" or "landmarks".
        sha256: of the file, 64 hexadecimal digits.
        bytes: size of the file.
        input: what the network is fed.
        dimension: length of the embedding; None for the other tasks, and where it is only known
            once the file is loaded.
        alignment: for recognizers, how the crop must have been made, for example "arcface-112".
        license_code: SPDX identifier of the package that the file comes from, or "unknown".
        license_weights: SPDX identifier under which the weights are published, or "unknown".
        commercial_use: whether ``license_weights`` grants commercial use. It repeats what the
            publisher grants; whether the publisher was free to do so depends on the training data.
        training_data: what is known of them, "unknown" where nothing is.
        file: path of the file, relative to the manifest; None when it must be downloaded.
        url: where it can be downloaded; None when there is no such place.
        license_file: path of the license's text, relative to the manifest.
        source: the package it was taken from.
        paper: the publication that describes the network.
        measured: scores by name.
        thresholds: they hold for these weights and the data they name, and for nothing else.
        notes: what else one should know.
        members: for a recognizer that joins others and has no file: its vector holds theirs one
            after the other, so that its cosine is the weighted mean of their cosines. Always with
            the mirror image.
        norm_term: of such a recognizer, if it has one.
        folder: where the manifest (or the file of ``from_file``) lies on this machine. It is no
            part of the description: entries are equal without it.
    """

    name: str
    task: Task
    sha256: str
    bytes: int
    input: InputSpec
    dimension: int | None
    alignment: str | None
    license_code: str
    license_weights: str
    commercial_use: CommercialUse
    training_data: str
    file: str | None = None
    url: str | None = None
    license_file: str | None = None
    source: Source | None = None
    paper: str | None = None
    measured: Mapping[str, Measurement] = field(default_factory=dict, hash=False)
    thresholds: tuple[Threshold, ...] = ()
    notes: str | None = None
    members: tuple[Member, ...] = ()
    norm_term: NormTerm | None = None
    folder: Path = field(default=Path(), compare=False, repr=False)

    @property
    def path(self) -> Path | None:
        """Where the file should lie, or None when it must be downloaded."""
        return None if self.file is None else self.folder / self.file

    def to_dict(self) -> dict[str, Any]:
        """The entry as a manifest has it, ready for JSON."""
        values = asdict(self)
        del values["folder"]
        if not self.members:  # said only of recognizers that join others
            del values["members"], values["norm_term"]
        return values


# --- asking ---------------------------------------------------------------------------------------

_added: list[Path] = []


def add_manifest(path: str | Path) -> list[Weights]:
    """Read one more manifest for the rest of this process; returns its entries.

    Raises:
        WeightsError: the file is no manifest, or a name in it is taken already.
    """
    from lineament.models.manifest import read_manifest

    manifest = Path(path).absolute()
    new = manifest not in _manifests()
    if new:
        _added.append(manifest)
    try:
        entries()
    except WeightsError:
        if new:  # one bad manifest must not spoil what worked before
            _added.remove(manifest)
        raise
    return read_manifest(manifest)


def entries(task: Task | None = None) -> list[Weights]:
    """All weights that are known, or those of one task.

    Raises:
        WeightsError: a manifest is unusable, or two manifests use one name: a name must not mean
            another file because a manifest was added.
    """
    from lineament.models.manifest import read_manifest

    if task is not None and task not in get_args(Task):
        raise OptionError(
            f"expected one of {', '.join(get_args(Task))}, got {task!r}", option="task"
        )
    known: dict[str, tuple[Weights, Path]] = {}
    for manifest in _manifests():
        for weights in read_manifest(manifest):
            if weights.name in known:
                other = known[weights.name][1]
                raise WeightsError(
                    f'{manifest}: the name "{weights.name}" is taken by {other}; rename the entry'
                )
            known[weights.name] = (weights, manifest)
    return [weights for weights, _ in known.values() if task is None or weights.task == task]


def get(name: str) -> Weights:
    """The entry of that name.

    Raises:
        UnknownWeightsError: there is none; the message lists the names and the closest ones.
    """
    known = {weights.name: weights for weights in entries()}
    if name in known:
        return known[name]
    import difflib

    close = difflib.get_close_matches(str(name).lower(), known, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    raise UnknownWeightsError(
        f"no weights are called {name!r}.{hint} Known: {', '.join(sorted(known))}. "
        "A manifest of your own is added with LINEAMENT_MANIFEST=file.json."
    )


def _manifests() -> list[Path]:
    paths = [PACKAGE_MANIFEST]
    chosen = os.environ.get("LINEAMENT_MANIFEST")
    if chosen:
        paths.append(Path(chosen).absolute())
    return list(dict.fromkeys([*paths, *_added]))


def license_text(weights: Weights) -> str | None:
    """The text of the weights' license, or None when the manifest names none.

    Raises:
        WeightsError: the text is not where the manifest says.
    """
    if weights.license_file is None:
        return None
    try:
        return (weights.folder / weights.license_file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WeightsError(f'weights "{weights.name}": license text: {error}') from error


def is_present(weights: Weights) -> bool:
    """Whether the file is on this machine, so that it can be read without a download.

    Of a recognizer that joins others: whether theirs are.
    """
    if weights.members:
        return all(is_present(get(member.name)) for member in weights.members)
    if weights.path is not None and weights.path.is_file():
        return True
    return weights.url is not None and _has_size(cached_path(weights), weights.bytes)


def cache_folder() -> Path:
    """Where downloads go: ``LINEAMENT_CACHE``, or ``lineament`` in the platform's cache folder."""
    chosen = os.environ.get("LINEAMENT_CACHE")
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        parent = "~/Library/Caches"
    else:
        parent = os.environ.get("XDG_CACHE_HOME")
        if parent and not Path(parent).is_absolute():
            parent = None  # the XDG specification: relative paths are to be ignored
    try:
        return (Path(parent) if parent else Path("~/.cache")).expanduser() / "lineament"
    except RuntimeError as error:
        raise WeightsError(
            "no home folder for the cache: set LINEAMENT_CACHE to a folder"
        ) from error


def cached_path(weights: Weights) -> Path:
    """Where the downloaded file lies, or would lie; the name changes with the content."""
    return cache_folder() / "weights" / f"{weights.name}-{weights.sha256[:16]}.onnx"


# --- reading --------------------------------------------------------------------------------------


def locate(
    weights: Weights, *, policy: LicensePolicy | None = None, progress: Progress | None = None
) -> Path:
    """Where the file lies on this machine; it is downloaded if that is where it comes from.

    A download is checked before it gets its name. A file that was there before is not: ``read``
    checks each time, and is what loads weights.

    Args:
        weights: the entry.
        policy: the license policy; None takes the one in force, ``LicensePolicy.active()``.
        progress: called during a download.

    Raises:
        LicenseError: the policy refuses these weights.
        WeightsDownloadError: they could not be fetched, or may not, offline.
        WeightsHashError: the server sent another file.
        WeightsError: the file is missing and there is no URL.
    """
    active = LicensePolicy.active() if policy is None else policy
    active.check(weights)
    if weights.members:
        names = ", ".join(member.name for member in weights.members)
        raise WeightsError(
            f'weights "{weights.name}": it has no file of its own, it joins {names}: read those'
        )
    if weights.path is not None and weights.path.is_file():
        return weights.path
    if weights.url is None:
        raise WeightsError(
            f'weights "{weights.name}": there is no file {weights.path}; '
            "install lineament again, or put the file back"
        )
    target = cached_path(weights)
    if not _has_size(target, weights.bytes):
        from lineament.models import download

        download.fetch(
            weights.url,
            target,
            sha256=weights.sha256,
            size=weights.bytes,
            what=f'weights "{weights.name}"',
            progress=progress,
        )
    return target


def read(
    weights: Weights, *, policy: LicensePolicy | None = None, progress: Progress | None = None
) -> bytes:
    """The file's bytes, after the license policy and the SHA-256 agreed.

    What is returned is what was checked: give these bytes to the engine, not the path. A damaged
    file in the cache is removed and fetched once more.

    Args and Raises as ``locate``; WeightsHashError also for a file that is not what the manifest
    promises.
    """
    path = locate(weights, policy=policy, progress=progress)
    try:
        return _read_checked(weights, path)
    except WeightsHashError:
        if path == weights.path:
            raise
        path.unlink(missing_ok=True)
    return _read_checked(weights, locate(weights, policy=policy, progress=progress))


def _read_checked(weights: Weights, path: Path) -> bytes:
    import hashlib

    try:
        with path.open("rb") as file:
            data = file.read(weights.bytes + 1)
    except OSError as error:
        raise WeightsError(f'weights "{weights.name}": {error}') from error
    digest = hashlib.sha256(data).hexdigest()
    if len(data) != weights.bytes or digest != weights.sha256:
        length = f"more than {weights.bytes}" if len(data) > weights.bytes else f"{len(data)}"
        raise WeightsHashError(
            f'weights "{weights.name}": {path} is not the promised file: expected {weights.bytes} '
            f"bytes with SHA-256 {weights.sha256}, got {length} bytes with {digest}. "
            "Put the right file there, or install lineament again."
        )
    return data


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.is_file() and path.stat().st_size == size
    except OSError:
        return False


# --- a file of the user's own ---------------------------------------------------------------------


def from_file(path: str | Path, **spec: Any) -> Weights:
    """Describe an ONNX file that no manifest knows; its hash is computed.

    The description comes from the arguments and from a TOML file beside it (``model.onnx`` and
    ``model.toml``); an argument that is not None goes before the TOML's key of the same name.

        size_wh = [112, 112]      # or "dynamic": the network takes any size
        color_order = "rgb"       # or "bgr", "gray"
        mean = 127.5              # the network is fed (x - mean) * scale, x from 0 to 255
        scale = 0.0078125

    These four have no default, because a wrong guess costs accuracy and no error shows it. The
    others have: name (the file's), task ("recognizer"), layout ("nchw"), dimension (None: as
    loaded), alignment ("arcface-112" for recognizers), license_code, license_weights,
    commercial_use and training_data ("unknown": the policy "commercial" refuses the file until you
    state it), paper, notes.

    Raises:
        WeightsError: the file cannot be read, a key is unknown, missing or of the wrong type.
    """
    from lineament.files import sha256_of_file
    from lineament.models.manifest import describe_file, read_toml

    path = Path(path).absolute()
    beside = path.with_suffix(".toml")
    values = read_toml(beside) if beside.is_file() else {}
    values |= {key: value for key, value in spec.items() if value is not None}
    try:
        digest, size = sha256_of_file(path).hex(), path.stat().st_size
    except OSError as error:
        raise WeightsError(f"weights file: {error}") from error
    return describe_file(values, path, digest, size)


# --- license policy -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LicensePolicy:
    """Which weights may be used. The first rule that applies decides:

    1. ``deny`` names it or ``deny_licenses`` its license: refused;
    2. ``allow`` names it: accepted, whatever its license (you have bought one, say);
    3. ``licenses`` is not None and its license is not among them: refused;
    4. ``base`` "any" accepts; "commercial" accepts when the license is known to grant commercial
       use, so that "no" and "unknown" are refused; "none" refuses.

    Names of entries and SPDX identifiers are kept apart: an entry called "mit" is not MIT.
    """

    base: Literal["any", "commercial", "none"] = "any"
    licenses: frozenset[str] | None = None
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    deny_licenses: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> LicensePolicy:
        """Read a policy as the command line and the environment give it.

        Clauses are joined by ";":  ``any``, ``commercial`` or ``none``;  ``spdx:MIT,Apache-2.0``
        (only these licenses);  ``allow:NAME,...``;  ``deny:NAME,...``;  ``deny-spdx:ID,...``.
        Examples: ``commercial``,  ``spdx:MIT,Apache-2.0``,  ``commercial;allow:my-model``.

        Raises:
            OptionError: the text is not a policy.
        """
        lists = {"spdx": "licenses", "allow": "allow", "deny": "deny", "deny-spdx": "deny_licenses"}
        values: dict[str, Any] = {}
        for clause in text.split(";"):
            kind, colon, listed = clause.strip().partition(":")
            kind = kind.strip().lower()
            items = [item.strip() for item in listed.split(",")]
            key, value = "base", cast(Any, kind)
            if colon:
                key, value = lists.get(kind, ""), frozenset(items)
            if key == "" or (colon and not all(items)) or (not colon and kind not in _BASES):
                raise OptionError(
                    f"expected clauses such as any, commercial, none, "
                    f"spdx:MIT,Apache-2.0, allow:NAME, deny:NAME or deny-spdx:ID, joined by "
                    f'";", got {clause!r}',
                    option="license_policy",
                )
            if key in values:
                raise OptionError(
                    f'"{kind}" would be set a second time in {text!r}', option="license_policy"
                )
            values[key] = value
        if "allow" in values and not values.keys() & {"base", "licenses"}:
            raise OptionError(
                "allow: makes exceptions from commercial, none or spdx:, say "
                f'which: "none;allow:NAME" for nothing else, got {text!r}',
                option="license_policy",
            )
        return cls(**values)

    @classmethod
    def active(cls) -> LicensePolicy:
        """The policy in force: ``LINEAMENT_LICENSE_POLICY``, "any" when it is not set."""
        return cls.parse(os.environ.get("LINEAMENT_LICENSE_POLICY", "").strip() or "any")

    def __str__(self) -> str:
        """The policy as ``parse`` reads it."""
        lists = {
            "spdx": self.licenses,
            "allow": self.allow,
            "deny": self.deny,
            "deny-spdx": self.deny_licenses,
        }
        clauses = [f"{kind}:{','.join(sorted(items))}" for kind, items in lists.items() if items]
        return ";".join([self.base, *clauses])

    def refusal(self, weights: Weights) -> str | None:
        """Why the policy refuses these weights, or None when it accepts them."""
        license = weights.license_weights
        if weights.name in self.deny:
            return "the policy denies it by name"
        if _listed(license, self.deny_licenses):
            return f"the policy denies the license {license}"
        if weights.name in self.allow:
            return None
        if self.licenses is not None and not _listed(license, self.licenses):
            return f"the policy allows only {', '.join(sorted(self.licenses))}"
        if self.base == "none":
            return "the policy allows only what it names"
        if self.base == "commercial" and weights.commercial_use != "yes":
            return (
                "the license forbids commercial use"
                if weights.commercial_use == "no"
                else "whether the license grants commercial use is unknown"
            )
        return None

    def check(self, weights: Weights) -> None:
        """Return if the policy accepts these weights.

        Raises:
            LicenseError: it does not; the message names the entry, its license and the reason.
        """
        reason = self.refusal(weights)
        if reason is None:
            return
        remedy = replace(
            self,
            allow=self.allow | {weights.name},
            deny=self.deny - {weights.name},
            deny_licenses=frozenset(
                item for item in self.deny_licenses if not _listed(item, {weights.license_weights})
            ),
        )
        raise LicenseError(
            f'license policy "{self}" refuses the weights "{weights.name}" (license of the '
            f"weights: {weights.license_weights}): {reason}. Choose other weights, or, if you may "
            f'use these, the policy "{remedy}".'
        )


_BASES = ("any", "commercial", "none")


def _listed(license: str, licenses: Collection[str]) -> bool:
    # SPDX identifiers are compared without regard to case (SPDX specification, annex D).
    return license.casefold() in {item.casefold() for item in licenses}
