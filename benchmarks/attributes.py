"""How faces look: gender, age, expression, eyes, mouth and gaze, against what is known of photos.

    python benchmarks/attributes.py DIR [--only PART]... [--people N] [--att DIR] [--cfp DIR]
        [--quick] [--json]

DIR is LFW's folder. ``--att`` and ``--cfp`` are the faces of AT&T and the sample of CFP; where they
are not given, and do not lie beside DIR under their names, what rests on them is left out.
``--only``: of gender, ways, age, expression, att, gaze, cost; all without.

gender_...     of people who are not in View 1, on which the unit was fitted: one photo each, by
               unambiguous first names (``accuracy/looking/names.py``): ``gender_accuracy``,
               ``gender_men``, ``gender_women``: the side of one half that the probability is on.
gender         ``undecided`` of men and women, what is ``wrong`` of those that are said.
ways           as many women as men: by the network of the ages alone, the embedding's part of the
               unit alone, and both; ``kinds``: people blurred, small, dark, gray, compressed.
age            of people who are not in View 1 and whose year of birth is known: mean absolute
               error, mean error, and how many lie ``within`` the interval; the same by age.
expression     of photos that one person had labeled before: ``smiling`` and ``not_smiling`` that
               are said so, and ``undecided``, of AT&T and of LFW View 1; ``seen``: of what was said
               and looked at afterwards, the share in which a person saw it.
eyes, mouth    of AT&T: the share of open and shut ones that are said so, and of undecided ones.
gaze           irises of CFP's people moved by known degrees: by how much the answer moved, in the
               median, and the median deviation from that; faces that were seen twice, once in the
               mirror: median difference after turning the sign; ``camera``: median angle from the
               camera of frontal faces, most of whom look into it.
pose           the same two of mirrored photos: yaw and roll.
cost           processor time of all attributes, and of age and gender alone, over that of finding
               and embedding one face, in turns; ``ms``: a face, in milliseconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lineament import Recognizer
from lineament.align.mesh_pose import rotations_of_meshes
from lineament.attributes import AttributeReader, FaceAttributes
from lineament.attributes.gender import bundled_unit, log_odds
from lineament.finder import FaceFinder
from lineament.types import Image, Photo

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "accuracy"))
from looking import labels
from looking.moving import moved_eyes
from looking.names import BORN, labeled, people_of_view1

from _harness import Parser, at_least, report, table, track

TAKEN_IN = 2003
QUICK_PEOPLE, QUICK_ATT, QUICK_MOVED = 300, 120, 12
MOVED = 60
MOVES = ((-20, 0), (-10, 0), (10, 0), (20, 0), (0, -10), (0, 10))
"""Degrees to the viewer's right and up."""

AGES = ((0, 25), (25, 40), (40, 60), (60, 120))
KINDS: Mapping[str, Callable[[Image], Image]] = {
    "blurred": lambda image: cv2.GaussianBlur(image, (0, 0), 2.0),
    "a third of the size": lambda image: cv2.resize(
        image, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA
    ),
    "dark": lambda image: (image * 0.3).astype(np.uint8),
    "gray": lambda image: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
    "JPEG 15": lambda image: cv2.cvtColor(
        cv2.imdecode(
            cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 15])[1],
            cv2.IMREAD_COLOR,
        ),
        cv2.COLOR_BGR2RGB,
    ),
}
HALVES, QUICK_HALVES = 200, 40
"""People of each of these: half men, half women."""

PARTS = ("gender", "ways", "age", "expression", "att", "gaze", "cost")

Rows = list[tuple[str, FaceAttributes]]


def looked_at(
    reader: AttributeReader,
    photos: Iterable[Any],
    names: Sequence[str],
    only: Sequence[str] | None,
    label: str,
) -> Rows:
    """The face that each photo is of, by the photo's name; photos without a face are left out."""
    found: Rows = []
    stream = FaceFinder(choose="central").stream(photos, keep_pixels=True)
    for name, photo in zip(names, track(stream, label, len(names)), strict=True):
        if photo.index is None or photo.error is not None:
            continue
        found.append((name, reader.read(photo, faces=[photo.index], only=only)[0]))
    return found


