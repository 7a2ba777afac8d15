"""Parts of ``benchmarks/video.py``: films of known people, with the truth of every frame."""
