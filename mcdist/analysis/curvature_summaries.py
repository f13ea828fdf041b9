"""The statistics of curvature over many pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from mcdist.analysis.curvature import ABOVE, COMPARISONS, SETTINGS
from mcdist.analysis.pairs import check_columns, pair_groups, select
from mcdist.analysis.profiles import mean_profile
from mcdist.analysis.resampling import Statistic
from mcdist.analysis.shares import share_summary
from mcdist.analysis.summaries import COUNTS, pair_summary
from mcdist.errors import RequestError

__all__ = ["control_summary", "curvature_profile", "curvature_ratio_summary", "positions"]

Families = Mapping[str, str]


def curvature_ratio_summary(
    ratios: pd.DataFrame,
    by: Sequence[str] = ("kind", "aligned", "measure"),
    value: str = "mid_over_ends",
    *,
    level: float = 0.95,
    n_boot: int = 1000,
    seed: int = 0,
    families: Families | None = None,
) -> pd.DataFrame:
    """How much curvature rises along the paths of each group, over pairs, with intervals that resample end points.

    `ratios` comes from `curvature_ratios`; `value` is one of its comparisons: `mid_over_ends`, `mid_over_controls`,
    `max_over_ends`. One row per group, with the columns `by`, the counts of `pair_summary` (`missing`: paths
    without a ratio, `why`: how many for which reason) and

    - `estimate`, `low`, `high`: the median ratio; `reason` where there is no interval;
    - `geometric`, `geometric_low`, `geometric_high`: exp of the mean logarithm of the ratios;
    - `difference`, `difference_low`, `difference_high`: the median difference, over all pairs with values, those
      without a ratio too; in the unit of the measure;
    - `share`, `share_low`, `share_high`: the part of the pairs whose value is above both that it is compared with,
      over all pairs with values, `share_pairs`; `share_missing`: paths without; see `shares` for the interval;
    - `stderr`: the median of the ratios' own standard errors, where measures are random estimates. The
      intervals hold it already, as far as it differs from pair to pair.

    Raises RequestError for a value, column or option that is not allowed.
    """
    if value not in COMPARISONS:
        raise RequestError(f"value: got {value!r}; allowed: {', '.join(COMPARISONS)}")
    check_columns(ratios, [*by, value, ABOVE[value]], "curvature ratios")
    difference, logarithm = value.replace("_over_", "_minus_"), f"log_{value}"
    frame = ratios.assign(**{logarithm: np.log(ratios[value].astype(float))})
    where = "curvature ratios"
    summary = partial(pair_summary, frame, where, by, level=level, n_boot=n_boot, seed=seed, families=families)
    table = summary(value, "median")[[*by, *COUNTS, "estimate", "low", "high", "reason"]]
    logs, differences = summary(logarithm, "mean"), summary(difference, "median")
    shares = share_summary(frame, where, by, ABOVE[value], level=level, families=families)
    for column, end in (("estimate", ""), ("low", "_low"), ("high", "_high")):
        table[f"geometric{end}"] = np.exp(logs[column].astype(float))
        table[f"difference{end}"] = differences[column]
        table[f"share{end}"] = shares[column]
    table["share_pairs"], table["share_missing"] = shares["pairs"], shares["missing"]
    parts = [part for _, part, _ in pair_groups(frame, by)]
    table["stderr"] = [float(part[f"{value}_stderr"].astype(float).median()) for part in parts]
    table["why"] = [_reasons(part.loc[part[value].isna(), f"{value}_reason"]) for part in parts]
    return table


def _reasons(reasons: pd.Series) -> str:
    counts = reasons.value_counts().sort_index()
    return "; ".join(f"{count} {reason}" for reason, count in counts.items())


def curvature_profile(
    curvature: pd.DataFrame,
    paths: pd.DataFrame,
    measure: str,
    by: Sequence[str] = ("kind", "aligned"),
    statistic: Statistic = "mean",
    *,
    axis: str = "s",
    layer: str | None = None,
    t: Sequence[float] | None = None,
    level: float = 0.95,
    families: Families | None = None,
) -> pd.DataFrame:
    """The statistic of a measure over paths along the arclength `s` (or along `t`), by columns of `paths`: rows,
    columns and errors as for `mean_profile`.

    `measure` and `layer` (the whole network where None) name one measure; RequestError if the rows are of several
    settings, such as both kinds of labels: then pass those of one alone.
    """
    rows = positions(curvature, measure, layer)
    # Each seed of the subset is a profile of its own, whatever tasks its positions came from.
    rows = rows.assign(task_id=rows["subset_seed"])
    rows = rows.groupby(["path_id", "task_id", "t"], dropna=False)[["s", "value"]].mean().reset_index()
    table = mean_profile(
        rows.rename(columns={"value": measure}),
        paths[paths["path_id"].isin(rows["path_id"])],
        measure,
        by,
        statistic,
        axis=axis,
        t=t,
        level=level,
        families=families,
    )
    return table


def positions(curvature: pd.DataFrame, measure: str, layer: str | None = None, role: str = "path") -> pd.DataFrame:
    """The rows of one measure and role; RequestError if they are of several settings (but for seeds)."""
    check_columns(curvature, ["path_id", "role", "t", "s", "measure", "layer", "value"], "curvature")
    rows = select(curvature, "curvature", measure=measure)
    rows = rows[rows["layer"].isna() if layer is None else rows["layer"] == layer]
    rows = rows[rows["role"] == role]
    for column in (name.removeprefix("loss_") for name in SETTINGS if name != "subset_seed"):
        if column in rows.columns and rows[column].nunique(dropna=False) > 1:
            held = ", ".join(sorted(str(value) for value in rows[column].unique()))
            raise RequestError(f"curvature: {measure} is there with several values of {column}: {held}; pass one")
    return rows


def control_summary(
    curvature: pd.DataFrame,
    paths: pd.DataFrame,
    measure: str,
    by: Sequence[str] = ("kind", "aligned"),
    *,
    level: float = 0.95,
    families: Families | None = None,
) -> pd.DataFrame:
    """The mean of a measure over the controls at each end, t = 0 and t = 1, by columns of `paths`: rows, columns and
    errors as for `pair_summary`, with `t` after `by`.
    """
    rows = positions(curvature, measure, role="control")[["path_id", "t", "value"]]
    about = paths.drop_duplicates("path_id")
    joined = about.drop(columns=["t", "value"], errors="ignore").merge(rows, on="path_id")
    return pair_summary(joined, "controls", [*by, "t"], "value", "mean", level=level, families=families)
