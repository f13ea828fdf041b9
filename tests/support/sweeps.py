"""A small sweep on real data, and what it left in a store, ready to be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

import mcdist
from mcdist.store.schemas import TABLES

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


def every_kind_of_task() -> dict[str, Any]:
    """Three end points and three branches of another network, every kind of path, aligned and not, a tour,
    curvature, planes, drifts, relaxations and ensembles: every kind of task of a sweep, in a few seconds.
    """
    train = {"epochs": 1, "lr": 0.05, "batch_size": 32}
    longer = train | {"epochs": 2}
    bezier = {"kind": "bezier", "align": "weights", "train": train}
    neb = {"pivots": 2, "most": 3, "batch_size": 50, "dense": 2}
    neb["cycles"] = ({"steps": 3, "lr": 0.05}, {"steps": 2, "lr": 0.01})
    measures = ("lambda_max", "fisher_trace", "hessian_trace", "top_k", "log_det", "density")
    walked = {"lr": 0.05, "batch_size": 8, "replicas": 3, "samples": 60}
    return small_sweep(
        name="every-kind",
        endpoints=[
            {"seeds": 3, "train": longer},
            {"seeds": 1, "spawn": [1], "branches": 3, "train": longer},
        ],
        paths=[
            {"kind": "linear", "align": {"method": "activations", "samples": 100}, "repair": True},
            bezier,
            {"kind": "chain", "bends": 2, "objective": "arclength", "train": train},
            {"kind": "autoneb", "neb": neb},
        ],
        tours=[[0, 2, 1]],
        measure={
            "profile": {"points": 5},
            "curvature": [
                {"points": 3, "samples": 60, "controls": True, "kinds": ["bezier", "autoneb"]},
                {"at": "endpoints", "samples": 60, "measures": measures, "probes": 4, "layers": True},
            ],
            "plane": [{"points": 3, "pairs": [[0, 1]]}, {"points": 3, "through": [[0, 1, 2]]}],
            "drift": walked | {"starts": [0.3, 0.5], "steps": [2, 4]},
        },
        relaxations=walked | {"kinds": ["bezier", "autoneb"], "starts": [0.3, 0.6], "time": 1.0, "project": 3},
        ensembles=_ensembles(bezier),
        resources={"pack": 2},
    )


def every_path_of_auctions() -> dict[str, Any]:
    """Two menus and two affine maximizers, every kind of path that an auction has at its size, curvature, a plane and
    relaxations: every table of auctions, in a second.
    """
    train = {"epochs": 2, "lr": 0.05, "batch_size": 64, "optimizer": "adam"}
    small = {"menu_size": 15, "iterations": 4, "samples": 400, "fit_samples": 200}
    return {
        "name": "auctions",
        "problem": [
            {"kind": "rochetnet", "setting": "uniform_2"} | small,
            {"kind": "affine_maximizer", "setting": "bidders_2_items_2"} | small,
        ],
        "endpoints": {"seeds": 2, "train": train},
        "paths": [
            {"kind": "linear", "align": "weights"},
            {"kind": "logits"},
            {"kind": "bezier", "align": "weights", "train": train},
            {"kind": "three_pieces"},
            {"kind": "five_pieces", "keep": 3},
        ],
        "measure": {
            "profile": {"points": 16},
            "curvature": {"measures": ["lambda_max"], "points": 3, "samples": 50, "kinds": ["bezier"]},
            "plane": {"points": 3, "kinds": ["bezier"]},
        },
        "relaxations": {"lr": 0.01, "batch_size": 8, "samples": 50, "starts": [0.5], "time": 0.02, "kinds": ["bezier"]},
        "resources": PLAIN | {"pack": 2},
    }


def _ensembles(curve: dict[str, Any]) -> list[dict[str, Any]]:
    """Every method: runs from a seed, from the midst of a training (where the branches begin, too) and from its end;
    as many runs as the budget says, and one long one. Of 7 steps an epoch: cycles of 4.
    """
    triangle, twice = {"cycle": 0.57143, "looks": 2}, {"budgets": [1, 2]}
    long = {"budgets": 2, "restarts": False, "looks": 2}
    return [
        {"method": "independent", "predictions": True} | twice,
        *({"method": method, "start": 1} | triangle | twice for method in ("fge", "swa")),
        *({"method": method} | triangle | long for method in ("fge", "swa")),
        {"method": "snapshot", "cycles": 2, "looks": 2} | twice,
        {"method": "snapshot", "cycles": 3} | long,
        {"method": "curve", "budgets": 3, "points": 3, "path": curve},
    ]


def tables(uri: str | Path) -> dict[str, pd.DataFrame]:
    """Every table of a store, in a fixed order of rows, without the columns that say how the work went."""
    store = mcdist.open_store(uri)
    return {name: _ordered(store.table(name).drop(columns=[*PASSING], errors="ignore")) for name in TABLES}


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [column for column in _KEYS if column in frame]
    return frame.sort_values(keys).reset_index(drop=True)


_KEYS = (
    *("task_id", "sweep", "role", "t", "metric", "epoch", "cycle", "measure", "operator", "layer", "index", "x", "y"),
    *("s0", "replica", "step", "steps", "iteration", "member", "option"),
)


def assert_same_tables(got: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame], **how: Any) -> None:
    """The same rows, every number the same bits unless `how` gives a tolerance."""
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(got[name], frame, obj=name, **(how or {"check_exact": True}))
