"""Auctions in the plan: their ids, what shares a pack, what they cost, and end points that are not trained."""

from __future__ import annotations

from typing import Any

import pytest

from mcdist.plan import Plan, groups, make_plan
from mcdist.plan.cost import ProblemSize, task_cost
from mcdist.spec import TrainSpec, load_spec
from mcdist.spec.auctions import AffineMaximizerSpec, RochetNetSpec
from mcdist.spec.tasks import EndpointTask
from mcdist.tasks.problems import prepare

MENU: dict[str, Any] = {"kind": "rochetnet", "setting": "uniform_2", "menu_size": 32}
BIDS: dict[str, Any] = {"kind": "affine_maximizer", "valuation": {"law": "uniform", "items": 2}, "bidders": 2}
TRAIN: dict[str, Any] = {"epochs": 20, "lr": 0.02, "optimizer": "adam", "batch_size": 1024}
PATHS: list[dict[str, Any]] = [
    {"kind": "linear", "align": "weights"},
    {"kind": "logits"},
    {"kind": "three_pieces"},
    {"kind": "five_pieces", "keep": 4},
]
POINTS = {"menu_size": 15, "start": [{"allocations": [[1, 1]], "prices": [p / 10]} for p in range(4)]}


def sweep(problem: Any, **changes: Any) -> dict[str, Any]:
    endpoints = {"seeds": 2, "train": TRAIN}
    return {"name": "s", "problem": problem, "endpoints": endpoints, "measure": {"profile": {"points": 31}}} | changes


def planned(problem: Any, **changes: Any) -> Plan:
    return make_plan(prepare(load_spec(sweep(problem, **changes))).spec)


def ids(problem: Any, **changes: Any) -> list[tuple[str, str]]:
    return [(task.kind, task.id) for task in planned(problem, **changes).tasks.values()]


def test_ids_of_auctions() -> None:
    """If this fails and the numbers that tasks give are the same, mend the code; else raise the kinds' versions."""
    assert ids(MENU, paths=PATHS) == [
        ("endpoint", "d1c522e47cb9ceca0042ed8f"),
        ("endpoint", "f7a2a0dacbe20aa4574e313c"),
        ("align", "4100cdc9412546cddd8c2872"),
        ("path", "b2f9c776aeed436b17e250a8"),
        ("path", "d7888079023d619ba6ce80cb"),
        ("path", "e062e53f3c64a85e4bf62d64"),
        ("path", "bd9f0325787af4a7046fe9e0"),
        ("profile", "062a0bd261fb175046f666db"),
        ("profile", "2927369eaeae30e2e07a51bd"),
        ("profile", "9640984092935015ffcc57e9"),
        ("profile", "548300a21b11bc37c4222aa4"),
    ]
    assert ids(BIDS | {"weights": [1, 2]}) == [
        ("endpoint", "41f37da96b1dfea681eedc39"),
        ("endpoint", "938514e2b76ea05fd976629a"),
    ]
    assert ids(MENU | POINTS, endpoints={"seeds": 2, "train": "none"}) == [
        ("endpoint", "285ad85f02be7de9879821a9"),
        ("endpoint", "3ad7b6d6d4c5aa925495d24d"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MENU, MENU | {"unit_demand": False, "kappa": 100, "samples": 131_072}),
        (BIDS, BIDS | {"valuation": [{"law": "uniform", "high": [1, 1]}] * 2}),
        (BIDS, BIDS | {"weights": [1.0, 1.0]}),
        (
            {"kind": "affine_maximizer", "setting": "bidders_2_items_2"},
            {"kind": "affine_maximizer", "setting": "bidders_2_items_2", "bidders": 2, "weights": [1, 1]},
        ),
    ],
)
def test_one_auction_in_other_words_has_one_id(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert ids(one) == ids(other)


def test_a_setting_and_its_valuations_are_two_auctions() -> None:
    """What is known of a setting is a part of what is stored."""
    assert not set(ids(MENU)) & set(ids({"kind": "rochetnet", "valuation": {"law": "uniform", "items": 2}}))


@pytest.mark.parametrize("problem", [MENU, BIDS, MENU | POINTS])
def test_seeds_and_rates_share_packs(problem: dict[str, Any]) -> None:
    endpoints = {"seeds": 4, "train": TRAIN | {"lr": {"grid": [0.01, 0.02]}}}
    shapes = groups(planned(problem, endpoints=endpoints, paths=PATHS[2:], pairs="chain"))
    assert [(tasks[0].kind, len(tasks)) for tasks in shapes.values()] == [
        ("endpoint", 8),
        ("path", 6),
        ("path", 6),
        ("profile", 12),
    ]


def test_sizes_do_not() -> None:
    sizes = groups(planned([MENU | {"menu_size": size} for size in (8, 16)]))
    assert [len(tasks) for tasks in sizes.values()] == [2, 2]


def test_what_is_made_of_two_ends_needs_no_training_and_no_control() -> None:
    """`controls` are ends trained on as the path was; a path that is made has none."""
    curve = {"kind": "bezier", "train": TRAIN}
    measure = {"curvature": {"measures": ["lambda_max"], "points": 3, "controls": True}}
    kinds = [kind for kind, _ in ids(MENU, paths=[*PATHS, curve], measure=measure)]
    assert (kinds.count("path"), kinds.count("align"), kinds.count("finetune")) == (5, 1, 2)


@pytest.mark.parametrize(
    "problem",
    [
        RochetNetSpec(kind="rochetnet", setting="uniform_2", iterations=50),
        AffineMaximizerSpec(kind="affine_maximizer", setting="bidders_2_items_2", iterations=50),
    ],
)
def test_an_epoch_passes_its_steps_whatever_the_sample_that_is_fitted(
    problem: RochetNetSpec | AffineMaximizerSpec,
) -> None:
    size = ProblemSize(train=16_384, evaluated=147_456)
    task = EndpointTask(problem=problem, train=TrainSpec(epochs=7, lr=0.1, batch_size=256), seed=0)
    assert task_cost(task, size) == 3 * 7 * 50 * 256 + 147_456


def test_what_is_not_trained_costs_an_evaluation() -> None:
    problem = RochetNetSpec(kind="rochetnet", setting="uniform_2")
    task = EndpointTask(problem=problem, train=TrainSpec(epochs=0, lr=1.0), seed=0)
    assert task_cost(task, ProblemSize(10, 30)) == 30
