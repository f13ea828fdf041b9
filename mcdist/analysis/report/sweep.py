"""What the report reads: the tables of a store, restricted to the tasks that one sweep asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pandas as pd

from mcdist.errors import RequestError, unknown_name
from mcdist.store import Store

__all__ = ["ENSEMBLED", "MEASURED", "SweepTables", "read_sweep"]

MEASURED = (
    *("alignments", "path_cycles", "curvature", "spectra", "spectral_densities", "planes", "plane_marks"),
    *("drifts", "relaxations", "relaxation_traces"),
)
AUCTIONS = ("menus", "menu_options")
ENSEMBLED = ("trajectories", "ensembles", "ensemble_members", "trials", "trial_cycles")
_TABLES = ("tasks", "endpoints", "paths", "path_points", "barriers", *MEASURED, *ENSEMBLED, *AUCTIONS)
_FINAL = "-final"  # ends the name of the sweep that compares what a study chose


@dataclass(frozen=True)
class SweepTables:
    """The rows of the chosen sweeps; `waiting` counts tasks that were asked for and have no row in `tasks` yet; `asked`
    has the ids of the tasks that each asked for.
    """

    uri: str
    sweeps: list[str]
    specs: dict[str, str]
    waiting: int
    tasks: pd.DataFrame
    endpoints: pd.DataFrame
    paths: pd.DataFrame
    path_points: pd.DataFrame
    barriers: pd.DataFrame
    alignments: pd.DataFrame
    path_cycles: pd.DataFrame
    curvature: pd.DataFrame
    spectra: pd.DataFrame
    spectral_densities: pd.DataFrame
    planes: pd.DataFrame
    plane_marks: pd.DataFrame
    drifts: pd.DataFrame
    relaxations: pd.DataFrame
    relaxation_traces: pd.DataFrame
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    trajectories: pd.DataFrame = field(default_factory=pd.DataFrame)
    ensembles: pd.DataFrame = field(default_factory=pd.DataFrame)
    ensemble_members: pd.DataFrame = field(default_factory=pd.DataFrame)
    trial_cycles: pd.DataFrame = field(default_factory=pd.DataFrame)
    menus: pd.DataFrame = field(default_factory=pd.DataFrame)
    menu_options: pd.DataFrame = field(default_factory=pd.DataFrame)
    asked: Mapping[str, Collection[str]] = field(default_factory=dict)

    def final(self, study: str) -> pd.DataFrame:
        """The ensembles of the sweep that compares what a study chose; none without one."""
        ids = self.asked.get(study + _FINAL, ())
        return self.ensembles[self.ensembles["ensemble_id"].isin(list(ids))]


def read_sweep(store: Store, sweep: str | None) -> SweepTables:
    """The tables of that sweep, or of all sweeps of the store together where it is None; with a study its final sweep.

    A table that the store does not have yet is empty. Raises RequestError for a sweep that the store does not hold.
    """
    names = sorted(store.sweeps())
    if sweep is not None and sweep not in names:
        raise RequestError(f"{store.uri}: {unknown_name('sweep', sweep, names)}")
    chosen = names if sweep is None else [name for name in names if name in (sweep, f"{sweep}{_FINAL}")]
    tables = {name: store.table(name) for name in _TABLES}
    waiting, each = 0, dict[str, Collection[str]]()
    if chosen:
        asked = store.table("sweep_tasks")
        each = {name: set(asked.loc[asked["sweep"] == name, "task_id"]) for name in chosen}
        wanted = set[str]().union(*each.values())
        tables = {name: rows[rows["task_id"].isin(wanted)] for name, rows in tables.items()}
        waiting = len(wanted - set(tables["tasks"]["task_id"]))
    specs = {name: store.sweep_spec(name) for name in chosen}
    return SweepTables(store.uri, chosen, specs, waiting, asked=each, **tables)
