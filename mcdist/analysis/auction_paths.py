"""Barriers of revenue between auctions, by kind of path; kinds compared pair by pair; promises and whether they held.

The barrier of a path is min(R(0), R(1)) - min_t R(t), >= 0 (Hertrich, Tao & Vegh 2023). Revenue is the exact one where
the path has one. Else it is that of a sample, and the least of many positions lies below the ends by chance alone: a
barrier is taken as shown only where it is more than two standard errors of that difference, valuation by valuation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mcdist.analysis.intervals import Estimate, estimate
from mcdist.analysis.pairs import check_columns, groups, one_per_pair, pair_groups, without_tours
from mcdist.analysis.resampling import Statistic, stream
from mcdist.analysis.shares import share_summary
from mcdist.analysis.summaries import endpoints_of, pair_summary

__all__ = ["ROUNDING", "SURE", "auction_barriers", "barrier_comparison", "promise_summary", "revenue_barriers"]

ROUNDING = 1e-9
"""Of the lesser end's revenue: an exact barrier no greater is rounding."""

SURE = 2.0
"""Standard errors that a sampled barrier must exceed to be taken as shown."""

_METRICS = ("revenue_exact", "revenue")  # the former counts where both are there
_BY = ("problem", "kind", "aligned")


def revenue_barriers(barriers: pd.DataFrame) -> pd.DataFrame:
    """Of every measured path of an auction the row of its revenue, exact if there is one, with more columns.

    `exact`; `barrier`: what the path loses below the lesser end, in units of value, and `relative`: in percent of that
    end's revenue; `error`: standard error of `barrier` (0 where exact); `shown`: whether the barrier is more than
    rounding (exact), or than `SURE` standard errors (null where there is none).
    """
    check_columns(barriers, ["path_id", "metric", "value_a", "value_b", "barrier_max", "stderr"], "barriers")
    rows = barriers[barriers["metric"].isin(_METRICS)]
    rank = rows["metric"].map({metric: place for place, metric in enumerate(_METRICS)}).astype(int)
    keys = ["path_id", "task_id"] if "task_id" in rows.columns else ["path_id"]
    rows = rows.assign(_rank=rank).sort_values([*keys, "_rank"], kind="stable").drop_duplicates(keys)
    exact = rows["metric"] == "revenue_exact"
    lesser = rows[["value_a", "value_b"]].astype(float).min(axis=1)
    size = rows["barrier_max"].astype(float)
    error = rows["stderr"].astype(float).where(~exact, 0.0)
    limit = (SURE * error).where(~exact, ROUNDING * lesser.abs())
    known = np.isfinite(limit) & np.isfinite(size)
    return rows.drop(columns="_rank").assign(
        exact=exact,
        barrier=size,
        relative=100 * size / lesser.where(lesser > 0),
        error=error,
        shown=(size > limit).astype(object).where(known, None),
    )


