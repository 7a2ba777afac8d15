"""A model's card: what it is, what it takes, and what may be done with it.

``Card`` is one model; its form in JSON is that of ``data/models/NAME/card.json`` and of each entry
of a manifest, ``{"schema": 1, "weights": [card, ...]}``. A card may come from anywhere, so nothing
in it is taken on trust: unknown and missing keys, wrong types, numbers that are not finite, paths
that lead out of the card's folder, addresses that are not HTTP and control characters are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

from lineament.errors import WeightsError
from lineament.files import read_regular
from lineament.text import reason_of

Task = Literal["embedder", "detector", "landmarker", "attributes", "liveness"]
CommercialUse = Literal["yes", "no", "unknown"]
ColorOrder = Literal["rgb", "bgr", "gray"]
Layout = Literal["nchw", "nhwc"]
View = Literal["crop", "mirror", "both"]

TASKS: tuple[Task, ...] = ("embedder", "detector", "landmarker", "attributes", "liveness")

SCHEMA = 1
"""Of manifests."""

LARGEST_TEXT_FILE = 4 << 20
"""In bytes: a manifest or card beyond is a mistake or an attack."""

LARGEST_FILE = 1 << 31
"""Of a model, in bytes: 2 GiB, beyond which ONNX files keep their weights in others."""

MOST_MEMBERS = 16
"""Of an embedder that joins others."""

LONGEST = 1 << 16
"""Numbers of an embedding."""

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
NAME_RULE = 'up to 64 of a-z, 0-9, ".", "_", "-", the first a letter or a digit'
# SPDX specification, annex "SPDX license expressions": idstring = 1*(ALPHA / DIGIT / "-" / ".").
SPDX_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-")
_HEX = frozenset("0123456789abcdef")
_FORMER_TASKS = {"recognizer": "embedder", "landmarks": "landmarker"}

Number = Annotated[float, Meta(ge=-1e15, le=1e15)]
Small = Annotated[float, Meta(ge=-1e6, le=1e6)]
Share = Annotated[float, Meta(gt=0, le=1)]
Side = Annotated[int, Meta(ge=1, le=1 << 14)]
# Bounds inside of this union are misread by msgspec 0.23: ``InputSpec`` checks its numbers itself.
PerChannel = float | tuple[float, float, float]


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that stands in a file."""

    def replace(self, **changes: Any) -> Self:
        """The same with other values; their types are not checked."""
        return msgspec.structs.replace(self, **changes)


class InputSpec(Form, frozen=True, forbid_unknown_fields=True):
    """What the network takes.

    Attributes:
        size_wh: width and height in pixels, or None when the network takes any size.
        color_order: "rgb", "bgr" or "gray" (one channel).
        mean, scale: the network is fed ``(x - mean) * scale`` with x from 0 to 255; one number, or
            one a channel in ``color_order``. 0 and 1 where the graph scales by itself, as all
            bundled ones do.
        layout: float32, "nchw": (photos, channels, height, width), or "nhwc".
    """

    size_wh: tuple[Side, Side] | None
    color_order: ColorOrder
    mean: PerChannel
    scale: PerChannel
    layout: Layout = "nchw"

    def __post_init__(self) -> None:
        """WeightsError says what does not fit."""
        for key, value in (("mean", self.mean), ("scale", self.scale)):
            values = value if isinstance(value, tuple) else (value,)
            if not all(-1e15 <= v <= 1e15 for v in values):
                raise _wrong(key, "finite numbers", value)
            if len(values) > 1 and self.color_order == "gray":
                raise _wrong(key, "one number for the one channel", value)
            if key == "scale" and 0 in values:
                raise _wrong(key, "a number that is not 0", value)


class Source(Form, frozen=True, forbid_unknown_fields=True):
    """Where a bundled file was taken from: a package of a registry, and the path inside it."""

    package: str
    version: str
    path: str

    def __post_init__(self) -> None:
        """WeightsError says what does not fit."""
        _check_texts(self, "package", "version", "path")


class Measurement(Form, frozen=True, forbid_unknown_fields=True):
    """One score, with the protocol and data that make it a score of something."""

    value: Number
    protocol: str

    def __post_init__(self) -> None:
        """WeightsError says what does not fit."""
        _check_texts(self, "protocol")


