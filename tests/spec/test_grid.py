"""A grid stands for each of its entries, several grids for their product."""

from __future__ import annotations

import itertools
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from mcdist.spec import load_spec
from mcdist.spec.grid import expand
from mcdist.spec.yaml_source import Source
from spec.examples import GOOD

values = st.lists(st.integers(-99, 99), min_size=1, max_size=4, unique=True)


def choices(value: Any) -> list[Any]:
    return [one for one, _ in expand(value, (), Source("f", value))]


def test_without_a_grid_there_is_one_choice() -> None:
    value = {"a": [1, {"b": None}], "c": {}}
    assert choices(value) == [value]


@given(st.dictionaries(st.sampled_from("abcd"), values, max_size=4))
def test_grids_make_their_product_the_last_varying_fastest(grids: dict[str, list[int]]) -> None:
    found = choices({"rest": 0, **{key: {"grid": entries} for key, entries in grids.items()}})
    products = itertools.product(*grids.values())
    assert found == [{"rest": 0, **dict(zip(grids, chosen, strict=True))} for chosen in products]


@given(values, values)
def test_a_grid_may_be_deep_in_lists_and_mappings(one: list[int], two: list[int]) -> None:
    found = choices({"a": [{"b": {"grid": one}}, {"grid": two}]})
    assert found == [{"a": [{"b": x}, y]} for x in one for y in two]


@given(values, values)
def test_an_entry_may_hold_grids_itself(one: list[int], two: list[int]) -> None:
    found = choices({"grid": ["x", {"b": {"grid": one}, "c": {"grid": two}}]})
    assert found == ["x", *({"b": x, "c": y} for x in one for y in two)]


def test_every_part_knows_where_it_was_written() -> None:
    source = Source("f", None)
    value = {"a": {"grid": [1, {"b": {"grid": [2, 3]}}]}}
    assert [origins for _, origins in expand(value, ("top",), source)] == [
        {("a",): ("top", "a", "grid", 0)},
        {("a",): ("top", "a", "grid", 1), ("a", "b"): ("top", "a", "grid", 1, "b", "grid", 0)},
        {("a",): ("top", "a", "grid", 1), ("a", "b"): ("top", "a", "grid", 1, "b", "grid", 1)},
    ]


def test_every_axis_of_a_sweep_takes_grids() -> None:
    changes = [
        "problem.model={grid: [mlp, {name: mlp, args: {hidden: {grid: [[8], [16]]}}}]}",
        "endpoints.seeds={grid: [2, 3]}",
        "paths={grid: [{kind: linear}, {kind: bezier, bends: {grid: [1, 2]}, train: {epochs: 1, lr: 1}}]}",
        "measure.profile.points={grid: [5, 7]}",
        "measure.curvature={samples: {grid: [10, null]}, measures: {grid: [[lambda_max], [top_k]]}}",
        "measure.plane={grid: [{points: 5}, {margin: {grid: [0.0, 0.5]}}]}",
        "measure.drift={lr: {grid: [0.1, 0.2]}, noise: isotropic, temperature: {grid: [0.0, 0.01]}}",
        "relaxations=[{lr: 0.1, time: 5, starts: {grid: [1, [0.3]]}, project: {grid: [1, null]}}]",
    ]
    spec = load_spec(yaml.safe_load(GOOD), changes)
    assert [problem.model.args for problem in spec.problem] == [{}, {"hidden": [8]}, {"hidden": [16]}]
    assert [len(group.seeds) for group in spec.endpoints] == [2, 3]
    assert [(path.kind, path.bends) for path in spec.paths] == [("linear", 1), ("bezier", 1), ("bezier", 2)]
    assert [profile.points for profile in spec.measure.profile] == [5, 7]
    assert [(c.samples, *c.measures) for c in spec.measure.curvature] == [
        (10, "lambda_max"),
        (10, "top_k"),
        (None, "lambda_max"),
        (None, "top_k"),
    ]
    assert [(p.points, p.margin) for p in spec.measure.plane] == [(5, 0.25), (21, 0.0), (21, 0.5)]
    assert [(d.lr, d.temperature) for d in spec.measure.drift] == [(0.1, 0.0), (0.1, 0.01), (0.2, 0.0), (0.2, 0.01)]
    assert [(r.starts, r.project) for r in spec.relaxations] == [
        ((0.5,), 1),
        ((0.5,), None),
        ((0.3,), 1),
        ((0.3,), None),
    ]


def test_alignments_and_bands_take_grids() -> None:
    path = "{kind: autoneb, align: {grid: [none, {method: weights, restarts: {grid: [1, 2]}}]}, "
    spec = load_spec(
        yaml.safe_load(GOOD), [f"paths={path} neb: {{cycles: {{grid: [short, [{{steps: 5, lr: 1}}]]}}}}}}"]
    )
    assert [(p.align.method, p.align.restarts, p.neb and p.neb.beginning) for p in spec.paths] == [
        ("none", 1, 15),
        ("none", 1, 3),
        ("weights", 1, 15),
        ("weights", 1, 3),
        ("weights", 2, 15),
        ("weights", 2, 3),
    ]
