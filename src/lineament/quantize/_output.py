"""An int8 network and its entry -> files in a folder: all of them or none."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from lineament.errors import OptionError
from lineament.files import write_atomically
from lineament.models import Card, Measurement, read_manifest
from lineament.models.cards import SCHEMA
from lineament.quantize._comparison import Agreement, Speed


def measured(agreement: Agreement, speed: Speed) -> dict[str, Measurement]:
    """The entry's figures: the network's accuracy and speed against the original's."""
    on = f"on {agreement.crops} crops that it was not calibrated on"
    measured = {
        "cosine_to_original": Measurement(
            round(agreement.mean_cosine, 5),
            f"mean cosine to the embeddings of the network it was made from, {on}",
        ),
        "speedup": Measurement(
            round(speed.speedup, 2),
            f"times as fast as the network it was made from, in batches of {speed.batch}, in one "
            "run on the machine that made it",
        ),
    }
    verification = agreement.verification
    if verification is not None:
        measured["tar_change"] = Measurement(
            round(-100 * verification.loss, 3),
            f"points of TAR at FMR {verification.fmr:g} against the network it was made from, {on}",
        )
    return measured


def notes(source: Card, used: int) -> str:
    """The entry's notes on where it comes from; ``used``: crops calibrated on."""
    made = (
        f"int8 weights and activations, made from {source.name} (SHA-256 {source.sha256}), "
        f"calibrated on {used} crops. Not to be compared with embeddings of {source.name}."
    )
    return made if source.notes is None else f"{made} {source.notes}"


def write_all(
    folder: Path, entry: Card, data: bytes, others: list[dict[str, Any]], license: str | None
) -> Path:
    """Write network, license and manifest, all or none; returns the manifest's path.

    Args:
        folder: is made if need be.
        entry: of the network; names the files.
        data: of the network.
        others: entries that the manifest keeps.
        license: its text, if known.

    Raises:
        OptionError: the folder or a file cannot be written.
        WeightsError: the manifest would be unusable.
    """
    listed = {"schema": SCHEMA, "weights": [*others, entry.to_dict()]}
    text = json.dumps(listed, indent=2, ensure_ascii=False) + "\n"
    manifest = folder / "manifest.json"
    files = [(folder / f"{entry.name}.onnx", data)]
    if entry.license_file is not None and license is not None:
        files.append((folder / entry.license_file, license.encode()))
    files.append((manifest, text.encode()))  # last: it names the others
    made = not folder.exists()
    written: list[Path] = []
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OptionError(
                f"{folder} cannot be made ({error.strerror})", option="out"
            ) from error
        for path, content in files:
            new = not path.exists()
            write_atomically(path, content)
            if new:
                written.append(path)
        read_manifest(manifest)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    return manifest
