"""Whether bigger menus have lower barriers and need fewer of their options: trends against the size of the menu.

Seeds are what is resampled (delete-one jackknife): menus of one seed share their draws at every size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.auction_paths import revenue_barriers
from mcdist.analysis.menus import MECHANISM, MENU_SETTING, labelled_menus
from mcdist.analysis.pairs import check_columns, groups, without_tours
from mcdist.analysis.resampled import resampled
from mcdist.analysis.resampling import stream

__all__ = ["MIN_SIZES", "SETTING", "barrier_trend", "reducibility_trend", "seed_units", "with_menus"]

Floats = NDArray[np.float64]

MIN_SIZES = 3
"""Fewest menu sizes that a trend is given for."""

SETTING = tuple(c for c in MENU_SETTING if c not in ("menu_size", "problem"))
"""What menus of different sizes have in common where they are compared."""

_COLUMNS = (
    *("sizes", "least", "most", "rows", "shown", "slope", "slope_low", "slope_high", "units", "reason"),
    "level",
)
_STEPS, _CLOSE = 100, 1e-12


def with_menus(rows: pd.DataFrame, menus: pd.DataFrame) -> pd.DataFrame:
    """Rows of pairs with what both of their ends' menus have in common: columns `MENU_SETTING`.

    Pairs between menus of different settings or sizes, and those without a menu, are left out.
    """
    about = menus.drop_duplicates("endpoint_id").set_index("endpoint_id")
    known = rows["endpoint_a"].isin(about.index) & rows["endpoint_b"].isin(about.index)
    mine = rows[known].drop(columns=[c for c in MENU_SETTING if c in rows.columns])
    a, b = (about.loc[mine[end], list(MENU_SETTING)].reset_index(drop=True) for end in ("endpoint_a", "endpoint_b"))
    alike = ((a == b) | (a.isna() & b.isna())).all(axis=1).to_numpy(dtype=bool)
    joined = pd.concat([mine.reset_index(drop=True), a], axis=1)
    return joined[alike].reset_index(drop=True)


def barrier_trend(
    barriers: pd.DataFrame, menus: pd.DataFrame, path: Sequence[str] = ("kind", "aligned"), *, level: float = 0.95
) -> pd.DataFrame:
    """The exponent b of barrier ~ (menu size)^b by kind of path: below 0 where bigger menus have lower barriers.

    The fit is of the mean barrier, in percent of the lesser end's revenue, by Poisson's likelihood (so that barriers of
    0 count as they are). One row per setting, mechanism, way of training and kind: `sizes`, from `least` to `most`;
    `rows`, of which a barrier is `shown`; `slope` with interval; `level`: the fit at the geometric mean of the sizes;
    `reason` where there is none: fewer than `MIN_SIZES` sizes, or barriers above 0 at fewer than two of them.
    """
    check_columns(barriers, [*path, "endpoint_a", "endpoint_b"], "barriers")
    rows = with_menus(without_tours(revenue_barriers(barriers))[0], menus)
    rows = rows[np.isfinite(rows["relative"].astype(float))]
    return _trends(rows, menus, (*SETTING, *path), "relative", _exponent, "no barrier is shown", level)


def reducibility_trend(menus: pd.DataFrame, value: str = "reducibility", *, level: float = 0.95) -> pd.DataFrame:
    """The change of a menu's reducibility eps with each doubling of its size: below 0 where bigger ones are more
    reducible (of fewer of their valuations they need more than the few options that they may keep).

    A straight line in log2(menu size), as eps is 0 for many. Columns as for `barrier_trend`; `shown` counts menus with
    eps above 0.
    """
    rows = labelled_menus(menus)
    rows = rows[np.isfinite(rows[value].astype(float))]
    rows = rows.assign(endpoint_a=rows["endpoint_id"], endpoint_b=rows["endpoint_id"], shown=rows[value] > 0)
    return _trends(rows, menus, SETTING, value, _per_doubling, "eps is 0 for all of them", level)


def _trends(
    rows: pd.DataFrame,
    menus: pd.DataFrame,
    by: Sequence[str],
    value: str,
    fit: Callable[[Floats, Floats, Floats], Floats],
    flat: str,
    level: float,
) -> pd.DataFrame:
    seeds = seed_units(menus)
    records = []
    for key, mine in groups(rows, by):
        x, y = np.log2(mine["menu_size"].to_numpy(dtype=float)), mine[value].to_numpy(dtype=float)
        sizes = np.unique(mine["menu_size"].to_numpy(dtype=float))
        record: dict[str, object] = {
            **dict(zip(by, key, strict=True)),
            "sizes": len(sizes),
            "least": sizes.min(),
            "most": sizes.max(),
            "rows": len(mine),
            "shown": int(mine["shown"].eq(True).sum()),
            **dict.fromkeys(("slope", "slope_low", "slope_high", "level"), np.nan),
            "units": 0,
            "reason": "",
        }
        if len(sizes) < MIN_SIZES:
            record["reason"] = f"{len(sizes)} menu size{'s' if len(sizes) > 1 else ''}: a trend needs {MIN_SIZES}"
        elif not record["shown"]:
            record["reason"] = flat
        else:
            record |= _fitted(mine, x, y, fit, level, seeds, key)
        records.append(record)
    return pd.DataFrame(records, columns=[*by, *_COLUMNS])


def _fitted(
    rows: pd.DataFrame,
    x: Floats,
    y: Floats,
    fit: Callable[[Floats, Floats, Floats], Floats],
    level: float,
    seeds: Mapping[str, str],
    key: Sequence[object],
) -> dict[str, object]:
    def statistic(weights: Floats) -> Floats:
        return fit(x, y, weights)

    found = resampled(rows, statistic, level=level, rng=stream(0, "menu_trends", *key), families=seeds)
    low, high = found.interval()
    return {
        "slope": found.value[0],
        "slope_low": low[0],
        "slope_high": high[0],
        "level": found.value[1],
        "units": found.units,
        "reason": found.reason,
    }


def seed_units(menus: pd.DataFrame) -> dict[str, str]:
    """The seed that each menu shares with those of other sizes in its setting."""
    rows = menus.drop_duplicates("endpoint_id")
    keys = rows[[*MECHANISM, "seed"]].astype(str).agg("/".join, axis=1)
    return dict(zip(rows["endpoint_id"].astype(str), keys, strict=True))


def _per_doubling(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Slope of the weighted straight line, and its height at the mean of x; NaN where all x are one."""
    total = weights.sum()
    if total <= 0:
        return np.full(2, np.nan)
    d = x - x.mean()
    centre = (weights * d).sum() / total
    spread = (weights * (d - centre) ** 2).sum()
    if spread <= 0:
        return np.full(2, np.nan)
    slope = (weights * (d - centre) * y).sum() / spread
    height = (weights * y).sum() / total - slope * centre
    return np.array([slope, height])


def _exponent(x: Floats, y: Floats, weights: Floats) -> Floats:
    """b and the level exp(a) of the fit E y = exp(a + b log(2) (x - mean x)): Newton's method; NaN where there is none.

    The likelihood has a maximum if and only if y > 0 for two values of x or more, or for one between others.
    """
    sizes = np.unique(x[weights > 0])
    above = np.unique(x[(weights > 0) & (y > 0)])
    if not len(above) or (len(above) == 1 and above[0] in (sizes[0], sizes[-1])):
        return np.full(2, np.nan)
    d = np.log(2) * (x - x.mean())
    design = np.stack([np.ones_like(d), d], axis=1)
    mean = (weights * y).sum() / weights.sum()
    beta = np.array([np.log(mean), 0.0])
    score = design.T @ (weights * y)
    for _ in range(_STEPS):
        rate = weights * np.exp(np.clip(design @ beta, -700, 700))
        step = np.linalg.solve(design.T @ (rate[:, None] * design), score - design.T @ rate)
        beta = beta + np.clip(step, -2, 2)
        if np.abs(step).max() < _CLOSE:
            break
    return np.array([beta[1], np.exp(beta[0])])
