"""What the report's figures are made of: panels, one legend, an SVG inside a data URI with a text for it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["Picture", "legend", "panels", "picture"]

_WIDTH = 10.4
_LEGEND = 130  # characters in a line, with the line drawn before each label as 8


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, and its text for readers who cannot see it."""

    uri: str
    alt: str


def panels(count: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with that many axes in rows of `columns`, each `height` inches high."""
    rows = -(-count // columns)
    figure = Figure(figsize=(_WIDTH, rows * height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in grid[count:]:
        ax.remove()
    return figure, list(grid[:count])


def legend(figure: Figure, ax: Axes) -> None:
    """The legend of one panel, for all of them, above the figure."""
    handles, labels = ax.get_legend_handles_labels()
    fit = _LEGEND // (max(map(len, labels), default=0) + 8)  # as many as fit beside each other
    columns = max(min(len(labels), fit, 5), 1)
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=9.5)


def picture(figure: Figure, alt: str) -> Picture:
    """The figure as SVG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "mcdist", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None})
    return Picture("data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode(), alt)
