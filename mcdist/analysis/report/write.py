"""Writing the report: one HTML file with everything in it."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from mcdist.analysis.comparison import published_table
from mcdist.analysis.intervals import MIN_UNITS
from mcdist.analysis.pairs import without_tours
from mcdist.analysis.plots.style import axis_label, metric_name
from mcdist.analysis.report import figures, measured_figures, noise_figures, rows
from mcdist.analysis.report.alignment import alignment_effect_rows, alignment_rows
from mcdist.analysis.report.auction_chapters import auction_chapters, of_auctions, without_auctions
from mcdist.analysis.report.auction_sections import auction_sections
from mcdist.analysis.report.auctions import auction_rows, published_auction_rows
from mcdist.analysis.report.curvature import curvature_rows, endpoint_curvature_rows, layer_rows, ratios_of
from mcdist.analysis.report.ensemble_sections import ensemble_sections
from mcdist.analysis.report.ensembles import published_ensemble_rows, units_of, without_members_alone
from mcdist.analysis.report.families import cycle_rows, family_heads, family_rows
from mcdist.analysis.report.noise import noise_of, noise_rows
from mcdist.analysis.report.published import published_rows
from mcdist.analysis.report.split import split_section
from mcdist.analysis.report.studies import Study, studies
from mcdist.analysis.report.sweep import SweepTables, read_sweep
from mcdist.analysis.report.text import sentence
from mcdist.analysis.report.trials import trials_section
from mcdist.analysis.report.tuned import tuned_sections
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
    page = render(read_sweep(store, sweep), alone=sweep is not None)
    path = Path(out)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise RequestError(f"report: cannot write {path}: {error.strerror or error}") from error
    return path


def render(tables: SweepTables, *, alone: bool = False) -> str:
    """The report's HTML. alone: of one sweep that was named, or of a study with its final sweep."""
    folder = importlib.resources.files(__package__)
    files = FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8"))
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, loader=files
    )
    template = environment.get_template("report.html")
    related = families(tables.endpoints)
    units = units_of(tables) if len(tables.ensembles) else {}
    failures = rows.failure_rows(tables)
    networks = without_auctions(tables)
    found = studies(without_members_alone(tables))
    chapters = auction_chapters(tables, [study for study in found if _auction(study)])
    return template.render(
        css=Markup(folder.joinpath("report.css").read_text(encoding="utf-8")),
        title=" + ".join(tables.sweeps) or "all tasks",
        sweeps=tables.sweeps,
        specs=tables.specs,
        facts=rows.overview(tables),
        tasks=rows.task_rows(tables),
        endpoints=rows.endpoint_rows(networks),
        endpoint_metrics=[metric_name(metric) for metric in rows.ENDPOINT_METRICS],
        auction_endpoints=auction_rows(chapters),
        studies=list(filter(None, (_study(study, number, related) for number, study in enumerate(found, 1)))),
        auctions=auction_sections(chapters, related),
        published_auctions=published_auction_rows(chapters),
        split=split_section(tables),
        ensembles=ensemble_sections(tables, units),
        published_ensembles=published_ensemble_rows(tables, units),
        tuned=tuned_sections(tables, units),
        study_alone=alone and len(tables.sweeps) > 1,
        trials=trials_section(tables.trials),
        published=_published(networks, related),
        failures=failures[:_MOST_FAILURES],
        more_failures=max(len(failures) - _MOST_FAILURES, 0),
        min_units=MIN_UNITS,
    )


def _auction(study: Study) -> bool:
    """Whether it is a study of auctions: these have chapters of their own, menus of all sizes together."""
    return len(study.endpoints) > 0 and bool(of_auctions(study.endpoints).all())


