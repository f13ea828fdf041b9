"""Measures of curvature in words, with the settings that tell two of the same name apart."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mcdist.analysis.plots.style import measure_name

__all__ = ["FIRST", "in_order", "name_measures"]

FIRST = ("fisher_trace", "lambda_max", "hessian_trace", "ggn_trace", "ggn_max")
"""The measures that come first, in this order; others follow by name."""

_WORDS = {
    "n_samples": "{:.0f} examples",
    "weight_decay": "weight decay {:g}",
    "loss_weight_decay": "weight decay {:g}",
    "label_mode": "{} labels",
    "floor": "floor {:g}",
}


def name_measures(rows: pd.DataFrame) -> pd.Series:
    """Of every row its measure in words, and the settings that vary within the measure: "Fisher trace, data labels"."""
    names = rows["measure"].astype(object).map(measure_name)
    # `curvature_ratios` has the weight decay of the loss beside that of the path's training.
    decay = "loss_weight_decay" if "loss_weight_decay" in rows.columns else "weight_decay"
    for column in ("n_samples", decay, "label_mode", "floor"):
        several = rows.groupby("measure")[column].transform("nunique") > 1
        for place in rows.index[several & rows[column].notna()]:
            names[place] = f"{names[place]}, {_WORDS[column].format(rows.at[place, column])}"
    return names


def in_order(rows: pd.DataFrame, names: pd.Series) -> list[str]:
    """The names that occur, those of the first measures first."""
    known = rows.assign(name=names).drop_duplicates("name")
    rank: Sequence[str] = FIRST
    place = known["measure"].map(lambda measure: rank.index(measure) if measure in rank else len(rank))
    return known.assign(place=place).sort_values(["place", "name"])["name"].astype(str).tolist()
