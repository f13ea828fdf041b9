"""What the report says of noisy dynamics: drifts, relaxations with their controls, free energies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.controls import relaxation_controls, relaxation_pairs
from mcdist.analysis.crossovers import above_crossover, crossover, crossover_summary
from mcdist.analysis.drift_fits import drift_fit
from mcdist.analysis.drifts import DRIFT_SETTINGS, drift_points, drift_summary
from mcdist.analysis.free_energy import entropy_profiles
from mcdist.analysis.plots.drifts import setting_label
from mcdist.analysis.predicted import predicted_drift, predicted_summary
from mcdist.analysis.relaxation_fits import relaxation_fit
from mcdist.analysis.relaxations import RELAXATION_SETTINGS, relaxation_runs, relaxation_summary
from mcdist.analysis.report.claims import Claim, drift_claims, entropy_claims, relaxation_claims
from mcdist.analysis.report.measures import in_order, name_measures
from mcdist.analysis.report.studies import Study
from mcdist.analysis.report.text import NONE, interval, number, parts, sentence, share

__all__ = ["Noise", "noise_of", "noise_rows"]

Row = dict[str, Any]
Families = Mapping[str, str]

_HOW = ("optimizer", "nesterov", "momentum", "weight_decay", "k_project", "buffers")


@dataclass(frozen=True)
class Noise:
    """The frames of one study that tables and figures are made of; any may be empty."""

    points: pd.DataFrame
    runs: pd.DataFrame
    traces: pd.DataFrame
    profiles: pd.DataFrame
    crossovers: pd.DataFrame


def noise_of(study: Study) -> Noise:
    """The study's drifts, runs and free energies; profiles with `what`, the measure in words."""
    points = drift_points(study.drifts, study.paths)
    runs = relaxation_runs(study.relaxations, study.paths)
    moved = len(points) > 0 or len(runs) > 0
    curvature = study.curvature if moved else study.curvature.iloc[:0]
    profiles = entropy_profiles(curvature, study.path_points, study.paths)
    names = name_measures(profiles.rename(columns={"weight_decay": "path_weight_decay"}))
    profiles = profiles.assign(what=names.astype(pd.CategoricalDtype(in_order(profiles, names), ordered=True)))
    return Noise(points, runs, study.relaxation_traces, profiles, crossover(profiles))


def noise_rows(study: Study, noise: Noise, families: Families) -> dict[str, Any] | None:
    """The tables and the claims; None where the study has neither drifts nor relaxations."""
    if noise.points.empty and noise.runs.empty:
        return None
    drifts, claims = _drifts(noise, families)
    relaxed, more = _relaxations(noise, families)
    entropies, others = _entropies(study, noise, families)
    return {"claims": claims + more + others, **drifts, **relaxed, **entropies}


def _drifts(noise: Noise, families: Families) -> tuple[dict[str, list[Row]], list[Claim]]:
    if noise.points.empty:
        return {"drifts": [], "drift_fits": []}, []
    by = ("path", *DRIFT_SETTINGS)
    summary = drift_summary(noise.points, by, families=families)
    hot = noise.points[noise.points["t_nominal"].astype(float) > 0]
    pooled = drift_summary(hot, ("path",), families=families)
    fits = drift_fit(noise.points, ("path", "noise"), families=families)
    rows = [
        {
            "path": row["path"],
            "setting": _setting(summary, row),
            "steps": f"{row['steps']:,.0f}",
            "points": f"{row['local']} of {row['points'] - row['middle']}",
            "share": _two(share(row["outward"], row["outward_low"], row["outward_high"])),
            "noise": parts(row["drift_noise"], row["drift_noise_low"], row["drift_noise_high"]),
            "full": parts(row["drift_full_batch"], row["drift_full_batch_low"], row["drift_full_batch_high"]),
            "ratio": parts(row["ratio"], row["ratio_low"], row["ratio_high"]),
            "opposite": f"{row['opposite']} of {row['local']}",
            "excursion": number(row["excursion"], 2),
            "temperature": number(row["t_measured"], 2),
            "note": _note(row["reason"], row["ratio_reason"], _count(row["diverged"], "replicas diverged")),
            "missing": row["missing"],
        }
        for _, row in summary.iterrows()
    ]
    laws = [
        {
            "path": row["path"],
            "noise": row["noise"],
            "points": row["points"],
            "temperatures": row["temperatures"],
            "all": _with(row, "exponent_all"),
            "logs": _with(row, "exponent"),
            "note": _note(row["exponent_all_reason"], _count(row["left_out"], "not outward: no logarithm")),
        }
        for _, row in fits[fits["points"] > 0].iterrows()
    ]
    return {"drifts": rows, "drift_fits": laws}, drift_claims(summary[summary["t_nominal"] > 0], pooled, fits)


