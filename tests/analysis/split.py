"""The tables of networks that were split, with instabilities of a known law."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from .frames import Row, frame

EPOCHS = (0, 1, 2, 4, 8)
LENGTH = 20
ENDS = {
    "train_error": 0.01,
    "test_error": 0.05,
    "train_loss": 0.1,
    "lambda_max": 2.0,
    "fisher_trace": 1.0,
    "log_det": 5.0,
}
ERRORS, CURVED = ("train_error", "test_error", "train_loss"), ("lambda_max", "fisher_trace", "log_det")
T = np.linspace(0, 1, 5)
Law = Callable[[str, int, int], float]
"""(measure, parent, epoch) -> how far it rises above the mean of its ends."""


def rise(measure: str, parent: int, epoch: int) -> float:
    """Errors fall through 0.02 at epoch 1.5, ratios of curvature through 1.1 at epoch 6, of the loss at epoch 3."""
    at = {"train_error": 1.5, "test_error": 1.5, "train_loss": 3.0}.get(measure, 6.0)
    height = 0.02 if measure.endswith("error") else 0.1 * abs(ENDS[measure])
    return max(height * (1 + (at - epoch) / 10), 0.0)


def split_tables(
    law: Law = rise,
    *,
    parents: Sequence[int] = range(6),
    branches: int = 2,
    epochs: Sequence[int] = EPOCHS,
    problem: str = "digits",
    **train: object,
) -> dict[str, list[Row]]:
    """Rows of `endpoints`, `paths`, `barriers` and `curvature`: every pair of branches of a parent and epoch.

    Ends differ from their mean by half of what measures rise, of which they are part: the greatest value is inside.
    """
    how = {"epochs": LENGTH, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "batch_size": 32}
    tables: dict[str, list[Row]] = {"endpoints": [], "paths": [], "barriers": [], "curvature": []}
    for parent in parents:
        for epoch in epochs:
            trunk = f"{problem}-trunk{parent}-{train.get('lr', 0.1)}"
            names = [f"{trunk}-{epoch}-{branch}" for branch in range(branches)]
            for branch, name in enumerate(names):
                own = {"endpoint_id": name, "parent_id": trunk, "spawn_epoch": epoch, "branch": branch, "seed": parent}
                tables["endpoints"].append({"problem": problem} | how | {"schedule": "cosine"} | train | own)
            for a, b in combinations(names, 2):
                path = {"path_id": f"{a} {b}", "kind": "linear", "aligned": False, "repair": False}
                path |= {"endpoint_a": a, "endpoint_b": b}
                tables["paths"].append(path)
                for measure in ENDS:
                    _measure(tables, path, problem, measure, law(measure, parent, epoch))
    return tables


def _measure(tables: dict[str, list[Row]], path: Row, problem: str, measure: str, height: float) -> None:
    mean, half = ENDS[measure], height / 2
    if measure in ERRORS:
        place = {"metric": measure, "n_points": 31, "problem": problem}
        values = {"value_a": mean - half, "value_b": mean + half, "max": mean + height, "barrier_mean": height}
        tables["barriers"].append(path | place | values)
        return
    inner = {0.0: mean - half, 1.0: mean + half, 0.5: mean + height}
    for t in T:
        place = {"path_id": path["path_id"], "problem": problem, "role": "path", "t": t, "s": t}
        setting = {"measure": measure, "n_samples": 100, "subset_seed": 0, "weight_decay": 0.0}
        value = inner.get(float(t), mean)
        if measure == "log_det":  # of sum ln(lambda / floor), over a number of eigenvalues that differs from t to t
            rank = 10 + round(8 * t)
            setting |= {"floor": 0.01, "rank": rank}
            value += rank * np.log(0.01)
        tables["curvature"].append(place | setting | {"value": value})


def frames(rows: Mapping[str, list[Row]]) -> list[pd.DataFrame]:
    """The tables in the order in which `instabilities` takes them."""
    return [frame(name, rows[name]) for name in ("endpoints", "paths", "barriers", "curvature")]
