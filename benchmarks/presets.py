"""What each preset, recognizer and ensemble is worth, and what it takes.

    python benchmarks/presets.py DIR [--quick | --only hard] [--json]

``accuracy/presets.py`` by a shorter name: it says what is measured.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "accuracy"))
import presets

if __name__ == "__main__":
    presets.main()
