"""Published recognition networks: the table, and how a file of theirs becomes a network of ours.

    match = recognize(shapes, "pytorch")    names and shapes of a file -> which network they are
    network = build(match, tensors)         its numbers -> a network, in evaluation mode

A file is recognized by the names of its values and their shapes alone, so no number has to be read
before it is known what it is. What is missing, of another shape or not known is named; ``build``
takes only a file that has all. Nothing is guessed: there is no threshold until ``lineament tune``
or ``lineament eval lfw`` has made one.

Networks from here take RGB of 0 to 255, as all of lineament's do: order of channels, mean and scale
lie in the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lineament.errors import MissingExtraError, OptionError, WeightsError
from lineament.zoo import (
    _deepface,
    _edgeface,
    _facenet,
    _ghostfacenet,
    _ir,
    _iresnet,
    _lightcnn,
    _mobilefacenet,
    _openface,
    _resnet_face,
    _sphereface,
    _vggface,
)
from lineament.zoo._layout import Framework, Layout, Published, Row, Shape, as_float32

if TYPE_CHECKING:
    from lineament.train.backbones.backbone import Backbone

__all__ = ["Match", "Published", "build", "entry", "names", "recognize"]

_LAYOUTS: tuple[Layout, ...] = (
    *_vggface.LAYOUTS,
    *_facenet.LAYOUTS,
    *_openface.LAYOUTS,
    *_deepface.LAYOUTS,
    *_iresnet.LAYOUTS,
    *_ir.LAYOUTS,
    *_resnet_face.LAYOUTS,
    *_sphereface.LAYOUTS,
    *_ghostfacenet.LAYOUTS,
    *_lightcnn.LAYOUTS,
    *_edgeface.LAYOUTS,
    *_mobilefacenet.LAYOUTS,
)

LEAST_SHARE = 0.5
"""Of a network's values that a file must have, so that it counts as a damaged one of them."""

_COUNTERS = re.compile(r"(^|.*\.)num_batches_tracked$")


@dataclass(frozen=True, slots=True)
class Match:
    """What a file of weights was recognized as.

    Attributes:
        published: which network.
        missing: names of values that the network needs and the file does not have.
        unexpected: names that lie among the network's and do not belong there.
        wrong: names of values of another shape: name, expected and found shape.
        ignored: names beside the network: heads and counters of its training.
        also: other published networks with the same names and shapes; which one it is, only the
            user knows. Give its name to ``recognize``.
        prefix: what stands before all names of the network, for example "module.".
    """

    published: Published
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    wrong: tuple[tuple[str, Shape, Shape], ...] = ()
    ignored: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def complete(self) -> bool:
        """Whether ``build`` can make a network of the file."""
        return not (self.missing or self.unexpected or self.wrong)

    def why_not(self) -> str:
        """What is wrong with the file, in words; "" if nothing is."""
        said = []
        if self.missing:
            said.append(f"it lacks {_some(self.missing)}")
        if self.wrong:
            name, expected, found = self.wrong[0]
            said.append(
                f"{len(self.wrong)} {_values(len(self.wrong))} of another shape, {name}: expected "
                f"{expected}, got {found}"
            )
        if self.unexpected:
            said.append(f"it has {_some(self.unexpected)}, which {self.published.name} has not")
        return "; ".join(said)


def names() -> list[str]:
    """The names of all published networks, in the order of the table."""
    return list(dict.fromkeys(layout.published.name for layout in _LAYOUTS))


def entry(name: str, framework: Framework | None = None) -> Published:
    """A published network by name.

    Args:
        name: one of ``names()``.
        framework: of the file, where a network is published in several; None: the first.

    Raises:
        OptionError: there is no such network, or not for that framework.
    """
    found = [layout.published for layout in _LAYOUTS if layout.published.name == name]
    if not found:
        raise OptionError(f"expected one of {', '.join(names())}, got {name!r}", option="name")
    fitting = [p for p in found if framework is None or p.framework == framework]
    if not fitting:
        raise OptionError(
            f"{name}: expected a file of {' or '.join(p.framework for p in found)}, got one of "
            f"{framework}",
            option="name",
        )
    return fitting[0]


def recognize(
    shapes: Mapping[str, tuple[int, ...]], format: str, *, name: str | None = None
) -> Match | None:
    """Tell which published network a file holds, by the names and shapes of its values.

    Args:
        shapes: name -> shape, as the file has them. A checkpoint's prefixes ("module.",
            "backbone.") may stand there; Keras names may have ":0" and their folders.
        format: of the file: "pytorch", "keras", "caffe" or "tensorflow".
        name: the network it is, if the user says so; None: the one that fits best.

    Returns:
        The network that fits best, with what is missing, unexpected and of a wrong shape; None if
        none comes near.

    Raises:
        OptionError: there is no network of that name for files of that format.
        MissingExtraError: PyTorch is not installed.
    """
    wanted = None if name is None else entry(name)
    layouts = [layout for layout in _LAYOUTS if layout.format == format]
    if wanted is None:
        layouts = [layout for layout in layouts if not layout.asked]
    if wanted is not None:
        layouts = [layout for layout in layouts if layout.published.name == wanted.name]
        if not layouts:
            entry(wanted.name, format)  # type: ignore[arg-type]  # says for which it is
    found = []
    for layout in layouts:
        fits, match = _compared(layout, shapes)
        if match is not None and fits >= LEAST_SHARE:
            faults = len(match.missing) + len(match.wrong) + len(match.unexpected)
            # A name that is part of the layout says more than one that may stand before any.
            rank = faults, _hinted(layout, shapes), len(match.prefix), -fits
            found.append((rank, match))
    if not found:
        return None
    found.sort(key=lambda each: each[0])
    rank, best = found[0]
    also = [
        other.published.name
        for each, other in found[1:]
        if each == rank and best.complete and other.published.name != best.published.name
    ]
    return replace(best, also=tuple(also))


