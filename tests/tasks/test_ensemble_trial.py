"""Task kind `ensemble_trial`: against the trajectories that it stands for; broken off, and gone on with."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from mcdist.errors import Diverged, TaskError
from mcdist.scores import score
from mcdist.spec.problem import ProblemSpec
from mcdist.spec.tasks import EnsembleTrialTask, TrajectoryTask
from mcdist.spec.training import TrainSpec
from mcdist.tasks.ensemble_trial import TrialRun
from mcdist.tasks.kept import Kept
from mcdist.tasks.members import taken as member
from mcdist.tasks.work import Item, Result

from .bench import SGD, DictBench, assert_rows_fit, beside, problem_spec, trunk

SEEDS = (4, 7)
CYCLE = {"rate": "triangle", "start": 1, "epochs": 4, "lr1": 0.2, "lr2": 0.02, "cycle": 1.2}
WAVES = {"rate": "cosine", "start": 0, "epochs": 3, "lr1": 0.2, "cycles": 2}
RATES = ((0.2, 0.02), (0.1, 0.04), (0.3, 0.01))


@cache
def made() -> tuple[DictBench, ProblemSpec]:
    """Trunks of two seeds: five steps an epoch. To be left as it is."""
    problem = problem_spec(batch_norm=True)
    bench = DictBench()
    bench.do("trunk", [trunk(problem, seed, [1]) for seed in SEEDS])
    return bench, problem


def way(problem: ProblemSpec, seed: int, **said: Any) -> TrajectoryTask:
    return TrajectoryTask.model_validate({"problem": problem, "train": TrainSpec(**SGD), "seed": seed, **said})


def trial(taken: int, seeds: Sequence[int] = SEEDS, **said: Any) -> Item:
    problem = made()[1]
    spec = EnsembleTrialTask(problem=problem, trajectory=way(problem, 0, **said), seeds=tuple(seeds), cycles=taken)
    return Item("trial", spec, tuple(f"trunk{seed}" for seed in seeds) if said["start"] else ())


def done(item: Item) -> Result:
    (result,) = beside(made()[0]).do("ensemble_trial", [item])
    assert isinstance(result, Result), result
    assert_rows_fit(result)
    return result


def by_trajectories(seeds: Sequence[int] = SEEDS, **said: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """What is said of the members of the first seed, and by seed the scores of all on the validation split."""
    bench, problem = beside(made()[0]), made()[1]
    items = [
        Item(f"run{seed}", way(problem, seed, **said), (f"trunk{seed}",) if said["start"] else ()) for seed in seeds
    ]
    bench.do("trajectory", items)
    the = bench.problem(problem)
    about, scores = [], []
    for item in items:
        members = json.loads(bench.stored(item.id).about["trajectory"])["members"]
        points = [member(bench.stored(item.id), j, the) for j in range(len(members))]
        kept = [the.probabilities(point, "val")[0].float().numpy() for point in points]
        about.append(members)
        scores.append(score(np.stack(kept), the.targets("val").numpy()))
    return about[0], scores


@pytest.mark.parametrize("said", [CYCLE, WAVES, CYCLE | {"rates": RATES}], ids=["triangle", "cosine", "rates"])
def test_it_finds_what_the_ensembles_of_its_trajectories_come_to(said: dict[str, Any]) -> None:
    """To rounding of float32: a stack of two networks is computed in another order than two stacks."""
    members, scores = by_trajectories(**said)
    result = done(trial(len(members), **said))
    (row,), cycles = result.rows["trials"], result.rows["trial_cycles"]
    assert len(cycles) == len(members) == row["members"] == row["members_planned"]
    assert row["complete"] is True
    for j, cycle in enumerate(cycles):
        nlls, errors = ([getattr(one, name)[j] for one in scores] for name in ("running_nlls", "running_errors"))
        assert cycle["cycle"] == j + 1
        assert cycle["epochs_used"] == pytest.approx(members[j]["epoch"], rel=1e-12)
        assert cycle["val_nll"] == pytest.approx(np.mean(nlls), rel=1e-5)
        assert cycle["val_error"] == pytest.approx(np.mean(errors), abs=1e-12)
        assert cycle["val_nll_stderr"] == pytest.approx(abs(nlls[0] - nlls[1]) / 2, rel=1e-3, abs=1e-7)
    for name in ("val_nll", "val_nll_stderr", "val_error", "epochs_used"):
        assert row[name] == cycles[-1][name]


def test_it_says_its_setting() -> None:
    (row,) = done(trial(3, **CYCLE)).rows["trials"]
    assert (row["subject"], row["method"], row["seeds"]) == ("ensemble", "fge", 2)
    assert (row["start"], row["lr1"], row["lr2"], row["cycle"], row["cycles"]) == (1, 0.2, 0.02, 1.2, None)
    assert (row["optimizer"], row["batch_size"], row["momentum"]) == ("sgd", 32, 0.9)
    whole = json.loads(row["parameters"])
    assert (whole["seeds"], whole["epochs"], whole["rates"]) == ([4, 7], 4, [])
    waves = done(trial(2, **WAVES))
    assert {cycle["lr2"] for cycle in waves.rows["trial_cycles"]} == {None}
    (row,) = waves.rows["trials"]
    assert (row["method"], row["start"], row["lr2"], row["cycle"], row["cycles"]) == ("snapshot", 0, None, None, 2)


def test_rates_of_its_own_for_each_stretch_are_recorded() -> None:
    result = done(trial(3, **CYCLE | {"rates": RATES}))
    assert [(cycle["lr1"], cycle["lr2"]) for cycle in result.rows["trial_cycles"]] == list(RATES)
    assert json.loads(result.rows["trials"][0]["parameters"])["rates"] == [list(pair) for pair in RATES]


@pytest.mark.parametrize("cycles", [1, 2])
def test_one_that_was_stopped_is_the_beginning_of_the_whole(cycles: int) -> None:
    part, whole = done(trial(cycles, **CYCLE)), done(trial(3, **CYCLE))
    assert part.rows["trial_cycles"] == whole.rows["trial_cycles"][:cycles]
    (row,) = part.rows["trials"]
    assert (row["members"], row["members_planned"], row["complete"]) == (cycles, 3, False)
    assert row["val_nll"] == part.rows["trial_cycles"][-1]["val_nll"]


def test_one_seed_has_no_standard_error() -> None:
    result = done(trial(1, seeds=[7], **CYCLE))
    assert result.rows["trials"][0]["val_nll_stderr"] is None
    assert result.rows["trials"][0]["seeds"] == 1


def through_json(kept: Kept) -> Kept:
    return Kept({name: tensor.clone() for name, tensor in kept.tensors.items()}, json.loads(json.dumps(kept.data)))


@pytest.mark.parametrize("said", [CYCLE, WAVES], ids=["triangle", "cosine"])
def test_kept_after_each_member_and_gone_on_with_it_is_the_same_bit_for_bit(said: dict[str, Any]) -> None:
    item, bench = trial(1, **said), beside(made()[0])
    assert isinstance(item.spec, EnsembleTrialTask)
    run = TrialRun.begin(item.spec, item.inputs, bench)
    while run.taken < run.planned:
        run.advance()
        kept = run.kept()
        run = TrialRun.resume(item.spec, through_json(kept), bench)
        assert not any("test" in name for look in kept.data["run"]["looks"] for name in look), "a trial never looks"
    assert run.cycles == [
        {name: value for name, value in row.items() if name != "trial_id"}
        for row in done(trial(run.planned, **said)).rows["trial_cycles"]
    ]


def test_rates_that_change_on_the_way_are_those_of_a_trial_with_these_rates() -> None:
    """Changed in its midst, and after it was kept: bit for bit."""
    item, bench = trial(1, **CYCLE), beside(made()[0])
    assert isinstance(item.spec, EnsembleTrialTask)
    run = TrialRun.begin(item.spec, item.inputs, bench)
    run.advance()
    run.change(*RATES[1])
    run.advance()
    trajectory = item.spec.trajectory.model_copy(update={"lr1": RATES[2][0], "lr2": RATES[2][1]})
    run = TrialRun.resume(item.spec.model_copy(update={"trajectory": trajectory}), through_json(run.kept()), bench)
    run.advance()
    assert run.rates == list(RATES)
    whole = done(trial(3, **CYCLE | {"rates": RATES})).rows["trial_cycles"]
    assert [row["val_nll"] for row in run.cycles] == [row["val_nll"] for row in whole]


def test_what_it_cannot_do_it_says() -> None:
    bench, (more, wild) = beside(made()[0]), (trial(4, **CYCLE), trial(3, **CYCLE | {"lr1": 1e9, "lr2": 1e9}))
    (many,) = bench.do("ensemble_trial", [more])
    assert isinstance(many, TaskError)
    assert str(many) == "4 members are more than the 3 that its epochs hold"
    outcomes = bench.do("ensemble_trial", [wild, trial(1, **CYCLE)])
    assert isinstance(outcomes[0], Diverged)
    assert isinstance(outcomes[1], Result), "one that fails harms no other"
    assert math.isfinite(outcomes[1].rows["trials"][0]["val_nll"])
