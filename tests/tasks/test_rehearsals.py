"""What is tried before a pack is done, of every kind of task: it runs, and comes to something."""

from __future__ import annotations

from typing import Any

import pytest
from support.tracing import AsTraced

from mcdist.spec.auctions import AffineMaximizerSpec, RochetNetSpec
from mcdist.spec.dynamics import DriftSpec, RelaxationSpec
from mcdist.spec.tasks import DriftTask, EnsembleTask, RelaxationTask, TwinTask
from mcdist.tasks.registry import KINDS
from mcdist.tasks.work import Item

from .bench import (
    SGD,
    DictBench,
    align,
    branch,
    curvature,
    endpoint,
    finetune,
    path,
    plane,
    problem_spec,
    profile,
    trajectory,
    trunk,
)

PAIR = ("end0", "end1")
NEB: dict[str, Any] = {"cycles": [{"steps": 6, "lr": 0.1}, {"steps": 4, "lr": 0.01}], "batch_size": 32, "most": 4}
PROBLEM = problem_spec(batch_norm=True)
SMALL: dict[str, Any] = {"menu_size": 8, "iterations": 4, "samples": 100, "fit_samples": 50}
MENU = RochetNetSpec(kind="rochetnet", setting="uniform_2", **SMALL)
BIDS = AffineMaximizerSpec(kind="affine_maximizer", setting="bidders_2_items_2", allocation="softmax", **SMALL)
DRIFT = DriftSpec(starts=(0.2, 0.7), steps=(10,), lr=0.1, batch_size=8, replicas=3)
RELAX = RelaxationSpec(starts=(0.2, 0.7), time=2.0, lr=0.1, batch_size=8, replicas=3)
TOGETHER = EnsembleTask(problem=PROBLEM, method="independent", seed=0, budget=2, epochs=3, spent=6)

ITEMS: dict[str, tuple[str, list[Item], float]] = {
    # kind, a pack of two, how many of the steps that are tried make up the whole
    "endpoint": ("endpoint", [endpoint(PROBLEM, seed) for seed in (0, 1)], 3 * 150 / 32),
    "trunk": ("trunk", [trunk(PROBLEM, seed, (0, 2)) for seed in (0, 1)], 2 * 150 / 32),
    "branch": ("branch", [branch(PROBLEM, seed, 2, 0) for seed in (0, 1)], 150 / 32),
    "finetune": ("finetune", [finetune(PROBLEM, "a", "end0", seed, train=SGD) for seed in (0, 1)], 3 * 150 / 32),
    "finetune by cycles": (
        "finetune",
        [finetune(PROBLEM, "a", "end0", seed, neb=NEB) for seed in (0, 1)],
        3 * 150 / 32,
    ),
    "align": ("align", [align(PROBLEM, "a", PAIR, seed=seed) for seed in (0, 1)], 2.0),
    "align by activations": ("align", [align(PROBLEM, "a", PAIR, method="activations", samples=50)] * 2, 2.0),
    "bezier": (
        "path",
        [path(PROBLEM, "a", PAIR, kind="bezier", train=SGD, seed=seed) for seed in (0, 1)],
        3 * 150 / 32,
    ),
    "by arclength": (
        "path",
        [path(PROBLEM, "a", PAIR, kind="bezier", objective="arclength", train=SGD)] * 2,
        3 * 150 / 32,
    ),
    "autoneb": ("path", [path(PROBLEM, "a", PAIR, kind="autoneb", neb=NEB)] * 2, 10.0),
    "profile": ("profile", [profile(PROBLEM, "p")] * 2, 0.0),
    "plane": ("plane", [plane(PROBLEM, "a", "p")] * 2, 0.0),
    "curvature": ("curvature", [curvature(PROBLEM, "c", "p", measures=["lambda_max", "top_k", "density"])] * 2, 0.0),
    # 2 paths x 2 starts (x 3 replicas) go together, a step at a time (noisy ones two)
    "twin": ("twin", [Item("t", TwinTask(problem=PROBLEM, drift=DRIFT.twin), ("p",))] * 2, 10.0),
    "drift": ("drift", [Item("d", DriftTask(problem=PROBLEM, drift=DRIFT), ("p", "t"))] * 2, 5.0),
    "ensemble": ("ensemble", [Item("e", TOGETHER, ("end0", "end1"))] * 2, 0.0),
    "relaxation": ("relaxation", [Item("r", RelaxationTask(problem=PROBLEM, relaxation=RELAX), ("p",))] * 2, 10.0),
    # 2 epochs of 4 steps
    "menu": ("endpoint", [endpoint(MENU, seed, epochs=2) for seed in (0, 1)], 8.0),
    "affine maximizer by logits": ("endpoint", [endpoint(BIDS, seed, epochs=2) for seed in (0, 1)], 8.0),
    "bezier of menus": ("path", [path(MENU, "a", PAIR, kind="bezier", train=SGD)] * 2, 3 * 4),
    "profile of menus": ("profile", [profile(MENU, "p")] * 2, 0.0),
    "plane of affine maximizers": ("plane", [plane(BIDS, "a", "p")] * 2, 0.0),
    "curvature of menus": ("curvature", [curvature(MENU, "c", "p", measures=["lambda_max"])] * 2, 0.0),
    "relaxation of menus": (
        "relaxation",
        [Item("r", RelaxationTask(problem=MENU, relaxation=RELAX), ("p",))] * 2,
        10.0,
    ),
    # members after 5 and 15 of its 20 steps; all of 15 steps
    "trajectory": ("trajectory", [trajectory(PROBLEM, seed, "t", start=1, epochs=5) for seed in (0, 1)], 3 * 150 / 32),
    "cosine trajectory": (
        "trajectory",
        [trajectory(PROBLEM, seed, rate="cosine", cycles=2, epochs=3) for seed in (0, 1)],
        3 * 150 / 32,
    ),
}


