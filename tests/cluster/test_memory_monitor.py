"""Ray kills a worker when a node's memory runs out: its pack is done in smaller parts."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist
from mcdist.execute.room import bytes_said

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

GIB = 1 << 30


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="the system's memory is read from /proc")
def test_a_pack_whose_worker_ray_killed_for_want_of_memory_is_halved(tmp_path: Path) -> None:
    """Ray is told that memory is scarce from 2 GiB more than is used now; the first pack takes 4 GiB more."""
    total, left = (bytes_said("/proc/meminfo", key) for key in ("MemTotal", "MemAvailable"))
    if left < 8 * GIB:
        pytest.skip("there is too little memory to play with")
    sweep = small_sweep(paths=[], pairs="none", measure={"profile": []}, resources={"pack": 2, "workers": 1})
    sweep["problem"]["model"], sweep["endpoints"]["seeds"] = "support.models:FillsMemoryOnce", 2
    (tmp_path / "sweep.yaml").write_text(json.dumps(sweep))
    (tmp_path / "fuse").touch()
    environment = {
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "MCDIST_TEST_FUSE": str(tmp_path / "fuse"),
        "RAY_memory_usage_threshold": f"{(total - left + 2 * GIB) / total:.4f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }
    line = [sys.executable, "-m", "mcdist", "run", str(tmp_path / "sweep.yaml"), "--store", str(tmp_path / "s")]
    done = subprocess.run(line, env=os.environ | environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "fuse").exists()
    tasks = mcdist.open_store(tmp_path / "s").table("tasks")
    assert tasks[["pack_size", "attempts"]].values.tolist() == [[1, 1], [1, 1]]
    one_by_one = sweep | {"resources": sweep["resources"] | {"pack": 1}}
    assert mcdist.run(one_by_one, store=str(tmp_path / "one"), executor="serial", out=io.StringIO()).exit_code == 0
    got, expected = tables(tmp_path / "s"), tables(tmp_path / "one")
    assert_same_tables(got, expected)
