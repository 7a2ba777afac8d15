"""``lineament eval lfw DIR``."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from lineament.cli import options
from lineament.cli.output import print_error, print_json, print_note, print_table, with_progress
from lineament.errors import NoFaceError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineament.evaluate.lfw import View
    from lineament.pipeline import Recognizer

VIEWS = ("1", "2", "all-pairs")
CHOOSE = "central"
"""LFW's person is the one in the middle of the photograph."""


def lfw_command(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with pairs.txt and the photographs.")
    ],
    view: Annotated[
        list[str] | None,
        typer.Option(
            "--view", metavar="|".join(VIEWS), help="May be repeated.", show_default="all three"
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Embed all photographs again, and keep nothing.")
    ] = False,
    recognizer: options.Recognizer_ = None,
    model: options.Model = None,
    input_size: options.InputSize = None,
    color_order: options.ColorOrder = None,
    mean: options.Mean = None,
    scale: options.Scale = None,
    detector: options.Detector = None,
    alignment: options.Alignment = None,
    flip: options.Flip = None,
    min_face: options.MinFace = None,
    min_score: options.MinScore = None,
    max_faces: options.MaxFaces = None,
    no_turning: options.NoTurning = False,
    engine: options.Engine = None,
    device: options.Device = None,
    threads: options.Threads = None,
    licence_policy: options.Policy = None,
    json: options.Json = False,
) -> None:
    """Labeled Faces in the Wild: accuracy and error rates by its protocols.

    Of several faces the central one is taken. A photograph without a face stays in: its pairs are
    called different. Embeddings are kept in the cache folder.
    """
    views = _views(view)
    parts = options.recognizer_from({**ctx.params, "choose": CHOOSE})
    from lineament.evaluate.lfw import images_of, lfw_report, read_lfw

    lfw = read_lfw(folder)
    rows = images_of(lfw, views)
    paths = [lfw.path(int(row)) for row in rows]
    measured = _embed(parts, paths, ctx.params, use_cache=not no_cache)
    vectors = _spread(measured["vectors"], rows, len(lfw.images))
    found = _spread(measured["found"], rows, len(lfw.images))
    started = time.perf_counter()
    report = lfw_report(lfw, vectors, found, views=views, progress=_comparing())
    result = {
        **report.to_dict(),
        "errors": measured["errors"],
        "images_embedded": measured["images_embedded"],
        "images_per_second": measured["images_per_second"],
        "compare_s": round(time.perf_counter() - started, 3),
        "contract": asdict(parts.embedder.contract),
        "detector": parts.detector_name,
    }
    if json:
        print_json(result)
    else:
        _print(result)


def _views(given: list[str] | None) -> tuple[View, ...]:
    views = VIEWS if not given else tuple(dict.fromkeys(given))
    for view in views:
        if view not in VIEWS:
            raise OptionError(f"--view: expected one of {', '.join(VIEWS)}, got {view!r}")
    return cast("tuple[View, ...]", views)


def _embed(
    recognizer: Recognizer, paths: list[Path], values: dict[str, Any], *, use_cache: bool
) -> dict[str, Any]:
    """Vectors of all photographs, from the cache as far as it has them."""
    import numpy as np

    from lineament.evaluate.cache import EmbeddingCache

    dimension = recognizer.embedder.contract.dimension
    cache = EmbeddingCache(_way(recognizer, values), dimension) if use_cache else None
    n = len(paths)
    vectors = np.zeros((n, dimension), np.float32)
    found, known = np.zeros(n, bool), np.zeros(n, bool)
    if cache is not None:
        kept = cache.load(paths)
        vectors, found, known = kept.vectors, kept.found, kept.known
    missing = np.flatnonzero(~known).tolist()
    done: list[int] = []
    errors = 0
    if missing:
        recognizer.detector  # noqa: B018  (loaded before the clock starts)
    started = time.perf_counter()
    try:
        photos = recognizer.stream_chosen(paths[i] for i in missing)
        for i, photo in zip(missing, with_progress(photos, len(missing), "embedding"), strict=True):
            if photo.embedding is not None:
                vectors[i], found[i] = photo.embedding.vector, True
            elif not isinstance(photo.error, NoFaceError):
                errors += 1
                print_error(photo.error)
                continue  # it may be readable the next time
            done.append(i)
    finally:
        seconds = time.perf_counter() - started
        if cache is not None and done:  # also after Ctrl-C: what was done was done
            _keep(cache, [paths[i] for i in done], vectors[done], found[done])
    return {
        "vectors": vectors,
        "found": found,
        "errors": errors,
        "images_embedded": len(missing),
        "images_per_second": round(len(missing) / seconds, 2) if missing else None,
    }


def _keep(cache: Any, paths: list[Path], vectors: Any, found: Any) -> None:
    try:
        cache.save(paths, vectors, found)
    except OptionError as error:  # the result does not depend on it
        print_note(f"the embeddings could not be kept: {error}")


def _way(recognizer: Recognizer, values: dict[str, Any]) -> dict[str, Any]:
    """All that a vector depends on, apart from the photograph and the source code."""
    from lineament import weights
    from lineament.detect import DETECTORS

    runtime = options.runtime_from(values).resolved()
    networks = DETECTORS[recognizer.detector_name]
    return {
        "contract": asdict(recognizer.embedder.contract),
        "input": asdict(recognizer.weights.input),
        "detector": {name: weights.get(name).sha256 for name in networks},
        "options": asdict(recognizer.options),
        "turning": not values.get("no_turning", False),
        "choose": recognizer.choose,
        "runtime": [runtime.engine, runtime.device],
    }


def _spread(values: Any, rows: Any, n: int) -> Any:
    """Rows of the photographs that were asked for -> rows of the whole data set."""
    import numpy as np

    spread = np.zeros((n, *values.shape[1:]), values.dtype)
    spread[rows] = values
    return spread


def _comparing() -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\n" if done >= total else ""
        print(f"\rcomparing {done / total:4.0%}", end=end, file=sys.stderr, flush=True)

    return show


def _print(result: dict[str, Any]) -> None:
    rows = [("photographs", f"{result['images']:,}"), ("faces found", f"{result['faces_found']:,}")]
    speed = result["images_per_second"]
    rows.append(("photographs a second", "from the cache" if speed is None else f"{speed:.1f}"))
    if "view1" in result:
        view = result["view1"]
        rows.append(("View 1: accuracy", f"{view['accuracy_test']:.2%}"))
        rows.append(("View 1: threshold", f"{view['threshold']:.4f}"))
    if "view2" in result:
        view = result["view2"]
        rows.append(
            ("View 2: accuracy", f"{view['accuracy_mean']:.2%} ± {view['accuracy_se']:.2%}")
        )
        rows.append(("View 2: AUC", f"{view['auc']:.5f}"))
        rows.append(("View 2: EER", f"{view['eer']:.2%}"))
        rows += _tar("View 2", view)
    if "all_pairs" in result:
        rows += _tar("all pairs", result["all_pairs"])
    print_table(("measure", "value"), rows, right=("value",))


def _tar(name: str, view: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"{name}: TAR at FMR {fmr}", f"{tar:.2%}") for fmr, tar in view["tar_at_fmr"].items()]
