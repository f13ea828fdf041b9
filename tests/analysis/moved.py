"""Drifts, relaxations, their traces, log-determinants and trials of a synthetic sweep, with known laws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from .frames import Row, frame, task

STARTS = (0.15, 0.3, 0.5, 0.7, 0.85)
SETTINGS = ((0.1, 64), (0.1, 16), (0.1, 4))
GRID = np.linspace(0, 1, 9)


def outward(s: float) -> int | None:
    return None if abs(s - 0.5) < 1e-9 else 1 if s > 0.5 else -1


def pairs(count: int) -> list[Row]:
    """All pairs of so many end points, with a Bezier path each, trained at a rate of its own."""
    return [
        {"task_id": f"path-{a}-{b}", "path_id": f"path-{a}-{b}", "kind": "bezier", "aligned": False}
        | {"endpoint_a": f"e{a:02d}", "endpoint_b": f"e{b:02d}", "n_points": 3, "lr": 0.3, "batch_size": 99, "seed": 7}
        for a, b in combinations(range(count), 2)
    ]


def drift_rows(
    path: Row,
    rng: np.random.Generator,
    *,
    exponent: float = 1.0,
    factor: float = 1.0,
    full: float = -1e-4,
    error: float = 0.05,
    settings: Sequence[tuple[float, int]] = SETTINGS,
    starts: Sequence[float] = STARTS,
    time: float = 10.0,
    **columns: Any,
) -> list[Row]:
    """drift_noise / t_eff = factor x own x T^exponent, own log-normal by start, with a relative error at B = 16."""
    rows = []
    for s in starts:
        own = factor * float(np.exp(0.3 * rng.normal()))
        for lr, batch in settings:
            T = lr / batch
            noise = error * (0.1 / 16) ** (exponent - 0.5) * T**0.5
            velocity = own * T**exponent + noise * float(rng.normal())
            rows.append(
                {"task_id": f"drift-{path['path_id']}", "problem": "digits", "path_id": path["path_id"], "s": s, "t": s}
                | {"lr": lr, "batch_size": batch, "momentum": 0.0, "weight_decay": 0.002, "noise": "minibatch"}
                | {"sampling": "shuffled", "seed": 0, "steps": round(time / lr), "t_eff": time, "replicas": 32}
                | {"diverged": 0, "outward": outward(s), "drift_full_batch": full * time, "excursion": 0.05}
                | {"drift_noise": velocity * time, "stderr": noise * time, "spread": noise * time * 32**0.5}
                | {"path_length": 5.0, "n_params": 100, "t_nominal": T, "t_measured": 3 * T}
                | columns
            )
    return rows


def relaxation_rows(
    path: Row,
    rng: np.random.Generator,
    *,
    settings: Sequence[tuple[float, int]] = ((0.1, 8), (0.1, 32), (0.4, 8), (0.4, 32)),
    exponents: tuple[float, float] = (1.0, 1.0),
    shape: float = 1.3,
    limit: float = 200.0,
    replicas: int = 4,
    starts: Sequence[float] = (0.3, 0.5, 0.7),
    controls: Sequence[str] = (),
    **columns: Any,
) -> list[Row]:
    """Weibull times distance x lr^-a B^b of so many runs; controls without noise never move, isotropic ones half as
    fast.
    """
    rows = []
    for s in starts:
        for lr, batch in settings:
            scale = min(s, 1 - s) * lr ** -exponents[0] * batch ** exponents[1]
            for noise, slower in (("minibatch", 1.0), *(("isotropic", 2.0) for c in controls if c == "isotropic")):
                for replica in range(replicas):
                    passage = slower * scale * float(rng.weibull(shape))
                    far = rng.random() < 0.2
                    rows.append(_run(path, s, lr, batch, replica, noise, passage, limit, far) | columns)
        if "none" in controls:
            rows += [
                _run(path, s, lr, None, 0, "none", np.inf, limit, False) | columns
                for lr in dict.fromkeys(lr for lr, _ in settings)
            ]
    return rows


def _run(
    path: Row,
    s: float,
    lr: float,
    batch: int | None,
    replica: int,
    noise: str,
    passage: float,
    limit: float,
    far: bool,
) -> Row:
    arrived = passage <= limit
    end = ("a" if (s < 0.5) != far else "b") if arrived else None
    last = s if end is None else 0.04 if end == "a" else 0.96
    T = 0.0 if batch is None else lr / batch
    return (
        {"task_id": f"relax-{path['path_id']}-{noise}-{lr}-{batch}", "problem": "digits", "path_id": path["path_id"]}
        | {"s0": s, "replica": replica, "optimizer": "sgd", "nesterov": False, "lr": lr, "batch_size": batch}
        | {"momentum": 0.0, "weight_decay": 0.002, "noise": noise, "k_project": 15, "buffers": "zero", "seed": 0}
        | {"sampling": "shuffled" if noise == "minibatch" else None, "t_nominal": T, "t_measured": 3 * T}
        | {"time_limit": limit, "t_eff": min(passage, limit), "end": end, "censored": not arrived, "diverged": False}
        | {"t_first_passage": passage if arrived else None, "s_last": last, "drift": (outward(s) or 1) * (last - s)}
        | {"residual": 0.01, "path_length": 5.0, "n_params": 100, "margin": 0.05, "steps": 100}
    )


def trace_rows(runs: Sequence[Row], looks: int = 5) -> list[Row]:
    """Every run straight from its start to where it was last."""
    return [
        {name: run[name] for name in ("task_id", "path_id", "s0", "replica")}
        | {"step": k, "t_eff": run["t_eff"] * k / looks, "s": run["s0"] + (run["s_last"] - run["s0"]) * k / looks}
        | {"residual": 0.01, "train_loss": 0.1}
        for run in runs
        for k in range(1, looks + 1)
    ]


def stiffness_rows(
    path: Row, rise: float = 1.0, *, floor: float = 0.01, modes: Sequence[float] = (2.0, 1.0), **columns: Any
) -> list[Row]:
    """Log-determinant and trace of modes that grow by 1 + rise sin^2 (pi s), and the modes as spectra."""
    rows, factor = [], 1 + rise * np.sin(np.pi * GRID) ** 2
    about = {"task_id": f"curvature-{path['path_id']}", "problem": "digits", "path_id": path["path_id"], "role": "path"}
    about |= {"n_samples": 100, "subset_seed": 0, "weight_decay": 0.002}
    for s, f in zip(GRID, factor, strict=True):
        values = np.array(modes) * f
        counted = values[values > floor]
        log = {"measure": "log_det", "value": float(np.log(counted).sum()), "floor": floor, "rank": len(counted)}
        both = (log | {"truncated": False}, {"measure": "hessian_trace", "value": float(values.sum())})
        rows += [about | {"t": s, "s": s} | row | columns for row in both]
    return rows


def mode_rows(path: Row, rise: float = 1.0, modes: Sequence[float] = (2.0, 1.0)) -> list[Row]:
    """The leading eigenvalues of `stiffness_rows`."""
    about = {"task_id": f"curvature-{path['path_id']}", "problem": "digits", "path_id": path["path_id"], "role": "path"}
    about |= {"n_samples": 100, "subset_seed": 0, "weight_decay": 0.002, "operator": "hessian"}
    return [
        about | {"t": s, "s": s, "index": k, "eigenvalue": float(mode * (1 + rise * np.sin(np.pi * s) ** 2))}
        for s in GRID
        for k, mode in enumerate(modes)
    ]


def loss_rows(path: Row, dip: float = 0.01, norm: float = 2.0) -> list[Row]:
    """A train loss that falls by `dip` to the middle, as sin^2 (pi s)."""
    return [
        {"task_id": f"profile-{path['path_id']}", "path_id": path["path_id"], "t": s, "s": s, "l2_norm": norm}
        | {"train_loss": float(0.1 - dip * np.sin(np.pi * s) ** 2)}
        for s in np.linspace(0, 1, 41)
    ]


def trial_rows(temperatures: Sequence[float], times: Sequence[float | None], **columns: Any) -> list[Row]:
    """One trial per temperature; no arrival where there is no time."""
    return [
        {"task_id": f"trial-{k}", "trial_id": f"trial-{k}", "problem": "digits", "optimizer": "sgd", "lr": T * 8}
        | {"noise": "minibatch", "batch_size": 8, "momentum": 0.0, "k_project": 15, "t_nominal": T, "runs": 20}
        | {"arrived": 0 if time is None else 10, "exposure": 1000.0 if time is None else 10 * time, "diverged": 0}
        | {"relaxation_time": time, "subject": "relaxation", "parameters": "{}", "censored": 10}
        | columns
        for k, (T, time) in enumerate(zip(temperatures, times, strict=True))
    ]


def with_noise(tables: dict[str, list[Row]], rng_seed: int = 0, **drift: Any) -> dict[str, list[Row]]:
    """The sweep with drifts, relaxations, controls, log-determinants and trials on its Bezier paths."""
    rng = np.random.default_rng(rng_seed)
    rows: dict[str, list[Row]] = {}
    for path in tables["paths"]:
        if path["kind"] != "bezier":
            continue
        rows.setdefault("drifts", []).extend(drift_rows(path, rng, **drift))
        runs = relaxation_rows(path, rng, controls=("none", "isotropic"), replicas=2)
        rows.setdefault("relaxations", []).extend(runs)
        rows.setdefault("relaxation_traces", []).extend(trace_rows(runs))
        rows.setdefault("curvature", []).extend(stiffness_rows(path, rise=float(np.exp(0.2 * rng.normal()))))
    rows["trials"] = trial_rows([0.001, 0.01, 0.1], [None, 50.0, 5.0])
    tasks = [
        task(name, "noise")
        for name in dict.fromkeys(row["task_id"] for part in rows.values() for row in part)
        if name not in {row["task_id"] for row in tables["tasks"]}
    ]
    merged = {name: [*tables.get(name, []), *part] for name, part in rows.items()}
    return tables | merged | {"tasks": tables["tasks"] + tasks}


def frames(table: str, rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as the store gives them, numbers as numbers."""
    return frame(table, rows).infer_objects()
