"""Curvature, spectra, planes and the rest of what is measured along the paths of a synthetic sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .frames import Row, task

SUBSET = {"n_samples": 100, "subset_seed": 0, "weight_decay": 0.0}
S = np.linspace(0, 1, 9)


def bump(height: float) -> Callable[[np.ndarray], np.ndarray]:
    """A curvature of 1 at the ends that rises to 1 + height in the middle."""
    return lambda s: 1 + height * 4 * s * (1 - s)


RISE = bump(1.0)


def curvature_rows(
    path: Row,
    measure: str = "fisher_trace",
    value: Callable[[np.ndarray], np.ndarray] = RISE,
    controls: tuple[float, float] | None = (1.1, 1.2),
    **columns: Any,
) -> list[Row]:
    """One measure along a path, whose t is s squared, and at its controls."""
    task_id = f"curvature-{path['path_id']}"
    about = {"task_id": task_id, "problem": "digits", "path_id": path["path_id"], "measure": measure, **SUBSET}
    places = [("path", s**2, s, v) for s, v in zip(S, value(S), strict=True)]
    places += [("control", t, t, v) for t, v in zip((0.0, 1.0), controls or (), strict=False)]
    return [about | {"role": r, "t": t, "s": s, "value": float(v)} | columns for r, t, s, v in places]


def cycle_rows(path: Row, saddles: Sequence[float]) -> list[Row]:
    """The cycles of an AutoNEB with these saddles."""
    best = int(np.argmin(saddles))
    return [
        {"task_id": path["path_id"], "path_id": path["path_id"], "cycle": k + 1, "steps": 100, "lr": 0.1 / (k + 1)}
        | {"pivots": 3 + k, "mean_loss": 0.1, "saddle": saddle, "argmax_t": 0.5, "inserted": 1, "kept": k == best}
        for k, saddle in enumerate(saddles)
    ]


def alignment_row(a: Row, b: Row, method: str, before: float = 10.0, after: float = 6.0) -> Row:
    name = f"align-{method}-{a['endpoint_id']}-{b['endpoint_id']}"
    ends = {"endpoint_a": a["endpoint_id"], "endpoint_b": b["endpoint_id"]}
    about = {"task_id": name, "alignment_id": name, "problem": "digits", "method": method, "groups": 2, "units": 128}
    return about | ends | {"moved": 120, "distance_before": before, "distance_after": after}


def spectrum_rows(path: Row, count: int = 4) -> list[Row]:
    """The leading Hessian eigenvalues along a path: the first is twice the second, and so on."""
    about = {"task_id": f"curvature-{path['path_id']}", "problem": "digits", "path_id": path["path_id"], **SUBSET}
    return [
        about | {"role": "path", "t": s**2, "s": s, "operator": "hessian", "index": k, "eigenvalue": float(v) / 2**k}
        for k in range(count)
        for s, v in zip(S, bump(1.0)(S), strict=True)
    ]


def density_rows(path: Row, places: Sequence[float] = (0.0, 0.5, 1.0)) -> list[Row]:
    """A density of eigenvalues at a few places of a path."""
    about = {"task_id": f"curvature-{path['path_id']}", "problem": "digits", "path_id": path["path_id"], **SUBSET}
    x = np.linspace(-1, 10, 45)
    return [
        about
        | {"role": "path", "t": s, "s": s, "operator": "hessian", "x": float(at), "density": float(np.exp(-at * at))}
        for s in places
        for at in x
    ]


def plane_rows(
    a: Row, b: Row, c: Row | None = None, path: Row | None = None, size: int = 7
) -> tuple[list[Row], list[Row]]:
    """A plane and its marks: the loss is 0.01 + the product of squared distances from a, b and c."""
    name = f"plane-{a['endpoint_id']}-{b['endpoint_id']}" + ("" if path is None else "-path")
    points = {"a": (0.0, 0.0), "b": (4.0, 0.0), "c": (2.0, 3.0)}
    ends = {"endpoint_a": a["endpoint_id"], "endpoint_b": b["endpoint_id"], "endpoint_c": c and c["endpoint_id"]}
    about = {"task_id": name, "plane_id": name, "problem": "digits", "path_id": path and path["path_id"], **ends}
    rows = []
    for y in np.linspace(-1, 4, size):
        for x in np.linspace(-1, 5, size):
            loss = 0.01 + float(np.prod([(x - u) ** 2 + (y - v) ** 2 for u, v in points.values()])) / 100
            rows.append(about | {"x": float(x), "y": float(y), "train_loss": loss, "test_error": min(1.0, loss / 10)})
    marks = [{"task_id": name, "plane_id": name, "role": r, "x": x, "y": y} for r, (x, y) in points.items()]
    if path is not None:
        marks += [
            {"task_id": name, "plane_id": name, "role": "path", "t": t, "x": 4 * t, "y": 12 * t * (1 - t)}
            for t in np.linspace(0, 1, 11)
        ]
    return rows, [{"distance": 0.0} | mark for mark in marks]


def with_measures(tables: dict[str, list[Row]], rises: Mapping[str, float], rng_seed: int = 0) -> dict[str, list[Row]]:
    """The sweep with curvature of both measures on the paths of these kinds: their rise, and a bit of chance."""
    rng = np.random.default_rng(rng_seed)
    rows: list[Row] = []
    for path in tables["paths"]:
        if path["kind"] in rises:
            height = rises[path["kind"]] * float(np.exp(0.2 * rng.normal()))
            for measure, stderr in (("fisher_trace", 0.05), ("lambda_max", None)):
                rows += curvature_rows(path, measure, bump(height), stderr=stderr)
    tasks = [task(name, "curvature") for name in dict.fromkeys(row["task_id"] for row in rows)]
    return tables | {"curvature": rows, "tasks": tables["tasks"] + tasks}
