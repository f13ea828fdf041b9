"""Noisy relaxations against their controls: full batches, and isotropic noise of the same trace.

Runs are paired by path and start, and compared at one effective time that all of them had: a run that has arrived
counts from then on as where it arrived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.pairs import check_columns, groups
from mcdist.analysis.shares import share_summary
from mcdist.analysis.summaries import COUNTS, pair_summary

__all__ = ["CONTROLS", "relaxation_controls", "relaxation_pairs"]

Floats = NDArray[np.float64]

CONTROLS = ("none", "isotropic")
"""The noise of the controls: none (full batches), and isotropic (of the minibatches' measured trace)."""

_SETTINGS = ("optimizer", "nesterov", "lr", "momentum", "weight_decay", "k_project", "buffers")
_NOISE = ("noise", "sampling", "batch_size", "t_nominal")
_START = ("path_id", "s0")
_VALUES = ("arrived", "drift")


def relaxation_pairs(runs: pd.DataFrame, traces: pd.DataFrame | None = None) -> pd.DataFrame:
    """Noisy runs beside their controls: one row per path, start, setting of the noisy runs and control.

    `runs` from `relaxation_runs`, `traces` the table `relaxation_traces` (without it runs count as where they were
    last). A control has the same path, start, optimizer, momentum, weight decay, projection and buffers; the same lr
    where there are such runs (else any: `same_lr` is False); isotropic ones the same batch size and no temperature of
    their own. Diverged runs are left out. Columns: `path_id`, `s0`, those of the path, the settings, `control`, and

    - `time`: the effective time of the comparison, the least time limit of both;
    - `runs`, `control_runs`; `arrived`, `control_arrived`: the share of them that arrived by then;
    - `drift`, `control_drift`: the mean movement towards the nearer end by then (from the middle: towards b), as a part
      of the path's length; `.._difference` of both.
    """
    check_columns(
        runs, [*_START, *_SETTINGS, *_NOISE, "temperature", "time_limit", "time", "arrived", "diverged"], "runs"
    )
    runs = runs[~runs["diverged"]]
    looks = _looks(runs, traces)
    given = (runs["noise"] == "isotropic") & runs["temperature"].notna()
    noisy = runs[(runs["noise"] == "minibatch") | given]
    pool = {
        "none": runs[runs["noise"] == "none"],
        "isotropic": runs[(runs["noise"] == "isotropic") & runs["temperature"].isna()],
    }
    held = {name: dict(groups(rows, _keys(name))) for name, rows in pool.items()}
    same = {name: dict(groups(rows, [*_keys(name), "lr"])) for name, rows in pool.items()}
    records = []
    for key, rows in groups(noisy, [*_START, *_SETTINGS, *_NOISE]):
        setting = dict(zip([*_START, *_SETTINGS, *_NOISE], key, strict=True))
        for name in CONTROLS if setting["noise"] == "minibatch" else CONTROLS[:1]:
            wanted = tuple(setting[column] for column in _keys(name))
            at_lr = (*wanted, setting["lr"]) in same[name]
            control = same[name][(*wanted, setting["lr"])] if at_lr else held[name].get(wanted)
            if control is not None:
                what = _about(rows) | setting | {"control": name, "same_lr": at_lr}
                records.append(what | _both(rows, control, looks))
    columns = ["problem", "kind", "aligned", "endpoint_a", "endpoint_b", "via", "path", *_START, *_SETTINGS, *_NOISE]
    return pd.DataFrame(records, columns=[*columns, "control", "same_lr", *_COMPARED])


_COMPARED = (
    *("time", "runs", "control_runs"),
    *(f"{start}{name}{end}" for name in _VALUES for start, end in (("", ""), ("control_", ""), ("", "_difference"))),
)


def _about(rows: pd.DataFrame) -> dict[str, Any]:
    names = ("problem", "kind", "aligned", "endpoint_a", "endpoint_b", "via", "path")
    return {name: rows[name].iloc[0] if name in rows.columns else None for name in names}


def _keys(control: str) -> list[str]:
    """What a control has in common with the runs that it is for, but for lr."""
    return [*_START, *(c for c in _SETTINGS if c != "lr"), *(["batch_size"] if control == "isotropic" else [])]


Looks = dict[tuple[Any, ...], tuple[Floats, Floats]]


def _looks(runs: pd.DataFrame, traces: pd.DataFrame | None) -> Looks:
    """Of every run effective times and places of its looks; keyed by task, path, start and replica."""
    if traces is None or traces.empty:
        return {}
    keys = ["task_id", *_START, "replica"]
    if not set(keys) <= set(traces.columns) or not set(keys) <= set(runs.columns):
        return {}
    mine = traces[traces["task_id"].isin(runs["task_id"])].sort_values("t_eff", kind="stable")
    t, s = (mine[c].to_numpy(dtype=np.float64) for c in ("t_eff", "s"))
    found: Looks = {}
    for key, at in mine.groupby(keys).indices.items():
        found[key] = t[at], s[at]  # type: ignore[index]
    return found


def _both(rows: pd.DataFrame, control: pd.DataFrame, looks: Looks) -> dict[str, Any]:
    time = float(min(rows["time_limit"].astype(float).min(), control["time_limit"].astype(float).min()))
    here, there = (_by(part, time, looks) for part in (rows, control))
    found: dict[str, Any] = {"time": time, "runs": len(rows), "control_runs": len(control)}
    for name in _VALUES:
        found |= {name: here[name], f"control_{name}": there[name], f"{name}_difference": here[name] - there[name]}
    return found


def _by(rows: pd.DataFrame, time: float, looks: Looks) -> dict[str, float]:
    """The share arrived and the mean outward movement of these runs by an effective time."""
    late = time * (1 + 1e-9)
    arrived = rows["arrived"].astype(bool) & (rows["time"].astype(float) <= late)
    sign = np.where(rows["s0"].astype(float) < 0.5 - 1e-9, -1.0, 1.0)
    keys = zip(*(rows[c] if c in rows else [None] * len(rows) for c in ("task_id", *_START, "replica")), strict=True)
    last = rows["s_last"].astype(float)
    places = [_place(looks.get(key), time, s) for key, s in zip(keys, last, strict=True)]
    moved = sign * (np.array(places, dtype=float) - rows["s0"].astype(float).to_numpy())
    return {"arrived": float(arrived.mean()), "drift": float(moved.mean())}


def _place(looks: tuple[Floats, Floats] | None, time: float, last: float) -> float:
    """Where a run was at a time: at the last look until then; where it stopped before, there."""
    if looks is None:
        return last
    count = int(np.searchsorted(looks[0], time * (1 + 1e-9), side="right"))
    return float(looks[1][count - 1]) if count else np.nan


def relaxation_controls(
    pairs: pd.DataFrame,
    by: Sequence[str] = ("problem", "kind", "aligned", "control", *_SETTINGS, *_NOISE),
    *,
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Means over pairs of what `relaxation_pairs` gives, with intervals that resample end points: columns `by`, the
    counts of `pair_summary`, and `arrived`, `control_arrived`, `arrived_difference`, `drift`, `control_drift`,
    `drift_difference`, each with `.._low`, `.._high`; `sooner`, likewise: the share of the starts from which more of
    the minibatch runs arrived than of the controls, of those where one of both did; `time`: the mean; `same_lr`:
    whether all controls had the lr; `reason`. Everything is paired: both start from the same points of the same paths.
    """
    check_columns(pairs, [*by, *_COMPARED], "relaxation pairs")
    table = pd.DataFrame()
    for name in _COMPARED[3:]:
        part = pair_summary(pairs, "relaxation pairs", by, name, "mean", level=level, families=families)
        if table.empty:
            table = part[[*by, *COUNTS]].copy()
        for column, end in (("estimate", ""), ("low", "_low"), ("high", "_high")):
            table[f"{name}{end}"] = part[column]
        if name.endswith("drift_difference"):
            table["reason"] = part["reason"]
    ahead = pairs["arrived_difference"].astype(float)
    sooner = pairs.assign(sooner=(ahead > 0).astype("boolean").where(ahead != 0))
    share = share_summary(sooner, "relaxation pairs", by, "sooner", level=level, families=families)
    for column, end in (("estimate", ""), ("low", "_low"), ("high", "_high")):
        table[f"sooner{end}"] = share[column]
    parts = [rows for _, rows in groups(pairs, by)]
    table["time"] = [float(rows["time"].mean()) for rows in parts]
    table["same_lr"] = [bool(rows["same_lr"].all()) for rows in parts]
    return table
