"""The report's figures of what is measured beside profiles: curvature, spectra, densities, planes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from mcdist.analysis.pairs import without_tours
from mcdist.analysis.plots import plot_curvature, plot_density, plot_plane, plot_spectrum
from mcdist.analysis.plots.matrix import endpoint_labels
from mcdist.analysis.plots.style import INK
from mcdist.analysis.report.auction_chapters import of_auctions
from mcdist.analysis.report.measures import in_order, name_measures
from mcdist.analysis.report.pictures import Picture, legend, panels, picture
from mcdist.analysis.report.studies import Study

__all__ = ["MOST_PLANES", "curvature_panels", "densities", "planes", "spectra"]

Families = Mapping[str, str]

MOST_PLANES = 4
_MOST_PANELS = 6
_OPERATORS = ("hessian", "ggn", "fisher")


def curvature_panels(study: Study, families: Families) -> Picture | None:
    """The mean of each measure along the paths, one panel per measure; None where none was measured."""
    rows = study.curvature[study.curvature["role"].isin(("path", "control")) & study.curvature["layer"].isna()]
    rows = rows[rows["value"].notna()]
    names = name_measures(rows)
    shown = in_order(rows[rows["role"] == "path"], names[rows["role"] == "path"])[:_MOST_PANELS]
    if not shown:
        return None
    figure, axes = panels(len(shown), columns=2, height=3.5)
    for ax, name in zip(axes, shown, strict=True):
        mine = rows[names == name]
        plot_curvature(mine, study.paths, str(mine["measure"].iloc[0]), ax, by=study.by, families=families)
        ax.set_ylabel(name)
        if (own := ax.get_legend()) is not None and ax is not axes[0]:
            own.remove()
    legend(figure, axes[0])
    return picture(figure, f"Mean {', '.join(shown)} against s for each kind of path. {study.label}.")


def spectra(study: Study, families: Families) -> Picture | None:
    """The leading eigenvalues along the paths of each group; None where there are none."""
    rows = study.spectra[(study.spectra["role"] == "path") & study.spectra["layer"].isna()]
    operator = _operator(rows)
    pairs, _ = without_tours(study.paths[study.paths["path_id"].isin(rows["path_id"])])
    parts = [(label, part) for label, part in pairs.groupby("path", observed=True)][:_MOST_PANELS]
    if operator is None or not parts:
        return None
    figure, axes = panels(len(parts), columns=3 if len(parts) > 2 else 2, height=2.9)
    for ax, (label, part) in zip(axes, parts, strict=True):
        plot_spectrum(rows, part, operator, ax, families=families)
        ax.set_title(str(label), fontsize=10, color=INK)
    return picture(figure, f"Leading eigenvalues of the {operator} matrix against s. {study.label}.")


def densities(study: Study) -> Picture | None:
    """The density of eigenvalues at the ends and the middle of one path of each group; None without densities."""
    operator = _operator(study.spectral_densities)
    held = study.paths[study.paths["path_id"].isin(study.spectral_densities["path_id"])]
    pairs = without_tours(held)[0].sort_values(["endpoint_a", "endpoint_b", "path_id"], kind="stable")
    parts = [(label, part) for label, part in pairs.groupby("path", observed=True)][:_MOST_PANELS]
    if operator is None or not parts:
        return None
    figure, axes = panels(len(parts), columns=3 if len(parts) > 2 else 2, height=2.9)
    for ax, (label, part) in zip(axes, parts, strict=True):
        plot_density(study.spectral_densities, str(part["path_id"].iloc[0]), operator, ax)
        ax.set_title(f"{label}, {_seeds(study, part.iloc[0])}", fontsize=10, color=INK)
    return picture(figure, f"Density of eigenvalues of the {operator} matrix on single paths. {study.label}.")


def planes(study: Study) -> Picture | None:
    """Loss and error on a handful of planes, one row of panels each; None where none was measured."""
    chosen, rows = _planes(study), study.planes
    names: tuple[str, ...] = ("train_loss", "test_error")
    if len(study.endpoints) and of_auctions(study.endpoints).all():
        rows, names = rows.assign(surrogate_revenue=-rows["train_loss"].astype(float)), ("surrogate_revenue",)
    metrics = [m for m in names if rows[m].notna().any()]
    if chosen.empty or not metrics:
        return None
    figure, axes = panels(len(chosen) * len(metrics), columns=len(metrics), height=2.9)
    places = [(plane, metric) for _, plane in chosen.iterrows() for metric in metrics]
    for ax, (plane, metric) in zip(axes, places, strict=True):
        plot_plane(rows, study.plane_marks, str(plane["plane_id"]), metric, ax)
        ax.set_title(str(plane["title"]), fontsize=10, color=INK)
    titles = "; ".join(chosen["title"])
    return picture(figure, f"Contours on planes through three points: {titles}. {study.label}.")


def _planes(study: Study) -> pd.DataFrame:
    """The planes that are shown, with titles: one of three end points, one of each group of paths, then others."""
    known = study.planes.drop_duplicates("plane_id").merge(study.paths[["path_id", "path"]], on="path_id", how="left")
    known = known.sort_values(["path", "endpoint_a", "endpoint_b", "plane_id"], kind="stable", na_position="first")
    again = known.groupby("path", observed=True, dropna=False).cumcount()
    known = known.assign(again=again).sort_values("again", kind="stable").head(MOST_PLANES)
    titles = [
        f"{plane['path'] if pd.notna(plane['path']) else 'three end points'}, {_seeds(study, plane)}"
        for _, plane in known.iterrows()
    ]
    return known.assign(title=titles)


def _operator(rows: pd.DataFrame) -> str | None:
    return next((name for name in _OPERATORS if (rows["operator"] == name).any()), None)


def _seeds(study: Study, row: pd.Series) -> str:
    """The end points of a path or a plane by seed."""
    names = [row[column] for column in ("endpoint_a", "endpoint_b", "endpoint_c") if pd.notna(row.get(column))]
    labels = endpoint_labels(names, study.endpoints)
    *others, last = (labels[name] for name in names)
    return f"seeds {', '.join(others)} and {last}"
