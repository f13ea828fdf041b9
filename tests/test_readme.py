"""The README says what is so: its specs load, its Python runs, its commands exist."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from support.sweeps import small_sweep

import mcdist
from mcdist.bench.results import read_results
from mcdist.bench.table import markdown
from mcdist.cli import app
from mcdist.execute.sweep import overview
from mcdist.problems.auctions.laws import LAWS
from mcdist.problems.data import DATASETS
from mcdist.problems.models import MODELS
from mcdist.science.auctions import SETTINGS
from mcdist.science.curvature import MEASURES
from mcdist.science.paths import FAMILIES
from mcdist.spec import (
    AlignSpec,
    CurvatureSpec,
    DriftSpec,
    EndpointsSpec,
    EnsembleSpec,
    EnsembleStudySpec,
    MeasureSpec,
    NebSpec,
    PathSpec,
    PlaneSpec,
    ProblemSpec,
    RelaxationSpec,
    StudySpec,
    TrainSpec,
    ValleySpec,
    load_any_study,
    load_spec,
)
from mcdist.spec.auctions import AffineMaximizerSpec, RochetNetSpec
from mcdist.spec.valuations import ValuationSpec
from mcdist.store.schemas import TABLES

SPECS = (
    *(
        ProblemSpec,
        ValleySpec,
        RochetNetSpec,
        AffineMaximizerSpec,
        ValuationSpec,
        EndpointsSpec,
        TrainSpec,
        PathSpec,
        NebSpec,
        AlignSpec,
    ),
    *(MeasureSpec, CurvatureSpec, PlaneSpec, DriftSpec, RelaxationSpec, EnsembleSpec),
    *(StudySpec, EnsembleStudySpec),
)


@pytest.fixture
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_spec_is_a_sweep(readme: str) -> None:
    (spec,) = blocks(readme, "yaml")
    counts = {kind.kind: kind.tasks for kind in overview(load_spec(yaml.safe_load(spec)), store_uri=None)}
    assert counts == {"endpoint": 8, "path": 28 * 3, "profile": 28 * 3}


def test_the_python_runs(readme: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mcdist.run(small_sweep(), store="results/digits", executor="serial", out=io.StringIO())
    for job in ("digits-paths", "digits-entropic", "digits-ensembles", "auctions"):
        mcdist.run(shortened(repository / "jobs" / f"{job}.yaml"), executor="serial", out=io.StringIO())
    names: dict[str, Any] = {}
    snippets = blocks(readme, "python")
    assert len(snippets) == 6
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), names)
    assert set(names["state"]) == {"1.weight", "1.bias", "3.weight", "3.bias"}


def shortened(job: Path) -> dict[str, Any]:
    """The job with little to train: all that it asks for, of three end points."""
    spec: dict[str, Any] = yaml.safe_load(job.read_text())
    spec["endpoints"]["seeds"] = 3
    if job.stem == "auctions":
        return spec | {"problem": [fewer(problem) for problem in spec["problem"]], "paths": spec["paths"][-2:]}
    spec["problem"]["data"] = {"name": "digits", "train_size": 150}
    spec["problem"]["model"]["args"]["hidden"] = [8]
    for trained in (spec["endpoints"], *spec.get("paths", ())):
        if "train" in trained:
            trained["train"]["epochs"] = 1
        if "align" in trained:
            spec["tours"] = [[0, 2, 1]]
            trained["align"]["grid"] = ["none", "weights"]
        if "neb" in trained:
            trained["neb"] |= {"cycles": [{"steps": 2, "lr": 0.01}], "dense": 1}
    if "ensembles" in spec:
        spec["endpoints"]["train"]["epochs"] = 5
        return spec | {"ensembles": [shorter(ensemble) for ensemble in spec["ensembles"]]}
    spec["measure"]["profile"]["points"] = 3
    spec["measure"]["curvature"] |= {"points": 3, "samples": 60, "max_iterations": 4, "probes": 4}
    for plane in spec["measure"].get("plane", ()):
        plane["points"] = 3
    for moved in (*spec["measure"].get("drift", ()), *spec.get("relaxations", ())):
        moved |= {"starts": [0.3], "samples": 60}
        moved |= {"steps": [2], "replicas": 2} if "steps" in moved else {"time": 0.5}
    return spec


def fewer(problem: dict[str, Any]) -> dict[str, Any]:
    """An auction of few options, trained for a moment, judged on few valuations."""
    return problem | {"menu_size": 4, "iterations": 2, "samples": 100, "fit_samples": 100}


def shorter(ensemble: dict[str, Any]) -> dict[str, Any]:
    """Cycles that fit in an epoch or two."""
    if "path" in ensemble:
        ensemble["path"]["train"]["epochs"] = 1
    return ensemble | {name: 1 for name in ("cycle", "cycles") if name in ensemble}


def test_every_command_exists_and_none_is_forgotten(readme: str) -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    said = {
        line.split()[1] for block in blocks(readme, "console") for line in block.splitlines() if "mcdist " in line[:7]
    }
    assert said == commands


def test_make_targets_exist(readme: str, repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "\n".join(blocks(readme, "console")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(
    "names", [DATASETS, MODELS, FAMILIES, TABLES, MEASURES, SETTINGS, LAWS, *(spec.model_fields for spec in SPECS)]
)
def test_every_name_of_a_registry_is_in_it(names: dict[str, Any], readme: str) -> None:
    assert [
        name for name in names if f"`{name}`" not in readme and f"{name}," not in readme and f"{name})" not in readme
    ] == []


def test_the_benchmarks_table_is_what_was_measured(readme: str, repository: Path) -> None:
    """The newest results that are kept here, every row of them."""
    newest = max((repository / "docs" / "bench").glob("*.json"))
    assert f"<!-- bench -->\n{markdown(read_results(newest))}<!-- /bench -->" in readme


def test_jobs_load(repository: Path) -> None:
    jobs = sorted((repository / "jobs").glob("*.yaml"))
    assert jobs
    for job in jobs:
        study = "space" in yaml.safe_load(job.read_text())
        assert (load_any_study(job) if study else load_spec(job)).name == job.stem