def _relaxations(noise: Noise, families: Families) -> tuple[dict[str, list[Row]], list[Claim]]:
    runs = noise.runs
    if runs.empty:
        return {"relaxations": [], "relaxation_fits": [], "controls": []}, []
    summary = relaxation_summary(runs, ("path", *RELAXATION_SETTINGS), families=families)
    fits = relaxation_fit(runs, ("path", "noise", *_HOW), families=families)
    fits = fits.assign(how=[_which_noise(runs, row) for _, row in fits.iterrows()])
    pairs = relaxation_pairs(runs, noise.traces)
    by = ("path", "control", "noise", *_HOW, "lr", "batch_size", "t_nominal")
    controls = relaxation_controls(pairs, by, families=families)
    rows = [
        {
            "path": row["path"],
            "setting": _setting(summary, row),
            "how": _how(runs, row),
            "runs": row["runs"],
            "arrived": f"{row['arrived']} of {row['runs']}",
            "share": _two(share(row["share_arrived"], row["share_arrived_low"], row["share_arrived_high"])),
            "median": _median(row),
            "nearer": _two(share(row["to_nearer"], row["to_nearer_low"], row["to_nearer_high"])),
            "temperature": number(row["t_measured"], 2),
            "note": _note(row["reason"], _count(row["diverged"], "diverged")),
        }
        for _, row in summary.iterrows()
    ]
    laws = [
        {
            "path": row["path"],
            "noise": row["how"] or row["noise"],
            "runs": f"{row['arrived']} of {row['runs']}",
            "exponent": _with(row, "exponent"),
            "lr": _with(row, "exponent_lr"),
            "batch": _with(row, "exponent_batch"),
            "difference": _with(row, "difference"),
            "likelihood": f"{row['likelihood_ratio']:.1f}" if np.isfinite(row["likelihood_ratio"]) else NONE,
            "note": _note(row["reason"], row["apart_reason"] if row["apart_reason"] != row["reason"] else ""),
        }
        for _, row in fits[fits["temperatures"] > 1].iterrows()
    ]
    beside = [
        {
            "path": row["path"],
            "control": "full batches" if row["control"] == "none" else "isotropic noise",
            "setting": _setting(controls, row),
            "how": _how(runs, row),
            "pairs": row["pairs"],
            "time": number(row["time"]),
            **{name: number(row[name]) for name in ("drift", "control_drift", "arrived", "control_arrived")},
            "drift_difference": _cell(row, "drift_difference"),
            "arrived_difference": _cell(row, "arrived_difference"),
            "note": _note(row["reason"], "" if row["same_lr"] else "controls at another lr"),
        }
        for _, row in controls.iterrows()
    ]
    found = {"relaxations": rows, "relaxation_fits": laws, "controls": beside}
    return found, relaxation_claims(fits, controls)


def _entropies(study: Study, noise: Noise, families: Families) -> tuple[dict[str, list[Row]], list[Claim]]:
    if noise.profiles.empty:
        return {"crossovers": [], "above": [], "predicted": []}, []
    by = ("path", "what")
    summary = crossover_summary(noise.crossovers, by, families=families)
    rows = [
        {
            "path": row["path"],
            "what": sentence(str(row["what"])),
            "pairs": row["pairs"] + row["missing"],
            "stiffness": _cell(row, "delta_stiffness"),
            "energy": _cell(row, "delta_energy"),
            "barrier": _two(share(row["barrier"], row["barrier_low"], row["barrier_high"])),
            "opposed": _two(share(row["opposed"], row["opposed_low"], row["opposed_high"])),
            "t_star": _cell(row, "t_star"),
            "place": number(row["s_star"], 2),
            "note": _note(
                row["reason"], _count(row["missing"], "without T*"), _count(row["truncated"], "lower bounds")
            ),
        }
        for _, row in summary.iterrows()
    ]
    above = _above(noise, families)
    predictions = pd.DataFrame()
    if len(noise.points):
        table = predicted_drift(noise.points, study.curvature, study.path_points, study.paths, study.spectra)
        names = name_measures(table.drop(columns="weight_decay")) if len(table) else pd.Series(dtype=object)
        predictions = predicted_summary(table.assign(what=names), ("path", "what", "noise"), families=families)
    beside = [
        {
            "path": row["path"],
            "what": sentence(str(row["what"])),
            "noise": row["noise"],
            "points": row["points"],
            "slope": _with(row, "slope"),
            "correlation": number(row["correlation"], 2),
            "within": share(row["within_3"], np.nan, np.nan),
            "full": _with(row, "full_batch_slope"),
            "full_correlation": number(row["full_batch_correlation"], 2),
            "note": _note(
                row["reason"], _count(row["with_modes"], "mode by mode"), _count(row["far"], "moved too far")
            ),
        }
        for _, row in predictions.iterrows()
        if row["points"]
    ]
    return {"crossovers": rows, "above": above, "predicted": beside}, entropy_claims(summary, predictions)


