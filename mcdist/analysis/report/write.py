"""Writing the report: one HTML file with everything in it."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mcdist.analysis.intervals import MIN_UNITS
from mcdist.analysis.plots.style import axis_label, metric_name
from mcdist.analysis.report import figures, rows
from mcdist.analysis.report.studies import Study, studies
from mcdist.analysis.report.sweep import SweepTables, read_sweep
from mcdist.analysis.resampling import families
from mcdist.errors import RequestError
from mcdist.store import Store

__all__ = ["write_report"]

_METRICS = ("train_loss", "test_loss", "train_error", "test_error")
_MOST_FAILURES = 50
_VALUE, _OTHER_VALUES = "barrier_linear", ("barrier_mean", "barrier_max", "max")


def write_report(store: Store, out: str | os.PathLike[str], sweep: str | None = None) -> Path:
    """Write the report of a sweep of the store (of all its sweeps together where None) as one HTML file;
    its path.

    The file needs nothing else: style and figures are inside. Whatever the data do not show is said in
    words. The file appears whole or not at all. Raises RequestError for a sweep that the store does not
    hold and an `out` that cannot be written.
    """
    page = render(read_sweep(store, sweep))
    path = Path(out)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise RequestError(f"report: cannot write {path}: {error.strerror or error}") from error
    return path


def render(tables: SweepTables) -> str:
    """The report's HTML."""
    folder = importlib.resources.files(__package__)
    # Escaping is set by hand: a template made from a string has no file name that would tell it is HTML.
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string(folder.joinpath("report.html").read_text(encoding="utf-8"))
    related = families(tables.endpoints)
    failures = rows.failure_rows(tables)
    return template.render(
        css=Markup(folder.joinpath("report.css").read_text(encoding="utf-8")),
        title=" + ".join(tables.sweeps) or "all tasks",
        sweeps=tables.sweeps,
        specs=tables.specs,
        facts=rows.overview(tables),
        tasks=rows.task_rows(tables),
        endpoints=rows.endpoint_rows(tables),
        endpoint_metrics=[metric_name(metric) for metric in rows.ENDPOINT_METRICS],
        studies=[_study(study, number, related) for number, study in enumerate(studies(tables), 1)],
        failures=failures[:_MOST_FAILURES],
        more_failures=max(len(failures) - _MOST_FAILURES, 0),
        min_units=MIN_UNITS,
    )


def _study(study: Study, number: int, related: Mapping[str, str]) -> dict[str, Any]:
    """What the template shows of one study."""
    metrics = _metrics(study)
    main = "train_loss" if "train_loss" in metrics else metrics[0] if metrics else ""
    others = [
        (axis_label("", value).strip(": "), rows.barrier_rows(study, value, metrics, related))
        for value in _OTHER_VALUES
        if metrics
    ]
    return {
        "anchor": f"study-{number}",
        "label": study.label,
        "pairs": len(study.paths[["endpoint_a", "endpoint_b"]].drop_duplicates()),
        "paths": len(study.paths),
        "endpoints": pd.unique(study.paths[["endpoint_a", "endpoint_b"]].to_numpy().ravel()).size,
        "main": metric_name(main),
        "barriers": rows.barrier_rows(study, _VALUE, metrics, related) if metrics else [],
        "others": others,
        "ratios": rows.ratio_rows(study, _VALUE, metrics, related),
        "profiles": figures.profile_panels(study, metrics or _METRICS, related),
        "strips": figures.strips(study, metrics, _VALUE, related),
        "matrices": figures.matrices(study, main, _VALUE),
        "dendrograms": figures.dendrograms(study, main),
    }


def _metrics(study: Study) -> list[str]:
    """The metrics that the study's barriers have, losses and errors first."""
    held = set(study.barriers["metric"].dropna())
    return [metric for metric in _METRICS if metric in held] + sorted(held - set(_METRICS))
