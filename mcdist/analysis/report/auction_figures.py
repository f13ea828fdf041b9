"""The report's figures of auctions: menus, revenue along paths, barriers and reducibility against menu size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mcdist.analysis.pairs import without_tours
from mcdist.analysis.plots import plot_barrier_sizes, plot_menu, plot_reducibility_sizes, plot_revenue
from mcdist.analysis.plots.style import INK
from mcdist.analysis.report.auction_chapters import AuctionChapter
from mcdist.analysis.report.auction_claims import size_of
from mcdist.analysis.report.pictures import Picture, legend, panels, picture
from mcdist.analysis.report.text import number

__all__ = ["barrier_sizes", "menus", "reducibility_sizes", "revenues"]

Families = Mapping[str, str]

_SEEDS = 4  # menus of one size side by side
_ROWS = 3  # sizes that are drawn: the least, the middle one, the greatest
_ROOM, _LEAST = 0.12, 0.01  # above and below mean revenues: of their range, and of the greatest
_PLANE, _LINE = 2.75, 1.35  # inches


def menus(chapter: AuctionChapter) -> Picture | None:
    """Where each option is taken, of several seeds beside each other; None without areas."""
    drawn = chapter.menus[chapter.menus["endpoint_id"].isin(_with_areas(chapter.options))]
    parts = [part for _, part in drawn.groupby(["menu_size", "label"], dropna=False)]
    if not parts:
        return None
    chosen = [parts[k] for k in sorted({0, len(parts) // 2, len(parts) - 1})][:_ROWS]
    columns = max(min(max(map(len, chosen)), _SEEDS), 3)
    figure, axes = panels(columns * len(chosen), columns, _PLANE if drawn["n"].iloc[0] == 2 else _LINE)
    for k, part in enumerate(chosen):
        row = axes[columns * k : columns * (k + 1)]
        for ax, (_, menu) in zip(row, part.sort_values("seed").iterrows(), strict=False):
            plot_menu(chapter.options, str(menu["endpoint_id"]), ax)
            ax.set_title(
                f"{size_of(menu)}, seed {menu['seed']}: {number(menu['best_known'], 4)}", fontsize=9, color=INK
            )
        for ax in row[len(part) :]:
            ax.remove()
    return picture(figure, f"Areas of valuations that take each option, menu by menu. {chapter.name}.")


def _with_areas(options: pd.DataFrame) -> set[str]:
    """End points whose options have corners."""
    if options.empty:
        return set()
    held = [corners is not None and np.ndim(corners) > 0 for corners in options["corners"]]
    return set(options.loc[held, "endpoint_id"])


def revenues(chapter: AuctionChapter, families: Families) -> Picture | None:
    """Mean revenue along each kind of path, one panel each, a line for each menu size; None without profiles."""
    paths, _ = without_tours(chapter.paths)
    paths = paths[paths["path_id"].isin(chapter.path_points["path_id"])]
    if paths.empty:
        return None
    parts = [(str(label), part) for label, part in paths.groupby("path", observed=True)]
    figure, axes = panels(len(parts), columns=3, height=2.5)
    by = ("menu_size", "label") if paths["label"].nunique() > 1 else ("menu_size",)
    means = []
    for ax, (label, part) in zip(axes, parts, strict=True):
        plot_revenue(chapter.path_points, part, ax, by=by, families=families)
        ax.set_title(label.replace("_", " "), fontsize=10, color=INK)
        means += [np.asarray(line.get_ydata(), dtype=float) for line in ax.get_lines() if line.get_linestyle() == "-"]
    low, high = float(np.nanmin(np.concatenate(means))), float(np.nanmax(np.concatenate(means)))
    room = max(_ROOM * (high - low), _LEAST * abs(high))
    for ax in axes:
        ax.set_ylim(low - room, high + room)
    legend(figure, axes[0])
    return picture(figure, f"Mean revenue against t for each kind of path. {chapter.name}.")


def barrier_sizes(chapter: AuctionChapter, families: Families) -> Picture | None:
    """Barriers against menu size; None where there is one size alone."""
    if chapter.barriers.empty or chapter.menus["menu_size"].nunique() < 2:
        return None
    figure, (ax,) = panels(1, columns=1, height=3.6)
    plot_barrier_sizes(chapter.barriers, chapter.menus, ax, families=families)
    legend(figure, ax)
    return picture(figure, f"Mean barrier of revenue against menu size, by kind of path. {chapter.name}.")


def reducibility_sizes(chapter: AuctionChapter) -> Picture | None:
    """Reducibility against menu size; None where there is one size alone, or none was measured."""
    known = chapter.menus[chapter.menus["reducibility"].notna()]
    if known["menu_size"].nunique() < 2:
        return None
    figure, (ax,) = panels(1, columns=1, height=3.0)
    plot_reducibility_sizes(known, ax)
    if known["label"].nunique() > 1:
        legend(figure, ax)
    return picture(figure, f"Reducibility of menus against their size. {chapter.name}.")
