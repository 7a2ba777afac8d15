"""``thresholds``: distances up to which two faces are of one person, by model and metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lineament.compat.deepface import _models as known
from lineament.compat.deepface.modules.exceptions import UnimplementedError


class _OfModel(Mapping[str, float]):
    """Metric -> distance of one model, from its calibration."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, metric: str) -> float:
        if metric not in known.METRICS:
            raise KeyError(metric)
        return known.model(self._name).threshold(metric)

    def __iter__(self) -> Iterator[str]:
        return iter(known.METRICS)

    def __len__(self) -> int:
        return len(known.METRICS)


class _Thresholds(Mapping[str, Mapping[str, float]]):
    """Model -> its thresholds; deepface's names, those that are available."""

    def __getitem__(self, name: str) -> Mapping[str, float]:
        try:
            known.card_name(name)
        except UnimplementedError as error:
            raise KeyError(name) from error
        return _OfModel(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name in known.PUBLISHED if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


thresholds: Mapping[str, Mapping[str, float]] = _Thresholds()
"""``thresholds["SFace"]["cosine"]``: by our calibration, one pair of strangers in ten thousand."""
