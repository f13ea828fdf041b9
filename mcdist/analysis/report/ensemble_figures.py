"""The report's figures of ensembles, of trajectories, and of the trials of their studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mcdist.analysis.pairs import groups
from mcdist.analysis.plots import (
    plot_ensembles,
    plot_parallel,
    plot_running,
    plot_trajectories,
    plot_trial_curves,
)
from mcdist.analysis.report.ensembles import Chapter
from mcdist.analysis.report.pictures import Picture, legend, panels, picture
from mcdist.analysis.trajectories import labelled_trajectories

__all__ = ["budgets", "curves", "parallel", "running", "trajectories"]

Units = Mapping[str, str]

_SCORES = ("test_error", "test_nll")
_MOST = 3  # settings of trajectories: those most run first


def budgets(chapter: Chapter, units: Units) -> Picture | None:
    """Error and nll against the budget; None without ensembles."""
    if chapter.ensembles.empty:
        return None
    figure, axes = panels(2, columns=2, height=3.6)
    for ax, metric in zip(axes, _SCORES, strict=True):
        plot_ensembles(chapter.ensembles, ax, metric, units=units)
    legend(figure, axes[0])
    return picture(figure, f"Test error and nll of ensembles against the budget. {chapter.label}.")


def running(chapter: Chapter, units: Units) -> Picture | None:
    """Error and nll as members are added, at the greatest budget; None where no ensemble has several members."""
    rows = chapter.ensembles
    if rows.empty or chapter.members.empty or rows.loc[rows["budget"] == rows["budget"].max(), "size"].max() < 2:
        return None
    figure, axes = panels(2, columns=2, height=3.4)
    for ax, metric in zip(axes, _SCORES, strict=True):
        plot_running(rows, chapter.members, ax, metric, units=units)
    legend(figure, axes[0])
    return picture(figure, f"Test error and nll of the ensemble so far as members are added. {chapter.label}.")


def trajectories(chapter: Chapter) -> list[tuple[str, Picture]]:
    """Rate, error and distance of the settings of trajectories that most seeds were run with."""
    if chapter.trajectories.empty:
        return []
    rows = labelled_trajectories(chapter.trajectories)
    parts = [(str(label), part) for (label,), part in groups(rows, ["label"])]
    parts.sort(key=lambda part: -part[1]["trajectory_id"].nunique())
    found = []
    for label, part in parts[:_MOST]:
        figure, axes = panels(3, columns=1, height=1.75)
        plot_trajectories(part, axes)
        found.append((label, picture(figure, f"Rate, test error and distance along {label}. {chapter.label}.")))
    return found


def parallel(trials: pd.DataFrame, log: Sequence[str] | None) -> Picture | None:
    """The settings of trials beside each other; None where none is complete."""
    if trials.empty:
        return None
    figure, (ax,) = panels(1, columns=1, height=3.8)
    plot_parallel(trials, ax, log=log)
    return picture(figure, "Settings and validation nll of all trials, side by side.")


def curves(trials: pd.DataFrame, cycles: pd.DataFrame) -> Picture | None:
    """Validation nll of trials cycle by cycle; None without any."""
    if trials.empty or cycles.empty:
        return None
    figure, (ax,) = panels(1, columns=1, height=3.5)
    plot_trial_curves(trials, cycles, ax)
    return picture(figure, "Validation nll of each trial against the epochs of training of its networks.")
