"""`mcdist tune` on ensembles from the command line: what is shown, and what is said of a wrong request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_line import Command
from support.ensemble_studies import ensemble_study, population


def written(folder: Path, data: dict[str, Any]) -> Path:
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(data | {"store": str(folder / "store")}))
    return file


def test_from_tune_to_report(mcdist: Command, tmp_path: Path) -> None:
    store = tmp_path / "store"
    final = {"seeds": 2, "published": {"cycle": 0.8}}
    study = written(tmp_path, ensemble_study(space={"start": {"grid": [2, 3]}}, final=final))
    code, out, err = mcdist("tune", study, "--set", "ensemble.lr1=0.2", "--executor", "serial")
    assert (code, out) == (0, ""), err
    lines = err.splitlines()
    assert [line.split(": lr")[0].split(" · ")[0] for line in lines[:3]] == [
        f"tuned: 0 of 2 trials ended, 2 networks each, from 4 trainings begun; results in {store}",
        "tuned: trial 1/2: start 2",
        "tuned: trial 2/2: start 3",
    ]
    assert lines[-1] == f"all 2 trials done; next: mcdist report {store}"
    shown = mcdist("status", store)[1]
    assert "sweep tuned: 6 tasks: 6 done" in shown
    assert "sweep tuned-final: " in shown
    for sweep in ("tuned", "tuned-final"):
        assert mcdist("report", store, "--sweep", sweep)[0] == 0
        assert mcdist("tune" if sweep == "tuned" else "run", store / "sweeps" / f"{sweep}.yaml", "--store", store,
                      "--executor", "serial")[0] == 0, "what was resolved is one"  # fmt: skip


WRONG: dict[str, tuple[str, list[str], str]] = {
    "a cycle longer than the budget": (
        "tune",
        ["ensemble.cycle=3"],
        "ensemble.cycle: a cycle of 3 epochs is longer than the 2 that are left of 5 when cycles start after 3; say a "
        "shorter cycle, or an earlier start",
    ),
    "lr1 below lr2": (
        "tune",
        ["ensemble.lr2=0.2"],
        "space.lr1.grid.0: the highest rate must be at least the lowest: got lr1 0.1, lr2 0.2",
    ),
    "an odd cycle": (
        "tune",
        ["ensemble.cycle=0.5"],
        "ensemble.cycle: 0.5 epochs are 5 steps (10 in an epoch): a cycle",
    ),
    "no validation data": (
        "tune",
        ["problem.data.validation=0"],
        "problem.data.validation: there is no validation data, by which trials are judged: hold a part out of "
        "training, such as validation: 0.2",
    ),
    "pbt over what is no rate": (
        "tune",
        ["search={method: pbt, trials: 4}"],
        "space.start: pbt changes rates on the way, and start is the same in all of a population: say it in ensemble",
    ),
    "an unknown setting": ("tune", ["space.lr3={log: [0.1, 1]}"], "unknown setting 'lr3'; did you mean 'lr2'?"),
    "an unknown method": (
        "tune",
        ["ensemble.method=feg"],
        "ensemble.method: must say the method, fge or snapshot; got",
    ),
    "an unknown search": ("tune", ["search.method=gird"], "must be 'grid', 'random', 'optuna' or 'pbt'; got 'gird'"),
    "an unknown key": ("tune", ["finale={}"], "unknown key 'finale'; did you mean 'final'?"),
    "an unknown model": ("tune", ["problem.model=mpl"], "unknown model 'mpl'; did you mean 'mlp'?"),
    "both studies at once": ("tune", ["relaxation={time: 1}"], "has both 'ensemble' and 'relaxation'"),
    "given to run": ("run", [], "is a study, with a space to be searched: for 'mcdist tune', not 'run'"),
    "given to plan": ("plan", [], "is a study, with a space to be searched: for 'mcdist tune', not 'run'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_one_message_exit_2_and_nothing_written(case: str, mcdist: Command, tmp_path: Path) -> None:
    command, changes, message = WRONG[case]
    study = written(tmp_path, ensemble_study())
    before = sorted(tmp_path.rglob("*"))
    code, out, err = mcdist(command, study, *(word for change in changes for word in ("--set", change)))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_what_needs_ray_says_so_to_one_process(mcdist: Command, tmp_path: Path) -> None:
    code, _, err = mcdist("tune", written(tmp_path, population()), "--executor", "serial")
    assert code == 2
    assert "search.method: pbt is Ray Tune's: run it without '--executor serial'" in err
    assert not (tmp_path / "store").exists()
    code, _, err = mcdist("tune", written(tmp_path, population()), "--address", "127.0.0.1:1")
    assert (code, (tmp_path / "store").exists()) == (2, False)
    assert "cannot connect to Ray at 127.0.0.1:1" in err