def _above(noise: Noise, families: Families) -> list[Row]:
    """Settings against T*, of drifts, or of relaxations where there are no drifts."""
    points = noise.points
    settings = tuple(column for column in DRIFT_SETTINGS if column != "steps")  # no part of a temperature
    if points.empty:
        points, settings = noise.runs, RELAXATION_SETTINGS
    points = points[points["noise"] != "none"]
    if points.empty:
        return []
    table = above_crossover(noise.crossovers, points, ("path", "what", *settings), families=families)
    return [
        {
            "path": row["path"],
            "what": sentence(str(row["what"])),
            "setting": _setting(table, row),
            "pairs": row["pairs"],
            "temperature": number(row["temperature"]),
            "t_star": number(row["t_star"]),
            "share": _two(share(row["share"], row["low"], row["high"])),
            "note": _note(row["reason"]),
        }
        for _, row in table.iterrows()
        if row["pairs"]
    ]


def _setting(table: pd.DataFrame, row: pd.Series) -> str:
    """The setting, and what else varies in the table: weight decay, sampling."""
    text = [setting_label(row)]
    for column, word in (("weight_decay", "weight decay {:g}"), ("sampling", "{}")):
        if column in table.columns and table[column].nunique() > 1 and pd.notna(row[column]):
            text.append(word.format(row[column]))
    return ", ".join(text)


def _how(runs: pd.DataFrame, row: Mapping[str, Any] | pd.Series) -> str:
    """How runs moved and were held to the path, where that varies: "adam, projected every 5 steps, keep"."""
    parts = []
    if runs["optimizer"].nunique() > 1:
        parts.append(str(row["optimizer"]) + (" (Nesterov)" if row["nesterov"] is True else ""))
    if runs["k_project"].nunique(dropna=False) > 1:
        k = row["k_project"]
        parts.append("never projected" if pd.isna(k) else f"projected every {k:.0f} steps")
    if runs["buffers"].nunique() > 1:
        parts.append(f"buffers {row['buffers']}")
    return ", ".join(parts)


def _which_noise(runs: pd.DataFrame, row: pd.Series) -> str:
    """The noise, where runs were made with several, and how they moved, where that varies."""
    several = runs[runs["noise"] != "none"]["noise"].nunique() > 1
    return ", ".join(filter(None, (str(row["noise"]) if several else "", _how(runs, row))))


def _median(row: pd.Series) -> tuple[str, str]:
    """The median with its interval, whose upper end may be beyond all times."""
    value, low, high = (float(row[name]) for name in ("median", "median_low", "median_high"))
    if np.isinf(value):
        return f"> {number(row['time_limit'])}", ""
    if np.isinf(high):
        return number(value), f"[{number(low)}, ∞)"
    return parts(value, low, high)


def _with(row: pd.Series, name: str) -> str:
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _cell(row: pd.Series, name: str) -> tuple[str, str]:
    return _two(_with(row, name))


def _two(text: str) -> tuple[str, str]:
    middle, bracket, ends = text.partition(" [")
    return middle, bracket.strip() + ends


def _count(count: float, what: str) -> str:
    return f"{count:.0f} {what}" if count else ""


def _note(*reasons: str) -> str:
    return "; ".join(reason for reason in dict.fromkeys(reasons) if reason)
