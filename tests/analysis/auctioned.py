"""Auctions of a synthetic sweep: menus with known gaps and reducibility, paths with known barriers and promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from .frames import Row, task

OPTIMUM = 0.55
SIZES = (8, 16, 32)
T = np.linspace(0, 1, 13)


def menu(size: int, seed: int, **columns: Any) -> Row:
    """The least menu misses 1 % of the optimum and a fifth of its buyers, greater ones less; seeds differ a little."""
    setting = columns.get("setting", "uniform_2")
    mechanism = columns.get("mechanism", "rochetnet")
    problem = columns.get("problem", f"{setting}/{mechanism} {size}")
    name = f"{problem}-{seed}".replace("/", "-").replace(" ", "-")
    revenue = OPTIMUM * (1 - 0.01 * 8 / size) - 1e-4 * seed
    return {
        **{"task_id": name, "endpoint_id": name, "problem": problem, "setting": setting},
        **{"mechanism": mechanism, "n": 2, "m": 1, "menu_size": size, "allocation": "projection", "kappa": 100.0},
        **{"iterations": 2000, "seed": seed, "epochs": 20, "optimizer": "adam", "lr": 0.02, "batch_size": 1024},
        **{"schedule": "cosine", "revenue_soft": revenue - 0.01, "revenue": revenue + 0.003, "stderr": 0.002},
        **{
            "revenue_exact": revenue,
            "n_active": 4 + seed % 2,
            "revenue_optimal": OPTIMUM,
            "optimal_source": "Somebody",
        },
        **{"revenue_baseline": 0.5, "baseline": "items_apart", "bound": 2.0, "capacity": int(np.sqrt(size + 1))},
        **{"n_kept": 2, "reducibility_fit": 1.6 / size, "reducibility": 1.6 / size + 0.001 * seed},
        **{"dropped_revenue": 0.1 / size, "held_out": 20000},
        **columns,
    }


def options_of(name: str) -> list[Row]:
    """Items apart at 0.5 on the unit square: four areas."""
    squares = {(0, 0): 0.0, (1, 0): 0.5, (0, 1): 0.5, (1, 1): 1.0}
    rows = []
    for k, ((x, y), price) in enumerate(squares.items()):
        low = x / 2, y / 2
        corners = [[low[0] + a, low[1] + b] for a, b in ((0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5))]
        about = {"task_id": name, "endpoint_id": name, "option": k, "allocation": [float(x), float(y)]}
        rows.append(about | {"price": price, "share": 0.25, "mass": 0.25, "corners": corners})
    return rows


def auction_path(
    kind: str, a: Row, b: Row, loss: float, *, aligned: bool = False, exact: bool = True, error: float = 0.0
) -> tuple[Row, list[Row], list[Row]]:
    """A straight line of revenue, but for the middle: there it is `loss` below the lesser end."""
    name = f"path-{kind}-{aligned}-{a['endpoint_id']}-{b['endpoint_id']}"
    ends = {"kind": kind, "aligned": aligned, "alignment": "weights" if aligned else None, "repair": False}
    ends |= {"endpoint_a": a["endpoint_id"], "endpoint_b": b["endpoint_id"]}
    made = kind == "three_pieces"
    path = {"task_id": name, "path_id": name, **ends, "n_points": 4 if made else 2, "length": 2.0, "chord": 1.0}
    if made:
        path |= {"pieces": 3, "kept_a": 2, "kept_b": 3, "eps_promised": 0.05, "eps_sharp": 0.03, "eps_measured": 0.06}
        path |= {"shortfall": loss, "shortfall_stderr": 0.002, "shortfall_t": 0.5, "promise_kept": loss <= 0.056}
        path |= {"middle_deviation": 1e-16, "outer_changed": 0.0}
    metrics = ("revenue_exact", "revenue") if exact else ("revenue",)
    points: list[Row] = [
        {
            "task_id": f"profile-{name}",
            "path_id": name,
            "t": t,
            "s": t,
            "piece": min(int(3 * t) + 1, 3) if made else None,
        }
        for t in T
    ]
    barriers = []
    for metric in metrics:
        line = (1 - T) * a[metric] + T * b[metric]
        lesser = min(a[metric], b[metric])
        curve = np.where(T == 0.5, lesser - loss, line)
        for row, value in zip(points, curve, strict=True):
            row[metric] = float(value)
        barriers.append(
            {
                "task_id": f"profile-{name}",
                "path_id": name,
                **ends,
                **{"problem": a["problem"], "metric": metric, "n_points": len(T), "value_a": a[metric]},
                **{"value_b": b[metric], "min": curve.min(), "max": curve.max(), "argmin_t": 0.5},
                **{"barrier_max": lesser - curve.min(), "barrier_linear": (line - curve).max()},
                "stderr": error if metric == "revenue" else None,
            }
        )
    return path, points, barriers


def auction_sweep(
    sizes: Sequence[int] = SIZES, seeds: Sequence[int] = range(5), exact: bool = True, **columns: Any
) -> dict[str, list[Row]]:
    """All pairs of all seeds at each size: the straight line loses less the greater the menu, the matched line a
    hundredth of that, and three pieces nothing.
    """
    none: Mapping[str, Any] = {} if exact else {"revenue_exact": None}
    tables: dict[str, list[Row]] = {
        name: [] for name in ("tasks", "endpoints", "menus", "menu_options", "paths", "path_points", "barriers")
    }
    for size in sizes:
        menus = [menu(size, seed, **none, **columns) for seed in seeds]
        tables["menus"] += menus
        for row in menus:
            tables["menu_options"] += options_of(row["endpoint_id"]) if exact else []
            about = {name: row[name] for name in ("task_id", "endpoint_id", "problem", "seed", "epochs", "lr")}
            about |= {"dataset": row["setting"], "model": row["mechanism"], "n_params": 3 * size, "optimizer": "adam"}
            tables["endpoints"].append(about | {"train_loss": -row["revenue_soft"]})
        for a, b in combinations(menus, 2):
            loss = 0.2 * 8 / size * (1 + 0.05 * (a["seed"] + b["seed"]))
            for kind, aligned, part in (("linear", False, 1.0), ("linear", True, 0.01), ("three_pieces", False, 0.0)):
                path, points, barriers = auction_path(kind, a, b, part * loss, aligned=aligned, exact=exact, error=1e-3)
                tables["paths"].append(path)
                tables["path_points"] += points
                tables["barriers"] += barriers
    tables["tasks"] = [task(row["task_id"], "endpoint") for row in tables["endpoints"]]
    tables["tasks"] += [task(row["task_id"], "path") for row in tables["paths"]]
    profiles = {row["task_id"] for row in tables["barriers"]}
    tables["tasks"] += [task(name, "profile") for name in sorted(profiles)]
    return tables
