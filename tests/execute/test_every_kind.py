"""Every kind of task that a sweep can ask for, from the spec to the tables and the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.sweeps import assert_same_tables, every_kind_of_task, tables

import mcdist
from mcdist.analysis import write_report
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
    """Trials are asked for by a study, pauses by a benchmark."""
    assert set(found["tasks"].kind) == set(TASK_SPECS) - {"pause", "trial"}
    assert {name for name, rows in found.items() if rows.empty} == {"trials"}
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
    assert set(found["endpoints"][branches].parent_id) == trunks
    assert set(found["endpoints"][~branches].parent_id.dropna()) <= ends
    assert set(found["plane_marks"].plane_id) == set(found["planes"].plane_id)
    assert set(found["paths"].via.explode().dropna()) <= ends


def test_a_plain_reader_sees_the_same(uri: Path, found: dict[str, pd.DataFrame]) -> None:
    for name in TABLES:
        assert len(pd.read_parquet(uri / "tables" / name)) == len(found[name])


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
