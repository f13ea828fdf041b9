"""The report's figures, each an SVG inside a data URI with a text that stands in for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mcdist.analysis.pairs import one_per_pair, without_tours
from mcdist.analysis.plots import plot_barrier_matrix, plot_barrier_strip, plot_dendrogram, plot_profiles
from mcdist.analysis.plots.style import INK, metric_name
from mcdist.analysis.report.pictures import Picture, legend, panels, picture
from mcdist.analysis.report.studies import Study

__all__ = ["dendrograms", "matrices", "profile_panels", "strips"]

Families = Mapping[str, str]


def profile_panels(study: Study, metrics: Sequence[str], families: Families) -> Picture | None:
    """Mean profiles, one panel per metric; None where no profile was measured."""
    metrics = [m for m in metrics if m in study.path_points.columns and study.path_points[m].notna().any()]
    if not metrics:
        return None
    figure, axes = panels(len(metrics), columns=2, height=2.9)
    for ax, metric in zip(axes, metrics, strict=True):
        plot_profiles(study.path_points, study.paths, metric, ax, by=study.by, families=families)
    legend(figure, axes[0])
    names = ", ".join(map(metric_name, metrics))
    return picture(figure, f"Mean {names} against t for each kind of path. {study.label}.")


def strips(study: Study, metrics: Sequence[str], value: str, families: Families) -> Picture | None:
    """Every pair's value by group of paths, one panel per metric; None without barriers."""
    if not metrics:
        return None
    groups = study.barriers["path"].nunique()
    figure, axes = panels(len(metrics), columns=2, height=0.85 + 0.42 * groups)
    for ax, metric in zip(axes, metrics, strict=True):
        plot_barrier_strip(study.barriers, metric, value, ax, by=study.by, families=families)
        ax.set_xlabel(ax.get_xlabel().replace("barrier above the straight line between the ends", "barrier"))
    return picture(figure, f"Barriers of all pairs with their mean, by kind of path. {study.label}.")


def matrices(study: Study, metric: str, value: str) -> Picture | None:
    """The value of every pair, one matrix per group of paths; None with no value."""
    rows, _ = without_tours(study.barriers[study.barriers["metric"] == metric])
    parts = [(label, part) for label, part in rows.groupby("path", observed=True) if len(one_per_pair(part, value)[0])]
    if not parts:
        return None
    figure, axes = panels(len(parts), columns=3 if len(parts) > 2 else 2, height=3.2)
    for ax, (label, part) in zip(axes, parts, strict=True):
        kind = str(part["kind"].iloc[0])
        plot_barrier_matrix(part, kind, metric, value, ax, endpoints=study.endpoints)
        ax.set_title(str(label), fontsize=10, color=INK)
        figure.axes[-1].set_ylabel("")
    return picture(figure, f"Matrices of the {metric_name(metric)} barrier between seeds. {study.label}.")


def dendrograms(study: Study, metric: str) -> Picture | None:
    """The tree of lowest saddles, aligned paths apart from others; None where no path has a saddle."""
    finite = np.isfinite(study.barriers["max"].astype(float))
    rows, _ = without_tours(study.barriers[(study.barriers["metric"] == metric) & finite])
    parts = [(bool(aligned), part) for aligned, part in rows.groupby("aligned")]
    if not parts:
        return None
    figure, axes = panels(len(parts), columns=min(len(parts), 2), height=3.6)
    for ax, (aligned, part) in zip(axes, parts, strict=True):
        plot_dendrogram(part, metric, ax, endpoints=study.endpoints)
        if len(parts) > 1:
            ax.set_title("after alignment" if aligned else "without alignment", fontsize=10, color=INK)
    return picture(figure, f"Tree of the lowest {metric_name(metric)} saddles between seeds. {study.label}.")
