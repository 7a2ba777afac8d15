"""How old faces of LFW View 1 look: by which crop, how exact, and whom it makes undecided.

    python benchmarks/accuracy/ages.py DIR [--photos N] [--json]

``crops``: the age of each face from the crop that recognition has ("aligned"), from the photo at
the same place ("photo"), from the detector's box and from its mirror image: correlation with the
box's, mean difference and mean absolute difference in years.

``people``: photos of people whose year of birth is known, taken to be of 2003; mean error in years,
each person counting once.

``limits``: genuine pairs of View 1 (all that its photos make) that would be undecided if one face
that looks younger than the first number were enough, or two that look younger than the second; and
the share of photos below the first. The limits in force, ``decide.judge.CHILD_YEARS`` and
``YOUTH_YEARS``, are among them.

``youngest``: the photos that look youngest, so that one can look at them.

``cost``: processor time of one crop over that of finding and embedding one face, in turns.
"""

from __future__ import annotations

import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lineament import Recognizer
from lineament.attributes import INPUT_PX, AgeEstimator, load_age_estimator
from lineament.datasets.lfw import read_lfw
from lineament.decide.judge import CHILD_YEARS, YOUTH_YEARS
from lineament.finder import FaceFinder
from lineament.types import Image, Photo

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track

LIMITS = (
    *((0.0, 12.0), (0.0, 15.0), (0.0, 18.0), (8.0, 15.0), (9.0, 15.0), (CHILD_YEARS, YOUTH_YEARS)),
    *((10.0, 15.0), (12.0, 15.0), (10.0, 18.0), (15.0, 15.0)),
)
TAKEN_IN = 2003
"""LFW's photos are news of 2002 to 2004."""

YOUNGEST = 30

BORN = {
    "Alejandro Toledo": 1946,
    "Alvaro Uribe": 1952,
    "Andre Agassi": 1970,
    "Andy Roddick": 1982,
    "Angelina Jolie": 1975,
    "Anna Kournikova": 1981,
    "Atal Bihari Vajpayee": 1924,
    "Bill Clinton": 1946,
    "Cameron Diaz": 1972,
    "Catherine Zeta-Jones": 1969,
    "Clint Eastwood": 1930,
    "Colin Powell": 1937,
    "David Beckham": 1975,
    "Donald Rumsfeld": 1932,
    "Elizabeth Smart": 1987,
    "Emma Watson": 1990,
    "Fidel Castro": 1926,
    "George W Bush": 1946,
    "Gerhard Schroeder": 1944,
    "Gloria Macapagal Arroyo": 1947,
    "Gray Davis": 1942,
    "Guillermo Coria": 1982,
    "Halle Berry": 1966,
    "Hamid Karzai": 1957,
    "Hans Blix": 1928,
    "Harrison Ford": 1942,
    "Hilary Duff": 1987,
    "Hu Jintao": 1942,
    "Igor Ivanov": 1945,
    "Jack Straw": 1946,
    "Jacques Chirac": 1932,
    "Jean Chretien": 1934,
    "Jennifer Aniston": 1969,
    "Jennifer Capriati": 1976,
    "Jennifer Lopez": 1969,
    "Jeremy Greenstock": 1943,
    "Jiang Zemin": 1926,
    "John Ashcroft": 1942,
    "John Negroponte": 1939,
    "Juan Carlos Ferrero": 1980,
    "Julianne Moore": 1960,
    "Justine Henin": 1982,
    "Keanu Reeves": 1964,
    "Kim Clijsters": 1983,
    "Laura Bush": 1946,
    "Lleyton Hewitt": 1981,
    "Luiz Inacio Lula da Silva": 1945,
    "Mahmoud Abbas": 1935,
    "Mary-Kate Olsen": 1986,
    "Michael Bloomberg": 1942,
    "Michael Jackson": 1958,
    "Michael Schumacher": 1969,
    "Naomi Watts": 1968,
    "Nicole Kidman": 1967,
    "Pete Sampras": 1971,
    "Pierce Brosnan": 1953,
    "Queen Elizabeth II": 1926,
    "Recep Tayyip Erdogan": 1954,
    "Renee Zellweger": 1969,
    "Ricardo Lagos": 1938,
    "Richard Gere": 1949,
    "Robert De Niro": 1943,
    "Roger Federer": 1981,
    "Roh Moo-hyun": 1946,
    "Rudolph Giuliani": 1944,
    "Rupert Grint": 1988,
    "Salma Hayek": 1966,
    "Sarah Hughes": 1985,
    "Serena Williams": 1981,
    "Silvio Berlusconi": 1936,
    "Sylvester Stallone": 1946,
    "Tiger Woods": 1975,
    "Tom Cruise": 1962,
    "Tom Daschle": 1947,
    "Tom Hanks": 1956,
    "Tom Ridge": 1945,
    "Tony Blair": 1953,
    "Venus Williams": 1980,
    "Vicente Fox": 1942,
    "Vladimir Putin": 1952,
    "Winona Ryder": 1971,
    "Yasser Arafat": 1929,
}
"""Public figures of View 1 and their years of birth."""

