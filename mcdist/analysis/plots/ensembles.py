"""Ensembles at equal budget: scores against budget, and as members are added."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from mcdist.analysis.ensembles import ensemble_summary, labelled
from mcdist.analysis.over_seeds import over_units
from mcdist.analysis.pairs import check_columns, groups, select
from mcdist.analysis.plots.style import GroupStyle, few_decades, quiet
from mcdist.errors import RequestError
from mcdist.store.schemas import TABLES

__all__ = ["ensemble_styles", "plot_ensembles", "plot_running"]

Units = Mapping[str, str]

# Okabe-Ito, as the kinds of paths are.
_COLOURS = {
    "independent": "#555555",
    "snapshot": "#E69F00",
    "fge": "#0072B2",
    "swa": "#009E73",
    "curve": "#CC79A7",
}
_OTHER = "#D55E00"
_DASHES, _MARKERS = ("-", "--", ":", "-."), ("o", "s", "^", "D", "v", "P")
_WIDE = 4.0  # greatest over least: a span that is drawn in the logarithm
_DODGE = 0.5  # of the distance of two budgets, or of one member more: all methods lie within


def ensemble_styles(table: pd.DataFrame) -> dict[str, GroupStyle]:
    """Label to style, in the order of the rows: colour by `method`, dash and marker by setting."""
    styles: dict[str, GroupStyle] = {}
    used: dict[str, int] = {}
    for label, method in table[["label", "method"]].drop_duplicates().itertuples(index=False):
        turn = used[method] = used.get(method, -1) + 1
        colour = _COLOURS.get(method, _OTHER)
        styles[label] = GroupStyle(label, colour, _DASHES[turn % len(_DASHES)], _MARKERS[turn % len(_MARKERS)])
    return styles


def plot_ensembles(
    ensembles: pd.DataFrame,
    ax: Axes,
    metric: str = "test_error",
    *,
    level: float = 0.95,
    units: Units | None = None,
) -> Axes:
    """A score against the budget, the mean over seeds with its interval: one line per method and setting, beside each
    other at each budget, so that none hides another.

    Pass the ensembles of one problem. `metric` is a column that `ensemble_summary` has an interval of.
    """
    _one_problem(ensembles)
    table = ensemble_summary(ensembles, level=level, units=units)
    check_columns(table, [metric, f"{metric}_low"], "ensemble_summary")
    styles = ensemble_styles(table)
    budgets = np.unique(table["budget"].to_numpy(dtype=float))
    for turn, (label, style) in enumerate(styles.items()):
        rows = table[table["label"] == label]
        x, mean, low, high = (
            rows[c].to_numpy(dtype=float) for c in ("budget", metric, f"{metric}_low", f"{metric}_high")
        )
        bars = np.where(np.isfinite([mean - low, high - mean]), [mean - low, high - mean], 0.0)
        ax.errorbar(
            x + _beside(turn, len(styles)),
            mean,
            bars,
            color=style.colour,
            linestyle=style.dash,
            marker=style.marker,
            markersize=4.5,
            linewidth=1.2,
            elinewidth=1.1,
            label=label,
        )
    ax.xaxis.set_major_locator(FixedLocator(budgets.tolist()))
    ax.set(xlabel="budget (multiples of what trains one network)", ylabel=_axis(metric))
    if len(budgets):
        ax.set_xlim(budgets.min() - 0.6, budgets.max() + 0.6)
    quiet(ax)
    return ax


def plot_running(
    ensembles: pd.DataFrame,
    members: pd.DataFrame,
    ax: Axes,
    metric: str = "test_error",
    *,
    budget: int | None = None,
    level: float = 0.95,
    units: Units | None = None,
) -> Axes:
    """The score of the ensemble of the members so far against their number, the mean over seeds: one line per method
    and setting, with the interval where all members are there. Marks stand beside each other.

    Pass the ensembles of one problem; budget: of these, the greatest if not said. `metric` has a column `running_`.
    """
    column = f"running_{metric}"
    check_columns(members, ["ensemble_id", "member", column], "ensemble_members")
    _one_problem(ensembles)
    rows = labelled(ensembles, units=units)
    if rows.empty:
        return ax
    rows = select(rows, "ensembles", budget=rows["budget"].max() if budget is None else budget)
    table = members[["ensemble_id", "member", column]].merge(rows[["ensemble_id", "label", "method", "unit"]])
    styles = ensemble_styles(rows)
    for turn, (label, style) in enumerate(styles.items()):
        found = [
            over_units(part[column].to_numpy(dtype=float), part["unit"], level)
            for _, part in groups(table[table["label"] == label], ["member"])
        ]
        count = np.arange(1, len(found) + 1) + _beside(turn, len(styles))
        mean = [m.value for m in found]
        ax.plot(
            count, mean, color=style.colour, linestyle=style.dash, marker=style.marker, markersize=4, linewidth=1.3,
            label=label,
        )  # fmt: skip
        if found and np.isfinite(found[-1].low):
            ends = [[found[-1].value - found[-1].low], [found[-1].high - found[-1].value]]
            ax.errorbar(count[-1:], mean[-1:], ends, color=style.colour, elinewidth=1.1)
    shown = table[column].to_numpy(dtype=float)
    if shown.min() > 0 and shown.max() > _WIDE * shown.min():
        few_decades(ax)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="members", ylabel=f"{_axis(metric)}\nof the ensemble so far")
    quiet(ax)
    return ax


def _beside(turn: int, count: int) -> float:
    """How far the marks of one of so many lines stand from where they belong, so that none hides another."""
    return _DODGE * ((turn + 0.5) / count - 0.5)


def _one_problem(ensembles: pd.DataFrame) -> None:
    if ensembles["problem"].nunique() > 1:
        raise RequestError("ensembles: they are of several problems; pass those of one alone")


def _axis(metric: str) -> str:
    """The name of a score, with its unit as the store's table gives it."""
    unit = next((c.unit for c in TABLES["ensembles"].columns if c.name == metric), "")
    words = {"test_nll": "test nll", "val_nll": "validation nll", "ece": "expected calibration error"}
    text = words.get(metric, metric.replace("_", " "))
    return f"{text} ({unit})" if unit else text
