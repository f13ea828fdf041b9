"""Sweeps to test with: one that is right, and a strategy of many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from mcdist.errors import RequestError
from mcdist.spec import load_spec

GOOD = """\
name: test
problem:
  data: digits
  model: {name: mlp, args: {hidden: [8]}}
endpoints:
  seeds: 4
  train: {epochs: 2, lr: 0.1}
pairs: all
paths:
  - kind: linear
  - kind: bezier
    train: {epochs: 3, lr: 0.2}
measure:
  profile: {points: 11}
"""

FULL = """\
name: full
problem:
  data: digits
  model: {name: mlp, args: {hidden: [8]}}
endpoints:
  seeds: 4
  train: {epochs: 2, lr: 0.1}
pairs: chain
paths:
  - kind: linear
    align: {grid: [none, weights]}
    repair: true
  - kind: bezier
    objective: arclength
    align: {method: weights, restarts: 2, seed: 3, structure: {groups: {hidden: [[0.weight, 0], [2.weight, 1]]}}}
    train: {epochs: 3, lr: 0.2}
  - kind: autoneb
    align: {method: activations, samples: 50}
    neb: {pivots: 4, cycles: short, lr: {grid: [0.1, 0.05]}, scale: 0.5, most: 9}
  - kind: autoneb
    neb:
      cycles:
        - {steps: 50, lr: 0.1}
        - {steps: 20, lr: 0.01}
tours:
  - [0, 2, 1]
  - [3, 1, 0, 2]
measure:
  profile: {points: 11}
  curvature:
    - {measures: [lambda_max, top_k], kinds: [bezier], controls: true, samples: null, layers: true}
    - {measures: [fisher_trace], at: endpoints, labels: {grid: [data, sampled]}}
  plane:
    - {points: 5, pairs: [[0, 1]], kinds: [bezier, autoneb]}
    - {points: 7, margin: 0.5, through: [[0, 1, 2], [1, 2, 3]]}
  drift:
    - {lr: {grid: [0.1, 0.3]}, batch_size: {grid: [2, 8]}, replicas: 48}
    - {lr: 0.1, starts: [0.2, 0.8], steps: [10, 100], noise: isotropic, temperature: 0.0, kinds: [bezier]}
relaxations:
  - {lr: 0.1, time: 20, starts: 9, project: {grid: [1, 15, null]}}
  - {lr: 0.1, time: 20, starts: [0.3], noise: none}
  - {lr: 0.01, time: 1.5, starts: 3, optimizer: adam, betas: [0.8, 0.99], buffers: project, stop: false, margin: 0.1}
"""
"""A sweep with everything that paths, measures and dynamics can be asked for."""

SPAWNED = """\
name: spawned
problem:
  - kind: valley
    stiff: 4
    energy: {grid: [0.0, -0.5]}
  - data: digits
    model: mlp
    weight_decay: 0.002
endpoints:
  seeds: 2
  spawn: [0, 1, 5]
  branches: 3
  train: {epochs: 6, lr: 0.1}
paths: {kind: linear}
"""
"""Problems of several kinds, end points with common beginnings."""

ENSEMBLES = """\
name: ensembles
problem:
  data: {name: digits, validation: 0.2}
  model: {name: mlp, args: {hidden: [8]}}
endpoints:
  - seeds: 7
    train: {epochs: 20, lr: 0.1}
  - {seeds: 1, spawn: [1], train: {epochs: 20, lr: 0.1}}
paths:
  kind: bezier
  train: {epochs: 20, lr: 0.1}
ensembles:
  - {method: independent, budgets: [1, 2, 3], predictions: true}
  - {method: snapshot, budgets: [1, 2, 3], cycles: {grid: [4, 5]}, lr1: 0.2, restarts: {grid: [true, false]}}
  - {method: {grid: [fge, swa]}, budgets: [1, 2], looks: 1}
  - {method: {grid: [fge, swa]}, budgets: 2, restarts: false, start: 20, lr1: 0.06, lr2: 0.03, cycle: 4}
  - {method: fge, start: 0, lr2: {grid: [0.01, 0.05]}}
  - {method: curve, budgets: [3], points: 3, path: {kind: bezier, train: {epochs: 20, lr: 0.1}}}
  - method: curve
    budgets: [3]
    path: {kind: chain, bends: 2, align: weights, train: {epochs: 20, lr: {grid: [0.1, 0.2]}}}
