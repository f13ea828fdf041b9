"""The JSON schema takes what the loader takes, and refuses what an editor can see to be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from mcdist.errors import RequestError
from mcdist.spec import dump_spec, json_schema, load_spec
from mcdist.spec.yaml_source import parse_yaml
from spec.examples import AUCTIONS, ENSEMBLES, FULL, GOOD, SPAWNED, sweeps

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
JOBS = [
    job
    for job in sorted((Path(__file__).parents[2] / "jobs").rglob("*.yaml"))
    if "space" not in yaml.safe_load(job.read_text(encoding="utf-8"))  # a study is no sweep
]


def takes(text: str) -> bool:
    return bool(VALIDATOR.is_valid(parse_yaml(text, "f").data))


def edited(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize("text", [FULL, SPAWNED, ENSEMBLES, AUCTIONS])
def test_a_sweep_with_everything_is_taken_as_written_and_as_resolved(text: str) -> None:
    assert takes(text)
    assert takes(dump_spec(load_spec(yaml.safe_load(text))))


def test_it_is_a_schema_that_says_its_draft() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_jobs_are_taken_as_written_and_as_resolved(job: Path) -> None:
    assert takes(job.read_text(encoding="utf-8"))
    assert takes(dump_spec(load_spec(job)))


@settings(max_examples=40)
@given(sweeps())
def test_what_the_loader_takes_is_taken(data: dict[str, Any]) -> None:
    VALIDATOR.validate(data)
    VALIDATOR.validate(yaml.safe_load(dump_spec(load_spec(data))))


RIGHT = {
    "one problem or several": ("  data: digits\n  model: {", "  - data: digits\n    model: {"),
    "plain names": ("{name: mlp, args: {hidden: [8]}}", "mlp"),
    "number of seeds or list": ("seeds: 4", "seeds: [3, 5]"),
    "schedule by name": ("lr: 0.2", "lr: 0.2, schedule: cosine"),
    "schedule with options": ("lr: 0.2", "lr: 0.2, schedule: {kind: step, gamma: {grid: [0.1, 0.2]}}"),
    "grid of numbers": ("lr: 0.1", "lr: {grid: [0.1, 0.2]}"),
    "grid of schedules": ("lr: 0.1", "lr: 0.1, schedule: {grid: [cosine, {kind: step}]}"),
    "grid of seeds": ("seeds: 4", "seeds: {grid: [2, [3, 5]]}"),
    "grid in a list": ("lr: 0.1", "lr: 0.1, optimizer: adam, betas: [{grid: [0.8, 0.9]}, 0.99]"),
    "grid of models": ("{name: mlp, args: {hidden: [8]}}", "{grid: [mlp, {name: mlp}]}"),
    "grid of arguments": ("hidden: [8]", "hidden: {grid: [[8], [16]]}"),
    "grid of profiles": ("points: 11", "points: {grid: [11, 21]}"),
    "grid of paths": ("- kind: linear", "- grid: [{kind: linear}, {kind: chain}]"),
    "chain": ("pairs: all", "pairs: chain"),
    "none": ("pairs: all", "pairs: none"),
    "random": ("pairs: all", "pairs: {random: 3, seed: 1}"),
    "list": ("pairs: all", "pairs: [[0, 1], [1, 2]]"),
    "on and off": ("pairs: all", "resources: {compile: off, cuda_graphs: on, channels_last: auto}"),
    "auto or number": ("pairs: all", "resources: {workers: auto, gpus: 0.5, pack: 4}"),
}


@pytest.mark.parametrize(("old", "new"), RIGHT.values(), ids=RIGHT)
def test_right(old: str, new: str) -> None:
    assert takes(edited(old, new))


WRONG = {
    "unknown key": ("pairs: all", "pears: all"),
    "unknown key inside": ("lr: 0.1", "lr: 0.1, learning_rate: 1"),
    "unknown key in pairs": ("pairs: all", "pairs: {random: 3, sead: 1}"),
    "missing": ("  seeds: 4\n", ""),
    "negative": ("lr: 0.1", "lr: -0.1"),
    "negative in a grid": ("lr: 0.1", "lr: {grid: [0.1, -0.1]}"),
    "text for number": ("lr: 0.1", "lr: fast"),
    "bool for int": ("epochs: 2", "epochs: true"),
    "number for bool": ("lr: 0.1", "lr: 0.1, nesterov: 1"),
    "number for name": ("data: digits", "data: 5"),
    "zero seeds": ("seeds: 4", "seeds: 0"),
    "no seeds": ("seeds: 4", "seeds: []"),
    "empty grid": ("lr: 0.1", "lr: {grid: []}"),
    "grid with company": ("lr: 0.1", "lr: {grid: [0.1], of: 1}"),
    "grid where none is possible": ("pairs: all", "pairs: {grid: [all, chain]}"),
    "unknown schedule": ("lr: 0.1", "lr: 0.1, schedule: cosin"),
    "unknown pairs": ("pairs: all", "pairs: al"),
    "triple": ("pairs: all", "pairs: [[0, 1, 2]]"),
    "odd name": ("name: test", "name: a b"),
    "neither on nor off": ("pairs: all", "resources: {compile: 1}"),
}


@pytest.mark.parametrize(("old", "new"), WRONG.values(), ids=WRONG)
def test_wrong(old: str, new: str) -> None:
    assert not takes(edited(old, new))


SECTIONS = {
    "paths.0": [
        "align: weights",
        "align: {grid: [none, {method: weights}]}",
        "align: {method: weights, restarts: {grid: [1, 2]}}",
        "align: {method: weights, structure: {groups: {a: [[0.weight, 0]]}}}",
        "repair: true",
        "repair: {grid: [true, false]}",
    ],
    "paths.1": ["objective: arclength", "objective: {grid: [uniform, arclength]}"],
    "paths.2": [
        "neb: null",
        "neb: {cycles: short, scale: 0.5, lr: null}",
        "neb: {cycles: [{steps: 5, lr: 0.1}, {steps: 5, lr: {grid: [0.1, 0.2]}}]}",
        "neb: {cycles: {grid: [long, short, [{steps: 5, lr: 0.1}]]}}",
    ],
    "measure": [
        "curvature: {samples: null}",
        "curvature: [{measures: [top_k]}, {at: endpoints, seed: {grid: [0, 1]}}]",
        "curvature: {grid: [{measures: [top_k]}, {points: 5}]}",
        "plane: {pairs: [[0, 1]], kinds: [bezier]}",
        "plane: {pairs: {random: 2}}",
        "plane: {through: [[0, 1, 2]], margin: {grid: [0.1, 0.2]}}",
        "drift: {lr: 0.1}",
        "drift: {lr: {grid: [0.1, 0.2]}, starts: 9, steps: 50, batch_size: {grid: [2, 8]}}",
        "drift: {grid: [{lr: 0.1, starts: [0.5]}, {lr: 0.1, steps: [1, 10]}]}",
        "drift: [{lr: 0.1, noise: isotropic, temperature: {grid: [0.0, 1]}, samples: null}]",
    ],
    "endpoints": ["spawn: [0, 1]", "spawn: []", "spawn: [1]\nbranches: 3"],
    "problem": ["weight_decay: 0.002", "weight_decay: {grid: [0.0, 0.002]}"],
    "": [
        "tours: [[0, 1, 2], [3, 1, 0, 2]]",
        "relaxations: {lr: 0.1, time: 5, starts: 9}",
        "relaxations: {lr: 0.1, time: 5, starts: [0.3, {grid: [0.5, 0.6]}], project: null}",
        "relaxations: {grid: [{lr: 0.1, time: 5, starts: 9}, {lr: 0.1, time: 5, starts: 9, noise: none}]}",
        "relaxations: [{lr: 0.1, time: 5, starts: 9, project: {grid: [1, 15]}, buffers: {grid: [keep, zero]}}]",
        "ensembles: []",
        "ensembles: {method: snapshot}",
        "ensembles: {method: snapshot, budgets: 2, lr1: null, cycles: {grid: [2, 5]}}",
        "ensembles: [{method: independent, budgets: [1, 2]}, {method: swa, start: 0, cycle: 0.5, looks: 2}]",
        "ensembles: {method: {grid: [fge, swa]}, start: 0, lr1: {grid: [0.05, 0.1]}, restarts: {grid: [true, false]}}",
        "ensembles: {grid: [{method: independent, budgets: {grid: [1, [1, 2]]}}, {method: snapshot, budgets: [1]}]}",
        "ensembles: {method: curve, budgets: 4, path: {kind: bezier, train: {epochs: 3, lr: {grid: [0.1, 0.2]}}}}",
        "problem: {kind: valley}",
        "problem: {kind: rochetnet, setting: uniform_2, menu_size: {grid: [8, 16]}, unit_demand: null}",
        "problem: {kind: rochetnet, valuation: triangle}",
        "problem: {kind: rochetnet, valuation: {law: beta, a: 1, b: [1, 2]}}",
        "problem: {kind: rochetnet, valuation: [{grid: [uniform, {law: exponential, rate: {grid: [1, 2]}}]}]}",
        "problem: {kind: rochetnet, valuation: {law: 'a.b:c', args: {x: [1]}, bound: 2}}",
        "problem: {kind: rochetnet, setting: s, start: {allocations: [[0.5, 1]], prices: [0.2]}}",
        "problem: {kind: rochetnet, setting: s, start: [{allocations: [[0.5, 1]], prices: [0.2]}]}",
        "problem: {kind: affine_maximizer, setting: s, weights: {grid: [fixed, learned, [1, 2.5]]}}",
        "problem: {kind: affine_maximizer, valuation: [uniform, exponential]}",
        "problem: {kind: affine_maximizer, setting: s, start: {allocations: [[[0.5], [0.5]]], boosts: [-1]}}",
        "endpoints: {seeds: 2, train: none}",
        "endpoints: {seeds: 2, train: {grid: [none, {epochs: 1, lr: 0.1}]}}",
        "paths: [{kind: three_pieces, keep: 3}, {kind: large_menu, eps: {grid: [0.2, 0.5]}}, {kind: logits}]",
        "problem: {kind: valley, stiff: {grid: [1, 8]}, energy: {grid: [0.0, -1]}}",
        "problem: [{kind: valley}, {data: digits, model: mlp}, {kind: classification, data: mnist, model: mlp}]",
    ],
}

BAD_SECTIONS = {
    "paths.0": [
        "align: weight",
        "align: {methods: weights}",
        "align: {method: weights, restarts: 0}",
        "align: {method: activations, samples: 1}",
        "align: {grid: [none, weight]}",
        "align: {method: weights, structure: [1]}",
        "repair: 1",
    ],
    "paths.1": ["objective: length"],
    "paths.2": [
        "neb: {pivots: 1}",
        "neb: {most: 1}",
        "neb: {cycles: []}",
        "neb: {cycles: [{steps: 0, lr: 0.1}]}",
        "neb: {cycles: [{steps: 5}]}",
        "neb: {cycles: lon}",
        "neb: {threshold: 1.0}",
        "neb: {scale: 0}",
        "neb: {pivot: 3}",
    ],
    "measure": [
        "curvature: {samples: 0}",
        "curvature: {probes: 1}",
        "curvature: {tol: 0}",
        "curvature: {measures: []}",
        "curvature: {measures: lambda_max}",
        "curvature: {at: endpoint}",
        "curvature: {sample: 5}",
        "curvature: {points: 2}",
        "plane: {points: 2}",
        "plane: {margin: -0.1}",
        "plane: {through: [[0, 1]]}",
        "plane: {through: [0, 1, 2]}",
        "plane: {pairs: al}",
        "drift: {}",
        "drift: {lr: 0}",
        "drift: {lr: 0.1, starts: 0}",
        "drift: {lr: 0.1, starts: []}",
        "drift: {lr: 0.1, steps: []}",
        "drift: {lr: 0.1, steps: 0}",
        "drift: {lr: 0.1, noise: gaussian}",
        "drift: {lr: 0.1, batch_size: 0}",
        "drift: {lr: 0.1, noise: isotropic, temperature: -1}",
        "drift: {lr: 0.1, samples: 1}",
        "drift: {lr: 0.1, step: 5}",
    ],
    "endpoints": ["spawn: 3", "spawn: [0.5]", "spawn: [1]\nbranches: 1"],
    "problem": ["weight_decay: -1"],
    "": [
        "relaxations: {lr: 0.1, time: 5}",
        "relaxations: {lr: 0.1, starts: 9}",
        "relaxations: {lr: 0.1, time: 0, starts: 9}",
        "relaxations: {lr: 0.1, time: 5, starts: 9, project: 0}",
        "relaxations: {lr: 0.1, time: 5, starts: 9, margin: 0.5}",
        "relaxations: {lr: 0.1, time: 5, starts: 9, optimizer: sdg}",
        "relaxations: {lr: 0.1, time: 5, starts: 9, betas: [0.9]}",
        "relaxations: {lr: 0.1, time: 5, starts: 9, projct: 5}",
        "ensembles: fge",
        "ensembles: [snapshot]",
        "ensembles: {}",
        "ensembles: {method: bagging}",
        "ensembles: {method: independent, budget: 2}",
        "ensembles: {method: independent, budgets: 0}",
        "ensembles: {method: independent, budgets: 1001}",
        "ensembles: {method: independent, budgets: []}",
        "ensembles: {method: independent, budgets: [0]}",
        "ensembles: {method: independent, budgets: [1, 1]}",
        "ensembles: {method: independent, budgets: 1.5}",
        "ensembles: {method: independent, budgets: {grid: []}}",
        "ensembles: {method: snapshot, cycles: 0}",
        "ensembles: {method: snapshot, restarts: 1}",
        "ensembles: {method: snapshot, looks: 0}",
        "ensembles: {method: fge, start: -1}",
        "ensembles: {method: fge, start: 0, lr1: 0}",
        "ensembles: {method: fge, start: 0, lr2: 0}",
        "ensembles: {method: fge, start: 0, cycle: 0}",
        "ensembles: {method: curve, budgets: 3, points: 1, path: {kind: bezier, train: {epochs: 1, lr: 0.1}}}",
        "ensembles: {method: curve, budgets: 3, path: bezier}",
        "problem: {kind: vally}",
        "problem: {kind: valley, stiff: 0}",
        "problem: {kind: rochetnet, setting: s, menu_size: 0}",
        "problem: {kind: rochetnet, setting: s, kappa: {grid: [1, 0]}}",
        "problem: {kind: rochetnet, setting: s, bidders: 2}",
        "problem: {kind: rochetnet, valuation: 5}",
        "problem: {kind: rochetnet, valuation: {items: 2}}",
        "problem: {kind: rochetnet, valuation: {law: uniform, hgh: 2}}",
        "problem: {kind: rochetnet, valuation: {law: steps, edges: [0, 1], density: [-1]}}",
        "problem: {kind: rochetnet, setting: s, start: {allocations: [[1.2]], prices: [1]}}",
        "problem: {kind: rochetnet, setting: s, start: {allocations: [[1]], prices: [-1]}}",
        "problem: {kind: affine_maximizer, setting: s, weights: learnd}",
        "problem: {kind: affine_maximizer, setting: s, weights: [0, 1]}",
        "endpoints: {seeds: 2, train: nothing}",
        "endpoints: {seeds: 2, train: {epochs: -1, lr: 0.1}}",
        "paths: [{kind: three_pieces, keep: 0}]",
        "paths: [{kind: large_menu, eps: 0}]",
        "problem: {kind: valley, wall: 0}",
        "problem: {kind: valley, data: digits}",
        "problem: {kind: valley, stiffnes: 2}",
        "problem: {stiff: 4}",
        "tours: [[0, 1]]",
        "tours: [0, 1, 2]",
        "tours: all",
        "tours: {grid: [[[0, 1, 2]]]}",
    ],
}


def with_section(where: str, text: str) -> Any:
    data = yaml.safe_load(GOOD)
    data["paths"].append({"kind": "autoneb"})
    at: Any = data
    for key in where.split(".") if where else ():
        at = at[int(key) if key.isdecimal() else key]
    at.update(yaml.safe_load(text))
    return data


@pytest.mark.parametrize(("where", "text"), [(w, t) for w, texts in SECTIONS.items() for t in texts])
def test_what_paths_and_measures_may_say_is_taken_by_both(where: str, text: str) -> None:
    data = with_section(where, text)
    load_spec(data)
    assert VALIDATOR.is_valid(data)


@pytest.mark.parametrize(("where", "text"), [(w, t) for w, texts in BAD_SECTIONS.items() for t in texts])
def test_what_they_may_not_is_refused_by_both(where: str, text: str) -> None:
    data = with_section(where, text)
    with pytest.raises(RequestError):
        load_spec(data)
    assert not VALIDATOR.is_valid(data)


def test_descriptions_are_where_editors_look_for_them_and_no_marks_leak() -> None:
    fields = SCHEMA["$defs"]["TrainSpec"]["properties"]
    assert fields["lr"]["description"] == "base learning rate"
    assert fields["batch_size"]["default"] == 128
    assert SCHEMA["properties"]["paths"]["description"]
    assert not {"scalar", "place", "title"} & fields["lr"].keys()
    assert "place" not in SCHEMA["properties"]["store"]