def auction_barriers(
    barriers: pd.DataFrame,
    by: Sequence[str] = _BY,
    statistic: Statistic = "median",
    *,
    level: float = 0.95,
    method: str = "auto",
    n_boot: int = 1000,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The barriers of revenue of each group of paths: how great, and of how many pairs one is shown.

    `barriers` is the store's table. Columns `by`; the counts of `pair_summary`; `exact`: whether all are; `estimate`,
    `low`, `high`: the statistic of the barrier in percent of the lesser end's revenue, `reason`; `value`: the same
    statistic in units of value; `most`: the greatest, in percent; `shown` with `shown_low`, `shown_high`: the share of
    pairs with a barrier that is shown; `shown_pairs`, of `judged` pairs. Intervals resample end points. Errors as for
    `pair_summary`.
    """
    rows = revenue_barriers(barriers)
    options = {"level": level, "method": method, "n_boot": n_boot, "seed": seed, "families": families}
    found = [
        pair_summary(rows, "barriers", by, value, statistic, at_least=0.0, name="auction_barriers", **options)  # type: ignore[arg-type]
        for value in ("relative", "barrier")
    ]
    shares = share_summary(rows, "barriers", by, "shown", level=level, families=families)
    table = found[0].assign(
        value=found[1]["estimate"],
        shown=shares["estimate"],
        shown_low=shares["low"],
        shown_high=shares["high"],
        shown_pairs=(shares["estimate"] * shares["pairs"]).round().fillna(0).astype(int),
        judged=shares["pairs"],
    )
    more = [(bool(part["exact"].all()), part["relative"].max()) for _, part, _ in pair_groups(rows, by)]
    return table.assign(exact=[exact for exact, _ in more], most=[most for _, most in more])


def barrier_comparison(
    barriers: pd.DataFrame,
    within: Sequence[str] = ("problem",),
    path: str = "path",
    first: str | None = None,
    *,
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """How much less of its revenue each kind of path loses than the `first` one, on the same pairs.

    `path` is the column that tells kinds apart, `first` one of its values (the first in order if not said). One row per
    group `within` and other kind: `reference`, `path`, `pairs` (that both connect), `endpoints`, `units`, `exact`;
    `reference_barrier` and `barrier`, means in percent of the lesser end's revenue; `lower` with `lower_low`,
    `lower_high`: mean difference, positive where the kind has the lower barrier; `lower_pairs`: of how many pairs it
    has; `reason` where there is no interval (delete-one jackknife of end points).
    """
    rows = revenue_barriers(barriers)
    check_columns(rows, [*within, path], "barriers")
    records = []
    for key, mine in groups(rows, within):
        kinds = [(str(kind), part) for (kind,), part in groups(mine, [path])]
        held = dict(kinds)
        name = first if first is not None else (kinds[0][0] if kinds else "")
        if name not in held:
            continue
        for other, part in kinds:
            if other != name:
                about = dict(zip(within, key, strict=True)) | {"reference": name, "path": other}
                records.append(about | _compared(held[name], part, (*key, name, other), level, families))
    return pd.DataFrame(records, columns=[*within, "reference", "path", *_COMPARED])


_COMPARED = (
    *("pairs", "endpoints", "units", "exact", "reference_barrier", "barrier"),
    *("lower", "lower_low", "lower_high", "lower_pairs", "reason"),
)


def _compared(
    one: pd.DataFrame, other: pd.DataFrame, key: Sequence[object], level: float, families: Mapping[str, str] | None
) -> dict[str, object]:
    parts = [one_per_pair(without_tours(rows)[0], "relative")[0] for rows in (one, other)]
    both = parts[0].merge(parts[1], on=["endpoint_a", "endpoint_b"], suffixes=("_one", "_other"))
    values = both[["value_one", "value_other"]].to_numpy(dtype=float).reshape(-1, 2)
    found: Estimate = estimate(
        both,
        values,
        "mean",
        level=level,
        method="jackknife",
        n_boot=2,
        rng=stream(0, "barrier_comparison", *key),
        families=families,
    )
    (low,), (high,) = found.interval(np.array([[1.0, -1.0]]))
    return {
        "pairs": len(both),
        "endpoints": endpoints_of(both),
        "units": found.units,
        "exact": bool(one["exact"].all() and other["exact"].all()),
        "reference_barrier": found.value[0],
        "barrier": found.value[1],
        "lower": found.value[0] - found.value[1],
        "lower_low": low,
        "lower_high": high,
        "lower_pairs": int((values[:, 0] > values[:, 1]).sum()),
        "reason": found.reason,
    }


def promise_summary(
    paths: pd.DataFrame,
    by: Sequence[str] = ("kind",),
    *,
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Paths that are made of their ends: what they promise, and whether the held-out valuations bear it out.

    Rows of `paths` without a promise (`eps_promised` null) are left out. Columns `by`; `paths`; `judged`: those whose
    promise was looked at, `kept` of them, `share` with interval (pairs that share end points are not independent);
    `kept_least`, `kept_most`: options kept of an end; `eps`, `eps_most`: median and greatest promise, `eps_sharp_most`,
    `eps_measured_most`; `shortfall_most`, and `beyond_most`: greatest shortfall beyond its promise in standard errors
    (NaN where there are none); `middle_deviation`: greatest on the middle piece; `outer_changed`: greatest part of the
    valuations whose payments change on the pieces beside it; `exactly`: paths that promise to lose nothing.
    """
    check_columns(paths, [*by, "path_id", "eps_promised", "promise_kept"], "paths")
    made = paths[paths["eps_promised"].notna()].drop_duplicates("path_id")
    kept = made["promise_kept"]
    shares = share_summary(made.assign(promise_kept=kept.astype("boolean")), "paths", by, "promise_kept", level=level,
                           families=families)  # fmt: skip
    records = []
    for key, rows, _ in pair_groups(made, by):
        numbers = {name: rows[name].astype(float) for name in _PROMISE}
        error = numbers["shortfall_stderr"]
        beyond = (numbers["shortfall"] - numbers["eps_promised"]) / error.where(error > 0)
        judged = rows["promise_kept"].notna()
        records.append(
            {
                **dict(zip(by, key, strict=True)),
                "paths": len(rows),
                "judged": int(judged.sum()),
                "kept": int(rows.loc[judged, "promise_kept"].astype(bool).sum()),
                "kept_least": rows[["kept_a", "kept_b"]].astype(float).min().min(),
                "kept_most": rows[["kept_a", "kept_b"]].astype(float).max().max(),
                "exactly": int((numbers["eps_promised"] <= 0).sum()),
                "eps": numbers["eps_promised"].median(),
                "eps_most": numbers["eps_promised"].max(),
                "eps_sharp_most": numbers["eps_sharp"].max(),
                "eps_measured_most": numbers["eps_measured"].max(),
                "shortfall_most": numbers["shortfall"].max(),
                "beyond_most": beyond.max(),
                "middle_deviation": numbers["middle_deviation"].max(),
                "outer_changed": numbers["outer_changed"].max(),
            }
        )
    table = pd.DataFrame(records, columns=[*by, *_PROMISED])
    return table.assign(share=shares["estimate"], share_low=shares["low"], share_high=shares["high"])


_PROMISE = (
    *("eps_promised", "eps_sharp", "eps_measured", "shortfall", "shortfall_stderr"),
    *("middle_deviation", "outer_changed"),
)
_PROMISED = (
    *("paths", "judged", "kept", "kept_least", "kept_most", "exactly", "eps", "eps_most", "eps_sharp_most"),
    *("eps_measured_most", "shortfall_most", "beyond_most", "middle_deviation", "outer_changed"),
)