"""
"""Ensembles by every method, beside networks that are split."""

AUCTIONS = """\
name: auctions
problem:
  - kind: rochetnet
    setting: {grid: [uniform_2, unit_demand_2_3]}
    menu_size: {grid: [8, 16, 32]}
  - {kind: rochetnet, valuation: triangle, allocation: sigmoid, kappa: 300, dtype: float32}
  - kind: rochetnet
    valuation: {law: {grid: [uniform, exponential]}, items: 2}
    unit_demand: {grid: [true, null]}
    start:
      allocations: [[0.5, 0.5], [0, 1]]
      prices: [0.3, 0.6]
  - kind: rochetnet
    valuation:
      - {law: steps, edges: [0, 0.5, 0.75, 1], density: [1.5, 0, 1.5]}
    start: [{allocations: [[1]], prices: [0.36]}, {allocations: [[1]], prices: [0.84]}]
  - kind: affine_maximizer
    bidders: 2
    valuation: {law: beta, items: 2, a: {grid: [1, [1, 2]]}, b: 2}
    weights: {grid: [fixed, learned, [1, 2]]}
    samples: 1000
  - kind: affine_maximizer
    valuation:
      - {law: uniform, low: 2, high: [3, 4]}
      - {law: atoms, points: [[1, 2], [0, 1]], weights: [1, 3]}
    start: {allocations: [[[0.7, 0], [0.3, 1]]], boosts: [-0.1]}
endpoints:
  - {seeds: 1, train: none}
  - {seeds: 1, train: {epochs: 20, lr: 0.02, optimizer: adam, batch_size: 1024}}
paths:
  - {kind: linear, align: {grid: [none, weights]}}
  - {kind: {grid: [logits, three_pieces, five_pieces]}}
  - {kind: three_pieces, keep: {grid: [2, 3]}}
  - {kind: large_menu, eps: {grid: [0.2, 0.5]}}
