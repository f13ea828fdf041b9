"""Workers, nodes and drivers are killed all through a sweep, by many seeds: the tables are always the same."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.chaos import Chaos
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist
from cluster.conftest import Nodes

pytestmark = [pytest.mark.ray, pytest.mark.cluster]


def sweep() -> dict[str, Any]:
    """Six end points, all fifteen pairs, a line and a curve each: 66 tasks in 35 packs."""
    found = small_sweep(resources={"pack": 2, "gpus": 0, "retries": 10})
    found["endpoints"]["seeds"] = 6
    found["paths"][1]["train"]["epochs"] = 600
    return found


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_killed_the_tables_are_those_of_an_undisturbed_sweep(
    seed: int, nodes: Nodes, tmp_path: Path, undisturbed: Callable[[dict[str, Any]], dict[str, pd.DataFrame]]
) -> None:
    expected = undisturbed(sweep())
    chaos = Chaos(seed, sweep(), tmp_path, nodes)
    chaos.run(pause_s=2.0, most=8, limit_s=600)
    assert len(chaos.done) >= 3
    assert_same_tables(tables(chaos.store), expected)
    again = mcdist.run(sweep(), store=str(chaos.store), executor="ray", address=nodes.address, out=io.StringIO())
    assert again.counts == {"done": 66}