# --- gender ---------------------------------------------------------------------------------------


def shares_right(rows: Sequence[tuple[bool, float]]) -> dict[str, Any]:
    """``rows``: whether it is a man, and the probability."""
    man = np.array([row[0] for row in rows], bool)
    right = (np.array([row[1] for row in rows]) > 0.5) == man
    return {
        "accuracy": float(right.mean()),
        "men": float(right[man].mean()) if man.any() else None,
        "women": float(right[~man].mean()) if (~man).any() else None,
        "people": len(rows),
    }


def said_of(rows: Rows, man_of: Mapping[str, bool]) -> dict[str, Any]:
    """How many are undecided, and how many of the others wrong."""
    figures: dict[str, Any] = {}
    for name, man in (("men", True), ("women", False)):
        said = [
            face.gender.verdict
            for person, face in rows
            if man_of[person] is man and face.gender is not None
        ]
        decided = [verdict for verdict in said if verdict != "undecided"]
        wrong = sum(verdict == ("woman" if man else "man") for verdict in decided)
        figures[name] = {
            "undecided": 1 - len(decided) / max(1, len(said)),
            "wrong": wrong / max(1, len(decided)),
        }
    return figures


def gender_of(lfw: Path, reader: AttributeReader, most: int | None) -> dict[str, Any]:
    man_of, path_of = others_of(lfw)
    people = spread(list(man_of), most)
    paths = [path_of[person] for person in people]
    rows = looked_at(reader, paths, people, ["gender"], "gender")
    whole = shares_right([(man_of[person], man(face)) for person, face in rows])
    return {
        "gender_accuracy": whole["accuracy"],
        "gender_men": whole["men"],
        "gender_women": whole["women"],
        "gender_people": whole["people"],
        "gender": said_of(rows, man_of),
    }


def others_of(lfw: Path) -> tuple[dict[str, bool], dict[str, Path]]:
    """People who are not in View 1 and whose first name says it: whether it is a man, a photo."""
    view1 = people_of_view1(lfw)
    others = [each.name for each in sorted((lfw / "images").iterdir()) if each.name not in view1]
    man_of = labeled(others)
    return man_of, {p: sorted((lfw / "images" / p).glob("*.jpg"))[0] for p in man_of}


def ways_and_kinds(lfw: Path, reader: AttributeReader, quick: bool) -> dict[str, Any]:
    man_of, path_of = others_of(lfw)
    few = halves(list(man_of), man_of, QUICK_HALVES if quick else HALVES)
    kinds = {}
    for kind, change in KINDS.items():
        pictures = [change(pixels_of(path_of[person])) for person in few]
        seen = looked_at(reader, pictures, few, ["gender"], kind)
        kinds[kind] = shares_right([(man_of[p], man(face)) for p, face in seen])
    return {"ways": ways_of(reader, path_of, few, man_of), "kinds": kinds}


def man(face: FaceAttributes) -> float:
    assert face.gender is not None
    return face.gender.man


def pixels_of(path: Path) -> Image:
    image = cv2.imread(str(path))
    assert image is not None
    return np.ascontiguousarray(image[:, :, ::-1])


