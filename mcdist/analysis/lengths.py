"""The statistics of what is one number per path: above all its length over its chord."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mcdist.analysis.pairs import check_columns
from mcdist.analysis.resampling import Statistic
from mcdist.analysis.summaries import pair_summary

__all__ = ["path_summary", "with_stretch"]

_AT_LEAST = {"stretch": 1.0, "length": 0.0, "chord": 0.0}  # by definition


def path_summary(
    paths: pd.DataFrame,
    by: Sequence[str] = ("kind", "aligned"),
    value: str = "stretch",
    statistic: Statistic = "median",
    *,
    level: float = 0.95,
    method: str = "auto",
    n_boot: int = 1000,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """A statistic of a column of the `paths` table over the pairs of each group, with an interval that
    resamples end points.

    `value` is a column of numbers, such as `n_points` (control points, which AutoNEB chooses), or `stretch`: length
    over chord, a pure number that is 1 for a straight line and missing for a chord of zero. Columns and errors as
    for `pair_summary`.
    """
    return pair_summary(
        with_stretch(paths).drop_duplicates("path_id"),
        "paths",
        by,
        value,
        statistic,
        level=level,
        method=method,
        n_boot=n_boot,
        seed=seed,
        families=families,
        at_least=_AT_LEAST.get(value, -np.inf),
        name="path_summary",
    )


def with_stretch(paths: pd.DataFrame) -> pd.DataFrame:
    """The paths with the column `stretch`, length over chord; NaN where the chord is zero or unknown."""
    check_columns(paths, ["path_id", "length", "chord"], "paths")
    length, chord = (paths[column].astype(float) for column in ("length", "chord"))
    return paths.assign(stretch=length / chord.where(chord > 0))
