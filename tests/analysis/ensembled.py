"""Ensembles, their members, trajectories and trials of a synthetic sweep, with known effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .frames import Row, endpoint, frame, task

B = 20
RUN: dict[str, Row] = {
    "independent": {},
    "snapshot": {"restarts": True, "start": 0, "lr1": 0.1, "cycles": 5},
    "fge": {"restarts": True, "start": 16, "lr1": 0.05, "lr2": 0.01, "cycle": 2.0},
    "swa": {"restarts": True, "start": 16, "lr1": 0.05, "lr2": 0.01, "cycle": 2.0},
    "curve": {"points": 5},
}
EFFECTS = {"independent": 0.0, "snapshot": 0.004, "fge": -0.01, "swa": -0.004, "curve": 0.02}


def ensemble(method: str, seed: int, budget: int, error: float, **columns: Any) -> tuple[Row, list[Row]]:
    """One ensemble and its members: every member errs by a fifth more, and the running error falls to the whole's."""
    setting = RUN[method] | {k: v for k, v in columns.items() if k in RUN["fge"] or k in ("cycles", "points")}
    rest = {k: v for k, v in columns.items() if k not in setting}
    words = "-".join(f"{v:g}" for v in setting.values() if v is not None)
    name = f"{rest.get('problem', 'digits')}-{method}-{words}-{seed}-{budget}"
    size = {"independent": budget, "swa": budget, "curve": 5}.get(method, 2 * budget)
    runs = 2 if method == "curve" else budget
    row = (
        {"task_id": name, "ensemble_id": name, "problem": "digits", "method": method, "seed": seed}
        | setting
        | {"size": size, "runs": runs, "budget": budget, "budget_epochs": budget * B, "epochs_used": budget * B - 1.0}
        | {"val_error": error * 1.1, "val_nll": 4.4 * error, "test_error": error, "test_nll": 4 * error}
        | {"brier": 2 * error, "ece": error / 4, "disagreement": None if size == 1 else error / 2}
        | {"mean_member_error": 1.2 * error, "best_member_error": 1.1 * error, "oracle_error": error / 3}
        | {"mean_member_nll": 5 * error}
        | rest
    )
    members = []
    for k in range(size):
        running = error * (1 + 0.2 * (size - 1 - k) / max(size - 1, 1))
        run = f"{row['problem']}-{seed + 100 * (k * runs // size)}"
        members.append(
            {"task_id": name, "ensemble_id": name, "member": k, "run_id": run, "run_member": k, "epoch": float(B)}
            | {"lr": setting.get("lr2"), "test_error": 1.2 * error, "test_nll": 5 * error, "distance": 1.0 + k}
            | {"t": k / 4 if method == "curve" else None}
            | {"running_test_error": running, "running_test_nll": 4 * running}
        )
    return row, members


def ensembles(
    methods: Sequence[str] = ("independent", "snapshot", "fge", "swa"),
    seeds: Sequence[int] = range(6),
    budgets: Sequence[int] = (1, 2, 3),
    *,
    effects: Mapping[str, float] = EFFECTS,
    spread: float = 0.02,
    noise: float = 0.002,
    rng_seed: int = 0,
    **columns: Any,
) -> tuple[list[Row], list[Row]]:
    """error = 0.15 / budget^0.3 + effect of the method + that of the seed + noise, and members."""
    rng = np.random.default_rng(rng_seed)
    own = spread * rng.normal(size=len(seeds))
    rows, members = [], []
    for method in methods:
        for budget in budgets:
            for seed, shift in zip(seeds, own, strict=True):
                error = 0.15 * budget**-0.3 + effects[method] + shift + noise * float(rng.normal())
                row, its = ensemble(method, seed, budget, max(error, 1e-3), **columns)
                rows.append(row)
                members += its
    return rows, members


