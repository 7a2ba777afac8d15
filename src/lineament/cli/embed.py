"""``lineament embed IMAGE... --out FILE``."""

from __future__ import annotations

import io
import json as json_module
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.detect import Images, exit_code
from lineament.cli.output import print_error, print_json, print_note, with_progress
from lineament.cli.sources import many_sources
from lineament.errors import LineamentError, MissingExtraError, NoFaceError, OptionError

if TYPE_CHECKING:
    from lineament.pipeline import Recognizer
    from lineament.types import Contract, Embedding, Face

SUFFIXES = (".npz", ".parquet", ".jsonl")
STDOUT = "-"
FORMAT = 1
"""Version of what stands in the files; a reader refuses what it does not know."""


@options.with_recognizer()
def command(
    ctx: typer.Context,
    images: Images,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=f"{', '.join(SUFFIXES)}; replaces FILE. Left out or -: JSON lines on stdout.",
        ),
    ] = None,
    all_faces: Annotated[
        bool, typer.Option("--all-faces/--one-face", help="All, or the one of --choose.")
    ] = True,
    json: options.Json = False,
) -> None:
    """Represent faces by vectors.

    One row a face, and a header with the contract that says how they were made. Exit code 0: there
    are some, 1: no face was found, 2: error.
    """
    target = None if out is None or str(out) == STDOUT else out
    if target is not None:
        _check_out(target)
    parts = options.recognizer_from(ctx.params)
    contract = parts.embedder.contract
    sources = many_sources(images)
    streamed = target is None and not json
    if streamed:
        print(json_module.dumps(_header(contract)))
    rows: list[dict[str, Any]] = []
    n_faces = errors = 0
    results = _rows(parts, sources, all_faces)
    for found in with_progress(results, len(sources), "embedding"):
        if isinstance(found, LineamentError):
            errors += 1
            print_error(found)
            continue
        n_faces += len(found)
        if streamed:
            for row in found:
                print(json_module.dumps(row))
        else:
            rows += found
    if target is not None and (rows or not errors):
        _write(target, rows, contract)
    if json:
        summary: dict[str, Any] = {"contract": asdict(contract), "images": len(sources)}
        summary |= {"faces": rows} if target is None else {"faces": n_faces, "out": str(target)}
        print_json(summary | {"errors": errors})
    elif target is not None and (rows or not errors):
        print_note(f"wrote {n_faces} face(s) of {len(sources)} photograph(s) to {target}")
    raise typer.Exit(exit_code(errors, n_faces > 0))


def _check_out(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"--out: expected a name that ends in {', '.join(SUFFIXES)}, got {path}")
    if not path.parent.is_dir():  # known now, not after an hour of work
        raise OptionError(f"--out: there is no folder {path.parent}; make it, or name another one")
    if path.suffix.lower() == ".parquet":
        _pyarrow()


def _rows(
    recognizer: Recognizer, sources: list[Any], all_faces: bool
) -> Iterator[list[dict[str, Any]] | LineamentError]:
    """One item a photograph: its rows, or its error."""
    if all_faces:
        for photo in recognizer.stream(sources):
            if photo.error is not None:
                yield photo.error
                continue
            numbered = enumerate(zip(photo.faces, photo.embeddings, strict=True))
            yield [_row(photo.source, i, face, e) for i, (face, e) in numbered]
        return
    for chosen in recognizer.stream_chosen(sources):
        if chosen.embedding is not None and chosen.index is not None:
            face = chosen.analysis.faces[chosen.index]
            yield [_row(chosen.analysis.source, chosen.index, face, chosen.embedding)]
        elif chosen.error is None or isinstance(chosen.error, NoFaceError):
            yield []
        else:
            yield chosen.error


def _row(source: str, index: int, face: Face, embedding: Embedding) -> dict[str, Any]:
    return {
        "source": source,
        "face": index,
        "box_xyxy": [round(float(v), 2) for v in face.box_xyxy],
        "score": round(face.score, 6),
        "norm": round(embedding.norm, 6),
        # Nine digits hold a float32 exactly.
        "vector": [float(f"{v:.9g}") for v in embedding.vector.tolist()],
    }


def _header(contract: Contract) -> dict[str, Any]:
    return {"lineament": "embeddings", "format": FORMAT, "contract": asdict(contract)}


def _write(path: Path, rows: list[dict[str, Any]], contract: Contract) -> None:
    from lineament.atomic import write_atomically

    make = {".npz": _npz, ".parquet": _parquet, ".jsonl": _json_lines}[path.suffix.lower()]
    write_atomically(path, make(rows, contract))


def _json_lines(rows: list[dict[str, Any]], contract: Contract) -> bytes:
    """The header on the first line, then a row a line."""
    lines = [json_module.dumps(line) for line in (_header(contract), *rows)]
    return ("\n".join(lines) + "\n").encode()


def _npz(rows: list[dict[str, Any]], contract: Contract) -> bytes:
    """Arrays by the names of the rows' keys in the plural, and "header": JSON text."""
    import numpy as np

    n = len(rows)
    file = io.BytesIO()
    np.savez(
        file,
        header=np.array(json_module.dumps(_header(contract))),
        sources=np.array([row["source"] for row in rows], dtype=str),
        faces=np.array([row["face"] for row in rows], np.int64),
        boxes_xyxy=np.array([row["box_xyxy"] for row in rows], np.float32).reshape(n, 4),
        scores=np.array([row["score"] for row in rows], np.float32),
        norms=np.array([row["norm"] for row in rows], np.float32),
        vectors=np.array([row["vector"] for row in rows], np.float32).reshape(
            n, contract.dimension
        ),
    )
    return file.getvalue()


def _parquet(rows: list[dict[str, Any]], contract: Contract) -> bytes:
    """Columns by the names of the rows' keys; the header is the schema's metadata "lineament"."""
    pa = _pyarrow()
    import pyarrow.parquet as parquet

    schema = pa.schema(
        [
            ("source", pa.string()),
            ("face", pa.int64()),
            ("box_xyxy", pa.list_(pa.float32(), 4)),
            ("score", pa.float32()),
            ("norm", pa.float32()),
            ("vector", pa.list_(pa.float32(), contract.dimension)),
        ],
        metadata={"lineament": json_module.dumps(_header(contract))},
    )
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    return file.getvalue()


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("Writing Parquet files", "parquet") from error
    return pyarrow
