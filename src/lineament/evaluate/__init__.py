"""How good is it? Metrics, data sets and their protocols, calibration, and what others see of it.

Metrics, nothing but NumPy:

- ``metrics``: rates, curves and thresholds of verification, and of all pairs of a data set;
- ``identification``: open-set searches: rank k, detection and identification rate at FPIR;
- ``scoring``: likelihood ratios and probabilities: Cllr, calibration error, reliability;
- ``clustering``: groups without names: pairwise and BCubed precision and recall;
- ``fairness``: error rates by group and pair of groups;
- ``detection``: average precision of detectors as WIDER FACE's published evaluation computes it.

What feeds them, and what is made of them:

- ``embedding``: photos -> embeddings, with ``cache``; the one source of every protocol;
- ``protocols/``: one file a family: a folder and a source -> a ``result.Result``;
- ``calibrate``: known people -> a ``lineament.decide.calibration.Calibration``;
- ``tune``: the same for a folder of your own, which it cleans first;
- ``curves``, ``figures``, ``page``, ``report``: the numbers behind the pictures, the pictures, the
  page's blocks, and the page of a run.
"""
