"""Faces in every pose: profiles, turned photos, large and cut faces, and pictures of nobody.

    python benchmarks/poses.py CFP_SAMPLE --lfw DIR [--wider DIR] [--without DIR]...
        [--part NAME]... [--people N | --all] [--json]

Everything goes through ``Recognizer("balanced")`` as users call it. LFW gives people of its
View 1, drawn by a seed: ``--people`` of them in each part (five times as many faces are painted
over). The parts, and what they print:

profiles   all pairs of a frontal photo and a profile of CFP's people. ``tar_at_fmr_...``: at the
           threshold of that rate over the impostor pairs; a photo without a face matches nobody.
           ``tar_fiducials_at_...`` is how good it would be with landmarks computed from the set's
           30 points. ``turned_wrongly``: share of the profiles whose face is said to be tilted by
           45 degrees more or less than these landmarks are: four heads do lean so far.
           ``landmark_error_...``: of the points that are seen in profile, in distances from eye to
           mouth, of the faces that are found.
angles     photos turned by 24 angles, the corners grey, black or as the border. ``angles``: share
           found, and at a cosine of 0.9 or more with the upright photo, by the angle (degrees
           counter-clockwise).
two        an upright face beside one that is turned: ``two_people``, share in which both are
           found and each is "the same person" as another, upright photo of theirs.
boxes      faces of 300 to 4,000 pixels: ``more_than_one_box``, share of pictures of one person.
cut        one photo of a pair of the same person, cut so that the border takes 35 to 55 % of the
           face away: ``cut``, share of the pairs that are "different" without a word, undecided,
           or without a face.
nobody     pictures without people: of the folders ``--without`` (each subfolder a kind), and LFW
           with the face painted over. ``false_faces``: share of the former with a face, and of
           the latter where there are no folders; ``false_faces_painted``: of the latter;
           ``false_enrolled``: share of all that ``enroll`` would take, too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from lineament import Recognizer

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "accuracy"))
from posing import profiles
from posing.frames import of_boxes, of_cut
from posing.nobody import of_nobody
from posing.setting import Setting
from posing.turns import ANGLES, of_angles, of_two

from _harness import Parser, at_least, report, table


def of_profiles(setting: Setting) -> dict[str, Any]:
    return profiles.measure(setting.recognizer, setting.options.folder)


PARTS = {
    "profiles": of_profiles,
    "angles": of_angles,
    "two": of_two,
    "boxes": of_boxes,
    "cut": of_cut,
    "nobody": of_nobody,
}


def run(options: Any) -> dict[str, Any]:
    setting = Setting(options, Recognizer("balanced"))
    figures: dict[str, Any] = {}
    for name in options.part or PARTS:
        if name == "profiles" or options.lfw is not None:
            figures |= PARTS[name](setting)
    return figures


# ---- printing ------------------------------------------------------------------------------------


def share(value: float) -> str:
    return f"{value:.2%}"


def show(figures: dict[str, Any]) -> None:
    plain = {
        name: value
        for name, value in figures.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    table(
        ("measure", "value"),
        (
            (name, value if isinstance(value, int) else f"{value:.4f}")
            for name, value in plain.items()
        ),
    )
    if "not_found" in figures:
        table(("without a face", "photos"), figures["not_found"].items())
    turns = [key for key in ("angles", "two_people", "two_people_found") if key in figures]
    if turns:
        rows = ((angle, *(share(figures[key][str(angle)]) for key in turns)) for angle in ANGLES)
        table(("degrees", *turns), rows)
    if "more_than_one_box_by" in figures:
        rows = (
            (name, cell["pictures"], share(cell["share"]))
            for name, cell in figures["more_than_one_box_by"].items()
        )
        table(("faces of pixels", "pictures", "more than one box"), rows)
    if "cut" in figures:
        rows = (
            (f"{side} {part}", *(share(cell[kind]) for kind in cell))
            for side, by_share in figures["cut"].items()
            for part, cell in by_share.items()
        )
        table(("cut", "different", "undecided", "same", "not found"), rows)
    if "false_faces_by" in figures:
        rows = (
            (kind, cell["pictures"], share(cell["share"]), share(cell["enrolled"]))
            for kind, cell in figures["false_faces_by"].items()
        )
        table(("pictures of nobody", "pictures", "with a face", "enrolled"), rows)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="CFP_SAMPLE")
    parser.add_argument("--lfw", type=Path, metavar="DIR", help="without it: only profiles")
    parser.add_argument("--wider", type=Path, metavar="DIR", help="for boxes, too")
    parser.add_argument(
        "--without",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="pictures without people, in subfolders by kind; repeatable",
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; repeatable")
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--people", type=at_least(2), metavar="N", help="so many of LFW in each part")
    many.add_argument("--all", action="store_true", help="everybody and every picture")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()
