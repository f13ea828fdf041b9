"""What the report says of the trials of studies of relaxations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mcdist.analysis.report.noise_figures import trials as trials_picture
from mcdist.analysis.report.text import number, spread
from mcdist.analysis.trials import trial_summary

__all__ = ["trials_section"]


def trials_section(trials: pd.DataFrame) -> dict[str, Any] | None:
    """The rows by problem and way of moving, and the picture; None without trials of relaxations."""
    trials = trials[trials["subject"] == "relaxation"] if len(trials) else trials
    if trials.empty:
        return None
    table = trial_summary(trials)
    rows = [
        {
            "problem": row["problem"],
            "what": f"{row['optimizer']}, {row['noise']}, {_held(row['k_project'])}",
            "trials": row["trials"],
            "arrived": f"{row['arrived']} of {row['runs']}",
            "temperatures": spread(row["t_low"], row["t_high"]),
            "times": spread(row["time_low"], row["time_high"]),
            "slope": number(row["slope"]),
            "steepest": (number(row["steepest_t"]), f"slope {number(row['steepest'])}"),
            "note": "; ".join(
                f"{count} {words}"
                for count, words in (
                    (row["bounds"], "without any arrival"),
                    (row["diverged"], "runs diverged"),
                    (row["left_out"], "trials without a run that stayed finite"),
                )
                if count
            ),
        }
        for _, row in table.iterrows()
    ]
    return {"rows": rows, "picture": trials_picture(trials)}


def _held(k: float | None) -> str:
    return "never projected" if k is None or np.isnan(k) else f"projected every {k:.0f} steps"
