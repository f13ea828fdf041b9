"""A buyer's menu as a picture: where each option is taken, for one item or two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.path import Path
from numpy.typing import NDArray

from mcdist.analysis.pairs import check_columns, select
from mcdist.analysis.plots.style import INK, quiet
from mcdist.errors import RequestError

__all__ = ["plot_menu"]

Floats = NDArray[np.float64]

# What is given decides the colour, so that menus of several seeds can be compared: nothing, item 1, item 2, both. From
# the Okabe-Ito colours; mixtures lie between them.
_NOTHING, _FIRST, _SECOND, _BOTH = (
    np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    for code in ("#eef0f3", "#E69F00", "#56B4E9", "#009E73")
)
_SIZES = (8.0, 6.5)  # points: the first for which there is room
_WIDE, _HIGH = 0.56, 1.2  # of a letter and of a line, in units of the size


def plot_menu(menu_options: pd.DataFrame, endpoint_id: str, ax: Axes) -> Axes:
    """The valuations that take each option of a menu: areas in the plane of two items' values, or parts of the line of
    one item's. Named by allocation and price where the name has room inside; options that nobody takes are left out.

    `menu_options` is the store's table; corners must be there (menus whose revenue is exact). Raises RequestError for
    an end point that the table does not hold, and for one without corners.
    """
    check_columns(menu_options, ["endpoint_id", "option", "allocation", "price", "corners"], "menu_options")
    rows = select(menu_options, "menu_options", endpoint_id=endpoint_id)
    regions = [
        (np.asarray(allocation, dtype=float), float(price), _points(corners))
        for allocation, price, corners in zip(rows["allocation"], rows["price"], rows["corners"], strict=True)
        if corners is not None and np.ndim(corners) > 0 and len(corners)
    ]
    if not regions or regions[0][2].shape[1] > 2:
        raise RequestError(f"menu_options: end point {endpoint_id} has no areas to draw; menus of 1 or 2 items may")
    (_line if regions[0][2].shape[1] == 1 else _plane)(regions, ax)
    quiet(ax, grid=None)
    return ax


def _points(corners: Sequence[Sequence[float]]) -> Floats:
    return np.array([[float(x) for x in corner] for corner in corners])


def _colour(allocation: Floats) -> Floats:
    x, y = (float(np.clip(a, 0, 1)) for a in (allocation if len(allocation) > 1 else (0.0, allocation[0])))
    mixed: Floats = (1 - x) * (1 - y) * _NOTHING + x * (1 - y) * _FIRST + (1 - x) * y * _SECOND + x * y * _BOTH
    return np.clip(mixed, 0, 1)


def _plane(regions: Sequence[tuple[Floats, float, Floats]], ax: Axes) -> None:
    everything = np.concatenate([corners for _, _, corners in regions])
    low, high = everything.min(axis=0), everything.max(axis=0)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    ax.set(xlabel="value of item 1", ylabel="value of item 2")
    for allocation, price, corners in regions:
        ax.add_patch(Polygon(corners, facecolor=_colour(allocation), edgecolor="white", linewidth=1.0))
        text = _name(allocation, price)
        for size in _SIZES:
            at = _inside(corners, *_extent(text, size, ax, high - low))
            if at is not None:
                ax.text(*at, text, ha="center", va="center", size=size, color=INK, linespacing=1.1)
                break


def _line(regions: Sequence[tuple[Floats, float, Floats]], ax: Axes) -> None:
    ends = np.concatenate([corners[:, 0] for _, _, corners in regions])
    low, high = float(ends.min()), float(ends.max())
    ax.set(xlim=(low, high), ylim=(0, 1), xlabel="value of the item")
    ax.set_yticks([])
    for allocation, price, corners in regions:
        left, right = float(corners[:, 0].min()), float(corners[:, 0].max())
        ax.barh(0.5, right - left, left=left, height=0.7, color=_colour(allocation), edgecolor="white", linewidth=1.0)
        text = _name(allocation, price)
        if _extent(text, _SIZES[0], ax, np.array([high - low, 1.0]))[0] < right - left:
            at = (left + right) / 2, 0.5
            ax.text(*at, text, ha="center", va="center", size=_SIZES[0], color=INK, linespacing=1.1)


def _name(allocation: Floats, price: float) -> str:
    """What is given and what for, in two lines: `(1, 0.5)` over `0.667`."""
    if not allocation.any() and not price:
        return "nothing"
    parts = ", ".join(f"{a:.2f}".rstrip("0").rstrip(".") for a in np.round(allocation, 2) + 0.0)
    return f"({parts})\n{price:.3f}" if len(allocation) > 1 else f"{parts}\nfor {price:.3f}"


def _extent(text: str, size: float, ax: Axes, span: Floats) -> tuple[float, float]:
    """Width and height of a text in units of the axes' data, before anything is drawn."""
    box = ax.get_window_extent()
    inches = np.array([box.width, box.height]) / ax.figure.dpi
    inches = np.minimum(inches, inches.min()) if ax.get_aspect() == 1.0 else inches  # the plane is kept in proportion
    lines = text.split("\n")
    room = np.array([max(map(len, lines)) * _WIDE, len(lines) * _HIGH]) * size / 72
    width, height = room / inches * span
    return float(width), float(height)


def _inside(corners: Floats, width: float, height: float) -> tuple[float, float] | None:
    """Where in a convex polygon a box of that size fits: about its centroid; None where it does not."""
    x, y = corners[:, 0], corners[:, 1]
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    if abs(cross.sum()) < 1e-15:
        return None
    centre = np.array([((x + np.roll(x, -1)) * cross).sum(), ((y + np.roll(y, -1)) * cross).sum()]) / (3 * cross.sum())
    box = centre + np.array([(a * width / 2, b * height / 2) for a in (-1, 1) for b in (-1, 1)])
    return (float(centre[0]), float(centre[1])) if Path(corners).contains_points(box).all() else None
