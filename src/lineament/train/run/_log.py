"""What is written of a run while it goes: ``log.csv``, and events for TensorBoard."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lineament.errors import CheckpointError, LineamentError, MissingExtraError
from lineament.files import open_regular, read_regular, write_atomically

MOST_LOG = 1 << 28
"""Bytes of ``log.csv``; a row takes some 100."""

CSV, TENSORBOARD = "log.csv", "tensorboard"

FIRST_COLUMNS = ("epoch", "step", "lr", "loss", "grad_norm", "photos_per_s")

Row = dict[str, float | int]


@dataclass
class Window:
    """Sums over the steps since the last row of the log."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    photos: int = 0
    seconds: float = 0.0

    def add(self, figures: dict[str, float], photos: int, seconds: float) -> None:
        """Take in a step."""
        for name, value in figures.items():
            if not math.isfinite(value):  # a step that half precision skipped
                continue
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        self.photos += photos
        self.seconds += seconds

    def mean(self) -> dict[str, float]:
        """Each figure's mean over the steps that had it."""
        return {name: value / self.counts[name] for name, value in self.sums.items()}

    def photos_per_s(self) -> float:
        """0 before the first step."""
        return self.photos / self.seconds if self.seconds > 0 else 0.0

    def state(self) -> dict[str, Any]:
        """Plain values; ``Window(**state)`` is the same."""
        return {"sums": dict(self.sums), "counts": dict(self.counts), "photos": self.photos,
                "seconds": self.seconds}  # fmt: skip


class Log:
    """The rows of a run, in memory and in its folder.

    Attributes:
        rows: one per logged step.
    """

    def __init__(
        self, folder: Path, *, csv: bool, tensorboard: bool, resumed_at: int | None = None
    ) -> None:
        """Begin, or go on.

        Args:
            folder: of the run.
            csv: whether to write ``log.csv``.
            tensorboard: whether to write events.
            resumed_at: the step of the checkpoint that the run goes on from: rows after it are
                taken back. None begins anew.

        Raises:
            MissingExtraError: TensorBoard is asked for, and not installed.
            CheckpointError: ``log.csv`` is damaged or cannot be written.
        """
        self._path = folder / CSV if csv else None
        self.rows: list[Row] = []
        if resumed_at is not None and self._path is not None and self._path.is_file():
            self.rows = [row for row in read_log(self._path) if row["step"] <= resumed_at]
        self._columns = list(FIRST_COLUMNS)
        self._learn_columns(*self.rows)
        self._rewrite()
        self._events = _events(folder / TENSORBOARD, resumed_at) if tensorboard else None

    def add(self, row: Mapping[str, float | int]) -> None:
        """One more row; it is on the disk when this returns."""
        kept = dict(row)
        self.rows.append(kept)
        if self._learn_columns(kept):
            self._rewrite()
        elif self._path is not None:
            try:
                with open_regular(self._path, inside=True, writing=True) as file:
                    file.seek(0, io.SEEK_END)
                    file.write(self._text([kept]).encode())
            except FileNotFoundError:  # somebody removed it
                self._rewrite()
            except OSError as error:
                raise _unwritable(self._path, error) from error
        if self._events is not None:
            for name, value in kept.items():
                if name not in ("epoch", "step") and math.isfinite(value):
                    self._events.add_scalar(_tag(name), value, int(kept["step"]))

    def close(self) -> None:
        """Write what is held back."""
        if self._events is not None:
            self._events.close()

    def _learn_columns(self, *rows: Row) -> bool:
        named = dict.fromkeys(name for row in rows for name in row)
        new = [name for name in named if name not in self._columns]
        self._columns += new
        return bool(new)

    def _rewrite(self) -> None:
        if self._path is None:
            return
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(self._columns)
        try:
            write_atomically(self._path, (header.getvalue() + self._text(self.rows)).encode())
        except LineamentError as error:
            raise CheckpointError(str(error)) from error

    def _text(self, rows: list[Row]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for row in rows:
            writer.writerow([_number_text(row.get(name)) for name in self._columns])
        return text.getvalue()


def read_log(path: Path) -> list[Row]:
    """Read ``log.csv``: its rows, each without the columns that it leaves empty.

    Raises:
        CheckpointError: it cannot be read. A last line that was cut short is passed over.
    """
    try:
        text = read_regular(path, at_most=MOST_LOG).decode()
        lines = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise CheckpointError(
            f"{path}: expected the log of a run, cannot be read: {error}"
        ) from error
    rows: list[Row] = []
    for line in lines:
        try:
            row: Row = {k: float(v) for k, v in line.items() if k and v}
            if "step" in row and "epoch" in row:
                rows.append(row | {"step": int(row["step"]), "epoch": int(row["epoch"])})
        except (TypeError, ValueError, OverflowError):
            continue
    return rows


def draw_figures(folder: Path, rows: list[Row], title: str) -> list[Path]:
    """Draw ``curves.png``, and ``triplets.png`` where a loss counts them; returns what it wrote.

    Nothing is drawn, and that is no error, without matplotlib or without rows.
    """
    from lineament.errors import OptionError
    from lineament.pictures.charts.files import save
    from lineament.pictures.charts.training import curves, triplets

    written = []
    for name, draw in (("curves.png", curves), ("triplets.png", triplets)):
        try:
            save(draw(rows, title=title), folder / name)
        except (OptionError, MissingExtraError):
            continue
        written.append(folder / name)
    return written


def _events(folder: Path, resumed_at: int | None) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("logging to TensorBoard", "train") from error
    purge = None if resumed_at is None else resumed_at + 1
    return SummaryWriter(str(folder), purge_step=purge)


def _tag(name: str) -> str:
    return name.replace("verify_", "verify/", 1) if name.startswith("verify_") else f"train/{name}"


def _number_text(value: float | int | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else repr(float(value))


def _unwritable(path: Path, error: OSError) -> CheckpointError:
    reason = error.strerror or str(error)
    return CheckpointError(
        f"{path}: cannot be written ({reason}); see to it, then go on from the last checkpoint "
        "with --resume"
    )
