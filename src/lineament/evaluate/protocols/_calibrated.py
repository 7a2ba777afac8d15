"""How well a calibration's probabilities agree with the pairs of a data set."""

from __future__ import annotations

import numpy as np

from lineament.decide.calibration import DEFAULT_PRIOR, Calibration
from lineament.errors import OptionError
from lineament.evaluate.result import Part, Scores
from lineament.evaluate.scoring import cllr, min_cllr, reliability

KEY = "calibration"


def calibration_part(scores: Scores, calibration: Calibration, title: str) -> Part:
    """Judge a calibration by pairs that it was not fitted on.

    The prior is one half: where there are more pairs of one kind, each of the other kind counts
    for more, so that both weigh the same.

    Args:
        scores: cosines of genuine and impostor pairs.
        calibration: for the cosine.
        title: of the pairs, for people.

    Raises:
        OptionError: the calibration is for another metric, or pairs of one kind are missing.
    """
    if calibration.metric != "cosine":
        raise OptionError(f"expected a calibration of the cosine, got {calibration.metric}")
    genuine, impostor = (
        np.clip(values.astype(np.float64), -1, 1) for values in (scores.genuine, scores.impostor)
    )
    if not (len(genuine) and len(impostor)):
        raise OptionError("expected genuine and impostor pairs, got one kind only")
    llr = calibration.llr_of(genuine), calibration.llr_of(impostor)
    both = np.concatenate([genuine, impostor])
    same = np.arange(len(both)) < len(genuine)
    weights = np.where(same, len(both) / len(genuine), len(both) / len(impostor))
    claimed = calibration.probabilities(both, DEFAULT_PRIOR)
    width = reliability(claimed, same, weights=weights)
    mass = reliability(claimed, same, weights=weights, equal="mass")
    keys = [f"{p:.4f}" for p in width.probability]
    return Part(
        KEY,
        f"calibration, {title}",
        {
            "ece": width.ece,
            "ece_equal_mass": mass.ece,
            "cllr": cllr(*llr),
            "min_cllr": min_cllr(genuine, impostor),
            "n_genuine_pairs": len(genuine),
            "n_impostor_pairs": len(impostor),
            "prior": DEFAULT_PRIOR,
            "bins": width.to_rows(),
            "fitted_on": {
                "data": calibration.data,
                "n_people": calibration.n_people,
                "n_genuine_pairs": calibration.n_genuine_pairs,
                "n_impostor_pairs": calibration.n_impostor_pairs,
                "method": calibration.method,
            },
        },
        curves={
            "reliability": dict(zip(keys, width.observed.tolist(), strict=True)),
            "reliability_low": dict(zip(keys, width.low.tolist(), strict=True)),
            "reliability_high": dict(zip(keys, width.high.tolist(), strict=True)),
            "reliability_count": dict(zip(keys, width.pairs.tolist(), strict=True)),
        },
    )
