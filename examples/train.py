"""From photos of people to a recognizer of one's own: cut the faces out, train, export, compare.

    python examples/train.py PEOPLE --out FOLDER [--epochs 20]

PEOPLE has one folder of photos per person. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lineament import FaceFinder, Recognizer
from lineament.train.config import from_dict
from lineament.train.data.aligning import align_people
from lineament.train.model.export import export_onnx
from lineament.train.run.loop import fit


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("people", type=Path, metavar="PEOPLE")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    aligned = align_people(options.people, options.out / "crops", FaceFinder())
    print(f"{aligned.written} crops of {aligned.people} people")
    run = fit(
        from_dict(
            {
                "run": {"out": str(options.out / "run"), "epochs": options.epochs},
                "data": {"path": str(options.out / "crops")},
                "backbone": {"name": "tiny"},
                "sampler": {"batch": min(32, aligned.written)},
                "loss": {"name": "arcface", "options": {"scale": 16}},
                "log": {"curves": False},
            }
        )
    )
    card = export_onnx(run.backbone, options.out / "mine.onnx", name="mine", overwrite=True)

    a, b = sorted(options.people.glob("*/*"))[:2]
    first, second = Recognizer(card).embed([a, b])
    similarity = float(first.vector @ second.vector)
    print(f"{a.name} and {b.name}: {similarity:.3f}; a threshold for it: lineament tune")


if __name__ == "__main__":
    main()
