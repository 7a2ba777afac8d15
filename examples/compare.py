"""One question to every preset: are these two photos of the same person, and how sure is it?

    python examples/compare.py [A B]

Without photos the package's own are taken.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lineament
from lineament import Recognizer
from lineament.models import PRESETS

DEMO = Path(lineament.__file__).parent / "data" / "demo"


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", nargs="*", default=[DEMO / "obama.jpg", DEMO / "obama2.jpg"])
    a, b = parser.parse_args().photos
    for name in PRESETS:
        decision = Recognizer(name).verify(a, b)
        certainty = "no calibration" if decision.certainty is None else decision.certainty.in_words
        print(f"{name:<9} {decision.verdict:<10} {decision.similarity:.3f}  {certainty}")
        for reason in decision.reasons:
            print(f"          {reason}")


if __name__ == "__main__":
    main()