def spread(items: list[str], most: int | None) -> list[str]:
    """So many of them, evenly."""
    if most is None or most >= len(items):
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def halves(people: list[str], man_of: Mapping[str, bool], most: int) -> list[str]:
    """As many women as men."""
    men = [person for person in people if man_of[person]]
    women = [person for person in people if not man_of[person]]
    return spread(men, most // 2) + spread(women, most // 2)


def ways_of(
    reader: AttributeReader,
    path_of: Mapping[str, Path],
    chosen: list[str],
    man_of: Mapping[str, bool],
) -> dict[str, Any]:
    """The network of the ages alone, the unit without it, and both."""
    unit = bundled_unit()
    scores: dict[str, list[tuple[bool, float]]] = {"network": [], "embedding": [], "both": []}
    files = [path_of[person] for person in chosen]
    finder = FaceFinder(choose="central")
    for person, photo in zip(chosen, finder.stream(files, keep_pixels=True), strict=True):
        if photo.face is None or photo.index is None:
            continue
        image = photo.needed_pixels()
        seen = reader.ages.read_both(reader.ages.shown(image, [photo.face]))
        crop = finder.crops(photo, [photo.index], alignment="arcface-112")
        vector = reader.genders.embedded(crop)
        assert seen.mirrored is not None
        odds = np.stack([log_odds(seen.male), log_odds(seen.mirrored)], axis=1)
        answers = {
            "network": float((seen.male + seen.mirrored)[0] / 2),
            "embedding": float((vector @ unit.vector)[0]),
            "both": float(unit.man(odds, vector)[0]),
        }
        for way, answer in answers.items():
            scores[way].append((man_of[person], answer))
    middle = float(np.median([answer for _, answer in scores["embedding"]]))
    scores["embedding"] = [(is_man, 0.5 + a - middle) for is_man, a in scores["embedding"]]
    return {way: shares_right(rows) for way, rows in scores.items()}


def gender_att(rows: Rows) -> dict[str, Any]:
    """Each photo of AT&T, and its people by the means of theirs."""
    by: dict[int, list[float]] = {}
    for name, face in rows:
        by.setdefault(int(name.split("/")[0]), []).append(man(face))
    known = {p: values for p, values in by.items() if p not in labels.ATT_UNCLEAR}
    people = [(p not in labels.ATT_WOMEN, float(np.mean(values))) for p, values in known.items()]
    photos = [(p not in labels.ATT_WOMEN, value) for p, each in known.items() for value in each]
    return {"by_person": shares_right(people), "by_photo": shares_right(photos)}


def att_path(att: Path, name: str) -> Path:
    person, _, photo = name.partition("/")
    return att / f"s{person}" / f"{photo}.pgm"


# --- age ------------------------------------------------------------------------------------------


def ages_of(lfw: Path, reader: AttributeReader) -> dict[str, Any] | None:
    """None: nobody whose age is known is there."""
    view1 = people_of_view1(lfw)
    folders = {name: lfw / "images" / name.replace(" ", "_") for name in BORN}
    names = [n for n, f in folders.items() if f.is_dir() and n.replace(" ", "_") not in view1]
    if not names:
        return None
    paths = [sorted(folders[name].glob("*.jpg"))[0] for name in names]
    rows = looked_at(reader, paths, names, ["age"], "ages")
    true = np.array([TAKEN_IN - BORN[name] for name, _ in rows], np.float64)
    ages = [face.age for _, face in rows if face.age is not None]
    said = np.array([age.years for age in ages])
    inside = np.array([age.low <= t <= age.high for age, t in zip(ages, true, strict=True)])
    by_age = {}
    for least, most in AGES:
        rows_in = (true >= least) & (true < most)
        if rows_in.any():
            by_age[f"{least} to {most}"] = errors(said[rows_in], true[rows_in], inside[rows_in])
    return {**errors(said, true, inside), "by_age": by_age}


def errors(
    said: npt.NDArray[np.float64], true: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    return {
        "people": len(true),
        "mean_absolute_error": float(np.abs(said - true).mean()),
        "mean_error": float((said - true).mean()),
        "within": float(inside.mean()),
    }


# --- expression, eyes, mouth ----------------------------------------------------------------------


def expressions_of(rows: Rows, smiling: frozenset[str], other: frozenset[str]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, group, wanted in (("smiling", smiling, True), ("not_smiling", other, False)):
        said = [
            face.expression.verdict
            for photo, face in rows
            if photo in group and face.expression is not None
        ]
        right = [verdict for verdict in said if (verdict == "happy") is wanted]
        decided = [verdict for verdict in right if verdict != "undecided"]
        figures[name] = {
            "photos": len(said),
            "right": len(decided) / max(1, len(said)),
            "undecided": said.count("undecided") / max(1, len(said)),
        }
    return figures


def states_of(
    rows: Rows,
    groups: Mapping[str, frozenset[str]],
    states: Callable[[FaceAttributes], Sequence[str]],
) -> dict[str, Any]:
    """Of each group, named like the state it should have: those said so, and those undecided."""
    figures = {}
    for wanted, group in groups.items():
        said = [state for name, face in rows if name in group for state in states(face)]
        figures[wanted] = {
            "seen": len(said),
            "right": said.count(wanted) / max(1, len(said)),
            "undecided": said.count("undecided") / max(1, len(said)),
        }
    return figures


def att_of(reader: AttributeReader, att: Path, quick: bool) -> dict[str, Any]:
    names = [f"{person}/{photo}" for person in range(1, 41) for photo in range(1, 11)]
    names = spread(names, QUICK_ATT) if quick else names
    only = ["gender", "expression", "eyes", "mouth"]
    rows = looked_at(reader, [att_path(att, n) for n in names], names, only, "AT&T")
    return {
        "gender": gender_att(rows),
        "expression": expressions_of(rows, labels.ATT_SMILING, labels.ATT_NOT_SMILING),
        "eyes": states_of(
            rows,
            {"open": labels.ATT_OPEN, "shut": labels.ATT_SHUT},
            lambda face: [eye.state for eye in face.eyes or ()],
        ),
        "mouth": states_of(
            rows,
            {"open": labels.ATT_MOUTH_OPEN, "shut": labels.ATT_MOUTH_SHUT},
            lambda face: [face.mouth.state] if face.mouth is not None else [],
        ),
    }


def lfw_expressions(lfw: Path, reader: AttributeReader, quick: bool) -> dict[str, Any]:
    looks = {k: [set(part) for part in parts] for k, parts in labels.LFW_LOOKS.items()}
    named = sorted(labels.LFW_SMILING | labels.LFW_NOT_SMILING)
    named = spread(named, 40) if quick else named
    judged = (
        [] if quick else sorted({n for parts in looks.values() for part in parts for n in part})
    )
    names = list(dict.fromkeys([*named, *judged]))
    paths = [lfw / "images" / name.rsplit("_", 1)[0] / f"{name}.jpg" for name in names]
    rows = looked_at(reader, paths, names, ["expression"], "expressions")
    seen = {}
    for look, (yes, no) in looks.items():
        said = [
            name
            for name, face in rows
            if face.expression is not None and face.expression.verdict == look and name in yes | no
        ]
        if said:
            seen[look] = {"photos": len(said), "share": sum(n in yes for n in said) / len(said)}
    figures = expressions_of(rows, labels.LFW_SMILING, labels.LFW_NOT_SMILING)
    return {**figures, "seen": seen}


# --- gaze and pose --------------------------------------------------------------------------------


def gaze_of(reader: AttributeReader, cfp: Path, count: int) -> dict[str, Any]:
    """People of CFP: one frontal photo each, as it is, moved, and in the mirror."""
    folders = sorted((cfp / "Images").iterdir())
    paths = [str(sorted((folder / "frontal").iterdir())[0]) for folder in folders]
    finder = FaceFinder(choose="central")
    only = ["pose", "eyes", "gaze"]
    moved: dict[tuple[int, int], list[tuple[float, float]]] = {move: [] for move in MOVES}
    camera, mirrored, yaws, rolls = [], [], [], []
    stream = finder.stream(spread(paths, count), keep_pixels=True)
    for photo in track(stream, "gaze", count):
        if photo.index is None:
            continue
        first = reader.read(photo, faces=[photo.index], only=only)[0]
        if first.gaze is None or first.pose is None:
            continue
        image = photo.needed_pixels()
        points = reader.meshes.read(image, [photo.faces[photo.index]]).points_xyz[0]
        size = float(rotations_of_meshes(points[None].astype(np.float64))[1][0])
        camera.append(np.hypot(first.gaze.camera_right_deg, first.gaze.camera_up_deg))
        other = seen_in(reader, finder, np.ascontiguousarray(image[:, ::-1]), only)
        if other is not None and other.gaze is not None and other.pose is not None:
            mirrored.append(abs(first.gaze.camera_right_deg + other.gaze.camera_right_deg))
            yaws.append(abs(first.pose.yaw_deg + other.pose.yaw_deg))
            rolls.append(abs(first.pose.roll_deg + other.pose.roll_deg))
        for move in MOVES:
            again = seen_in(reader, finder, moved_eyes(image, points, size, *move), only)
            if again is not None and again.gaze is not None:
                moved[move].append(
                    (
                        again.gaze.camera_right_deg - first.gaze.camera_right_deg,
                        again.gaze.camera_up_deg - first.gaze.camera_up_deg,
                    )
                )
    rows = []
    for (right, up), answers in moved.items():
        axis = 0 if right else 1
        values = np.array(answers).reshape(-1, 2)[:, axis]
        middle = float(np.median(values)) if len(values) else None
        rows.append(
            {
                "moved_right": right,
                "moved_up": up,
                "answer": middle,
                "deviation": None if middle is None else float(np.median(np.abs(values - middle))),
                "faces": len(values),
            }
        )
    return {
        "gaze": {
            "moved": rows,
            "camera": float(np.median(camera)),
            "mirror_difference": float(np.median(mirrored)),
        },
        "pose": {
            "mirror_yaw": float(np.median(yaws)),
            "mirror_roll": float(np.median(rolls)),
            "faces": len(yaws),
        },
    }


def seen_in(
    reader: AttributeReader, finder: FaceFinder, image: Image, only: Sequence[str]
) -> FaceAttributes | None:
    photo = finder.find(Photo.from_pixels(image, "image"))
    if photo.index is None:
        return None
    return reader.read(photo, faces=[photo.index], only=only)[0]


# --- cost -----------------------------------------------------------------------------------------


def cost(reader: AttributeReader, paths: Sequence[Path]) -> dict[str, Any]:
    """Processor time of each photo, in turns; medians."""
    recognizer = Recognizer(finder=FaceFinder(choose="central"))
    reader.load()
    spent: dict[str, list[float]] = {"photo": [], "all": [], "age and gender": []}
    for path in paths:
        started = time.process_time()
        (photo,) = recognizer.stream_chosen([path], keep_pixels=True)
        spent["photo"].append(time.process_time() - started)
        if photo.index is None:
            spent["photo"].pop()
            continue
        for name, only in (("all", None), ("age and gender", ["age", "gender"])):
            started = time.process_time()
            reader.read(photo, faces=[photo.index], only=only)
            spent[name].append(time.process_time() - started)
    medians = {name: float(np.median(values)) for name, values in spent.items()}
    return {
        "photos": len(spent["photo"]),
        "all_over_photo": medians["all"] / medians["photo"],
        "age_and_gender_over_photo": medians["age and gender"] / medians["photo"],
        "ms": 1e3 * medians["all"],
    }


# --- output ---------------------------------------------------------------------------------------


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def show(figures: dict[str, Any]) -> None:
    show_gender(figures)
    if figures.get("age"):
        ages = {"all": figures["age"], **figures["age"]["by_age"]}
        table(
            ("age", "people", "mean absolute error", "mean error", "within the interval"),
            [
                (
                    name,
                    row["people"],
                    f"{row['mean_absolute_error']:.1f}",
                    f"{row['mean_error']:+.1f}",
                    percent(row["within"]),
                )
                for name, row in ages.items()
            ],
        )
    show_states(figures)
    if "gaze" in figures:
        show_gaze(figures)
    if "cost" in figures:
        spent = figures["cost"]
        print(
            f"all attributes take {spent['all_over_photo']:.2f} of the processor time of finding "
            f"and embedding a face, age and gender alone {spent['age_and_gender_over_photo']:.2f}; "
            f"{spent['ms']:.0f} ms a face"
        )


def show_gender(figures: dict[str, Any]) -> None:
    parts: dict[str, dict[str, Any]] = {}
    if "gender" in figures:
        keys = ("accuracy", "men", "women", "people")
        parts["people of LFW, none of View 1"] = {k: figures[f"gender_{k}"] for k in keys}
    for name, group in (("by", "ways"), ("photos", "kinds")):
        parts |= {f"{name} {each}": row for each, row in figures.get(group, {}).items()}
    if "att" in figures:
        parts |= {f"AT&T, {name}": row for name, row in figures["att"]["gender"].items()}
    rows = [
        (name, *(percent(row[key]) for key in ("accuracy", "men", "women")), row["people"])
        for name, row in parts.items()
    ]
    if rows:
        table(("gender", "right", "men", "women", "seen"), rows)
    for name, row in figures.get("gender", {}).items():
        said = f"undecided {percent(row['undecided'])}, wrong of the others {percent(row['wrong'])}"
        print(f"{name}: {said}")


def show_states(figures: dict[str, Any]) -> None:
    states: dict[str, dict[str, Any]] = {}
    if "expression_lfw" in figures:
        states |= {f"LFW, {k}": v for k, v in figures["expression_lfw"].items() if k != "seen"}
    for part in ("expression", "eyes", "mouth"):
        for name, row in figures.get("att", {}).get(part, {}).items():
            states[f"AT&T, {part}: {name}"] = row
    if states:
        table(
            ("state", "seen", "right", "undecided"),
            [
                (
                    name,
                    row.get("photos", row.get("seen")),
                    percent(row["right"]),
                    percent(row["undecided"]),
                )
                for name, row in states.items()
            ],
        )
    looks = figures.get("expression_lfw", {}).get("seen", {})
    if looks:
        table(
            ("said", "photos", "a person saw it"),
            [(name, row["photos"], percent(row["share"])) for name, row in looks.items()],
        )


def show_gaze(figures: dict[str, Any]) -> None:
    table(
        ("eyes moved right", "up", "answer", "deviation", "faces"),
        [
            (
                row["moved_right"],
                row["moved_up"],
                "-" if row["answer"] is None else f"{row['answer']:+.1f}",
                "-" if row["deviation"] is None else f"{row['deviation']:.1f}",
                row["faces"],
            )
            for row in figures["gaze"]["moved"]
        ],
    )
    print(
        f"frontal faces look {figures['gaze']['camera']:.1f} degrees past the camera, in the "
        "median; in the mirror the gaze differs by "
        f"{figures['gaze']['mirror_difference']:.1f}, "
        f"yaw by {figures['pose']['mirror_yaw']:.1f}, roll by "
        f"{figures['pose']['mirror_roll']:.1f}"
    )


def beside(given: Path | None, folder: Path, name: str) -> Path | None:
    """The folder that was given, or else the one beside LFW's, if it is there."""
    if given is not None:
        return given
    path = folder.resolve().parent / name
    return path if path.is_dir() else None


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="Labeled Faces in the Wild")
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; all without")
    parser.add_argument("--people", type=at_least(10), help="of the genders; all without")
    parser.add_argument("--att", type=Path, help="the faces of AT&T: s1/1.pgm, ...")
    parser.add_argument("--cfp", type=Path, help="the sample of CFP: Images/001/frontal, ...")
    parser.add_argument("--quick", action="store_true", help="fewer of everything, in a minute")
    options = parser.parse_args()
    att = beside(options.att, options.folder, "att_faces")
    cfp = beside(options.cfp, options.folder, "cfp_sample")

    parts = options.only or PARTS

    def measured() -> dict[str, Any]:
        reader, figures = AttributeReader(), {}
        if "gender" in parts:
            most = options.people or (QUICK_PEOPLE if options.quick else None)
            figures |= gender_of(options.folder, reader, most)
        if "ways" in parts:
            figures |= ways_and_kinds(options.folder, reader, options.quick)
        if "age" in parts:
            figures["age"] = ages_of(options.folder, reader)
        if "expression" in parts:
            figures["expression_lfw"] = lfw_expressions(options.folder, reader, options.quick)
        if "att" in parts and att is not None:
            figures["att"] = att_of(reader, att, options.quick)
        if "gaze" in parts and cfp is not None:
            figures |= gaze_of(reader, cfp, QUICK_MOVED if options.quick else MOVED)
        if "cost" in parts:
            paths = sorted((options.folder / "images").glob("*/*_0001.jpg"))
            figures["cost"] = cost(reader, [paths[i] for i in range(0, len(paths), 150)][:30])
        return figures

    report(options, measured, show)


if __name__ == "__main__":
    main()
