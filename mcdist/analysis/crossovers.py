"""The crossover temperature: where the entropic barrier of a path is as high as the energetic one.

Let s* be the stiffest place between the ends, S(s) the stiffness of `entropy_profiles` (sum ln(lambda / floor), or a
trace), and Delta X = X(s*) - (X(a) + X(b)) / 2. The entropic barrier is (T / 2) Delta S, the energetic one Delta L, and

    T* = 2 |Delta L| / Delta S,   where Delta S > 0.

"opposed", Delta L < 0: the loss pulls to the middle, and above T* the middle is a barrier of F all the same. "same",
Delta L > 0: both push outward, and above T* entropy is the larger part. Without Delta S > 0 there is no entropic
barrier, and no T*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.drifts import DRIFT_SETTINGS
from mcdist.analysis.free_energy import by_profile, is_trace, shaped_temperature
from mcdist.analysis.pairs import check_columns
from mcdist.analysis.shares import share_summary
from mcdist.analysis.summaries import COUNTS, pair_summary

__all__ = ["above_crossover", "crossover", "crossover_summary"]

Families = Mapping[str, str]

_NONE = float("nan")
_ROUNDING = 1e-12  # nats: of a floor that is flat
_PLACES = ("s_star", "delta_energy", "delta_stiffness", "stiffness_star", "t_star")


def crossover(profiles: pd.DataFrame) -> pd.DataFrame:
    """The crossover temperature of each path, measure and settings of `entropy_profiles`: their rows at s*, with

    - `s_star`; `stiffness_star` = S(s*); `delta_stiffness`, `delta_energy` (unit of the loss);
    - `t_star` = T*, of a trace T0*; 0 where the energies are equal; `sense`: opposed or same;
    - `reason` why there is no T*: no entropic barrier, or a value is missing; empty otherwise.
    """
    check_columns(profiles, ["path_id", "measure", "t", "s", "stiffness", "energy"], "free energy profiles")
    drop = ["t", "s", "rank", "stiffness", "energy"]
    records = [rows.iloc[0].drop(drop, errors="ignore").to_dict() | _crossing(rows) for _, rows in by_profile(profiles)]
    columns = [*(c for c in profiles.columns if c not in drop), *_PLACES, "sense", "reason"]
    return pd.DataFrame(records, columns=columns)


def _crossing(rows: pd.DataFrame) -> dict[str, Any]:
    """One profile: where it is stiffest between its ends, and both barriers there."""
    t, s, stiffness, energy = (rows[c].to_numpy(dtype=float) for c in ("t", "s", "stiffness", "energy"))
    record: dict[str, Any] = dict.fromkeys(_PLACES, _NONE) | {"sense": None, "truncated": bool(rows["truncated"].any())}
    ends = [np.flatnonzero(np.isclose(t, end, rtol=0, atol=1e-9)) for end in (0.0, 1.0)]
    inner = np.flatnonzero((t > 1e-9) & (t < 1 - 1e-9))
    if not all(len(end) for end in ends) or not len(inner):
        return record | {"reason": "ends or positions between them were not measured"}
    if not np.isfinite(stiffness).all():
        return record | {"reason": "no curvature at a position"}
    top = int(inner[stiffness[inner].argmax()])
    a, b = (int(end[0]) for end in ends)
    delta = stiffness[top] - (stiffness[a] + stiffness[b]) / 2
    rise = energy[top] - (energy[a] + energy[b]) / 2
    record |= {"s_star": s[top], "stiffness_star": stiffness[top], "delta_stiffness": delta, "delta_energy": rise}
    if not np.isfinite(rise):
        return record | {"reason": "no profile of the loss"}
    rise = rise if abs(rise) > _ROUNDING else 0.0
    if delta <= 0:
        return record | {"reason": "no entropic barrier"}
    return record | {"t_star": 2 * abs(rise) / delta, "sense": "opposed" if rise < 0 else "same", "reason": ""}


def crossover_summary(
    crossovers: pd.DataFrame,
    by: Sequence[str] = ("kind", "aligned", "measure"),
    *,
    level: float = 0.95,
    families: Families | None = None,
) -> pd.DataFrame:
    """T* over the pairs of each group, with intervals that resample end points: columns `by`, the counts of
    `pair_summary` (`missing`: paths without a T*) and

    - `t_star`, `t_star_low`, `t_star_high`: the median over the pairs that have one; `q05`, `q95` over them;
    - `barrier`, with `.._low`, `.._high`: the share of pairs with an entropic barrier at all;
    - `opposed`, likewise: of those, the share whose energy pulls inward;
    - `delta_stiffness`, `delta_energy`, likewise: medians over all pairs;
    - `s_star`: the median place of the barrier; `truncated`: paths whose log-determinant is a lower bound; `reason`.
    """
    check_columns(crossovers, [*by, "t_star", "sense", "delta_stiffness", "delta_energy"], "crossovers")
    known = np.isfinite(crossovers["delta_stiffness"].astype(float))
    has = crossovers["t_star"].notna()
    frame = crossovers.assign(
        barrier=(crossovers["delta_stiffness"].astype(float) > 0).astype("boolean").where(known),
        opposed=crossovers["sense"].eq("opposed").astype("boolean").where(has),
    )
    summary = partial(pair_summary, frame, "crossovers", by, statistic="median", level=level, families=families)
    stars = summary("t_star", at_least=0.0)
    table = stars[[*by, *COUNTS, "q05", "q95", "reason"]].copy()
    parts = {name: share_summary(frame, "crossovers", by, name, level=level, families=families) for name in _SHARES}
    parts |= {"t_star": stars} | {name: summary(name) for name in ("delta_stiffness", "delta_energy")}
    for name, part in parts.items():
        for column, end in (("estimate", ""), ("low", "_low"), ("high", "_high")):
            table[f"{name}{end}"] = part[column]
    table["s_star"] = summary("s_star")["estimate"]
    counts = frame.groupby(list(by), dropna=False, sort=True, observed=True)["truncated"].sum()
    table["truncated"] = counts.to_numpy(dtype=int) if len(counts) == len(table) else 0
    return table


_SHARES = ("barrier", "opposed")
# A path was trained at a rate and batch size of its own: those columns of `points` are the noise's.
_OF_PATH = ("path_id", "problem", "kind", "aligned", "alignment", "repair", "path", "via", "endpoint_a", "endpoint_b")


def above_crossover(
    crossovers: pd.DataFrame,
    points: pd.DataFrame,
    by: Sequence[str] = ("kind", "aligned", "measure", *DRIFT_SETTINGS),
    *,
    level: float = 0.95,
    families: Families | None = None,
) -> pd.DataFrame:
    """Which settings of noise were hotter than T*: per measure and group of settings of `points` the share of pairs
    whose measured temperature exceeds their T*.

    `points` has `path_id`, `t_measured`, `n_params`, s and the settings: drifts or relaxations. The temperature of a
    path is the mean over its starts. A trace is compared by T0 (`shaped_temperature`) at s*.
    Columns `by`, the counts of `pair_summary`, `share`, `low`, `high`, `reason`;
    `temperature` and `t_star`: medians over the pairs.
    """
    settings = [c for c in by if c in points.columns and c not in _OF_PATH]
    check_columns(points, ["path_id", "t_measured", "n_params"], "drifts")
    crossovers = crossovers.drop(columns=[c for c in settings if c in crossovers.columns])
    own = points.groupby(["path_id", *settings], dropna=False)[["t_measured", "n_params"]].mean().reset_index()
    joined = crossovers[crossovers["t_star"].notna()].merge(own.astype({"path_id": object}), on="path_id")
    heat = joined["t_measured"].astype(float)
    P, stiffness = joined["n_params"].astype(float), joined["stiffness_star"].astype(float)
    decay = joined["loss_weight_decay"].astype(float).fillna(0.0) if "loss_weight_decay" in joined else 0.0 * P
    for measure, rows in joined.groupby(joined["measure"].astype(str)):
        if is_trace(str(measure)):
            at = rows.index
            T, n, trace, w = (np.asarray(c.loc[at], dtype=np.float64) for c in (heat, P, stiffness, decay))
            heat.loc[at] = shaped_temperature(str(measure), T, n, trace, w)
    above = (heat > joined["t_star"].astype(float)).astype("boolean").where(heat.notna())
    joined = joined.assign(temperature=heat, above=above)
    table = share_summary(joined, "crossovers", by, "above", level=level, families=families)
    for name in ("temperature", "t_star"):
        table[name] = pair_summary(joined, "crossovers", by, name, "median", families=families)["estimate"]
    return table.rename(columns={"estimate": "share"})
