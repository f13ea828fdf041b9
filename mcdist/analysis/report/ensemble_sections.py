"""The report's section on ensembles: tables and figures of each problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mcdist.analysis.ensembles import ensemble_summary
from mcdist.analysis.report import ensemble_figures
from mcdist.analysis.report.ensembles import (
    Chapter,
    chapters,
    comparison_rows,
    gain_rows,
    low_point_rows,
    score_rows,
)
from mcdist.analysis.report.sweep import SweepTables

__all__ = ["ensemble_sections"]


def ensemble_sections(tables: SweepTables, units: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the template shows, one for each problem and way of training; none without ensembles and trajectories."""
    return [_section(chapter, number, units) for number, chapter in enumerate(chapters(tables), 1)]


def _section(chapter: Chapter, number: int, units: Mapping[str, str]) -> dict[str, Any]:
    reference, comparison = comparison_rows(chapter, units) if len(chapter.ensembles) else ("", [])
    table = ensemble_summary(chapter.ensembles, units=units) if len(chapter.ensembles) else pd.DataFrame({"size": []})
    return {
        "anchor": f"ensembles-{number}",
        "label": chapter.label,
        "rows": score_rows(table) if len(table) else [],
        "gains": gain_rows(table),
        "reference": reference,
        "comparison": comparison,
        "budgets": ensemble_figures.budgets(chapter, units),
        "running": ensemble_figures.running(chapter, units),
        "low_points": low_point_rows(chapter) if len(chapter.trajectories) else [],
        "trajectories": ensemble_figures.trajectories(chapter),
    }
