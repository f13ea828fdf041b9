"""A small sweep on real data, and what it left in a store, ready to be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

import mcdist

TABLES = ("tasks", "sweep_tasks", "endpoints", "history", "paths", "path_points", "barriers")
PASSING = ("attempts", "host", "device", "wall_s", "started_at")
"""Columns of `tasks` that say how the work went, not what came out."""


PLAIN = {"compile": "off", "cuda_graphs": "off", "channels_last": "off"}
"""Resources that leave nothing to be tried: with a size of packs, the same bits in every store."""


def small_sweep(**changes: Any) -> dict[str, Any]:
    """Four end points, all six pairs, a line and a short curve each: 4 + 12 + 12 tasks."""
    sweep: dict[str, Any] = {
        "name": "small",
        "problem": {"data": {"name": "digits", "train_size": 200}, "model": {"name": "mlp", "args": {"hidden": [16]}}},
        "endpoints": {"seeds": 4, "train": {"epochs": 2, "lr": 0.1, "batch_size": 32}},
        "paths": [{"kind": "linear"}, {"kind": "bezier", "train": {"epochs": 2, "lr": 0.05, "batch_size": 32}}],
        "measure": {"profile": {"points": 5}},
        "resources": {"pack": 3},
    }
    sweep |= changes
    return sweep | {"resources": PLAIN | sweep["resources"]}


def tables(uri: str | Path) -> dict[str, pd.DataFrame]:
    """Every table of a store, in a fixed order of rows, without the columns that say how the work went."""
    store = mcdist.open_store(uri)
    return {name: _ordered(store.table(name).drop(columns=[*PASSING], errors="ignore")) for name in TABLES}


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [column for column in ("task_id", "sweep", "t", "metric", "epoch") if column in frame]
    return frame.sort_values(keys).reset_index(drop=True)


def assert_same_tables(got: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame], **how: Any) -> None:
    """The same rows, every number the same bits unless `how` gives a tolerance."""
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(got[name], frame, obj=name, **(how or {"check_exact": True}))
