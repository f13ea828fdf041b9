"""What the figures share: one colour per path kind, labels with units, and quiet axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FormatStrFormatter, LogLocator

from mcdist.analysis.pairs import groups
from mcdist.store.schemas import TABLES

__all__ = [
    "INK",
    "MUTED",
    "TEMPERATURE",
    "GroupStyle",
    "axis_label",
    "few_decades",
    "group_label",
    "group_styles",
    "measure_name",
    "metric_name",
    "quiet",
]

# The Okabe-Ito colours, told apart under every common colour vision; yellow is left out (too faint on white).
KIND_COLOURS = {
    **{"linear": "#D55E00", "bezier": "#0072B2", "chain": "#009E73", "autoneb": "#CC79A7"},
    **{"logits": "#56B4E9", "three_pieces": "#E69F00", "five_pieces": "#555555", "large_menu": "#000000"},
}
_MORE_COLOURS = ("#56B4E9", "#E69F00", "#555555")
_DASHES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D")

INK, MUTED = "#22272e", "#6b7480"
TEMPERATURE = "nominal temperature, lr / B / (1 − momentum)"  # noqa: RUF001

_VALUES = {
    "barrier_linear": "barrier above the straight line between the ends",
    "barrier_mean": "barrier above the mean of the ends",
    "barrier_max": "barrier above the worse end",
    "max": "saddle",
}


_MEASURES = {
    "lambda_max": "largest Hessian eigenvalue",
    "hessian_trace": "Hessian trace",
    "log_det": "log-determinant of the Hessian",
    "ggn_max": "largest GGN eigenvalue",
    "ggn_trace": "GGN trace",
    "ggn_log_det": "log-determinant of the GGN",
    "fisher_max": "largest Fisher eigenvalue",
    "fisher_trace": "Fisher trace",
    "fisher_log_det": "log-determinant of the Fisher matrix",
}


@dataclass(frozen=True)
class GroupStyle:
    """How a group of paths is drawn: colour by kind; dash and marker tell settings of one kind apart."""

    label: str
    colour: str
    dash: str
    marker: str


def group_label(by: Sequence[str], key: Sequence[Any]) -> str:
    """A group in words: `bezier, aligned by weights, lr 0.01`; false and null columns are left out.

    >>> group_label(["kind", "aligned", "lr"], ["bezier", False, 0.01])
    'bezier, lr 0.01'
    """
    parts: list[str] = []
    for column, value in zip(by, key, strict=True):
        if pd.isna(value) or value is False or str(value) == "False":
            continue
        if column == "alignment":
            parts = [part for part in parts if part != "aligned"]
            parts.append(f"aligned by {value}")
        elif str(value) == "True":
            parts.append(column.replace("_", " "))
        elif column == "kind":
            parts.append(str(value).replace("_", " "))
        elif isinstance(value, str):
            parts.append(value if column in ("kind", "path", "problem", "ends", "optimizer") else f"{column} {value}")
        else:
            parts.append(f"{column.replace('_', ' ')} {value:g}")
    return ", ".join(parts) or "all paths"


def group_styles(frame: pd.DataFrame, by: Sequence[str]) -> dict[tuple[object, ...], GroupStyle]:
    """The style of each group of the frame by columns `by`, in the order of `groups`."""
    styles: dict[tuple[object, ...], GroupStyle] = {}
    used: dict[str, int] = {}
    spare = iter(_MORE_COLOURS * len(frame))
    colours = dict(KIND_COLOURS)
    for key, rows in groups(frame, by):
        named = "kind" in by or ("path" in by and "kind" in frame.columns)  # a path in words is of one kind
        kind = str(rows["kind"].iloc[0]) if named else ""
        if kind not in colours:
            colours[kind] = next(spare)
        turn = used[kind] = used.get(kind, -1) + 1
        shape = turn % len(_DASHES)
        styles[key] = GroupStyle(group_label(by, key), colours[kind], _DASHES[shape], _MARKERS[shape])
    return styles


def metric_name(metric: str) -> str:
    """A column's name in words: `train_loss` is "train loss"."""
    return metric.replace("_", " ")


def measure_name(measure: str) -> str:
    """A measure of curvature in words: `fisher_trace` is "Fisher trace"."""
    return _MEASURES.get(measure, metric_name(measure))


def axis_label(metric: str, value: str | None = None) -> str:
    """The label of an axis: the metric, what is taken of it, and its unit as the store's tables give it."""
    unit = next((c.unit for c in TABLES["path_points"].columns if c.name == metric), "")
    text = metric_name(metric) if value is None else f"{metric_name(metric)}: {_VALUES.get(value, metric_name(value))}"
    return f"{text} ({unit})" if unit else text


def few_decades(ax: Axes) -> None:
    """A logarithmic y axis over a decade or two, with plain numbers beside it."""
    ax.set_yscale("log")
    ax.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    for formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        formatter(FormatStrFormatter("%g"))
    ax.tick_params(axis="y", which="minor", labelsize=9, length=3, colors=MUTED, labelcolor=INK)


def quiet(ax: Axes, grid: Literal["x", "y"] | None = "y") -> None:
    """Leave out what carries no data: the upper and right frame, heavy ticks; a faint grid along one axis."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#b8bfc8")
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=9, length=3)
    ax.xaxis.label.set(color=INK, size=9.5)
    ax.yaxis.label.set(color=INK, size=9.5)
    ax.title.set(color=INK, size=10.5)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(axis=grid, color="#e6e9ed", linewidth=0.8)
