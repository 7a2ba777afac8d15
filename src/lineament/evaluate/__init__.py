"""How good is it? Metrics, data sets and their protocols.

- ``metrics``: rates, curves and thresholds of verification; nothing but NumPy.
- ``lfw``: Labeled Faces in the Wild: View 1, View 2 and all pairs.
- ``detection``: average precision of detectors as WIDER FACE's published evaluation computes it.

Everything takes embeddings, scores or boxes as arrays. What makes them is of no concern here.
"""