def test_no_kind_is_forgotten() -> None:
    """Those that take no work to speak of have nothing to try."""
    tried = {kind for kind, _, _ in ITEMS.values()}
    assert {name for name, kind in KINDS.items() if kind.rehearse is not None} == tried
    assert set(KINDS) - tried == {"join", "pause", "trial", "ensemble_trial"}


@pytest.mark.parametrize("traced", [False, True], ids=["plain", "traced"])
@pytest.mark.parametrize("case", ITEMS)
def test_a_piece_of_the_work_is_done_again_and_again(case: str, traced: bool) -> None:
    """Nothing that it needs is in any store; each time it does the same."""
    kind, items, steps = ITEMS[case]
    rehearse = KINDS[kind].rehearse
    assert rehearse is not None
    trial = rehearse([item.spec for item in items], DictBench(AsTraced() if traced else None))
    assert trial is not None
    trial.step()
    trial.step()
    assert trial.steps == pytest.approx(steps, rel=0.03) if steps else trial.steps > 0
    assert not trial.images


@pytest.mark.parametrize("of", ["curvature", "autoneb"])
def test_what_is_asked_for_more_often_is_more_work(of: str) -> None:
    """More points, or more steps: the piece that is tried stands for more."""
    more: dict[str, Item] = {
        "curvature": curvature(PROBLEM, "c", "p", points=9, measures=["lambda_max", "top_k", "density"]),
        "autoneb": path(PROBLEM, "a", PAIR, kind="autoneb", neb=NEB | {"cycles": [{"steps": 40, "lr": 0.1}]}),
    }
    kind, items, _ = ITEMS[of]
    rehearse = KINDS[kind].rehearse
    assert rehearse is not None
    trials = [rehearse([item.spec], DictBench()) for item in (items[0], more[of])]
    assert trials[0] is not None
    assert trials[1] is not None
    assert trials[1].steps > trials[0].steps


def test_a_network_as_it_begins_is_nothing_to_try() -> None:
    rehearse = KINDS["trunk"].rehearse
    assert rehearse is not None
    assert rehearse([trunk(PROBLEM, 0, (0,)).spec], DictBench()) is None


def test_what_is_not_trained_is_nothing_to_try() -> None:
    rehearse = KINDS["endpoint"].rehearse
    assert rehearse is not None
    assert rehearse([endpoint(PROBLEM, 0, epochs=0).spec], DictBench()) is None


@pytest.mark.parametrize("kind", ["linear", "logits", "three_pieces"])
def test_what_is_made_of_two_ends_is_nothing_to_try(kind: str) -> None:
    rehearse = KINDS["path"].rehearse
    assert rehearse is not None
    assert rehearse([path(MENU, "a", PAIR, kind=kind).spec], DictBench()) is None
