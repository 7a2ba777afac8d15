"""Parts of ``benchmarks/poses.py``: what is done to photos, and where the faces of CFP are."""