class StatedThreshold(Form, frozen=True, forbid_unknown_fields=True):
    """From which value on two embeddings of this model count as one person.

    Attributes:
        metric: the name of the comparison, for example "cosine".
        threshold: in the metric's unit.
        fmr: the false match rate that it is meant for, 0 to 1.
        flip: whether the embeddings were averaged over the mirrored crop.
        data: the protocol and data it was fitted on.
        n_impostor_pairs: how many pairs of two persons it was fitted on.
    """

    metric: str
    threshold: Number
    fmr: Annotated[float, Meta(ge=0, le=1)]
    flip: bool
    data: str
    n_impostor_pairs: Annotated[int, Meta(ge=1, le=1 << 50)]

    def __post_init__(self) -> None:
        """WeightsError says what does not fit."""
        _check_texts(self, "metric", "data")


class Member(Form, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One network of an embedder that joins several.

    Attributes:
        name: of its card; it takes the same crops as the others.
        share: of its cosine in the whole's, above 0; the shares sum to 1.
        view: what it sees: the crop, its mirror image, or both, whose outputs are averaged; twice
            the time.
    """

    name: str
    share: Share
    view: View = "both"

    def __post_init__(self) -> None:
        """WeightsError says what does not fit."""
        _check_name(self.name)


class NormTerm(Form, frozen=True, forbid_unknown_fields=True):
    """One more coordinate of the vector, from the norm of the first member's embedding.

    Impostor scores hardly depend on how long the embeddings are, genuine ones do: those of a poor
    photo are lower. The coordinate ``offset - slope * clip((norm - mean) / sd, least, most)``
    raises the score of two poor photos a little and lowers that of two good ones.
    """

    mean: Small
    sd: Annotated[float, Meta(ge=1e-6, le=1e6)]
    offset: Small
    slope: Small
    least: Small
    most: Small

    def __post_init__(self) -> None:
        """WeightsError says what does not fit."""
        if self.least >= self.most:
            raise _wrong("least", f'a number below that of "most", {self.most:g}', self.least)


class HeadFile(Form, frozen=True, forbid_unknown_fields=True):
    """The file of an embedder's learned similarity (``lineament.decide.siamese``).

    Attributes:
        file: path, relative to the card.
        sha256: of the file, 64 hexadecimal digits.
    """

    file: str
    sha256: str

    def __post_init__(self) -> None:
        """WeightsError says what does not fit."""
        _check_path("file", self.file)
        _check_sha256(self.sha256)


class CardForm(Form, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A card as its file has it; ``Card`` describes the attributes."""

    name: str
    task: Literal[
        "embedder",
        "detector",
        "landmarker",
        "attributes",
        "liveness",
        "recognizer",
        "landmarks",
    ]
    file: str | None = None
    weights_of: str | None = None
    url: str | None = None
    sha256: str
    bytes: Annotated[int, Meta(ge=1, le=LARGEST_FILE)]
    input: InputSpec
    dimension: Annotated[int, Meta(ge=1, le=LONGEST)] | None
    alignment: str | None
    builder: str | None = None
    license_code: str
    license_weights: str
    commercial_use: CommercialUse
    license_file: str | None = None
    training_data: str
    source: Source | None = None
    paper: str | None = None
    members: Annotated[tuple[Member, ...], Meta(max_length=MOST_MEMBERS)] | None = None
    norm_term: NormTerm | None = None
    measured: dict[str, Measurement] | None = None
    thresholds: tuple[StatedThreshold, ...] | None = None
    quality_limits: dict[str, Number] | None = None
    siamese: HeadFile | None = None
    notes: str | None = None

    def __post_init__(self) -> None:
        """WeightsError says what does not fit."""
        # Names of tasks in files written before these had their own.
        task = _FORMER_TASKS.get(self.task, self.task)
        msgspec.structs.force_setattr(self, "task", task)
        for key, empty in (("members", ()), ("measured", {}), ("thresholds", ())):
            if getattr(self, key) is None:
                msgspec.structs.force_setattr(self, key, empty)
        if self.quality_limits is None:
            msgspec.structs.force_setattr(self, "quality_limits", {})
        _check_name(self.name)
        if self.weights_of is not None:
            _check_name(self.weights_of)
        _check_sha256(self.sha256)
        for key in ("license_code", "license_weights"):
            _check_spdx(key, getattr(self, key))
        _check_texts(self, "training_data", "alignment", "builder", "paper", "notes")
        for key in ("file", "license_file"):
            _check_path(key, getattr(self, key))
        _check_url(self.url)
        self._check_what_belongs_together(task)

    def _check_what_belongs_together(self, task: str) -> None:
        members: tuple[Member, ...] = self.members or ()
        embeds = task == "embedder"
        if members and (not embeds or self.file is not None):
            raise _wrong("members", "null for anything but an embedder without a file", "members")
        if self.weights_of is not None and (self.file is None or self.weights_of == self.name):
            raise _wrong("weights_of", "null, or another model's name and a file", self.weights_of)
        if members and abs(sum(member.share for member in members) - 1) > 1e-6:
            raise _wrong("members", "shares that sum to 1", [m.share for m in members])
        if len({self.name, *(member.name for member in members)}) <= len(members):
            raise _wrong("members", "others, each once", [m.name for m in members])
        if members and self.dimension is None:
            raise _wrong("dimension", "the sum of the members' dimensions", None)
        if self.siamese is not None and not embeds:
            raise _wrong("siamese", "null for anything but an embedder", self.siamese.file)
        if self.norm_term is not None and not members:
            raise _wrong("norm_term", "null, since the card has no members", "one")
        if (self.alignment is None) == embeds:
            expected = "a text for embedders and null for the other tasks"
            raise _wrong("alignment", expected, self.alignment)
        if self.dimension is not None and not embeds:
            expected = "null, since only embedders have an embedding"
            raise _wrong("dimension", expected, self.dimension)
        if self.commercial_use == "yes" and "-nc" in self.license_weights.casefold():
            expected = f'"no", which is what {self.license_weights} says'
            raise _wrong("commercial_use", expected, self.commercial_use)


class Card(CardForm, frozen=True, forbid_unknown_fields=True, kw_only=True, eq=False):
    """One model: what it is, what it takes, and what may be done with it.

    Attributes:
        name: how it is asked for: lower-case letters, digits, ".", "_" and "-".
        task: "embedder", "detector", "landmarker", "attributes" (of a face, such as its age) or
            "liveness".
        file: path of the file, relative to the card; None when it must be downloaded.
        weights_of: name of the model from whose weights its own are computed: ``file`` holds all
            the rest (``lineament.models.borrowed``). None: the file is complete.
        url: where it can be downloaded; None when there is no such place.
        sha256: of the file, 64 hexadecimal digits; with ``weights_of``, of the network that both
            files make together, so that it covers all that the engine gets.
        bytes: size of what has that hash.
        input: what the network is fed.
        dimension: length of the embedding; None for the other tasks, and where it is only known
            once the file is loaded.
        alignment: for embedders, how the crop must have been made, for example "arcface-112".
        builder: name of the registered embedder that runs it (``lineament.embed``); None: the
            one for networks, or for ``members``.
        license_code: SPDX identifier of the package that the file comes from, or "unknown".
        license_weights: SPDX identifier under which the weights are published, or "unknown".
        commercial_use: whether ``license_weights`` grants commercial use. It repeats what the
            publisher grants; whether the publisher was free to do so depends on the training data.
        license_file: path of the license's text, relative to the card.
        training_data: what is known of them, "unknown" where nothing is.
        source: the package it was taken from.
        paper: the publication that describes the network.
        members: for an embedder that joins others and has no file: its vector holds theirs one
            after the other, so that its cosine is the weighted mean of their cosines.
        norm_term: of such an embedder, if it has one.
        measured: scores by name.
        thresholds: of an embedder without a calibration: they hold for this model and the data
            they name, and for nothing else.
        quality_limits: from where on photos are too poor for an embedder, by the names of
            ``lineament.quality.QualityLimits``; empty: those for embedders that nobody measured.
        siamese: the file of an embedder's learned similarity; None: it has none.
        notes: what else one should know.
        folder: where the card (or the file of ``from_file``) lies on this machine. It is no
            part of the description: cards are equal without it.
    """

    task: Task
    members: tuple[Member, ...] = ()
    measured: dict[str, Measurement] = {}
    thresholds: tuple[StatedThreshold, ...] = ()
    quality_limits: dict[str, Number] = {}
    folder: Path = Path()

    def __eq__(self, other: object) -> bool:
        """Equal descriptions, wherever they lie."""
        return isinstance(other, Card) and self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        """In short."""
        return f"Card({self.name!r}, {self.task}, {self.license_weights})"

    def __hash__(self) -> int:
        """Of what tells models apart."""
        return hash((self.name, self.sha256))

    @property
    def path(self) -> Path | None:
        """Where the file should lie, or None when it must be downloaded."""
        return None if self.file is None else self.folder / self.file

    @property
    def mirrored(self) -> bool:
        """Whether it joins others that all see the mirror image, too: nothing is left to flip."""
        return bool(self.members) and all(member.view == "both" for member in self.members)

    def to_dict(self) -> dict[str, Any]:
        """The card as its file has it, ready for JSON."""
        values = {key: getattr(self, key) for key in self.__struct_fields__ if key != "folder"}
        if not self.members:  # said only of embedders that join others
            del values["members"], values["norm_term"]
        for key in ("weights_of", "builder", "thresholds", "quality_limits", "siamese"):
            if not values[key]:
                del values[key]
        plain: dict[str, Any] = msgspec.to_builtins(values)
        return plain


def made(form: CardForm, folder: Path) -> Card:
    """The card of a form that was read from a file in ``folder``."""
    values = {key: getattr(form, key) for key in form.__struct_fields__}
    return Card(**values, folder=folder)


def read_text(path: Path) -> bytes:
    """The bytes of a manifest, a card or a license. WeightsError: there are none, or too many."""
    try:
        return read_regular(path, at_most=LARGEST_TEXT_FILE)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {reason_of(error)}") from error


# --- checks ---------------------------------------------------------------------------------------


def is_name(value: object) -> bool:
    """Whether a model may be called that: ``NAME_RULE``."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= 64
        and NAME_CHARACTERS.issuperset(value)
        and value[0] not in "._-"
    )


def shown(value: object) -> str:
    """A value as a message may show it: short, and without control characters."""
    text = ascii(value) if not isinstance(value, str) else '"' + ascii(value)[1:-1] + '"'
    return text if len(text) <= 80 else f"{text[:77]}..."


class _ValueError(WeightsError, ValueError):
    """A ValueError, so that msgspec adds the place."""


def _wrong(key: str, expected: str, value: object) -> _ValueError:
    return _ValueError(f'key "{key}": expected {expected}, got {shown(value)}')


def _check_name(value: str) -> None:
    if not is_name(value):
        raise _wrong("name", NAME_RULE, value)


def _check_sha256(value: str) -> None:
    if len(value) != 64 or not set(value) <= _HEX:
        raise _wrong("sha256", "64 lower-case hexadecimal digits", value)


def _check_texts(owner: object, *keys: str) -> None:
    """Texts that are safe to print, or None."""
    for key in keys:
        value = getattr(owner, key)
        if value is not None and not (value.strip() and value.isprintable()):
            raise _wrong(key, "a text without line breaks or control characters", value)


def _check_spdx(key: str, value: str) -> None:
    if not value or not SPDX_CHARACTERS.issuperset(value):
        raise _wrong(key, 'one SPDX identifier such as "MIT", "LicenseRef-...", "unknown"', value)


def _check_path(key: str, value: str | None) -> None:
    """A path that stays in the card's folder, on every system."""
    if value is None:
        return
    bad = {"", ".", ".."}
    outside = any(c in value for c in "\\:") or any(part in bad for part in value.split("/"))
    if outside or not value.strip() or not value.isprintable():
        raise _wrong(key, 'a path below the card, with "/" and without ".."', value)


def _check_url(value: str | None) -> None:
    """An address that a plain HTTP client can fetch."""
    if value is None:
        return
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and parts.hostname is not None
        good = good and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not value.isascii() or " " in value or not value.isprintable():
        raise _wrong("url", "an http or https address without a user name", value)
