"""Curvature along a path against its ends: one row per path and measure.

Three comparisons, each a ratio, a difference, and whether the one is above both of the others:

    mid_over_ends       at half of the arclength, over the mean of the path's two ends
    mid_over_controls   the same over the mean of the controls: the ends after they were trained on as the path's
                        interior was, so that what is left is the place and not the training
    max_over_ends       the greatest value between the ends, over the mean of the ends
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.pairs import check_columns, groups

__all__ = ["ABOVE", "COMPARISONS", "SETTINGS", "curvature_ratios"]

Floats = NDArray[np.float64]

COMPARISONS = ("mid_over_ends", "mid_over_controls", "max_over_ends")
ABOVE = {
    "mid_over_ends": "above_both_ends",
    "mid_over_controls": "above_both_controls",
    "max_over_ends": "max_above_both_ends",
}
"""Of each comparison the column that says whether the value is above both that it is compared with."""

SETTINGS = ("n_samples", "subset_seed", "loss_weight_decay", "label_mode", "floor")
"""What else tells two measurements of a path apart; `loss_weight_decay` is the table's `weight_decay`."""

_LOGARITHM = "log_det"  # ends the names of such measures; a ratio of logarithms means nothing, a difference does

_VARIANT = ("kind", "aligned", "alignment", "repair")
_PLACES = ("end_a", "end_b", "control_a", "control_b", "mid", "max")
_VALUES = (*_PLACES, "max_s", "max_t", "points", "missing_points")
_NONE = float("nan")


def curvature_ratios(curvature: pd.DataFrame, paths: pd.DataFrame, *, layers: bool = False) -> pd.DataFrame:
    """Per path, measure and settings the curvature at the ends, at the controls and in the middle, and the
    comparisons of the module's head. Pass the paths of one problem.

    Columns: those of `paths`; `measure`, `layer` (null for the whole network; layers are left out unless asked for)
    and the settings `n_samples`, `subset_seed`, `loss_weight_decay`, `label_mode`, `floor`;

    - `end_a`, `end_b`, `control_a`, `control_b`: the value at t = 0 and 1, on the path and of the controls;
    - `mid`: at s = 0.5, by linear interpolation; `max`, `max_s`, `max_t`: the greatest between the ends, and where;
      NaN if a value between the ends is missing, since that may be the greatest; `points`, `missing_points`:
      positions, and those without a finite value;
    - `mid_over_ends`, `mid_over_controls`, `max_over_ends`, with `.._reason` where there is none: a value is missing
      or not positive, or the measure is a logarithm. `mid_minus_ends`, `mid_minus_controls`, `max_minus_ends` need
      no positive values;
    - `above_both_ends`, `above_both_controls`, `max_above_both_ends`: null where a value is missing;
    - `.._stderr` of values, ratios and differences: what random estimates leave uncertain, from the table's `stderr`,
      combined as if independent from place to place; NaN for what has none. Probes and examples are the same at all
      places, so that the errors of ratios are rather smaller.

    A path without any row of a measure that others of its kind and alignment have is listed, `not measured`. Rows
    that differ in nothing but the task are averaged. Raises RequestError for a column that is not there.
    """
    check_columns(paths, ["path_id", "kind", "aligned", "endpoint_a", "endpoint_b"], "paths")
    check_columns(curvature, ["path_id", "role", "t", "s", "measure", "layer", "value", "stderr"], "curvature")
    rows = curvature.rename(columns={"weight_decay": "loss_weight_decay"})
    rows = rows[rows["role"].isin(("path", "control")) & (layers | rows["layer"].isna())]
    keys = ["path_id", "measure", "layer", *(column for column in SETTINGS if column in rows.columns)]
    about = paths.drop_duplicates("path_id").drop(columns=["task_id", "pack_id"], errors="ignore")
    records = [
        dict(zip(keys, key, strict=True)) | _compared(_places(part), str(key[1])) for key, part in groups(rows, keys)
    ]
    empty = _compared(dict.fromkeys(_VALUES, _NONE) | {f"{place}_stderr": _NONE for place in _PLACES}, "")
    found = pd.DataFrame(records, columns=[*keys, *empty]).astype(
        dict.fromkeys(ABOVE.values(), "boolean") | {"measure": object, "layer": object}
    )
    table = about.merge(found, on="path_id")
    return pd.concat([table, _unmeasured(about, table, keys)], ignore_index=True) if len(table) else table