"""
"""Auctions of every kind, and the paths that are made of their ends."""

SWEEP_KEYS = "endpoints, ensembles, measure, name, pairs, paths, problem, relaxations, resources, store, tours"


def complaint(tmp_path: Path, text: str, *changes: str) -> str:
    """What `load_spec` says, without the folder of the file."""
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(RequestError) as caught:
        load_spec(file, changes)
    return str(caught.value).replace(f"{tmp_path}/", "")


def edited(old: str, new: str) -> str:
    """The right sweep with one place changed."""
    assert old in GOOD
    return GOOD.replace(old, new)


small = st.integers(1, 9)
rates = st.floats(1e-6, 10.0)
fractions = st.floats(0.01, 0.99)

schedules = st.one_of(
    st.sampled_from(["constant", "cosine", "step", "piecewise"]),
    st.builds(lambda g: {"kind": "step", "milestones": [0.3, 0.6], "gamma": g}, fractions),
    st.builds(lambda f: {"kind": "piecewise", "floor": f}, fractions),
)

_common = {"batch_size": small, "weight_decay": fractions, "schedule": schedules}
trainings = st.one_of(
    st.fixed_dictionaries(
        {"epochs": small, "lr": rates},
        optional={**_common, "momentum": fractions, "nesterov": st.booleans()},
    ),
    st.fixed_dictionaries(
        {"epochs": small, "lr": rates, "optimizer": st.sampled_from(["adam", "adamw"])},
        optional={**_common, "betas": st.tuples(fractions, fractions).map(list), "eps": rates},
    ),
)

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,7}", fullmatch=True)
arguments = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e6, 1e6) | st.text(max_size=5) | names,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
problems = st.fixed_dictionaries(
    {
        "data": st.one_of(
            st.just("digits"),
            st.fixed_dictionaries({"name": st.just("digits")}, optional={"validation": fractions, "train_size": small}),
        ),
        "model": st.one_of(
            st.just("mlp"),
            st.builds(
                lambda args: {"name": "mlp", "args": args},
                st.dictionaries(names.filter(lambda n: n != "grid"), arguments, max_size=3),
            ),
        ),
    },
    optional={"dtype": st.sampled_from(["float32", "float64"]), "eval_batch": st.integers(2, 9)},
)

valleys = st.fixed_dictionaries(
    {"kind": st.just("valley")},
    optional={"stiff": small, "energy": st.floats(-9.0, 9.0), "middle": rates, "dtype": st.just("float32")},
)

numbers = st.floats(0.1, 9.0)
laws = st.one_of(
    st.just("triangle"),
    st.builds(
        lambda low, more, n: {"law": "uniform", "low": low, "high": low + more, "items": n}, numbers, numbers, small
    ),
    st.builds(lambda high: {"law": "uniform", "high": high}, st.lists(numbers, min_size=1, max_size=3)),
    st.builds(lambda a, b, n: {"law": "beta", "a": a, "b": b, "items": n}, numbers, numbers, small),
    st.builds(lambda rate: {"law": "exponential", "rate": rate}, numbers),
    st.builds(lambda d: {"law": "steps", "edges": [*range(len(d) + 1)], "density": d}, st.lists(numbers, min_size=1)),
    st.builds(lambda w: {"law": "atoms", "points": [[1, 2]] * len(w), "weights": w}, st.lists(numbers, min_size=1)),
    st.builds(lambda args: {"law": "package.module:sampler", "items": 3, "args": args}, st.just({"a": [1, 0.5]})),
)
_sold = {"menu_size": small, "kappa": numbers, "iterations": small, "samples": st.integers(2, 9), "sample_seed": small}
auctions = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("rochetnet"), "setting": st.text(min_size=1, max_size=9)},
        optional={**_sold, "unit_demand": st.booleans(), "allocation": st.just("sigmoid")},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("rochetnet"), "valuation": laws | laws.map(lambda law: [law])}, optional=_sold
    ),
    st.fixed_dictionaries(
        {"kind": st.just("affine_maximizer"), "valuation": laws, "bidders": st.just(2)},
        optional={**_sold, "weights": st.sampled_from(["fixed", "learned", [1, 2], [1, 1]])},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("affine_maximizer"), "valuation": laws.map(lambda law: [law, law])},
        optional={**_sold, "allocation": st.just("softmax")},
    ),
)

seeds = st.one_of(st.integers(2, 6), st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=6, unique=True))
pairs = st.one_of(
    st.sampled_from(["all", "chain", "none"]),
    st.just([[1, 0]]),
    st.builds(lambda s: {"random": 1, "seed": s}, small),
)
aligns = st.one_of(
    st.sampled_from(["none", "weights", "activations"]),
    st.builds(lambda n, seed: {"method": "weights", "restarts": n, "seed": seed}, small, small),
    st.builds(lambda n: {"method": "activations", "samples": n + 1}, small),
)
cycles = st.lists(st.builds(lambda steps, lr: {"steps": steps, "lr": lr}, small, rates), min_size=1, max_size=3)
nebs = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={"cycles": st.sampled_from(["long", "short"]), "lr": rates, "scale": rates, "refine": st.booleans()},
    ),
    st.fixed_dictionaries(
        {"cycles": cycles}, optional={"pivots": st.integers(2, 9), "threshold": fractions, "insert": small}
    ),
)
paths = st.one_of(
    st.fixed_dictionaries({"kind": st.just("linear")}, optional={"align": aligns, "repair": st.booleans()}),
    st.fixed_dictionaries(
        {"kind": st.just("bezier"), "bends": small, "train": trainings},
        optional={"align": aligns, "objective": st.sampled_from(["uniform", "arclength"])},
    ),
    st.fixed_dictionaries({"kind": st.just("autoneb")}, optional={"align": aligns, "neb": nebs, "seed": small}),
    st.fixed_dictionaries({"kind": st.just("three_pieces")}, optional={"align": aligns, "keep": small}),
    st.fixed_dictionaries({"kind": st.just("large_menu"), "eps": fractions}),
)
curvatures = st.fixed_dictionaries(
    {"measures": st.lists(st.sampled_from(["lambda_max", "fisher_trace", "density"]), min_size=1, unique=True)},
    optional={
        "at": st.sampled_from(["paths", "endpoints"]),
        "kinds": st.just(["bezier"]),
        "controls": st.booleans(),
        "samples": st.none() | small,
        "layers": st.booleans(),
        "seed": small,
    },
)
planes = st.one_of(
    st.builds(lambda n, margin: {"points": n + 2, "margin": margin}, small, fractions),
    st.just({"kinds": ["bezier", "autoneb"]}),
)

starts = st.one_of(small, st.lists(st.floats(0.2, 0.8), min_size=1, max_size=3, unique=True))
noises = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"batch_size": small, "sampling": st.just("independent"), "noise": st.just("minibatch")}
    ),
    st.fixed_dictionaries(
        {"noise": st.just("isotropic")}, optional={"temperature": st.floats(0.0, 9.0), "batch_size": small}
    ),
)
_moving = {
    "replicas": st.integers(2, 9),
    "momentum": fractions,
    "samples": st.none() | st.integers(2, 9),
    "seed": small,
}
drifts = st.builds(
    lambda noise, more: noise | more,
    noises,
    st.fixed_dictionaries(
        {"lr": rates}, optional={**_moving, "starts": starts, "steps": st.one_of(small, st.just([1, 5, 9]))}
    ),
)
relaxations = st.builds(
    lambda noise, more: noise | more,
    st.one_of(noises, st.just({"noise": "none", "replicas": 1})),
    st.fixed_dictionaries(
        {"lr": rates, "time": rates, "starts": starts, "margin": st.just(0.01)},
        optional={"project": small, "buffers": st.sampled_from(["keep", "zero", "project"]), "stop": st.booleans()},
    ),
)

_several = {"budgets": st.sampled_from([1, 2, [1], [2, 1]]), "predictions": st.booleans()}
_run = {"restarts": st.booleans(), "looks": small}
_rates = st.tuples(rates, fractions).map(lambda rate: {"lr1": rate[0], "lr2": rate[0] * rate[1]})
ensembles = st.one_of(
    st.fixed_dictionaries({"method": st.just("independent")}, optional=_several),
    st.fixed_dictionaries({"method": st.just("snapshot")}, optional=_several | _run | {"lr1": rates, "cycles": small}),
    st.builds(
        lambda rate, more: rate | more,
        _rates,
        st.one_of(
            st.fixed_dictionaries(
                {"method": st.sampled_from(["fge", "swa"]), "start": st.just(0), "cycle": fractions},
                optional=_several | _run,
            ),
            st.fixed_dictionaries(
                {"method": st.just("swa"), "budgets": st.just(2), "restarts": st.just(False), "cycle": fractions},
                optional={"start": st.just(1)},
            ),
        ),
    ),
    st.fixed_dictionaries(
        {
            "method": st.just("curve"),
            "budgets": st.integers(11, 1000),  # of one epoch or more, for curves of nine or less
            "path": st.fixed_dictionaries({"kind": st.sampled_from(["bezier", "chain"]), "train": trainings}),
        },
        optional={"points": st.integers(2, 9), "predictions": st.booleans()},
    ),
)
"""Ensembles of any two end points or more."""


def sweeps() -> st.SearchStrategy[dict[str, Any]]:
    """Right sweeps, as plain data."""
    unique = {"max_size": 2, "unique_by": repr}
    return st.fixed_dictionaries(
        {
            "name": names,
            "problem": problems | valleys | auctions,
            "endpoints": st.builds(lambda s, t: {"seeds": s, "train": t}, seeds, trainings),
        },
        optional={
            "store": st.text(max_size=9),
            "pairs": pairs,
            "paths": paths,
            "measure": st.fixed_dictionaries(
                {"profile": st.lists(st.builds(lambda n: {"points": n + 2}, small), **unique)},
                optional={"curvature": curvatures, "plane": planes, "drift": drifts},
            ),
            "relaxations": st.lists(relaxations, **unique),
            "ensembles": ensembles | st.lists(ensembles, **unique),
            "resources": st.fixed_dictionaries({}, optional={"pack": small, "cpus": rates, "gpus": small}),
        },
    )


def reordered(value: Any) -> Any:
    """The same data, the keys of every mapping the other way round."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(inner) for inner in value] if isinstance(value, list) else value
