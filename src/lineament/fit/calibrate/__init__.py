"""Fit a ``lineament.decide.calibration.Calibration`` from embeddings and who is who.

All pairs of the photos are compared, in blocks, and counted in a histogram; only the genuine
scores, the highest impostor scores and a random sample of the others are kept one by one. Then:

1. two ways from score to log-likelihood ratio (LLR) are fitted with equal weight on genuine and
   impostor pairs: ``fit_logistic`` (a line) and ``fit_isotonic`` (any rising curve), and the one
   with the lower Cllr in cross-validation is taken. Folds are of people: a test pair has both of
   its people in one fold, a training pair neither;
2. a bootstrap over people gives the intervals. Each replica draws the people anew, with
   replacement: a genuine pair counts as often as its person was drawn, an impostor pair as often as
   the product of its two people's numbers. Pairs of one person are far from independent, so a
   bootstrap over pairs would give intervals that are much too narrow (Poh & Bengio, "Estimating the
   confidence interval of expected performance curve in biometric authentication using joint
   bootstrap", ICASSP 2007);
3. thresholds come from the highest impostor scores, where ``RULE_OF_30`` false matches stand behind
   them;
4. thresholds for galleries come from the exact expectation over all random galleries of the data's
   people (``scoring.expected_fpir``). Photos are the probes, each person counting as one, and
   each other person is enrolled with one photo, chosen at random; a few such choices are
   averaged.

A score is turned so that more alike is higher ("alike"), whatever the metric.

    fitting     ``fit``: all steps in their order
    pairs       all pairs -> counts, and the scores that matter one by one
    likelihood  counts -> LLR, two ways
    resampling  folds: which way is better; bootstrap: intervals of curve and thresholds
    galleries   thresholds for galleries
"""

from __future__ import annotations

from lineament.fit.calibrate._fitting import FMRS, FOLDS, FPIRS, N_BOOTSTRAP, Fitted, fit

__all__ = ["FMRS", "FOLDS", "FPIRS", "N_BOOTSTRAP", "Fitted", "fit"]
