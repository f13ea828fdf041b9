"""Every kind of task that a sweep can ask for, from the spec to the tables and the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.sweeps import assert_same_tables, every_kind_of_task, tables

import mcdist
from mcdist.analysis import recombine, write_report
from mcdist.spec.tasks import TASK_SPECS
from mcdist.store.schemas import TABLES


def run(uri: Path, **how: Any) -> None:
    summary = mcdist.run(every_kind_of_task(), store=str(uri), out=io.StringIO(), **how)
    assert summary.exit_code == 0, mcdist.open_store(str(uri)).table("tasks").error.dropna().tolist()


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Path:
    uri = tmp_path_factory.mktemp("every") / "store"
    run(uri, executor="serial")
    return uri


@pytest.fixture(scope="module")
def found(uri: Path) -> dict[str, pd.DataFrame]:
    return tables(uri)


def test_every_kind_was_done_and_every_table_has_rows(found: dict[str, pd.DataFrame]) -> None:
    """Trials are asked for by a study, pauses by a benchmark, menus by auctions (test_auctions.py)."""
    assert set(found["tasks"].kind) == set(TASK_SPECS) - {"pause", "trial", "ensemble_trial"}
    assert {name for name, rows in found.items() if rows.empty} == {
        *("trials", "trial_cycles"),
        *("menus", "menu_options"),
    }
    assert set(found) == set(TABLES)


def test_rows_join(found: dict[str, pd.DataFrame]) -> None:
    """What refers to a path, an end point or a plane refers to one that is there."""
    paths, ends = set(found["paths"].path_id), set(found["endpoints"].endpoint_id)
    for name in ("path_points", "barriers", "path_cycles", "drifts", "relaxations", "relaxation_traces"):
        assert set(found[name].path_id) <= paths
    for name in ("curvature", "spectra", "spectral_densities", "planes", "history"):
        assert set(found[name].path_id.dropna()) <= paths
    for name in ("curvature", "spectra", "spectral_densities"):
        assert set(found[name].endpoint_id.dropna()) <= ends
    # a network that is split is no end point, but has a history, and is what its branches come from
    trunks = set(found["tasks"].query("kind == 'trunk'").task_id)
    assert set(found["history"].endpoint_id.dropna()) == ends | trunks
    branches = found["endpoints"].spawn_epoch.notna()
    assert set(found["endpoints"][branches].parent_id) < trunks  # of others trajectories begin
    assert set(found["endpoints"][~branches].parent_id.dropna()) <= ends
    assert set(found["plane_marks"].plane_id) == set(found["planes"].plane_id)
    assert set(found["paths"].via.explode().dropna()) <= ends


def test_rows_of_ensembles_join(found: dict[str, pd.DataFrame]) -> None:
    """Members belong to ensembles, and come from runs that are there; runs come from where they began."""
    ensembles, members, looks = (found[name] for name in ("ensembles", "ensemble_members", "trajectories"))
    of = members.groupby("ensemble_id").size()
    assert of.to_dict() == dict(zip(ensembles["ensemble_id"], ensembles["size"], strict=True))
    tasks = found["tasks"].set_index("task_id")
    for row in ensembles.itertuples():
        kind = {"independent": "endpoint", "curve": "path"}.get(row.method, "trajectory")
        runs = members[members["ensemble_id"] == row.ensemble_id].run_id
        assert set(tasks.loc[runs.unique(), "kind"]) == {kind}
        assert set(runs) == set(tasks.loc[row.ensemble_id, "inputs"])
        assert row.epochs_used <= row.budget_epochs
    # what a trajectory passed is what its ensembles took
    shared = ["epoch", "lr", "distance", "test_error", "test_nll"]
    taken = looks.dropna(subset="member")[["trajectory_id", "member", *shared]]
    snapshots = members.merge(ensembles[["ensemble_id", "method"]]).query("method in ['fge', 'snapshot']")
    both = snapshots.merge(
        taken, left_on=["run_id", "run_member"], right_on=["trajectory_id", "member"], suffixes=("", "_there")
    )
    assert len(both) == len(snapshots) > 0
    for name in ("epoch", "lr", "distance"):
        assert both[name].tolist() == both[f"{name}_there"].tolist()
    for name in ("test_error", "test_nll"):
        assert both[name].tolist() == pytest.approx(both[f"{name}_there"].tolist(), abs=1e-6)
    # from a seed, from the midst of a training, from its end
    parents = looks.groupby("trajectory_id")["parent_id"].first()
    assert set(tasks.loc[parents.dropna(), "kind"]) == {"trunk", "endpoint"}
    assert parents.isna().any()


def test_ensembles_share_networks_by_seed(found: dict[str, pd.DataFrame]) -> None:
    """Those of one method and budget are one: there are two networks for each ensemble, of three end points."""
    ensembles = found["ensembles"]
    assert set(ensembles["method"]) == {"independent", "fge", "swa", "snapshot", "curve"}
    assert set(ensembles["seed"]) == {0}
    assert not ensembles.duplicated(["method", "budget", "restarts"]).any()
    cyclic = ensembles[ensembles["method"].isin(["fge", "swa", "snapshot"])]
    said = set(zip(cyclic["budget"], cyclic["restarts"], cyclic["runs"], strict=True))
    assert said == {(1, True, 1), (2, True, 2), (2, False, 1)}
    fge, swa = (set(_runs(found, method)) for method in ("fge", "swa"))
    assert fge == swa


def _runs(found: dict[str, pd.DataFrame], method: str) -> pd.Series:
    members = found["ensemble_members"].merge(found["ensembles"][["ensemble_id", "method"]])
    return members.loc[members["method"] == method, "run_id"]


def test_predictions_are_kept_where_they_were_asked_for(uri: Path, found: dict[str, pd.DataFrame]) -> None:
    store = mcdist.open_store(str(uri))
    for row in found["ensembles"].itertuples():
        assert store.has_weights(row.ensemble_id) == (row.method == "independent")
    (two,) = found["ensembles"].query("method == 'independent' and budget == 2").to_dict("records")
    made = recombine(store, {two["ensemble_id"]: None})
    assert made.to_dict() == {name: two[name] for name in made.index}


def test_a_plain_reader_sees_the_same(uri: Path, found: dict[str, pd.DataFrame]) -> None:
    for name in TABLES:
        assert len(pd.read_parquet(uri / "tables" / name)) == len(found[name])


@pytest.mark.long
def test_a_report_is_made_of_it(uri: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(mcdist.open_store(str(uri)), out)
    text = out.read_text()
    for said in ("Curvature", "Alignment", "autoneb", "Published"):
        assert said in text


@pytest.mark.ray
def test_the_same_bits_on_ray(tmp_path: Path, found: dict[str, pd.DataFrame]) -> None:
    run(tmp_path / "s", executor="ray")
    assert_same_tables(tables(tmp_path / "s"), found)
