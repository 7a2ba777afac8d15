"""How good is it? Metrics, protocols and their results; nothing is read, fitted or drawn here.

Metrics, nothing but NumPy:

- ``metrics``: rates, curves and thresholds of verification; ``pair_counts``: of all pairs of a set;
- ``identification``: open-set searches: rank k, detection and identification rate at FPIR;
- ``scoring``: likelihood ratios and probabilities: Cllr, calibration error, reliability;
- ``clustering``: groups without names: pairwise and BCubed precision and recall;
- ``tracking``: people in films: HOTA, IDF1, identity switches;
- ``fairness``: error rates by group and pair of groups;
- ``detection``: average precision of detectors as WIDER FACE's published evaluation computes it;
- ``curves``: the numbers behind ROC, DET, histogram and reliability diagram.

Measuring:

- ``protocols/``: what is measured, one file each: labeled photos (``lineament.datasets``) and a
  source of embeddings -> a ``result.Result``;
- ``result``: one type for all: tables, JSON, and what pictures are made from.
"""
