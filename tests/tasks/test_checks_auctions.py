"""What auctions cannot do is refused where it is asked for, before anything is written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.command_line import Command

from mcdist.errors import RequestError
from mcdist.problems.auctions import AffineMaximizer, Auction, RochetNet
from mcdist.science.streams import Stream
from mcdist.spec import canonical, load_spec
from mcdist.spec.yaml_source import write_yaml
from mcdist.tasks.problems import Prepared, build_problem, prepare

MENU: dict[str, Any] = {"kind": "rochetnet", "setting": "uniform_2"}
BIDS: dict[str, Any] = {"kind": "affine_maximizer", "setting": "bidders_2_items_2"}
UNBOUNDED: dict[str, Any] = {"kind": "rochetnet", "valuation": "exponential"}
HERE = "tasks.test_checks_auctions"
DRAWN: dict[str, Any] = {"law": f"{HERE}:sampler", "items": 2}
NETWORK: dict[str, Any] = {"data": {"name": "digits", "train_size": 100}, "model": "mlp"}
VALLEY: dict[str, Any] = {"kind": "valley", "stiff": 3}
TRAIN: dict[str, Any] = {"epochs": 2, "lr": 0.1, "optimizer": "adam"}
CURVE: dict[str, Any] = {"kind": "bezier", "train": TRAIN}
WALK: dict[str, Any] = {"lr": 0.1, "samples": 100, "starts": 3}


def sampler(generator: np.random.Generator, n: int, most: float = 1.0) -> Any:
    assert n < 1000, "so many are drawn where they are needed, not where a sweep is checked"
    return generator.random((n, 2)) * most


def flat(generator: np.random.Generator, n: int) -> Any:
    return generator.random(n)


def negative(generator: np.random.Generator, n: int) -> Any:
    return generator.random((n, 2)) - 2.0


def failing(generator: np.random.Generator, n: int) -> Any:
    raise KeyError("no such market")


def elsewhere(generator: np.random.Generator, n: int) -> Any:
    return np.random.default_rng().random((n, 2))


number = 5


def sweep(problem: Any = MENU, *paths: dict[str, Any], seeds: Any = 2, **more: Any) -> dict[str, Any]:
    endpoints = {"seeds": seeds, "train": TRAIN} | more.pop("endpoints", {})
    return {"name": "s", "problem": problem, "endpoints": endpoints, "paths": list(paths), **more}


def prepared(*said: Any, **more: Any) -> Prepared:
    return prepare(load_spec(sweep(*said, **more)), "s.yaml")


def refused(said: dict[str, Any]) -> str:
    with pytest.raises(RequestError) as caught:
        prepare(load_spec(said), "s.yaml")
    return str(caught.value)


def start(*menus: Any) -> list[dict[str, Any]]:
    return [{"allocations": rows, "prices": [0.5] * len(rows)} for rows in menus]


BOUNDLESS = "five_pieces closes options by a price above all |v|_1, and these valuations have no bound"
ALONE = "an auction is a loss alone"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    # settings
    "a setting that there is not": (
        sweep(MENU | {"setting": "unifrom_2"}),
        "problem: setting: unknown setting 'unifrom_2'; did you mean 'uniform_2'? allowed: beta_1_2, bidders_2_items_2",
    ),
    "a setting of several bidders for a menu": (
        sweep(MENU | {"setting": "bidders_2_items_2"}),
        "problem: setting: bidders_2_items_2 has 2 bidders; that is for affine_maximizer",
    ),
    "a setting of unit demand for bidders": (
        sweep(BIDS | {"setting": "unit_demand_2_3"}),
        "problem: setting: unit_demand_2_3 is of unit demand; that is for rochetnet",
    ),
    "weights of other bidders than the setting's": (
        sweep(BIDS | {"weights": [1, 1, 1]}),
        "problem: weights: 3 weights for 2 bidders",
    ),
    "one of several": (
        sweep([BIDS, MENU | {"setting": "uniform"}]),
        "problem.1: setting: unknown setting 'uniform'; did you mean 'uniform_6'? allowed: ",
    ),
    # samplers
    "a sampler that is not there": (
        sweep(UNBOUNDED | {"valuation": {"law": "nowhere.at_all:sampler"}}),
        "problem: valuation: sampler 'nowhere.at_all:sampler': cannot be imported (ModuleNotFoundError",
    ),
    "a sampler that its module has not": (
        sweep(UNBOUNDED | {"valuation": {"law": f"{HERE}:sampel"}}),
        f"problem: valuation: sampler '{HERE}:sampel': cannot be imported (AttributeError",
    ),
    "no function": (
        sweep(UNBOUNDED | {"valuation": {"law": f"{HERE}:number"}}),
        f"problem: valuation: sampler '{HERE}:number': is int, allowed: a callable",
    ),
    "an argument that it does not know": (
        sweep(UNBOUNDED | {"valuation": DRAWN | {"args": {"least": 1}}}),
        f"problem: valuation: sampler '{HERE}:sampler': TypeError: sampler() got an unexpected keyword argument",
    ),
    "another number of items": (
        sweep(UNBOUNDED | {"valuation": DRAWN | {"items": 3}}),
        f"problem: valuation: sampler '{HERE}:sampler': gave [2, 2], not [2, 3]",
    ),
    "one number for all items": (
        sweep(UNBOUNDED | {"valuation": {"law": f"{HERE}:flat"}}),
        f"problem: valuation: sampler '{HERE}:flat': gave [2], not [2, 1]",
    ),
    "negative values": (
        sweep(UNBOUNDED | {"valuation": DRAWN | {"law": f"{HERE}:negative"}}),
        f"problem: valuation: sampler '{HERE}:negative': gave values that are no finite numbers of 0 or more",
    ),
    "a sampler that fails, of the second bidder": (
        sweep({"kind": "affine_maximizer", "valuation": [DRAWN, DRAWN | {"law": f"{HERE}:failing"}]}),
        f"problem: valuation.1: sampler '{HERE}:failing': KeyError: 'no such market'",
    ),
    "random numbers from elsewhere": (
        sweep(UNBOUNDED | {"valuation": DRAWN | {"law": f"{HERE}:elsewhere"}}),
        f"problem: valuation: sampler '{HERE}:elsewhere': gave other values from the same generator",
    ),
    # given mechanisms
    "a menu of other items": (
        sweep(MENU | {"start": start([[1]])}, seeds=1),
        "problem: start.0: allocations: of 1 items; the valuations are of 2",
    ),
    "more than a unit is wanted": (
        sweep(MENU | {"setting": "unit_demand_2_3", "start": start([[0.5, 0.5]], [[1, 0], [1, 1]])}),
        "problem: start.1: allocations.1: a buyer of unit demand gets at most 1 item; got 2",
    ),
    "to other bidders": (
        sweep(BIDS | {"start": {"allocations": [[[1, 1]]], "boosts": [0]}}, seeds=1),
        "problem: start.0: allocations: to 1 bidders; there are 2",
    ),
    "seeds without a menu": (
        sweep(MENU | {"start": start([[1, 1]], [[1, 0]])}, seeds=3),
        "problem: start: 2 mechanisms are for seeds 0 to 1; the end points have the seed 2",
    ),
    # end points
    "branches of logits": (
        sweep(MENU | {"allocation": "sigmoid"}, endpoints={"spawn": [0]}),
        "problem: allocation: sigmoid trains end points by logits, and branches (endpoints.spawn) go on from ",
    ),
    # paths
    "the units of a network": (
        sweep(MENU, {"kind": "linear", "align": "activations"}),
        "problem: paths.0: align: activations: an auction has none; its options are matched by align: weights",
    ),
    "a structure": (
        sweep(MENU, CURVE | {"align": {"method": "weights", "structure": {"groups": {"a": [["prices", 0]]}}}}),
        "problem: paths.0: align: structure: options are what is matched in auctions: leave it out",
    ),
    "a repaired line": (
        sweep(MENU, CURVE, {"kind": "linear", "repair": True}),
        "problem: paths.1: repair is for networks; an auction has no activations",
    ),
    "bends of a path that is made": (
        sweep(MENU, {"kind": "three_pieces", "bends": 2}),
        "paths.0: a path of kind 'three_pieces' has no bends to train; got bends",
    ),
    "a kind that there is not": (
        sweep(MENU, {"kind": "tree_pieces"}),
        "paths.0: unknown path kind 'tree_pieces'; did you mean 'three_pieces'? allowed: autoneb, bezier, chain, ",
    ),
    "weights of their own": (
        sweep(BIDS | {"weights": "learned"}, {"kind": "three_pieces"}),
        "problem: paths.0: three_pieces is between affine maximizers of the same weights: these learn weights of ",
    ),
    "five pieces without a bound": (
        sweep(UNBOUNDED, {"kind": "five_pieces"}),
        f"problem: paths.0: {BOUNDLESS}",
    ),
    "five pieces of a sampler without a bound": (
        sweep(UNBOUNDED | {"valuation": DRAWN}, {"kind": "three_pieces"}, {"kind": "five_pieces"}),
        f"problem: paths.1: {BOUNDLESS}",
    ),
    "more options kept than there is room for": (
        sweep(MENU | {"menu_size": 34}, {"kind": "three_pieces", "keep": 6}),
        "problem: paths.0: keep: 6 options of each end are 6^2 = 36 pairs, and a menu_size of 34 has room for 35, the "
        "default counted; say at most 5",
    ),
    "a large menu that is not": (
        sweep(MENU | {"menu_size": 9998}, {"kind": "large_menu", "eps": 1.0}),
        "problem: paths.0: large_menu with eps 1 needs menus of ceil(4 / eps^2)^(2 n) - 1 = 65535 options for n = 2 "
        "items (eps in units of the greatest |v|_1, 2); menu_size is 9998",
    ),
    "a large menu one option short": (
        sweep(MENU | {"setting": "uniform_1", "menu_size": 9_998}, {"kind": "large_menu", "eps": 0.2}),
        "problem: paths.0: large_menu with eps 0.2 needs menus of ceil(4 / eps^2)^(2 n) - 1 = 9999 options for n = 1 ",
    ),
    "more lost than there is": (
        sweep(MENU, {"kind": "large_menu", "eps": 2.5}),
        "problem: paths.0: eps must be above 0 and at most 2, the greatest |v|_1; got 2.5",
    ),
    "a large menu without a bound": (
        sweep(UNBOUNDED, {"kind": "large_menu", "eps": 0.5}),
        "problem: paths.0: a promise of eps needs valuations with bounded |v|_1, not by inf",
    ),
    "a large maximizer": (
        sweep(BIDS, {"kind": "large_menu", "eps": 0.5}),
        "problem: paths.0: large_menu is for one buyer's menus (rochetnet); say three_pieces or five_pieces",
    ),
    "pieces of networks": (
        sweep(NETWORK, {"kind": "three_pieces"}),
        "problem: paths.0: a path of kind 'three_pieces' is made of the menus of auctions; a network has none",
    ),
    "logits of networks": (
        sweep([MENU, NETWORK], CURVE, {"kind": "logits"}),
        "problem.1: paths.1: a path of kind 'logits' is made of the menus of auctions; a network has none",
    ),
    "pieces of a valley": (
        sweep(VALLEY, {"kind": "large_menu", "eps": 0.5}),
        "problem: paths.0: a path of kind 'large_menu' is made of the menus of auctions; a valley has none",
    ),
    # measures
    "curvature of outputs": (
        sweep(MENU, CURVE, measure={"curvature": {"measures": ["lambda_max", "ggn_log_det"]}}),
        f"measure.curvature.0: ggn_log_det needs outputs of a network; {ALONE}; allowed: density, ",
    ),
    "curvature of likelihood": (
        sweep(MENU, CURVE, measure={"curvature": {}}),
        f"measure.curvature.0: fisher_trace needs the likelihood of labels; {ALONE}; allowed: density, ",
    ),
    "a drift": (
        sweep(MENU, CURVE, measure={"drift": WALK}),
        "measure.drift.0: the noise-free twin of a drift follows the gradient of all training examples, without any "
        "noise; valuations are drawn afresh at each step",
    ),
    "a run without noise": (
        sweep(BIDS, CURVE, relaxations=WALK | {"time": 1.0, "noise": "none"}),
        "relaxations.0: noise: none follows the gradient of all training examples, without any noise; valuations are ",
    ),
    "an ensemble": (
        sweep(MENU, ensembles={"method": "independent"}),
        f"ensembles.0: an ensemble averages probabilities: it needs the likelihood of labels; {ALONE}",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_an_auction_has_not(case: str) -> None:
    said, reason = WRONG[case]
    assert refused(said).startswith(f"s.yaml: {reason}")


def test_what_an_auction_has() -> None:
    paths = [
        {"kind": "linear"},
        {"kind": "linear", "align": "weights"},
        CURVE | {"align": "weights"},
        {"kind": "autoneb", "neb": {"cycles": "short"}},
        {"kind": "logits"},
        {"kind": "three_pieces", "align": "weights"},
        {"kind": "five_pieces", "keep": 8},
    ]
    curvature = {"measures": ["lambda_max", "gradient_noise"], "samples": 20_000}  # more than `fit_samples`
    measure = {"curvature": curvature, "plane": {"kinds": ["bezier"]}}
    runs = [WALK | {"time": 1.0, "batch_size": 20_000, "samples": 20_000}]
    problems = [MENU, BIDS, MENU | {"setting": "triangle", "allocation": "sigmoid"}]
    found = prepared(problems, *paths, measure=measure, relaxations=runs)
    assert [facts.n_params for facts in found.facts] == [64 * 3, 64 * 5, 64 * 3]
    assert [facts.note for facts in found.facts] == [
        "uniform_2: 1 buyer, 2 items, valuations drawn afresh",
        "bidders_2_items_2: 2 bidders, 2 items, valuations drawn afresh",
        "triangle: 1 buyer, 2 items, valuations drawn afresh",
    ]
    assert {(facts.train, facts.evaluated, facts.splits) for facts in found.facts} == {
        (16_384, 147_456, ("train", "test"))
    }
    assert found.datasets == {}


def test_a_sampler_with_a_bound_has_five_pieces() -> None:
    prepared(UNBOUNDED | {"valuation": DRAWN | {"bound": 2.0}}, {"kind": "five_pieces"})


@pytest.mark.parametrize("menu_size", [65_535, 70_000])
def test_a_menu_that_is_large_enough(menu_size: int) -> None:
    prepared(MENU | {"menu_size": menu_size}, {"kind": "large_menu", "eps": 1.0})


# from what is said to the problem


def built(said: dict[str, Any]) -> Auction:
    (problem,) = prepared(said, seeds=1).spec.problem
    found = build_problem(problem, pytest.fail, torch.device("cpu"))
    assert isinstance(found, Auction)
    return found


@pytest.mark.parametrize(
    ("said", "unsaid"),
    [
        (MENU | {"unit_demand": False}, MENU),
        (MENU | {"setting": "unit_demand_2_3", "unit_demand": True}, MENU | {"setting": "unit_demand_2_3"}),
        (BIDS | {"bidders": 2}, BIDS),
        (BIDS | {"weights": [1.0, 1]}, BIDS),
    ],
)
def test_what_the_setting_says_as_well_is_no_part_of_identity(said: dict[str, Any], unsaid: dict[str, Any]) -> None:
    (one,), (other,) = (prepared(problem).spec.problem for problem in (said, unsaid))
    assert canonical(one) == canonical(other)


def test_what_is_known_of_a_setting_holds_for_its_own_buyers_alone() -> None:
    unit = MENU | {"setting": "unit_demand_2_3"}
    for known, other in ((MENU, MENU | {"unit_demand": True}), (unit, unit | {"unit_demand": False})):
        assert built(known).setting is not None
        assert built(other).setting is None
    assert built(BIDS).setting is not None
    assert built(BIDS | {"bidders": 3}).setting is None
    three = built(MENU | {"kind": "affine_maximizer", "bidders": 3})
    assert (type(three), len(three.laws), three.setting) == (AffineMaximizer, 3, None)


def test_options_of_a_law_come_to_each_item() -> None:
    found = built({"kind": "rochetnet", "valuation": {"law": "uniform", "low": [0, 2], "high": 3}})
    v = found.fit.numpy()
    assert isinstance(found, RochetNet)
    assert v.shape == (16_384, 2)
    assert found.bound == 6.0
    low, high = v.min(0), v.max(0)
    # 16384 uniform numbers miss less than .01 at either end but with probability 1e-24
    assert np.abs(low - np.array([0.0, 2.0])).max() < 0.01
    assert np.abs(high - 3.0).max() < 0.01


@pytest.mark.parametrize(
    ("valuation", "bound", "mean"),
    [
        ({"law": "uniform", "items": 2, "high": 2}, 4.0, 1.0),
        ({"law": "beta", "items": 2, "a": 1, "b": 2}, 2.0, 1 / 3),
        ({"law": "exponential", "items": 2, "rate": 4}, np.inf, 1 / 4),
        ({"law": "steps", "items": 2, "edges": [0, 1, 2], "density": [1, 3]}, 4.0, 1.25),
        ({"law": "triangle"}, 1.0, 1 / 3),
        ({"law": "atoms", "points": [[0, 1], [1, 0]], "weights": [1, 1]}, 1.0, 1 / 2),
    ],
)
def test_every_law_is_the_one_that_was_asked_for(valuation: dict[str, Any], bound: float, mean: float) -> None:
    found = built({"kind": "rochetnet", "valuation": valuation})
    assert found.bound == bound
    # standard errors of 16384 values of variance 1/3 or less are .0045
    assert np.abs(found.fit.numpy().mean(0) - mean).max() < 0.025


def test_arguments_reach_a_sampler() -> None:
    found = built({"kind": "rochetnet", "valuation": DRAWN | {"args": {"most": 5.0}}, "fit_samples": 900})
    assert 4.5 < float(found.fit.max()) < 5.0


def test_given_menus_are_filled_up_with_the_default() -> None:
    found = built(MENU | {"menu_size": 3, "start": start([[1, 0.25]])})
    menu = found.options(found.initial(Stream.of("any"), 0).theta)
    assert menu.rows()[0].tolist() == [[1.0, 0.25, 0.5], [0.0] * 3, [0.0] * 3]


def test_a_sweep_of_many_problems_is_prepared_at_once() -> None:
    """No sample is drawn (a sampler asked for as many as are held out raises), nothing is trained."""
    many = [MENU | {"menu_size": 10 + i, "samples": 10**9} for i in range(100)]
    many += [UNBOUNDED | {"valuation": DRAWN, "menu_size": 10 + i} for i in range(100)]
    spec = load_spec(sweep(many, CURVE, {"kind": "three_pieces"}))
    begin = time.perf_counter()
    prepare(spec)
    assert (time.perf_counter() - begin) / len(many) < 0.05


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (sweep(MENU | {"menu_size": 0}), "problem.menu_size: must be greater than or equal to 1; got 0"),
        (sweep(MENU | {"setting": "unform_2"}), "setting: unknown setting 'unform_2'; did you mean 'uniform_2'?"),
        (sweep(MENU, {"kind": "large_menu", "eps": 1.0}), "= 65535 options for n = 2 items"),
    ],
)
def test_exit_2_one_message_and_nothing_written(
    mcdist: Command, tmp_path: Path, command: str, said: dict[str, Any], reason: str
) -> None:
    file, store = tmp_path / "s.yaml", tmp_path / "store"
    file.write_text(write_yaml(said))
    how = ["--executor", "serial"] if command == "run" else []
    code, out, err = mcdist(command, file, "--store", store, *how)
    assert code == 2
    assert reason in " ".join(err.split())
    assert "Traceback" not in out + err
    assert not store.exists()
