"""Auctions from the spec to the tables: every kind of path that they have, and what is measured on paths."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.sweeps import assert_same_tables, every_path_of_auctions, tables

import mcdist


def run(uri: Path, **how: Any) -> None:
    summary = mcdist.run(every_path_of_auctions(), store=str(uri), out=io.StringIO(), **how)
    assert summary.exit_code == 0, mcdist.open_store(str(uri)).table("tasks").error.dropna().tolist()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    uri = tmp_path_factory.mktemp("auctions") / "store"
    run(uri, executor="serial")
    return tables(uri)


def test_every_table_has_rows_but_those_of_networks_alone(found: dict[str, pd.DataFrame]) -> None:
    """No gradient is without noise, so that there are no drifts; no probabilities, so that there are no ensembles."""
    assert {name for name, rows in found.items() if rows.empty} == {
        *("path_cycles", "spectra", "spectral_densities", "drifts"),
        *("ensembles", "ensemble_members", "trajectories"),
        *("trials", "trial_cycles"),
    }
    assert found["tasks"].groupby("kind").size().to_dict() == {
        "endpoint": 4,
        "align": 2,
        "path": 10,
        "profile": 10,
        "curvature": 2,
        "plane": 2,
        "relaxation": 2,
    }


def test_rows_of_auctions_join(found: dict[str, pd.DataFrame]) -> None:
    """Every end point of an auction is a menu; its options are those that matter for a valuation held out."""
    menus, options = found["menus"], found["menu_options"]
    assert set(menus.endpoint_id) == set(found["endpoints"].endpoint_id)
    assert menus.groupby("mechanism").size().to_dict() == {"rochetnet": 2, "affine_maximizer": 2}
    assert set(options.endpoint_id) == set(menus.endpoint_id)
    of = options.groupby("endpoint_id").size()
    assert of.to_dict() == dict(zip(menus.endpoint_id, menus.n_active, strict=True))


def test_a_path_that_is_made_says_what_it_promises(found: dict[str, pd.DataFrame]) -> None:
    paths = found["paths"].set_index("path_id")
    pieces = paths["pieces"].dropna()
    assert pieces.to_dict() == {i: 3 if paths.kind[i] == "three_pieces" else 5 for i in pieces.index}
    assert set(paths.kind[pieces.index]) == {"three_pieces", "five_pieces"}
    assert paths.loc[pieces.index, ["eps_promised", "shortfall", "promise_kept"]].notna().all(axis=None)
    points = found["path_points"].dropna(subset="piece")
    assert points.groupby("path_id").piece.nunique().to_dict() == pieces.to_dict()
    # an end of a path earns what the menu does
    revenue = found["menus"].set_index("endpoint_id").revenue
    ends = found["path_points"].query("t in [0, 1]")
    aligned = ends.merge(paths[["endpoint_a", "endpoint_b"]], left_on="path_id", right_index=True)
    said = aligned.endpoint_a.where(aligned.t == 0, aligned.endpoint_b).map(revenue)
    assert aligned.revenue.tolist() == pytest.approx(said.tolist(), abs=1e-12)
    barriers = found["barriers"].query("metric == 'revenue'")
    assert set(barriers.path_id) == set(paths.index)
    assert (barriers.barrier_max >= 0.0).all()


@pytest.mark.ray
@pytest.mark.long
def test_the_same_bits_on_ray(tmp_path: Path, found: dict[str, pd.DataFrame]) -> None:
    run(tmp_path / "s", executor="ray")
    assert_same_tables(tables(tmp_path / "s"), found)
