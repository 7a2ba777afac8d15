"""Parts of ``benchmarks/conditions.py``: whose photos, what is said of pairs, what is counted."""