Years = npt.NDArray[np.float64]


def box_crop(photo: Photo) -> Image:
    """What the network was trained on: the box itself, between black bars that make it square."""
    assert photo.face is not None
    part = photo.face.crop(photo)
    scale = INPUT_PX / max(part.shape[:2])
    wide, high = (max(1, round(side * scale)) for side in part.shape[1::-1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    made = np.zeros((INPUT_PX, INPUT_PX, 3), np.uint8)
    left, top = (INPUT_PX - wide) // 2, (INPUT_PX - high) // 2
    made[top : top + high, left : left + wide] = cv2.resize(
        np.ascontiguousarray(part), (wide, high), interpolation=method
    )
    return made


def seen(
    estimator: AgeEstimator, folder: Path, images: list[str]
) -> tuple[list[int], dict[str, Years]]:
    """Places of the photos with a face, and their ages by crop."""
    finder = FaceFinder(choose="central")
    places, aligned, photos, boxes = [], [], [], []
    stream = finder.stream([folder / image for image in images], keep_pixels=True)
    for place, photo in enumerate(track(stream, "photos", len(images))):
        if photo.face is None or photo.index is None:
            continue
        places.append(place)
        aligned.append(finder.crops(photo, [photo.index], alignment="arcface-112")[0])
        photos.append(estimator.read(photo.needed_pixels(), [photo.face]).years[0])
        boxes.append(box_crop(photo))
    box = np.stack(boxes)
    found = {
        "aligned": estimator.read_crops(np.stack(aligned)).years,
        "photo": np.array(photos),
        "box": estimator.read_shown(box).years,
        "mirrored box": estimator.read_shown(box[:, :, ::-1]).years,
    }
    return places, {name: years.astype(np.float64) for name, years in found.items()}


def crops_of(ages: dict[str, Years]) -> dict[str, Any]:
    box = ages["box"]
    return {
        name: {
            "correlation": float(np.corrcoef(years, box)[0, 1]),
            "mean_difference": float((years - box).mean()),
            "mean_absolute_difference": float(np.abs(years - box).mean()),
        }
        for name, years in ages.items()
        if name != "box"
    }


def people_of(ages: dict[str, Years], names: list[str]) -> dict[str, Any] | None:
    """None: there is nobody of ``BORN`` among them."""
    of = {name: [i for i, one in enumerate(names) if one == name] for name in BORN}
    of = {name: places for name, places in of.items() if places}
    if not of:
        return None
    errors = {
        crop: [years[places] - (TAKEN_IN - BORN[name]) for name, places in of.items()]
        for crop, years in ages.items()
    }
    return {
        "people": len(of),
        "photos": sum(map(len, of.values())),
        "mean_absolute_error": {
            crop: float(np.mean([np.abs(one).mean() for one in rows]))
            for crop, rows in errors.items()
        },
        "mean_error": {
            crop: float(np.mean([one.mean() for one in rows])) for crop, rows in errors.items()
        },
    }


def limits_of(years: Years, names: list[str]) -> dict[str, Any]:
    pairs = [
        (first, second)
        for name in sorted(set(names))
        for first, second in combinations(years[[one == name for one in names]].tolist(), 2)
    ]
    both = np.array(pairs).reshape(-1, 2)
    low, high = both.min(axis=1), both.max(axis=1)
    found = []
    for child, youth in LIMITS:
        open_ = int(((low < child) | (high < youth)).sum())
        found.append(
            {
                "one_below": child,
                "both_below": youth,
                "photos_below": float((years < child).mean()),
                "genuine_pairs_undecided": open_,
                "share": open_ / max(1, len(pairs)),
            }
        )
    return {"genuine_pairs": len(pairs), "limits": found}


def cost(estimator: AgeEstimator, paths: list[Path]) -> dict[str, float]:
    """Processor time of each photo, in turns; medians."""
    recognizer = Recognizer(finder=FaceFinder(choose="central"))
    rows: dict[str, list[float]] = {"photo": [], "age": []}
    for path in paths:
        started = time.process_time()
        (photo,) = recognizer.stream_chosen([path])
        middle = time.process_time()
        if photo.crops is None or not len(photo.crops):
            continue
        estimator.read_crops(photo.crops)
        rows["photo"].append(middle - started)
        rows["age"].append(time.process_time() - middle)
    medians = {name: float(np.median(values)) for name, values in rows.items()}
    return {"photos": len(rows["age"]), "age_over_photo": medians["age"] / medians["photo"]}


def show_people(people: dict[str, Any]) -> None:
    table(
        ("crop", "mean absolute error", "mean error"),
        [
            (crop, f"{error:.1f}", f"{people['mean_error'][crop]:+.1f}")
            for crop, error in people["mean_absolute_error"].items()
        ],
        title=f"{people['photos']} photos of {people['people']} people of known age",
    )


def show(figures: dict[str, Any]) -> None:
    table(
        ("crop", "correlation", "mean difference", "mean absolute difference"),
        [
            (
                name,
                f"{row['correlation']:.3f}",
                f"{row['mean_difference']:+.1f}",
                f"{row['mean_absolute_difference']:.1f}",
            )
            for name, row in figures["crops"].items()
        ],
        title=f"{figures['photos']:,} photos: years against those from the box",
    )
    people = figures["people"]
    if people is not None:
        show_people(people)
    table(
        ("one below", "both below", "photos below", "genuine pairs undecided", "share"),
        [
            (
                f"{row['one_below']:g}",
                f"{row['both_below']:g}",
                f"{row['photos_below']:.2%}",
                row["genuine_pairs_undecided"],
                f"{row['share']:.3%}",
            )
            for row in figures["limits"]
        ],
        title=f"of {figures['genuine_pairs']:,} genuine pairs, by the limits in years",
    )
    table(("photo", "years"), list(figures["youngest"].items()), title="the youngest")
    print(
        f"one age takes {figures['cost']['age_over_photo']:.3f} of the processor time of finding "
        f"and embedding one face, medians over {figures['cost']['photos']} photos in turns"
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="Labeled Faces in the Wild")
    parser.add_argument("--photos", type=at_least(1), help="so many of View 1's, the first ones")
    options = parser.parse_args()

    def measured() -> dict[str, Any]:
        lfw = read_lfw(options.folder)
        rows = np.unique(lfw.view1_pairs.indices)[: options.photos].tolist()
        estimator = load_age_estimator()
        images = [lfw.images[row] for row in rows]
        places, ages = seen(estimator, lfw.folder, images)
        names = [lfw.people[lfw.person[rows[place]]].replace("_", " ") for place in places]
        years = ages["aligned"]
        order = np.argsort(years)[:YOUNGEST].tolist()
        return {
            "photos": len(places),
            "crops": crops_of(ages),
            "people": people_of(ages, names),
            **limits_of(years, names),
            "youngest": {Path(images[places[i]]).stem: round(float(years[i]), 1) for i in order},
            "cost": cost(estimator, [lfw.path(row) for row in rows[:60]]),
        }

    report(options, measured, show)


if __name__ == "__main__":
    main()
