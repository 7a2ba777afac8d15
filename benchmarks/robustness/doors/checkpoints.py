"""Runs of training from others: checkpoints and configurations."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

from doors.case import AbsentError, Case, Door
from doors.damage import NUMBERS, TEXTS, anything, changed, damaged, special_file


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise AbsentError("torch is not installed") from error
    return torch


def _state() -> dict[str, Any]:
    from lineament.train.backbones import make_backbone
    from lineament.train.model.checkpoint import Origin

    origin = Origin("backbone", "tiny", 16, 112)
    backbone = make_backbone(origin.name, dimension=origin.dimension, size_px=origin.size_px)
    return {
        "lineament": 1,
        "origin": origin.to_dict(),
        "backbone": backbone.state_dict(),
        "ema": None,
        "epoch": 3,
        "step": 30,
    }


def _saved(state: Any) -> bytes:
    buffer = io.BytesIO()
    _torch().save(state, buffer)
    return buffer.getvalue()


def _loaded(case: Case, data: bytes) -> bool:
    from lineament.train.model.checkpoint import load_model

    torch = _torch()
    path = case.file(case.pick(["last.pt", "best.pt"]), data)
    case.start()
    backbone, origin = load_model(case.folder if case.chance(0.5) else path)
    repr(origin)
    with torch.inference_mode():
        size = origin.size_px
        out = backbone(torch.zeros(2, 3, size, size))
    case.expect(tuple(out.shape) == (2, origin.dimension), f"embeddings of {tuple(out.shape)}")
    return True


def values(case: Case) -> bool:
    """Keys and values that are others, in a file of the right form."""
    torch = _torch()
    state = dict(case.shared)
    kind = case.rng.integers(7)
    if kind == 0:
        state["origin"] = changed(state["origin"], case.rng)
    elif kind == 1:
        del state[case.pick(list(state))]
    elif kind == 2:
        state[case.pick(list(state))] = anything(case.rng)
    elif kind == 3:
        state["backbone"] = dict(state["backbone"])
        key = case.pick(list(state["backbone"]))
        state["backbone"][key] = case.pick(
            [torch.zeros(1), torch.zeros(0), "x", 7, None, torch.zeros(1, dtype=torch.complex64)]
        )
    elif kind == 4:
        state["origin"] = {**state["origin"], "dimension": case.pick(NUMBERS), "size_px": 112}
    elif kind == 5:
        state["origin"] = {**state["origin"], "options": {case.pick(TEXTS): anything(case.rng)}}
    else:
        state["ema"] = case.pick(
            [anything(case.rng), {"weights": anything(case.rng)}, {"weights": state["backbone"]}]
        )
    return _loaded(case, _saved(state))


def whole(case: Case) -> bool:
    """Something else as a whole."""
    torch = _torch()
    value = case.pick(
        [
            anything(case.rng),
            torch.zeros(3),
            {"lineament": 1},
            {"lineament": case.pick([0, 2, "1", None])},
            [case.shared],
            {"lineament": 1, "origin": {}, "backbone": {}},
            {"lineament": 1, "origin": case.shared["origin"], "backbone": {}},
        ]
    )
    return _loaded(case, _saved(value))


def damaged_bytes(case: Case) -> bool:
    """Bytes of the file are others."""
    return _loaded(case, damaged(_saved(case.shared), case.rng))


class _Runs:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo x > {self.mark}",)


def evil_pickles(case: Case) -> bool:
    """Pickles that start something, in each of torch's forms."""
    torch = _torch()
    evil = _Runs(str(case.outside / "ran"))
    kind = case.rng.integers(4)
    if kind == 0:
        data = pickle.dumps({"lineament": 1, "origin": evil})
    elif kind == 1:
        data = _saved({"lineament": 1, "origin": evil})
    elif kind == 2:
        buffer = io.BytesIO()
        torch.save({"lineament": 1, "x": evil}, buffer, _use_new_zipfile_serialization=False)
        data = buffer.getvalue()
    else:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("archive/data.pkl", pickle.dumps(evil))
            file.writestr("archive/version", "3\n")
            file.writestr(f"../../outside/{case.number}", "x")
        data = buffer.getvalue()
    _loaded(case, data)
    case.expect(False, "an evil pickle was accepted")
    return True


def bombs(case: Case) -> bool:
    """Small files that ask for much memory."""
    torch = _torch()
    state = dict(case.shared)
    kind = case.rng.integers(3)
    if kind == 0:
        state["backbone"] = {"w": torch.zeros(1).expand(1 << 34)}
        state["backbone"] = {"w": torch.zeros(1).expand(1 << 34).as_strided((1 << 34,), (0,))}
    elif kind == 1:
        state["origin"] = {**state["origin"], "dimension": 10**9}
    else:
        state["origin"] = {**state["origin"], "size_px": 10**6}
    return _loaded(case, _saved(state))


def configurations(case: Case) -> bool:
    """The TOML of a run."""
    from lineament.train.config import TrainConfig, load_config, to_toml
    from lineament.train.model.checkpoint import run_config

    _torch()
    config = TrainConfig()
    kind = case.rng.integers(3)
    if kind == 0:
        import tomli_w

        tables = changed(config.to_dict(), case.rng)
        try:
            text = tomli_w.dumps(tables).encode(errors="replace")
        except (TypeError, ValueError, AttributeError):
            raise AbsentError("TOML has no such value") from None
    elif kind == 1:
        text = damaged(to_toml(config).encode(), case.rng)
    else:
        table, key = case.pick([("run", "epochs"), ("loss", "name"), ("data", "path"), ("x", "y")])
        value = case.pick([*NUMBERS, *TEXTS])
        text = f"[{table}]\n{key} = {str(value)!r}\n".encode(errors="replace")
    path = case.file("config.toml", text)
    if case.chance(0.5):
        load_config(path)
    else:
        run_config(case.folder)
    return True


def special_files(case: Case) -> bool:
    """In the place of a file stands something else."""
    from lineament.train.config import load_config
    from lineament.train.model.checkpoint import load_model

    _torch()
    path = special_file(case, case.pick(["last.pt", "config.toml"]), "x{}")
    if path.suffix == ".toml":
        load_config(path)
    else:
        load_model(case.folder if case.chance(0.5) else path)
    return True


def _prepare(home: Path, seed: int) -> Any:
    try:
        torch = _torch()
    except AbsentError:
        return None
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    state = _state()
    torch.load(io.BytesIO(_saved(state)), weights_only=True)
    return state


DOOR = Door(
    "checkpoints",
    (
        values,
        damaged_bytes,
        whole,
        evil_pickles,
        values,
        configurations,
        bombs,
        special_files,
        values,
    ),
    cases=500,
    bound_mb=400.0,
    prepare=_prepare,
)
