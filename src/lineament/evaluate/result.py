"""What every protocol returns: one type, one table, one JSON object, one set of pictures.

A ``Result`` is one run on one data set. It has one or more ``Part``s, such as LFW's View 2 and all
pairs, each with its figures (``measures``) and, for the pictures, the scores behind them. The names
of figures have one home here, ``MEASURES``, so that they mean the same in all protocols.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from lineament import forms
from lineament.errors import OptionError
from lineament.evaluate.pair_counts import PairCounts
from lineament.results import Outcome
from lineament.text import per_cent
from lineament.types import FloatArray

Unit = Literal["share", "number", "count", "value"]
"""How a figure is shown: a share 0 to 1 as per cent; a plain number; a whole number; as it is."""

MEASURES: dict[str, tuple[str, Unit]] = {
    "accuracy_mean": ("accuracy", "share"),
    "accuracy_se": ("accuracy, standard error", "share"),
    "accuracy": ("accuracy", "share"),
    "accuracy_train": ("accuracy where it was fitted", "share"),
    "accuracy_test": ("accuracy", "share"),
    "precision": ("precision", "share"),
    "recall": ("recall", "share"),
    "f1": ("F1", "share"),
    "auc": ("AUC", "number"),
    "auc_test": ("AUC", "number"),
    "eer": ("EER", "share"),
    "threshold_value": ("threshold", "number"),
    "tar_at_fmr": ("TAR at FMR", "share"),
    "threshold_at_fmr": ("threshold for FMR", "number"),
    "rank": ("identified at rank", "share"),
    "dir_at_fpir": ("identified at FPIR", "share"),
    "threshold_at_fpir": ("threshold for FPIR", "number"),
    "rank1_at_distractors": ("rank 1 among distractors", "share"),
    "accuracy_at_references": ("accuracy with references a person", "share"),
    "rank1_at_references": ("rank 1 with references a person", "share"),
    "cllr": ("Cllr, bits", "number"),
    "min_cllr": ("minimum Cllr, bits", "number"),
    "ece": ("expected calibration error", "share"),
    "fmr": ("FMR", "share"),
    "fnmr": ("FNMR", "share"),
    "apcer": ("APCER, the worst kind", "share"),
    "apcer_by_kind": ("APCER", "share"),
    "apcer_unsure": ("attacks that it is unsure of", "share"),
    "bpcer": ("BPCER", "share"),
    "bpcer_unsure": ("living people whom it is unsure of", "share"),
    "acer": ("ACER", "share"),
    "n_live": ("living people", "count"),
    "n_attacks": ("attacks", "count"),
    "fmr_overall": ("FMR of all groups", "share"),
    "fnmr_overall": ("FNMR of all groups", "share"),
    "fmr_max_over_min": ("FMR, worst over best group", "number"),
    "fmr_max_over_geometric_mean": ("FMR, worst over geometric mean", "number"),
    "fnmr_max_over_min": ("FNMR, worst over best group", "number"),
    "fnmr_max_over_geometric_mean": ("FNMR, worst over geometric mean", "number"),
    "threshold_spread": ("spread of the groups' thresholds", "number"),
    "n_pairs": ("pairs", "count"),
    "n_pairs_without_face": ("pairs without a face", "count"),
    "n_genuine_pairs": ("genuine pairs", "count"),
    "n_impostor_pairs": ("impostor pairs", "count"),
    "n_people": ("people", "count"),
    "n_templates": ("templates", "count"),
    "n_probes": ("probes", "count"),
    "n_gallery": ("gallery", "count"),
    "n_photos": ("photos", "count"),
    "n_impostor_probes": ("probes of people not enrolled", "count"),
    "n_mated_searches": ("searches for people enrolled", "count"),
    "n_nonmated_searches": ("searches for people not enrolled", "count"),
    "n_distractors_repeating_probes": ("distractors left out as repeated", "count"),
}
"""Name of a figure -> how it is called in tables, and its unit. A figure may be a map: the keys are
texts such as "1e-3", and the table has a row for each. Figures that are not listed here go into
the JSON object and not into the table."""


@dataclass(frozen=True, slots=True)
class PairShown:
    """A pair of photos that a person should look at.

    Attributes:
        a, b: paths of the photos, or names when there are no files.
        same: whether the data set says that they show one person.
        score: similarity.
        picture_a, picture_b: encoded photos, where they do not lie in files of their own.
    """

    a: str
    b: str
    same: bool
    score: float
    picture_a: bytes | None = field(default=None, repr=False)
    picture_b: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores behind a part's figures; similarities, higher is more alike.

    Attributes:
        genuine: (G,) float32.
        impostor: (M,) float32.
    """

    genuine: FloatArray
    impostor: FloatArray

    @classmethod
    def of(cls, scores: FloatArray, same: Any) -> Scores:
        """Of labeled pairs: ``scores`` and ``same`` of any one shape."""
        flat, truth = np.ravel(scores).astype(np.float32), np.ravel(same).astype(bool)
        return cls(flat[truth], flat[~truth])


