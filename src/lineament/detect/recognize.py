"""What a file of the user's is, and the detector that it makes."""

from __future__ import annotations

from pathlib import Path

from lineament import models
from lineament.detect.cascade_file import is_cascade
from lineament.detect.detector import Detector
from lineament.detect.heads import Head, OneLook, output_shapes, probe_size
from lineament.detect.kinds import KINDS, described, target
from lineament.errors import MissingExtraError, OptionError, WeightsError
from lineament.files import read_regular
from lineament.models import Card, LicensePolicy
from lineament.models.cards import LARGEST_FILE
from lineament.models.runtime import Model, Runtime, load_model
from lineament.text import reason_of


def recognize_detector(path: str | Path, *, runtime: Runtime | None = None) -> str | None:
    """Say which kind of detector a file is, by its content: a name of ``KINDS``, or None.

    An ONNX network is run once on zeros; the number and shapes of its outputs decide.

    Raises:
        WeightsError: the file cannot be read.
    """
    path = Path(path).absolute()
    try:
        start = read_regular(path, at_most=LARGEST_FILE)[:65536]
    except OSError as error:
        raise WeightsError(f"{path}: expected a file, got: {reason_of(error)}") from error
    kind = _by_content(start)
    return kind if kind is not None else _by_shapes(path, runtime)


def _by_content(start: bytes) -> str | None:
    """The kind of a file that is no network of ONNX."""
    if is_cascade(start):
        return "haar"
    return "mmod" if b"loss_mmod" in start[:4096] else None


def _by_shapes(path: Path, runtime: Runtime | None) -> str | None:
    policy = LicensePolicy.parse("any")  # nothing of it is used yet
    try:
        card = described(path, None, None)
        model = load_model(
            card, runtime=runtime, policy=policy, few_sizes=card.input.size_wh is not None
        )
    except (MissingExtraError, OptionError):
        raise
    except WeightsError:
        return None
    heads: list[Head] = [target(name) for name, kind in KINDS.items() if kind.is_network]
    asked: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for head in heads:
        size = probe_size(card, head)
        try:
            if size not in asked:
                asked[size] = output_shapes(model, card, size)
        except WeightsError:
            asked[size] = []
        if head.fits(asked[size], size):
            return head.name
    return None


def build(card: Card, *, runtime: Runtime | None, policy: LicensePolicy, crops: bool) -> Detector:
    """The detector of a card whose ``builder`` is a kind.

    Raises:
        WeightsError: the file is missing, damaged, refused, or not of that kind.
    """
    assert card.builder is not None
    if not KINDS[card.builder].is_network:
        made: Detector = target(card.builder)(models.read(card, policy=policy), card)
        return made
    fixed = crops or card.input.size_wh is not None
    model: Model = load_model(card, runtime=runtime, policy=policy, few_sizes=fixed)
    head: Head = target(card.builder)
    try:
        return OneLook(model, card, head)
    except WeightsError as error:
        other = _by_shapes(card.path, runtime) if card.path is not None else None
        if other is None or other == head.name:
            raise
        raise WeightsError(str(error), hint=f"its outputs are those of the kind {other}") from error
