"""`slurm.sh`, run with commands of Slurm and Ray that note how they are called."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from ray.scripts.symmetric_run import symmetric_run

SCRIPT = Path(__file__).resolve().parent.parent.parent / "clusters" / "slurm.sh"
STUB = """#!/bin/bash
echo "$(basename "$0") $*" >> "$NOTES"
echo "token $RAY_AUTH_MODE $(cat "$RAY_AUTH_TOKEN_PATH") $(stat -c %a "$RAY_AUTH_TOKEN_PATH")" >> "$NOTES"
"""
SCONTROL = '#!/bin/bash\n[ "$*" = "show hostnames gpu[3-4]" ] && printf "gpu3\\ngpu4\\n"\n'
SRUN = STUB + 'while [[ "$1" == --* ]]; do shift; done\n"$@"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An allocation of two nodes: .venv/bin/activate puts the stubs on PATH."""
    bin_ = tmp_path / ".venv" / "bin"
    bin_.mkdir(parents=True)
    for name, text in {"srun": SRUN, "ray": STUB, "scontrol": SCONTROL}.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(stat.S_IRWXU)
    (bin_ / "python").symlink_to(sys.executable)
    (bin_ / "activate").write_text(f'export PATH="{bin_}:$PATH"\n')
    return tmp_path


def run(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    slurm = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NODELIST": "gpu[3-4]", "SLURM_JOB_NUM_NODES": "2"}
    env = {"PATH": os.environ["PATH"], "NOTES": str(folder / "notes")} | slurm | more
    return subprocess.run(
        ["bash", str(SCRIPT), *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_it_is_bash() -> None:
    assert subprocess.run(["bash", "-n", str(SCRIPT)], check=False).returncode == 0
    assert os.access(SCRIPT, os.X_OK)


def test_one_ray_over_all_nodes_and_the_sweep_on_it(folder: Path) -> None:
    done = run(folder, "jobs/digits.yaml", "/shared/digits", "--set", "endpoints.seeds=[0, 1]")
    assert done.returncode == 0, done.stderr
    srun, token, ray, same_token = (folder / "notes").read_text().splitlines()
    symmetric = (
        "ray symmetric-run --address gpu3:24711 --min-nodes 2 --disable-usage-stats -- "
        "python -m mcdist run jobs/digits.yaml --store /shared/digits --address gpu3:24711 --set endpoints.seeds=[0, 1]"
    )
    assert srun == f"srun --nodes=2 --ntasks=2 --kill-on-bad-exit=1 {symmetric}"
    assert ray == symmetric
    assert token == same_token
    assert re.fullmatch(r"token token [0-9a-f]{64} 600", token)  # and nobody else reads it
    assert not list(folder.glob(".ray-token*"))  # nor is it left


def test_the_installed_ray_knows_the_options() -> None:
    """Parsed, not run."""
    words = ["--address", "gpu3:24711", "--min-nodes", "2", "--disable-usage-stats"]
    for word in words:
        assert not word.startswith("--") or word in SCRIPT.read_text()
    context = symmetric_run.make_context("symmetric-run", words)
    assert context.params == {
        "address": "gpu3:24711", "min_nodes": 2, "ray_args_and_entrypoint": ("--disable-usage-stats",),
    }  # fmt: skip


def test_the_exit_code_is_that_of_the_sweep(folder: Path) -> None:
    (folder / ".venv" / "bin" / "ray").write_text("#!/bin/bash\nexit 1\n")
    assert run(folder, "jobs/digits.yaml", "/shared/digits").returncode == 1
    assert not list(folder.glob(".ray-token*"))


def test_what_is_missing_is_said(folder: Path) -> None:
    done = run(folder, "jobs/digits.yaml")
    assert done.returncode == 2
    assert "usage: sbatch clusters/slurm.sh SPEC STORE" in done.stderr
    assert not (folder / "notes").exists()


def test_another_environment(folder: Path) -> None:
    (folder / ".venv").rename(folder / "env")
    text = (folder / "env" / "bin" / "activate").read_text().replace("/.venv/", "/env/")
    (folder / "env" / "bin" / "activate").write_text(text)
    assert run(folder, "a.yaml", "/s", MCDIST_ENV="env").returncode == 0


def test_what_slurm_is_asked_for() -> None:
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(.*))?$", SCRIPT.read_text(), re.MULTILINE))
    assert asked["ntasks-per-node"] == "1"  # one Ray a node
    assert "exclusive" in asked  # `ray stop` at its end stops every Ray of the user there
    assert int(asked["gpus-per-node"]) > 1
    assert {"requeue", "time", "partition", "account"} <= asked.keys()
