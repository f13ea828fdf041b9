"""The report's figures of noisy dynamics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mcdist.analysis.free_energy import is_log_det
from mcdist.analysis.plots import (
    plot_crossover,
    plot_drift,
    plot_drift_temperature,
    plot_free_energy,
    plot_relaxation_times,
    plot_traces,
    plot_trials,
)
from mcdist.analysis.plots.drifts import setting_label
from mcdist.analysis.plots.style import INK
from mcdist.analysis.report.noise import Noise
from mcdist.analysis.report.pictures import Picture, legend, panels, picture
from mcdist.analysis.report.studies import Study

__all__ = ["crossover_strips", "drift_laws", "drift_panels", "free_energies", "relaxation_times", "traces", "trials"]

Families = Mapping[str, str]

_MOST = 6


def drift_panels(study: Study, noise: Noise, families: Families) -> Picture | None:
    """Drifts of noise and of full batches along the paths, a row of two panels per group; None without drifts."""
    parts = _by_path(noise.points)
    if not parts:
        return None
    figure, axes = panels(2 * len(parts), columns=2, height=3.1)
    for turn, (label, points) in enumerate(parts):
        longest = _longest(points)
        for ax, part in zip(axes[2 * turn : 2 * turn + 2], ("noise", "full_batch"), strict=True):
            plot_drift(longest, part, ax, families=families)
            ax.set_title(label, fontsize=10, color=INK)
    legend(figure, axes[0])
    return picture(figure, f"Mean drift outward against s, of noise and of full batches. {study.label}.")


def drift_laws(study: Study, noise: Noise, families: Families) -> Picture | None:
    """Drift against temperature; None without drifts at two temperatures."""
    points = noise.points[noise.points["noise"] == "minibatch"] if len(noise.points) else noise.points
    if points.empty or points["t_nominal"].nunique() < 2:
        return None
    longest = _longest(points)
    figure, (ax,) = panels(1, columns=1, height=3.6)
    plot_drift_temperature(longest, ax, by=("path",), families=families)
    legend(figure, ax)
    return picture(figure, f"Mean drift outward against the nominal temperature, with its law. {study.label}.")


def traces(study: Study, noise: Noise) -> Picture | None:
    """Positions against effective time, one panel per group and setting of minibatches, with controls."""
    if noise.runs.empty or noise.traces.empty:
        return None
    keys = ["path", "optimizer", "k_project", "buffers", "lr", "batch_size", "momentum"]
    noisy = noise.runs[noise.runs["noise"] == "minibatch"]
    parts = list(noisy.groupby(keys, dropna=False, observed=True, sort=True))
    parts = [parts[i] for i in np.unique(np.linspace(0, len(parts) - 1, _MOST).round().astype(int))] if parts else []
    if not parts:
        return None
    figure, axes = panels(len(parts), columns=3 if len(parts) > 2 else 2, height=3.0)
    for ax, (_, rows) in zip(axes, parts, strict=True):
        first = rows.iloc[0]
        controls = noise.runs[(noise.runs["path"] == first["path"]) & (noise.runs["optimizer"] == first["optimizer"])]
        isotropic = controls[(controls["noise"] == "isotropic") & (controls["batch_size"] == first["batch_size"])]
        full = controls[controls["noise"] == "none"]
        both = pd.concat([_at_lr(part, first["lr"]) for part in (isotropic, full)])
        plot_traces(pd.concat([rows, both]), noise.traces, ax)
        k = first["k_project"]
        held = "never projected" if pd.isna(k) else f"every {k:.0f} steps"
        ax.set_title(f"{first['path']}, {setting_label(first)}, {held}", fontsize=9, color=INK)
    legend(figure, max(axes, key=lambda ax: len(ax.get_legend_handles_labels()[0])))
    return picture(figure, f"Position against effective time of runs and their controls. {study.label}.")


def relaxation_times(study: Study, noise: Noise, families: Families) -> Picture | None:
    """Times against temperature, one panel per way of moving and holding; None without minibatch runs."""
    runs = noise.runs[noise.runs["noise"] == "minibatch"] if len(noise.runs) else noise.runs
    parts = list(runs.groupby(["optimizer", "k_project", "buffers"], dropna=False))[:_MOST] if len(runs) else []
    if not parts:
        return None
    figure, axes = panels(len(parts), columns=min(len(parts), 2), height=3.6)
    for ax, (_, rows) in zip(axes, parts, strict=True):
        plot_relaxation_times(rows, ax, by=("path",), families=families)
        if len(parts) > 1:
            optimizer, k, buffers = rows[["optimizer", "k_project", "buffers"]].iloc[0]
            held = "never projected" if pd.isna(k) else f"projected every {k:.0f} steps"
            ax.set_title(f"{optimizer}, {held}, buffers {buffers}", fontsize=9.5, color=INK)
    legend(figure, axes[0])
    return picture(figure, f"Effective time to an end against the nominal temperature. {study.label}.")


def free_energies(study: Study, noise: Noise, families: Families) -> Picture | None:
    """F(s; T) by the first log-determinant and the first trace, for temperatures around T*; None without them."""
    parts = _measured(noise)
    if not parts:
        return None
    figure, axes = panels(len(parts), columns=2, height=3.2)
    for ax, (label, what, rows) in zip(axes, parts, strict=True):
        stars = noise.crossovers
        mine = stars[(stars["path_id"].isin(rows["path_id"])) & (stars["what"] == what)]["t_star"].astype(float)
        star = float(f"{mine.median():.2g}") if (mine > 0).any() else 0.0
        heat = noise.points["t_measured"].astype(float) if len(noise.points) else pd.Series(dtype=float)
        hot = star if star > 0 else float(heat.median()) if (heat > 0).any() else 1.0
        plot_free_energy(rows, str(rows["measure"].iloc[0]), [0.0, hot / 2, hot, 2 * hot], ax, families=families)
        ax.set_title(f"{label}, {what}", fontsize=10, color=INK)
    return picture(figure, f"Free energy against s at several temperatures, zero to twice T*. {study.label}.")


def crossover_strips(study: Study, noise: Noise, families: Families) -> Picture | None:
    """T* of every pair by log-determinant, with the measured temperatures of the settings."""
    rows = noise.crossovers[noise.crossovers["t_star"].astype(float) > 0]
    whats = [w for w in dict.fromkeys(rows["what"]) if is_log_det(str(rows[rows["what"] == w]["measure"].iloc[0]))][:2]
    if not whats:
        return None
    groups = rows["path"].nunique()
    figure, axes = panels(len(whats), columns=min(len(whats), 2), height=1.4 + 0.5 * groups)
    lines: dict[str, float] = {}
    if len(noise.points):
        keys = ["lr", "batch_size", "momentum", "noise"]
        for _, points in noise.points.groupby(keys, dropna=False, sort=True):
            lines[setting_label(points.iloc[0])] = float(points["t_measured"].astype(float).mean())
    for ax, what in zip(axes, whats, strict=True):
        plot_crossover(rows[rows["what"] == what], ax, by=("path",), temperatures=lines, families=families)
        ax.set_title(str(what), fontsize=10, color=INK)
    return picture(figure, f"Crossover temperatures of all pairs. {study.label}.")


def trials(table: pd.DataFrame) -> Picture | None:
    """Relaxation times of the trials, one panel per problem; None without trials."""
    parts = [(str(problem), rows) for problem, rows in table.groupby("problem")] if len(table) else []
    parts = [(name, rows) for name, rows in parts if (rows["t_nominal"].astype(float) > 0).any()]
    if not parts:
        return None
    figure, axes = panels(len(parts), columns=min(len(parts), 2), height=3.4)
    for ax, (name, rows) in zip(axes, parts, strict=True):
        plot_trials(rows, ax)
        ax.set_title(name, fontsize=10, color=INK)
    return picture(figure, "Relaxation time of each trial against its nominal temperature.")


def _longest(points: pd.DataFrame) -> pd.DataFrame:
    """The drifts after the longest effective time."""
    time = points["t_eff"].astype(float)
    return points[time >= time.max() * (1 - 1e-9)]


def _at_lr(runs: pd.DataFrame, lr: float) -> pd.DataFrame:
    """The runs at that rate; all where there are none."""
    same = runs[runs["lr"] == lr]
    return same if len(same) else runs


def _by_path(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(label), part) for label, part in rows.groupby("path", observed=True)][:_MOST] if len(rows) else []


def _measured(noise: Noise) -> list[tuple[str, str, pd.DataFrame]]:
    """Group, measure in words and profiles: of each group the first log-determinant and the first trace."""
    parts = []
    for label, rows in _by_path(noise.profiles[noise.profiles["energy"].notna()]):
        names = list(dict.fromkeys(rows.sort_values("what")["what"]))
        log = rows["measure"].map(lambda m: is_log_det(str(m)))
        for wanted in (True, False):
            held = set(rows[log == wanted]["what"])
            parts += [(label, str(what), rows[rows["what"] == what]) for what in names if what in held][:1]
    return parts[:_MOST]
