"""A synthetic sweep as the store's tables: end points with effects of their own, paths, profiles, failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from mcdist.store.schemas import TABLES

Row = dict[str, Any]
METRICS = ("train_loss", "train_error", "test_loss", "test_error")
LEVELS = {"train_loss": 0.05, "train_error": 0.01, "test_loss": 0.3, "test_error": 0.08}
STEPS = {"linear": 2.0, "bezier": 0.08, "chain": 0.15}
T = np.linspace(0, 1, 21)


def frame(table: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as the store gives them: every column of the schema, null where a row has none."""
    schema = TABLES[table].schema
    return pd.DataFrame([dict(row) for row in rows], columns=schema.names)


def barrier_frame(values: Mapping[tuple[str, str], float], **columns: Any) -> pd.DataFrame:
    """A `barriers` table with one linear train-loss row per pair: the barrier and the saddle have that value."""
    rows = [
        {
            "task_id": f"profile-{a}-{b}",
            "path_id": f"path-{a}-{b}",
            "kind": "linear",
            "aligned": False,
            "endpoint_a": a,
            "endpoint_b": b,
            "metric": "train_loss",
            "barrier_linear": value,
            "max": value,
            "value_a": 0.0,
            "value_b": 0.0,
            "argmax_t": 0.5,
            **columns,
        }
        for (a, b), value in values.items()
    ]
    return frame("barriers", rows)


def dyadic(count: int, rng: np.random.Generator, own: float = 0.5, pair: float = 0.5) -> dict[tuple[str, str], float]:
    """All pairs of `count` end points with the value 1 + u_a + u_b + e_ab: normal effects of those scales."""
    effect = rng.normal(size=count) * own
    return {
        (f"e{a:02d}", f"e{b:02d}"): 1 + effect[a] + effect[b] + pair * rng.normal()
        for a, b in combinations(range(count), 2)
    }


def task(task_id: str, kind: str, status: str = "done", error: str | None = None, **columns: Any) -> Row:
    return {
        "task_id": task_id,
        "kind": kind,
        "status": status,
        "attempts": 1,
        "error": error,
        "error_kind": None if status == "done" else "raised" if status == "failed" else "blocked",
        "host": "node-1",
        "device": "cpu",
        "pack_size": 1,
        "wall_s": 12.5,
        "started_at": datetime(2026, 3, 4, 5, 6, tzinfo=timezone.utc),
        "mcdist_version": "0.1.0",
        "torch_version": "2.10.0",
        "spec": "{}",
        "inputs": [],
        **columns,
    }


def endpoint(problem: str, seed: int, rng: np.random.Generator, **columns: Any) -> Row:
    name = f"{problem}-{seed}"
    metrics = {metric: level * float(np.exp(0.2 * rng.normal())) for metric, level in LEVELS.items()}
    about = {"problem": problem, "dataset": "digits", "model": "mlp", "n_params": 12345, "seed": seed}
    training = {"epochs": 20, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    return {"task_id": name, "endpoint_id": name, **about, **training, **metrics, **columns}


def path_rows(
    kind: str, a: Row, b: Row, height: float, aligned: bool = False, **settings: Any
) -> tuple[Row, list[Row], list[Row]]:
    """One path, its profile and its barriers: a bump over the straight line, in units of the end points' level."""
    name = "-".join(["path", kind, a["endpoint_id"], b["endpoint_id"], *map(str, settings.values()), str(aligned)])
    ends = {"kind": kind, "aligned": aligned, "endpoint_a": a["endpoint_id"], "endpoint_b": b["endpoint_id"]}
    path = {"task_id": name, "path_id": name, **ends, "n_points": 2 if kind == "linear" else 3, "ends": "fixed"}
    bump = 4 * T * (1 - T) * height
    curves = {m: (1 - T) * a[m] + T * b[m] + LEVELS[m] * bump for m in METRICS}
    profile = f"profile-{name}"
    points = [
        {"task_id": profile, "path_id": name, "t": t, "s": t, **{m: float(curves[m][i]) for m in METRICS}}
        for i, t in enumerate(T)
    ]
    barriers = []
    for metric, curve in curves.items():
        line = (1 - T) * curve[0] + T * curve[-1]
        barriers.append(
            {
                "task_id": profile,
                "path_id": name,
                **ends,
                "metric": metric,
                "n_points": len(T),
                "value_a": curve[0],
                "value_b": curve[-1],
                "min": curve.min(),
                "max": curve.max(),
                "mean": curve.mean(),
                "integral": float(np.trapezoid(curve, T)),
                "argmax_t": T[curve.argmax()],
                "barrier_linear": (curve - line).max(),
                "barrier_mean": curve.max() - (curve[0] + curve[-1]) / 2,
                "barrier_max": curve.max() - max(curve[0], curve[-1]),
            }
        )
    return {**path, **settings}, points, barriers


Variant = tuple[str, bool, Mapping[str, Any]]
PLAIN: tuple[Variant, ...] = (("linear", False, {}), ("bezier", False, {}), ("chain", False, {}))


def sweep_rows(
    problem: str = "digits",
    seeds: Sequence[int] = range(6),
    variants: Sequence[Variant] = PLAIN,
    keep: Callable[[str, int, int], bool] = lambda kind, a, b: True,
    rng_seed: int = 0,
) -> dict[str, list[Row]]:
    """The rows of a sweep over all pairs: `keep` says which (kind, seed a, seed b) were run."""
    rng = np.random.default_rng(rng_seed)
    ends = [endpoint(problem, seed, rng) for seed in seeds]
    effects = np.exp(0.4 * rng.normal(size=len(ends)))
    tables: dict[str, list[Row]] = {"tasks": [], "endpoints": ends, "paths": [], "path_points": [], "barriers": []}
    for (i, a), (j, b) in combinations(enumerate(ends), 2):
        for kind, aligned, settings in variants:
            if not keep(kind, a["seed"], b["seed"]):
                continue
            height = STEPS[kind] * effects[i] * effects[j] * float(np.exp(0.2 * rng.normal()))
            path, points, barriers = path_rows(kind, a, b, height * (0.3 if aligned else 1), aligned, **settings)
            tables["paths"].append(path)
            tables["path_points"] += points
            tables["barriers"] += barriers
    kinds = {"endpoints": "endpoint", "paths": "path", "path_points": "profile"}
    for table, kind in kinds.items():
        tables["tasks"] += [task(name, kind) for name in dict.fromkeys(row["task_id"] for row in tables[table])]
    return tables
