"""What is claimed of noise on paths, and whether the data show it: shown, not shown, or the opposite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcdist.analysis.report.text import interval, share

__all__ = ["NOT_SHOWN", "OPPOSITE", "SHOWN", "Claim", "drift_claims", "entropy_claims", "relaxation_claims", "verdict"]

SHOWN, NOT_SHOWN, OPPOSITE = "shown", "not shown", "the data show the opposite"

_SMALLER = 0.1  # of the drift of noise: full batches that drift outward by less do not explain it


@dataclass(frozen=True)
class Claim:
    """One claim about one kind of path, its verdict, and the numbers that it rests on."""

    claim: str
    path: str
    verdict: str
    numbers: str


def verdict(low: float, high: float, zero: float = 0.0) -> str:
    """Whether an interval lies above a value, below it, or on both sides; not shown without an interval."""
    return SHOWN if low > zero else OPPOSITE if high < zero else NOT_SHOWN


def _together(verdicts: Sequence[str]) -> str:
    """Of several settings: shown where some show it and none the opposite, and the other way round."""
    held = set(verdicts)
    if SHOWN in held and OPPOSITE not in held:
        return SHOWN
    return OPPOSITE if OPPOSITE in held and SHOWN not in held else NOT_SHOWN


def drift_claims(summary: pd.DataFrame, pooled: pd.DataFrame, fits: pd.DataFrame) -> list[Claim]:
    """Of mean drifts. summary: `drift_summary` by path and setting; pooled: by path; fits: `drift_fit` by path."""
    claims = []
    for path, rows in summary.groupby("path", sort=False, observed=True):
        all_points = pooled[pooled["path"] == path].iloc[0]
        found = [verdict(row["drift_noise_low"], row["drift_noise_high"]) for _, row in rows.iterrows()]
        if all_points["local"]:
            part = share(all_points["outward"], all_points["outward_low"], all_points["outward_high"])
            text = f"z > 3 at {part} of {all_points['local']} local interior points"
            text += f" of {len(rows)} settings; z < −3 at {all_points['inward']}"  # noqa: RUF001
            text += f"; mean drift above zero in {_of(found, SHOWN)}"
        else:
            text = "no point is local"
        claims.append(Claim("Noise drives outward, to the nearer end", str(path), _together(found), text))
        against = [_energy(row) for _, row in rows.iterrows()]
        text = f"other sign than noise at {all_points['opposite']} of {all_points['local']} points; "
        text += f"opposed to noise, or less than a tenth of it, in {_of(against, SHOWN)}"
        claims.append(
            Claim("The loss does not: full batches go inward, or far less", str(path), _together(against), text)
        )
    for _, row in fits.iterrows():
        text = f"drift ~ T^a, a = {_number(row, 'exponent_all')}, over {row['points']} points"
        text += f"; of logarithms {_number(row, 'exponent')}"
        text += f" without {row['left_out']} of {row['rows']} drifts that are not outward" if row["left_out"] else ""
        text += f"; {row['exponent_all_reason']}" if row["exponent_all_reason"] else ""
        if row["temperatures"] > 1:
            name = f"The hotter, the faster outward{_which(row, 'noise', 'minibatch')}"
            claims.append(Claim(name, str(row["path"]), _faster(row), text))
    return claims


def _faster(row: pd.Series) -> str:
    """Whether drifts that are outward grow with temperature; what grows inward shows the opposite."""
    known, side = (verdict(row[f"{name}_low"], row[f"{name}_high"]) for name in ("exponent_all", "slope"))
    if NOT_SHOWN in (known, side):
        return NOT_SHOWN
    return SHOWN if known == side == SHOWN else OPPOSITE if SHOWN in (known, side) else NOT_SHOWN


def _energy(row: pd.Series) -> str:
    """Whether full batches are shown not to do what noise does: opposed, or far smaller."""
    if row["drift_full_batch_high"] < 0:
        return SHOWN
    if not row["drift_noise_low"] > 0:  # where noise shows nothing, what full batches do is all there is
        return verdict(-row["drift_full_batch_high"], -row["drift_full_batch_low"])
    if row["ratio_high"] < _SMALLER:
        return SHOWN
    return OPPOSITE if row["ratio_low"] > 1 else NOT_SHOWN


def relaxation_claims(fits: pd.DataFrame, controls: pd.DataFrame) -> list[Claim]:
    """Of relaxations: `relaxation_fit` and `relaxation_controls`, by path and more."""
    claims = []
    for _, row in fits[fits["temperatures"] > 1].iterrows():
        known = verdict(row["exponent_low"], row["exponent_high"])
        text = f"time ~ T^−a, a = {_number(row, 'exponent')}, {row['arrived']} of {row['runs']} runs arrived"  # noqa: RUF001
        text += f"; {row['reason']}" if row["reason"] else ""
        claims.append(Claim(f"The hotter, the sooner at an end{_which(row)}", str(row["path"]), known, text))
        if np.isfinite(row["difference"]):
            apart = SHOWN if row["difference_low"] > 0 or row["difference_high"] < 0 else NOT_SHOWN
            text = f"exponents of lr {_number(row, 'exponent_lr')} and of B {_number(row, 'exponent_batch')}"
            text += f", apart by {_number(row, 'difference')}"
            claims.append(Claim(f"lr and B matter beyond lr / B{_which(row)}", str(row["path"]), apart, text))
    for (path, control, noise), rows in controls.groupby(["path", "control", "noise"], sort=False, observed=True):
        moving = "Minibatches" if noise == "minibatch" else "Runs with isotropic noise"
        found = [verdict(row["drift_difference_low"], row["drift_difference_high"]) for _, row in rows.iterrows()]
        what = "full batches" if control == "none" else "isotropic noise of the same trace"
        text = f"further outward at equal effective time in {_of(found, SHOWN)}"
        claims.append(Claim(f"{moving} go further outward than {what}", str(path), _together(found), text))
        found = [_sooner(row) for _, row in rows.iterrows()]
        best = rows.iloc[int(rows["arrived_difference"].astype(float).abs().argmax())]
        text = f"more runs arrived in {_of(found, SHOWN)}; where they differ most, "
        text += f"{share(best['arrived'], np.nan, np.nan)} against {share(best['control_arrived'], np.nan, np.nan)}"
        claims.append(Claim(f"{moving} arrive sooner than {what}", str(path), _together(found), text))
    return claims


def entropy_claims(crossings: pd.DataFrame, predicted: pd.DataFrame) -> list[Claim]:
    """Of free energies: `crossover_summary` and `predicted_summary`, by path and `what`, the measure in words."""
    claims = []
    for _, row in crossings.iterrows():
        known = verdict(row["delta_stiffness_low"], row["delta_stiffness_high"])
        text = f"barrier at {share(row['barrier'], row['barrier_low'], row['barrier_high'])} of the pairs"
        text += f", T* = {_number(row, 't_star')}" if np.isfinite(row["t_star"]) else ""
        claims.append(Claim(f"There is an entropic barrier, by the {row['what']}", str(row["path"]), known, text))
    for _, row in predicted.iterrows():
        if not row["points"]:
            continue
        known = verdict(row["slope_low"], row["slope_high"])
        text = f"measured / predicted = {_number(row, 'slope')} over {row['points']} points"
        text += f", rank correlation {row['correlation']:.2f}" if np.isfinite(row["correlation"]) else ""
        name = f"Drifts go as predicted by the {row['what']}{_which(row, 'noise', 'minibatch')}"
        claims.append(Claim(name, str(row["path"]), known, text))
    return claims


def _sooner(row: pd.Series) -> str:
    """By the shares that arrived; by the share of starts from which more did, where all pairs have the same."""
    known = verdict(row["arrived_difference_low"], row["arrived_difference_high"])
    return verdict(row["sooner_low"], row["sooner_high"], 0.5) if np.isnan(row["arrived_difference_low"]) else known


def _which(row: pd.Series, column: str = "how", plain: str = "") -> str:
    """What tells a claim from others of its kind, in brackets: nothing where it is the plain one."""
    return f" ({row[column]})" if row.get(column, plain) != plain else ""


def _of(verdicts: Sequence[str], one: str) -> str:
    return f"{sum(v == one for v in verdicts)} of {len(verdicts)} settings"


def _number(row: pd.Series, name: str) -> str:
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