def trajectory(
    seed: int,
    rng: np.random.Generator,
    *,
    steps: int = 10,
    start: int = 16,
    epochs: int = B,
    cycle: float = 2.0,
    lr1: float = 0.05,
    lr2: float = 0.01,
    looks: int = 4,
    rise: float = 0.05,
    **columns: Any,
) -> list[Row]:
    """A triangular rate; error = 0.1 + own + rise (lr - lr2) / (lr1 - lr2); distance grows as the root of steps."""
    name, c = f"trajectory-{seed}-{start}-{epochs}-{lr1:g}-{lr2:g}-{cycle:g}", round(cycle * steps)
    about = {"task_id": name, "trajectory_id": name, "problem": "digits", "seed": seed, "rate": "triangle"}
    about |= {"start": start, "lr1": lr1, "lr2": lr2, "cycle": cycle, "parent_id": f"digits-{seed}"}
    own, rows = 0.01 * float(rng.normal()), []
    last = (((epochs - start) * steps - c // 2) // c) * c + c // 2
    for i in sorted({*range(0, last + 1, c // looks), *range(c // 2, last + 1, c)}):
        t = ((i - 1) % c + 1) / c if i else 1 / c
        lr = (1 - 2 * t) * lr1 + 2 * t * lr2 if t <= 0.5 else (2 - 2 * t) * lr2 + (2 * t - 1) * lr1
        error = 0.1 + own + rise * (lr - lr2) / (lr1 - lr2) + 1e-4 * float(rng.normal())
        rows.append(
            about
            | {"iteration": i, "epoch": start + i / steps, "lr": lr, "test_error": error, "test_nll": 3 * error}
            | {"member": (i - c // 2) // c if i and i % c == c // 2 else None, "distance": i**0.5}
            | {"train_loss": 0.1 if i else None}
            | columns
        )
    return rows


def trial_rows(
    settings: Sequence[Mapping[str, float]],
    nll: Sequence[float],
    stopped: Mapping[int, int] = {},
    *,
    planned: int = 4,
    seeds: int = 5,
    **columns: Any,
) -> tuple[list[Row], list[Row]]:
    """One FGE trial per setting with that final nll; `stopped` says after how many cycles. Second, their cycles: nll
    falls by 0.1 with each.
    """
    trials, cycles = [], []
    for k, (setting, value) in enumerate(zip(settings, nll, strict=True)):
        name, members = f"trial-{k:02d}", stopped.get(k, planned)
        run = RUN["fge"] | {"start": 12, **setting}
        run.pop("restarts")
        used = run["start"] + run["cycle"] * (members - 0.5)
        trials.append(
            {"task_id": name, "trial_id": name, "problem": "digits", "subject": "ensemble", "parameters": "{}"}
            | {"method": "fge", **run, "seeds": seeds, "members": members, "members_planned": planned}
            | {"complete": k not in stopped, "epochs_used": used, "val_nll": value, "val_nll_stderr": 0.01}
            | {"val_error": value / 4}
            | columns
        )
        cycles += [
            {"task_id": name, "trial_id": name, "cycle": j, "epochs_used": run["start"] + run["cycle"] * (j - 0.5)}
            | {"lr1": run["lr1"], "lr2": run["lr2"], "val_nll": value + 0.1 * (members - j), "val_error": value / 4}
            | {"val_nll_stderr": 0.01}
            for j in range(1, members + 1)
        ]
    return trials, cycles


def ensemble_sweep(
    seeds: Sequence[int] = range(5), methods: Sequence[str] = ("independent", "fge"), **options: Any
) -> dict[str, list[Row]]:
    """The rows of a sweep of ensembles alone: end points, trajectories, ensembles and members."""
    rng = np.random.default_rng(1)
    rows, members = ensembles(methods, seeds, **options)
    tables = {
        "endpoints": [endpoint("digits", seed, rng) for seed in seeds],
        "trajectories": [look for seed in seeds for look in trajectory(seed, rng)],
        "ensembles": rows,
        "ensemble_members": members,
    }
    return tables | {"tasks": tasks_of(tables)}


def tasks_of(tables: Mapping[str, Sequence[Row]]) -> list[Row]:
    """A finished task for each that the rows name."""
    return [task(name, "any") for name in dict.fromkeys(row["task_id"] for part in tables.values() for row in part)]


def frames(table: str, rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as the store gives them, numbers as numbers."""
    return frame(table, rows).infer_objects()
