"""Auctions: what they say, what is filled in, and what a user is told of those that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given

from mcdist.spec import SweepSpec, canonical, dump_spec, load_spec
from mcdist.spec.auctions import AffineMaximizerSpec, RochetNetSpec
from spec.examples import AUCTIONS, auctions, complaint

HEAD = """\
name: test
endpoints: {seeds: 2, train: {epochs: 2, lr: 0.02, optimizer: adam}}
problem: """

MENU = "kind: rochetnet, setting: uniform_2"
BIDS = "kind: affine_maximizer, setting: bidders_2_items_2"
LAWS = "'uniform', 'beta', 'exponential', 'steps', 'triangle', 'atoms', or package.module:sampler"
VALUATION_KEYS = "a, args, b, bound, density, edges, high, items, law, low, points, rate, weights"


def loaded(problem: str, head: str = HEAD) -> SweepSpec:
    return load_spec(yaml.safe_load(head + problem))


def auction(problem: str) -> RochetNetSpec | AffineMaximizerSpec:
    (found,) = loaded(problem).problem
    assert isinstance(found, (RochetNetSpec, AffineMaximizerSpec))
    return found


# a buyer's valuation as written -> what is said of it, after "problem.valuation"
VALUATION = {
    "{law: unifrom}": f".law: must be {LAWS}; got 'unifrom' (did you mean 'uniform'?)",
    "unifrom": f": must be {LAWS}; got 'unifrom' (did you mean 'uniform'?)",
    "{law: 'a:b:c'}": f".law: must be {LAWS}; got 'a:b:c'",
    "{items: 2}": ".law: is missing",
    "5": ": must be a list; got 5",
    "[uniform, triangle]": ": a menu is of one buyer: one valuation, not a list of more (affine_maximizer has bidders)",
    "{law: uniform, hgh: 2}": f".hgh: unknown key 'hgh'; did you mean 'high'? allowed: {VALUATION_KEYS}",
    # options
    "{law: uniform, a: 1}": ".a: law 'uniform' has no 'a'; it has low, high",
    "{law: triangle, high: 3}": ".high: law 'triangle' has no 'high'; it has no options",
    "{law: 'a.b:c', high: 2}": ".high: law 'a.b:c' has no 'high'; it has args, bound",
    "{law: uniform, args: {a: 1}}": ".args: law 'uniform' has no 'args'; it has low, high",
    "{law: beta, b: 2}": ": law 'beta' needs a",
    "{law: beta}": ": law 'beta' needs a and b",
    "{law: steps, density: [1]}": ": law 'steps' needs edges",
    "atoms": ": law 'atoms' needs points and weights",
    # numbers of items
    "{law: uniform, items: 0}": ".items: must be greater than or equal to 1; got 0",
    "{law: uniform, low: [0, 1], high: [1, 2, 3]}": ".high: low says 2 items, high says 3",
    "{law: uniform, items: 3, high: [1, 2]}": ".high: items says 3 items, high says 2",
    "{law: uniform, items: 2, high: [1]}": ".high: items says 2 items, high says 1",
    "{law: atoms, items: 1, points: [[1, 2]], weights: [1]}": ".points: items says 1 item, points says 2",
    "{law: triangle, items: 3}": ".law: items says 3 items, the triangle has 2",
    # uniform
    "{law: uniform, low: 1, high: 0}": ".low: bounds must be 0 <= low < high; got low 1, high 0",
    "{law: uniform, low: 1}": ".low: bounds must be 0 <= low < high; got low 1, high 1",
    "{law: uniform, low: -1}": ".low: bounds must be 0 <= low < high; got low -1, high 1",
    "{law: uniform, high: -1}": ".high: bounds must be 0 <= low < high; got low 0, high -1",
    "{law: uniform, low: [0, 1], high: [1, 0.5]}": ".low.1: bounds must be 0 <= low < high; got low 1, high 0.5",
    "{law: uniform, high: [1, 2, 0]}": ".high.2: bounds must be 0 <= low < high; got low 0, high 0",
    "{law: uniform, low: 2, high: [3, 1]}": ".low: bounds must be 0 <= low < high; got low 2, high 1",
    "{law: uniform, high: .inf}": ".high: must be a finite number or a list; got inf",
    "{law: uniform, high: [1, x]}": ".high.1: must be a number; got 'x'",
    "{law: uniform, high: true}": ".high: must be a number or a list; got true",
    # beta, exponential
    "{law: beta, a: 0, b: 2}": ".a: must be greater than 0; got 0",
    "{law: beta, a: [1, -1], b: 2}": ".a.1: must be greater than 0; got -1",
    "{law: exponential, rate: -1}": ".rate: must be greater than 0; got -1",
    # steps
    "{law: steps, edges: [0, 1], density: [1, 2]}": ".edges: 2 densities are between 3 edges, not 2",
    "{law: steps, edges: [0, 1, 0.5], density: [1, 2]}": ".edges.2: must rise; got 0.5 after 1",
    "{law: steps, edges: [-1, 1], density: [1]}": ".edges.0: must be greater than or equal to 0; got -1",
    "{law: steps, edges: [0, 1, 2], density: [1, -2]}": ".density.1: must be greater than or equal to 0; got -2",
    "{law: steps, edges: [0, 1, 2], density: [0, 0]}": ".density: one of them must be greater than 0; got zeros alone",
    # atoms
    "{law: atoms, points: [[1, 2], [1]], weights: [1, 1]}": ".points.1: must have the 2 items of the first point; "
    "got 1",
    "{law: atoms, points: [[1], [2]], weights: [1]}": ".weights: 1 weights for 2 points",
    "{law: atoms, points: [[1], [-2]], weights: [1, 1]}": ".points.1.0: must be greater than or equal to 0; got -2",
    "{law: atoms, points: [[1], [2]], weights: [1, -1]}": ".weights.1: must be greater than or equal to 0; got -1",
    "{law: atoms, points: [[1], [2]], weights: [0, 0]}": ".weights: one of them must be greater than 0; "
    "got zeros alone",
    "{law: atoms, points: [1], weights: [1]}": ".points.0: must be a list; got 1",
    # samplers
    "{law: 'a.b:c', bound: 0}": ".bound: must be greater than 0; got 0",
    "{law: 'a.b:c', args: {a: .nan}}": ".args: must be finite numbers, text, true, false, null, lists and mappings; "
    'got {"a": NaN}',
    # grids
    "{law: uniform, high: {grid: [1, -2]}}": ".high.grid.1: bounds must be 0 <= low < high; got low 0, high -2",
    "{grid: [uniform, {law: unifrm}]}": f".grid.1.law: must be {LAWS}; got 'unifrm' (did you mean 'uniform'?)",
}


@pytest.mark.parametrize("text", VALUATION)
def test_a_valuation_that_is_wrong(tmp_path: Path, text: str) -> None:
    said = complaint(tmp_path, f"{HEAD}{{kind: rochetnet, valuation: {text}}}\n")
    assert said == f"s.yaml:3: problem.valuation{VALUATION[text]}"


# a problem as written -> what is said of it, after "problem"
PROBLEM = {
    f"{MENU}, menu_size: 0": ".menu_size: must be greater than or equal to 1; got 0",
    f"{MENU}, menu_size: {{grid: [8, 0]}}": ".menu_size.grid.1: must be greater than or equal to 1; got 0",
    f"{MENU}, kappa: 0": ".kappa: must be greater than 0; got 0",
    f"{MENU}, iterations: 0": ".iterations: must be greater than or equal to 1; got 0",
    f"{MENU}, samples: 1": ".samples: must be greater than or equal to 2; got 1",
    f"{MENU}, fit_samples: 1": ".fit_samples: must be greater than or equal to 2; got 1",
    f"{MENU}, unit_demand: 1": ".unit_demand: must be true or false; got 1",
    f"{MENU}, allocation: softmax": ".allocation: must be 'projection' or 'sigmoid'; got 'softmax'",
    f"{BIDS}, allocation: sigmoid": ".allocation: must be 'projection' or 'softmax'; got 'sigmoid'",
    f"{MENU}, dtype: half": ".dtype: must be 'float32' or 'float64'; got 'half'",
    f"{MENU}, menusize: 4": ".menusize: unknown key 'menusize'; did you mean 'menu_size'? allowed: allocation, dtype, "
    "fit_samples, iterations, kappa, kind, menu_size, sample_seed, samples, setting, start, unit_demand, valuation",
    f"{MENU}, data: digits": ".data: unknown key 'data'; allowed: allocation, dtype, fit_samples, iterations, kappa, "
    "kind, menu_size, sample_seed, samples, setting, start, unit_demand, valuation",
    # who values what
    "kind: rochetnet": ": say what is sold to whom: a setting by name, or a valuation",
    f"{MENU}, valuation: triangle": ".valuation: a setting by name has its valuations: say one or the other",
    "kind: rochetnet, setting: [uniform_1]": '.setting: must be text; got ["uniform_1"]',
    "kind: affine_maximizer": ": say what is sold to whom: a setting by name, or a valuation",
    "kind: affine_maximizer, valuation: uniform": ": one valuation says nothing of how many bidders have it: "
    "say bidders",
    "kind: affine_maximizer, bidders: 3, valuation: [uniform, exponential]": ".bidders: 2 valuations are of 2 bidders, "
    "not of 3",
    "kind: affine_maximizer, bidders: 0, valuation: uniform": ".bidders: must be greater than or equal to 1; got 0",
    "kind: affine_maximizer, valuation: [triangle, uniform]": ".valuation.1: bidders value the same items: 1, and the "
    "first 2",
    "kind: affine_maximizer, bidders: 2, valuation: uniform, weights: [1, 1, 1]": ".weights: 3 weights for 2 bidders",
    f"{BIDS}, weights: [1, 0]": ".weights.1: must be greater than 0; got 0",
    f"{BIDS}, weights: learnd": ".weights: must be 'fixed' or 'learned' or a list; got 'learnd' "
    "(did you mean 'learned'?)",
    # given mechanisms
    f"{MENU}, start: {{allocations: [[0.5, 1.2]], prices: [0.1]}}": ".start.allocations.0.1: must be less than or "
    "equal to 1; got 1.2",
    f"{MENU}, start: {{allocations: [[-0.5, 1]], prices: [0.1]}}": ".start.allocations.0.0: must be greater than or "
    "equal to 0; got -0.5",
    f"{MENU}, start: {{allocations: [[0.5, 1]], prices: [-0.1]}}": ".start.prices.0: must be greater than or equal to "
    "0; got -0.1",
    f"{MENU}, start: {{allocations: [[0.5, 1]], prices: [1, 2]}}": ".start.prices: 2 prices for 1 options",
    f"{MENU}, start: {{allocations: [[0.5, 1], [1]], prices: [1, 2]}}": ".start.allocations.1: must be of 2 items, as "
    "the first; got 1",
    f"{MENU}, start: {{allocations: [], prices: [1]}}": ".start.allocations: must have at least one entry; got []",
    f"{MENU}, start: {{allocations: [[1, 1]]}}": ".start.prices: is missing",
    f"{MENU}, menu_size: 1, start: {{allocations: [[0, 1], [1, 1]], prices: [1, 2]}}": ".start.allocations: 2 options "
    "are more than menu_size, 1",
    f"{BIDS}, start: {{allocations: [[[0.7, 0], [0.7, 0]]], boosts: [0]}}": ".start.allocations.0: all bidders "
    "together get no more than 1 of an item; got 1.4 of item 0",
    f"{BIDS}, start: {{allocations: [[[0.7, 0], [0.3]]], boosts: [0]}}": ".start.allocations.0.1: must be of 2 items, "
    "as the first; got 1",
    f"{BIDS}, start: {{allocations: [[[1]], [[1], [0]]], boosts: [0, 0]}}": ".start.allocations.1: must be of 1 "
    "bidders, as the first; got 2",
    f"{BIDS}, start: {{allocations: [[[0.7, 0], [0, 0]]], boosts: [0, 0]}}": ".start.boosts: 2 boosts for 1 options",
    f"{BIDS}, start: {{allocations: [[[0.7, 0], [0, 0]]], boosts: [.inf]}}": ".start.boosts.0: must be a finite "
    "number; got inf",
}


@pytest.mark.parametrize("text", PROBLEM)
def test_an_auction_that_is_wrong(tmp_path: Path, text: str) -> None:
    assert complaint(tmp_path, f"{HEAD}{{{text}}}\n") == f"s.yaml:3: problem{PROBLEM[text]}"


def test_of_several_the_wrong_ones_are_named_each_on_its_line(tmp_path: Path) -> None:
    text = (
        "\n  - kind: rochetnet\n    valuation: {law: uniform, low: 2}\n"
        "  - kind: affine_maximizer\n    valuation:\n      - uniform\n      - law: beta\n        a: 1\n"
        f"  - {{{MENU}, start: [{{allocations: [[1, 1]], prices: [1]}}, {{allocations: [[1, 2]], prices: [1]}}]}}\n"
    )
    assert complaint(tmp_path, HEAD + text).splitlines() == [
        "s.yaml:5: problem.0.valuation.low: bounds must be 0 <= low < high; got low 2, high 1",
        "s.yaml:9: problem.1.valuation.1: law 'beta' needs b",
        "s.yaml:11: problem.2.start.1.allocations.0.1: must be less than or equal to 1; got 2",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: large_menu", ": large_menu needs eps, the most revenue that may be lost"),
        ("kind: large_menu, eps: 0", ".eps: must be greater than 0; got 0"),
        ("kind: three_pieces, eps: 0.1", ".eps: a path of kind 'three_pieces' has no eps; it is for large_menu"),
        ("kind: linear, keep: 2", ".keep: a path of kind 'linear' keeps no options; it is for three_pieces and "),
        ("kind: five_pieces, keep: 0", ".keep: must be greater than or equal to 1; got 0"),
        ("kind: bezier, train: {epochs: 0, lr: 0.1}", ".train.epochs: must be 1 or more; got 0"),
        ("kind: bezier, train: none", ".train: must be a mapping; got 'none'"),
    ],
)
def test_a_path_that_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    whole = complaint(tmp_path, f"{HEAD}{{{MENU}}}\npaths:\n  - kind: logits\n  - {{{text}}}\n")
    assert whole.removeprefix("s.yaml:6: paths.1").startswith(said)


# what is filled in


def test_a_sweep_with_everything() -> None:
    spec = load_spec(yaml.safe_load(AUCTIONS))
    kinds = [problem.kind for problem in spec.problem]
    assert kinds == ["rochetnet"] * (6 + 1 + 4 + 1) + ["affine_maximizer"] * (6 + 1)
    assert [group.train.epochs for group in spec.endpoints] == [0, 20]
    assert load_spec(yaml.safe_load(dump_spec(spec))) == spec


SAME = [
    (
        "kind: rochetnet, valuation: uniform",
        "kind: rochetnet, valuation: [{law: uniform, items: 1, low: 0.0, high: 1}]",
    ),
    (
        "kind: rochetnet, valuation: {law: uniform, items: 2}",
        "kind: rochetnet, valuation: {law: uniform, high: [1, 1]}",
    ),
    (
        "kind: rochetnet, valuation: {law: uniform, low: [0, 2], high: [3, 3]}",
        "kind: rochetnet, valuation: {law: uniform, items: 2, low: [-0.0, 2.0], high: 3}",
    ),
    ("kind: rochetnet, valuation: triangle", "kind: rochetnet, valuation: {law: triangle, items: 2}"),
    ("kind: rochetnet, valuation: triangle", "kind: rochetnet, valuation: triangle, unit_demand: false"),
    ("kind: rochetnet, valuation: exponential", "kind: rochetnet, valuation: {law: exponential, rate: 1.0}"),
    (
        "kind: rochetnet, valuation: {law: atoms, points: [[1, 2]], weights: [1]}",
        "kind: rochetnet, valuation: {law: atoms, items: 2, points: [[1.0, 2.0]], weights: [1.0]}",
    ),
    (
        "kind: rochetnet, valuation: {law: 'a.b:c', args: {}}",
        "kind: rochetnet, valuation: {law: 'a.b:c', items: 1, bound: null}",
    ),
    (MENU, f"{MENU}, menu_size: 64, kappa: 100, iterations: 100, unit_demand: null, start: []"),
    (
        "kind: affine_maximizer, valuation: uniform, bidders: 2",
        "kind: affine_maximizer, valuation: [uniform, {law: uniform, low: 0}]",
    ),
    (
        "kind: affine_maximizer, valuation: [uniform, exponential]",
        "kind: affine_maximizer, valuation: [uniform, exponential], bidders: 2, weights: [1.0, 1]",
    ),
    (BIDS, f"{BIDS}, weights: fixed, bidders: null"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_says_the_same_is_one_auction(one: str, other: str) -> None:
    first, second = auction(f"{{{one}}}"), auction(f"{{{other}}}")
    assert json.dumps(canonical(first)) == json.dumps(canonical(second))
    assert first.columns() == second.columns()


def test_a_grid_with_the_same_auction_twice_is_refused(tmp_path: Path) -> None:
    text = "{kind: rochetnet, valuation: {law: uniform, high: {grid: [1, [1]]}}}\n"
    assert complaint(tmp_path, HEAD + text) == "s.yaml:3: problem: comes to the same as a setting before it"


DIFFERENT = [
    MENU,
    f"{MENU}, menu_size: 65",
    f"{MENU}, kappa: 100.00000001",
    f"{MENU}, iterations: 99",
    f"{MENU}, samples: 2",
    f"{MENU}, fit_samples: 2",
    f"{MENU}, sample_seed: 1",
    f"{MENU}, dtype: float32",
    f"{MENU}, allocation: sigmoid",
    f"{MENU}, unit_demand: true",
    f"{MENU}, unit_demand: false",
    f"{MENU}, start: {{allocations: [[0, 1]], prices: [1]}}",
    f"{MENU}, start: {{allocations: [[0, 1]], prices: [2]}}",
    "kind: rochetnet, setting: uniform_1",
    "kind: rochetnet, valuation: uniform",
    "kind: rochetnet, valuation: uniform, unit_demand: true",
    "kind: rochetnet, valuation: {law: uniform, items: 2}",
    "kind: rochetnet, valuation: {law: uniform, items: 2, high: 2}",
    "kind: rochetnet, valuation: {law: uniform, items: 2, high: [2, 1]}",
    "kind: rochetnet, valuation: {law: uniform, items: 2, high: [1, 2]}",
    "kind: rochetnet, valuation: {law: beta, a: 1, b: 2}",
    "kind: rochetnet, valuation: {law: beta, a: 2, b: 1}",
    f"kind: rochetnet, valuation: {{law: atoms, points: [[1], [2]], weights: {[1, 2]}}}",
    f"kind: rochetnet, valuation: {{law: atoms, points: {[[1]] * 50}, weights: {[1] * 50}}}",
    f"kind: rochetnet, valuation: {{law: atoms, points: {[[1]] * 49 + [[2]]}, weights: {[1] * 50}}}",
    "kind: rochetnet, valuation: {law: 'a.b:c', args: {x: 1}}",
    "kind: rochetnet, valuation: {law: 'a.b:c', args: {x: 2}}",
    "kind: rochetnet, valuation: {law: 'a.b:c', bound: 2}",
    BIDS,
    f"{BIDS}, bidders: 3",
    f"{BIDS}, weights: learned",
    f"{BIDS}, weights: [1, 2]",
    "kind: affine_maximizer, valuation: uniform, bidders: 1",
    "kind: affine_maximizer, valuation: uniform, bidders: 2",
    "kind: affine_maximizer, valuation: [uniform, exponential]",
    "kind: affine_maximizer, valuation: [exponential, uniform]",
]


def test_auctions_that_differ_have_other_identities_and_other_labels_and_short_ones() -> None:
    found = [auction(f"{{{text}}}") for text in DIFFERENT]
    labels = [problem.columns()["problem"] for problem in found]
    assert len({json.dumps(canonical(problem)) for problem in found}) == len(found)
    assert len(set(labels)) == len(found)
    assert all(label is not None and len(label) <= 120 for label in labels)


def test_labels() -> None:
    """They stand in tables and in figures of stores that there are."""
    texts = {
        MENU: "uniform_2/rochetnet 64",
        f"{MENU}, unit_demand: true, kappa: 300": "uniform_2, unit demand/rochetnet 64, kappa 300",
        "kind: rochetnet, valuation: {law: uniform, items: 2}, menu_size: 8": "uniform x2/rochetnet 8",
        "kind: rochetnet, valuation: {law: uniform, low: 2, high: [3, 4]}": "uniform x2 low 2 high (3 4)/rochetnet 64",
        BIDS: "bidders_2_items_2/affine_maximizer 64",
        f"{BIDS}, weights: learned, allocation: projection": "bidders_2_items_2, weights learned/affine_maximizer 64, "
        "allocation projection",
        f"{BIDS}, bidders: 3": "3 bidders bidders_2_items_2/affine_maximizer 64",
        "kind: affine_maximizer, bidders: 2, valuation: {law: beta, a: 1, b: 2}": "2 bidders beta a 1 b 2/"
        "affine_maximizer 64",
        "kind: affine_maximizer, valuation: [uniform, exponential]": "2 bidders uniform | exponential/"
        "affine_maximizer 64",
    }
    assert {text: auction(f"{{{text}}}").columns()["problem"] for text in texts} == texts
    assert auction(f"{{{MENU}}}").columns() | {"problem": None} == {
        "problem": None,
        "dataset": "uniform_2",
        "model": "rochetnet",
    }


@given(auctions)
def test_what_is_filled_in_stays_when_it_is_written_and_read_again(data: dict[str, Any]) -> None:
    said = {"name": "s", "problem": data, "endpoints": {"seeds": 1, "train": "none"}}
    spec = load_spec(said)
    again = load_spec(yaml.safe_load(dump_spec(spec)))
    assert again == spec
    assert canonical(again.problem[0]) == canonical(spec.problem[0])
    assert again.problem[0].columns() == spec.problem[0].columns()


@pytest.mark.parametrize("train", ["none", "{epochs: 0, lr: 0.5}", "{epochs: 0, lr: 1, optimizer: adam}"])
def test_end_points_that_are_not_trained_are_one_setting(train: str) -> None:
    head = HEAD.replace("{epochs: 2, lr: 0.02, optimizer: adam}", train)
    assert loaded(f"{{{MENU}}}", head) == loaded(f"{{{MENU}}}", head.replace(train, "none"))


def test_what_is_not_trained_is_not_split(tmp_path: Path) -> None:
    head = HEAD.replace("train: {epochs: 2, lr: 0.02, optimizer: adam}", "train: none, spawn: [0]")
    assert complaint(tmp_path, f"{head}{{{MENU}}}\n") == (
        "s.yaml:2: endpoints.spawn: networks that are not trained (train: none) are not split"
    )