@dataclass(frozen=True, eq=False)
class Part:
    """One table of figures.

    Attributes:
        key: its name in the JSON object: lower-case letters, digits and "_".
        title: its name for people.
        measures: figures by the names of ``MEASURES``: numbers, or maps from text to number.
            Shares are 0 to 1, never per cent.
        scores: what the ROC, DET and histogram are drawn from: the pairs' scores, or the counts of
            all pairs; None where there are none.
        threshold: where it was decided, marked in the pictures.
        worst: the pairs that were judged most wrongly, the worst first.
        curves: further lines for pictures, such as {"references": {"1": 0.97, "2": 0.99}}.
    """

    key: str
    title: str
    measures: Mapping[str, Any]
    scores: Scores | PairCounts | None = None
    threshold: float | None = None
    worst: tuple[PairShown, ...] = ()
    curves: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str]]:
        """The figures in words: (name, value), each on a row of its own."""
        rows: list[tuple[str, str]] = []
        for name, value in self.measures.items():
            if name not in MEASURES or value is None or name == "accuracy_se":
                continue
            label, unit = MEASURES[name]
            if isinstance(value, Mapping):
                rows += [(f"{label} {key}", in_words(item, unit)) for key, item in value.items()]
            elif name == "accuracy_mean" and "accuracy_se" in self.measures:
                rows.append((label, with_error(value, self.measures["accuracy_se"])))
            else:
                rows.append((label, in_words(value, unit)))
        return rows


@dataclass(frozen=True, slots=True)
class Published:
    """A figure that others published, to set ours beside it.

    Attributes:
        name: of the model.
        value: a share, 0 to 1.
        source: where it was published.
        note: what else matters, such as how many photos it was trained on.
    """

    name: str
    value: float
    source: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class Result(Outcome):
    """One run of one protocol.

    Attributes:
        protocol: its name on the command line, for example "lfw".
        title: its name for people.
        data: the folder or file that was read.
        images: how many photos were compared.
        faces_found: in how many a face was found. Those without one stay in: see the protocol.
        errors: how many could not be read.
        parts: at least one.
        published: figures of others, and ``published_of`` the (part, measure) of ours they compare
            with.
        run: what embedded: contract, detector, preset, photos a second ...; JSON values.
        notes: sentences that the reader of the figures must know.
    """

    protocol: str
    title: str
    data: str
    images: int
    faces_found: int
    errors: int
    parts: tuple[Part, ...]
    published: tuple[Published, ...] = ()
    published_of: tuple[str, str] | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two parts of one key; OptionError."""
        keys = [part.key for part in self.parts]
        if not keys or len(set(keys)) < len(keys):
            raise OptionError(
                f"expected at least one, each with its own key, got {keys}", option="parts"
            )

    def part(self, key: str) -> Part:
        """The part of that key; OptionError names the others."""
        for part in self.parts:
            if part.key == key:
                return part
        raise OptionError(f"expected one of {', '.join(p.key for p in self.parts)}, got {key!r}")

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, ready for JSON: the parts by their keys."""
        values: dict[str, Any] = {
            "protocol": self.protocol,
            "data": self.data,
            "n_photos": self.images,
            "n_faces_found": self.faces_found,
            "n_errors": self.errors,
        }
        values |= {part.key: dict(part.measures) | _curves(part) for part in self.parts}
        if self.published:
            values["published"] = [forms.plain(row) for row in self.published]
        if self.notes:
            values["notes"] = list(self.notes)
        return values | dict(self.run)

    def rows(self) -> list[tuple[str, str]]:
        """The table of all parts: (measure, value)."""
        rows = [("photos", f"{self.images:,}"), ("faces found", f"{self.faces_found:,}")]
        if self.errors:
            rows.append(("could not be read", f"{self.errors:,}"))
        for part in self.parts:
            rows += [(f"{part.title}: {name}", value) for name, value in part.rows()]
        return rows

    def published_rows(self) -> list[tuple[str, str, str]]:
        """Ours among the published ones, the best first: (model, value, note)."""
        if not self.published or self.published_of is None:
            return []
        key, measure = self.published_of
        rows = list(self.published)
        if any(part.key == key for part in self.parts):
            ours = float(self.part(key).measures[measure])
            rows.append(Published("lineament, this run", ours, "", "measured now"))
        rows.sort(key=lambda row: -row.value)
        return [(row.name, in_words(row.value, "share"), row.note) for row in rows]


def in_words(value: Any, unit: Unit) -> str:
    """A figure as tables show it."""
    if value is None:
        return "not measurable"
    if unit == "share":
        return per_cent(value, 2)
    if unit == "number":
        return f"{value:.4f}"
    if unit == "count":
        return f"{value:,}"
    return str(value)


def with_error(share: float, error: float | None, *, named: bool = False) -> str:
    """A mean over folds with its standard error, "99.5 % ± 0.12 %".

    Where all folds give the same there is no such error to speak of, and that is said: "± 0 %"
    would claim certainty.

    Args:
        share: the mean, 0 to 1.
        error: of the mean; None where it is not known.
        named: say what comes after "±".
    """
    told = in_words(share, "share")
    if error is None or not math.isfinite(error):
        return told
    if error == 0:
        return f"{told} in every fold"
    return f"{told} ± {in_words(error, 'share')}{' (standard error)' if named else ''}"


def rate_text(rate: float) -> str:
    """A rate as a key: 0.001 is "1e-3", 0.0025 is "2.5e-3"."""
    digits, _, power = f"{rate:.6e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"


def by_text(rates: Mapping[float, float] | Iterable[tuple[float, float]]) -> dict[str, float]:
    """A map from rates to figures, with the rates as keys of JSON."""
    items = rates.items() if isinstance(rates, Mapping) else rates
    return {rate_text(rate): float(value) for rate, value in items}


def _curves(part: Part) -> dict[str, Any]:
    return {"curves": {k: dict(v) for k, v in part.curves.items()}} if part.curves else {}