def build(match: Match, tensors: Mapping[str, npt.NDArray[Any]]) -> Backbone:
    """Make a network of a file's numbers, in evaluation mode and on the CPU.

    Args:
        match: what ``recognize`` said of the file.
        tensors: name -> numbers, with the names that ``recognize`` got; more may be there.

    Returns:
        A network that takes (N, 3, height, width) float32, RGB of 0 to 255, of the entry's
        ``input_wh``, and returns (N, D), not of unit length.

    Raises:
        WeightsError: the file lacks values, has others, or they are no numbers.
        MissingExtraError: PyTorch is not installed.
    """
    published = match.published
    if not match.complete:
        raise WeightsError(
            f"{published.name}: expected all values of {published.title}, but {match.why_not()}"
        )
    torch = _torch()
    from lineament.zoo._building import finished

    layout = _layout_of(published)
    inside = _inside(layout, tensors, match.prefix)
    shapes = _our_shapes(layout)
    state = {}
    for row in layout.rows(shapes):
        original = inside.get(row.theirs)
        if original is None:
            if row.constant is None:
                raise WeightsError(f"{published.name}: expected {row.theirs!r}, it is not there")
            state[row.ours] = torch.full(shapes[row.ours], row.constant)
            continue
        state[row.ours] = torch.from_numpy(_checked(layout, row, shapes, tensors[original]))
    return finished(layout, state)


def _checked(
    layout: Layout, row: Row, shapes: Mapping[str, Shape], given: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    array = np.asarray(given)
    shape = shapes[row.ours]
    expected = row.stored.shape(shape)
    name = layout.published.name
    if array.shape != expected:
        raise WeightsError(f"{name}, {row.theirs}: expected shape {expected}, got {array.shape}")
    if array.dtype.kind != "f":
        raise WeightsError(f"{name}, {row.theirs}: expected real numbers, got {array.dtype}")
    made = as_float32(row.stored.ours(array, shape))
    if not np.isfinite(made).all():
        raise WeightsError(f"{name}, {row.theirs}: expected finite numbers, got others")
    if row.ours.endswith("running_var") and (made < 0).any():
        raise WeightsError(f"{name}, {row.theirs}: expected variances of 0 or more, got others")
    return made


def _compared(layout: Layout, shapes: Mapping[str, Shape]) -> tuple[float, Match | None]:
    """How well a file fits: the share of the network's values it has, and what is wrong."""
    best: tuple[float, Match | None] = 0.0, None
    for prefix in _prefixes(layout, shapes):
        inside = _inside(layout, shapes, prefix)
        ours = _our_shapes(layout)
        missing: list[str] = []
        wrong: list[tuple[str, Shape, Shape]] = []
        used = set()
        fits = count = 0
        for row in layout.rows(ours):
            original = inside.get(row.theirs)
            count += 1
            if original is None:
                if row.constant is None:
                    missing.append(row.theirs)
                else:
                    fits += 1
                continue
            used.add(original)
            expected, found = row.stored.shape(ours[row.ours]), tuple(shapes[original])
            if expected == found:
                fits += 1
            else:
                wrong.append((row.theirs, expected, found))
        left = {theirs: name for theirs, name in inside.items() if name not in used}
        ignorable = [re.compile(pattern) for pattern in layout.ignored]
        unexpected = [
            theirs
            for theirs in left
            if not _COUNTERS.match(theirs) and not any(p.match(theirs) for p in ignorable)
        ]
        ignored = [name for name in shapes if name not in used and name not in unexpected]
        match = Match(
            layout.published,
            tuple(missing),
            tuple(unexpected),
            tuple(wrong),
            tuple(ignored),
            prefix=prefix,
        )
        if fits / count > best[0]:
            best = fits / count, match
    return best


def _prefixes(layout: Layout, names: Iterable[str]) -> list[str]:
    """What may stand before the network's names, the shortest first."""
    told = layout.telltale
    found = set()
    for name in layout.canonical(names).values():
        before = name.removesuffix(told)
        if before != name and (not before or before[-1] in "./"):
            found.add(before)
    return sorted(found, key=len)


def _inside(layout: Layout, names: Iterable[str], prefix: str) -> dict[str, str]:
    """The canonical names below the prefix, without it -> the file's."""
    return {
        theirs.removeprefix(prefix): name
        for name, theirs in layout.canonical(names).items()
        if theirs.startswith(prefix)
    }


def _hinted(layout: Layout, shapes: Mapping[str, Shape]) -> int:
    """What the head of its training says: -1 it is this network, 1 it is not, 0 nothing."""
    said = [
        tuple(shapes[name]) == shape
        for hint, shape in layout.hints.items()
        for name in shapes
        if name == hint or name.endswith(f".{hint}")
    ]
    return 0 if not said else -1 if all(said) else 1


def _layout_of(published: Published) -> Layout:
    return next(layout for layout in _LAYOUTS if layout.published == published)


def _our_shapes(layout: Layout) -> dict[str, Shape]:
    """Of our backbone's values, without the counters; no memory is taken for them."""
    _torch()
    from lineament.zoo._building import shapes_of

    return shapes_of(layout)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("reading published weights", "train") from error
    return torch


def _some(names: tuple[str, ...], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _values(count: int) -> str:
    return "value is" if count == 1 else "values are"