def _study(study: Study, number: int, related: Mapping[str, str]) -> dict[str, Any] | None:
    """What the template shows of one study; of an auction, only curvature, planes and noise, None without any."""
    metrics = _metrics(study)
    about = {"anchor": f"study-{number}", "label": study.label, "auction": _auction(study)}
    if about["auction"]:
        held = any(
            len(part) for part in (study.curvature, study.spectra, study.planes, study.drifts, study.relaxations)
        )
        return {**about, **_measured(study, [], "", related), "noise": _noise(study, related)} if held else None
    pairs, tours = without_tours(study.paths)
    main = "train_loss" if "train_loss" in metrics else metrics[0] if metrics else ""
    others = [
        (axis_label("", value).strip(": "), rows.barrier_rows(study, value, metrics, related))
        for value in _OTHER_VALUES
        if metrics
    ]
    return {
        **about,
        "pairs": len(pairs[["endpoint_a", "endpoint_b"]].drop_duplicates()),
        "paths": len(study.paths),
        "tours": tours,
        "endpoints": len(study.endpoints),
        "main": metric_name(main) or "train loss",
        "barriers": rows.barrier_rows(study, _VALUE, metrics, related) if metrics else [],
        "others": others,
        "ratios": rows.ratio_rows(study, _VALUE, metrics, related),
        "profiles": figures.profile_panels(study, metrics or _METRICS, related),
        "strips": figures.strips(study, metrics, _VALUE, related),
        "matrices": figures.matrices(study, main, _VALUE),
        "dendrograms": figures.dendrograms(study, main),
        "alignment": alignment_effect_rows(study, _VALUE, metrics, related),
        "alignments": alignment_rows(study, related),
        "cycles": cycle_rows(study, related),
        **_measured(study, metrics, main, related),
        "noise": _noise(study, related),
    }


def _measured(study: Study, metrics: list[str], main: str, related: Mapping[str, str]) -> dict[str, Any]:
    """What it shows of curvature and planes, and of the families of paths side by side."""
    ratios = ratios_of(study)
    heads, measures = family_heads(ratios, metrics)
    return {
        "families": family_rows(study, ratios, metrics, main, related),
        "family_heads": [sentence(f"{metric_name(m)} barrier") for m in heads]
        + ["Length / chord", *(f"{sentence(name)}, middle / ends" for name in measures)],
        "curvature": curvature_rows(study, ratios, related),
        "layers": layer_rows(study, related),
        "at_endpoints": endpoint_curvature_rows(study, related),
        "curvature_panels": measured_figures.curvature_panels(study, related),
        "spectra": measured_figures.spectra(study, related),
        "densities": measured_figures.densities(study),
        "planes": measured_figures.planes(study),
        "more_planes": max(study.planes["plane_id"].nunique() - measured_figures.MOST_PLANES, 0),
    }


def _noise(study: Study, related: Mapping[str, str]) -> dict[str, Any] | None:
    """What it shows of noisy dynamics; None where there were none."""
    noise = noise_of(study)
    tables = noise_rows(study, noise, related)
    return tables and {
        **tables,
        "drift_panels": noise_figures.drift_panels(study, noise, related),
        "drift_laws": noise_figures.drift_laws(study, noise, related),
        "traces": noise_figures.traces(study, noise),
        "times": noise_figures.relaxation_times(study, noise, related),
        "free_energies": noise_figures.free_energies(study, noise, related),
        "crossover_strips": noise_figures.crossover_strips(study, noise, related),
    }


def _published(tables: SweepTables, related: Mapping[str, str]) -> dict[str, Any] | None:
    """The published numbers beside the measured ones; None where no path was measured at all."""
    if tables.paths.empty:
        return None
    names = ("endpoints", "paths", "path_points", "barriers", "curvature", "spectra")
    table = published_table({name: getattr(tables, name) for name in names}, families=related)
    return {"rows": published_rows(table), "same": bool(table["same_setting"].any())}


def _metrics(study: Study) -> list[str]:
    """The metrics that the study's barriers have, losses and errors first."""
    held = set(study.barriers["metric"].dropna())
    return [metric for metric in _METRICS if metric in held] + sorted(held - set(_METRICS))