def _places(rows: pd.DataFrame) -> dict[str, float]:
    """The values at the ends, the controls and the middle, and the greatest in between, with standard errors."""
    on, control = (_positions(rows[rows["role"] == role]) for role in ("path", "control"))
    t, s, value, stderr = on
    found: dict[str, float] = {}
    for (t_at, _, v_at, e_at), name in ((on, "end"), (control, "control")):
        for end, place in (("a", 0.0), ("b", 1.0)):
            here = np.flatnonzero(np.isclose(t_at, place, rtol=0, atol=1e-9))
            found[f"{name}_{end}"] = float(v_at[here[0]]) if len(here) else _NONE
            found[f"{name}_{end}_stderr"] = float(e_at[here[0]]) if len(here) else _NONE
    found["mid"], found["mid_stderr"] = _interpolated(s, value, stderr, 0.5)
    inner = np.flatnonzero((t > 1e-9) & (t < 1 - 1e-9))
    whole = len(inner) > 0 and bool(np.isfinite(value[inner]).all())
    top = inner[np.argmax(value[inner])] if whole else -1
    for name, column in (("max", value), ("max_s", s), ("max_t", t), ("max_stderr", stderr)):
        found[name] = float(column[top]) if whole else _NONE
    return found | {"points": len(t), "missing_points": int((~np.isfinite(value)).sum())}


def _positions(rows: pd.DataFrame) -> tuple[Floats, Floats, Floats, Floats]:
    """t, s, value and standard error by t, rows at the same t averaged."""
    t, s, value, stderr = (rows[name].to_numpy(dtype=np.float64) for name in ("t", "s", "value", "stderr"))
    places, where = np.unique(t, return_inverse=True)
    count = np.bincount(where, minlength=len(places))
    s, value, stderr = (np.bincount(where, x, len(places)) / count for x in (s, value, stderr))
    return places, s, value, stderr


def _interpolated(s: Floats, value: Floats, stderr: Floats, at: float) -> tuple[float, float]:
    """The value at s = at and its standard error; NaN where a neighbour is missing or the profile does not reach."""
    above = int(np.searchsorted(s, at))
    if above == len(s) or (above == 0 and s[0] > at):
        return _NONE, _NONE
    if s[above] == at:
        return float(value[above]), float(stderr[above])
    part = (at - s[above - 1]) / (s[above] - s[above - 1])
    mixed = (1 - part) * value[above - 1] + part * value[above]
    return float(mixed), float(np.hypot((1 - part) * stderr[above - 1], part * stderr[above]))


def _compared(places: dict[str, float], measure: str) -> dict[str, Any]:
    """The places, and the three comparisons between them."""
    found: dict[str, Any] = dict(places)
    for name in COMPARISONS:
        top, _, bottom = name.partition("_over_")
        a, b = (f"{bottom.removesuffix('s')}_{end}" for end in "ab")
        upper, lower = places[top], (places[a] + places[b]) / 2
        error, lower_error = places[f"{top}_stderr"], np.hypot(places[f"{a}_stderr"], places[f"{b}_stderr"]) / 2
        reason = _why_not(places, top, (a, b), measure)
        ratio = upper / lower if not reason else _NONE
        difference = f"{top}_minus_{bottom}"
        found[name], found[f"{name}_reason"] = ratio, reason
        found[f"{name}_stderr"] = ratio * float(np.hypot(error / upper, lower_error / lower)) if not reason else _NONE
        found[difference], found[f"{difference}_stderr"] = upper - lower, float(np.hypot(error, lower_error))
        known = np.isfinite([upper, lower]).all()
        found[ABOVE[name]] = bool(upper > max(places[a], places[b])) if known else None
    return found


def _why_not(places: dict[str, float], top: str, bottom: tuple[str, str], measure: str) -> str:
    """Why a comparison has no ratio; empty where it has one."""
    what = {"end_a": "at an end", "control_a": "for a control", "mid": "at mid-path", "max": "between the ends"}
    for names in (bottom, (top,)):
        if not np.isfinite([places[name] for name in names]).all():
            return f"no value {what[names[0]]}"
    if measure.endswith(_LOGARITHM):
        return "a logarithm: read the difference"
    for names in (bottom, (top,)):
        if not all(places[name] > 0 for name in names):
            return f"not positive {what[names[0]]}: read the difference"
    return ""


def _unmeasured(paths: pd.DataFrame, table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows without numbers for the paths that lack a measurement which others of their kind and alignment have."""
    variant = [column for column in _VARIANT if column in paths.columns]
    what = [key for key in keys if key not in ("path_id", "subset_seed")]
    asked = table[[*variant, *what]].drop_duplicates()
    every = paths.merge(asked, on=variant)
    held = table[["path_id", *what]].drop_duplicates().assign(held=True)
    lacking = every.merge(held, on=["path_id", *what], how="left")
    lacking = lacking[lacking["held"].isna()].drop(columns="held")
    reasons = {f"{name}_reason": "not measured" for name in COMPARISONS}
    rows = lacking.reindex(columns=table.columns).assign(**reasons, points=0, missing_points=0)
    return rows.astype(dict.fromkeys(ABOVE.values(), "boolean"))
