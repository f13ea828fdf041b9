"""Sweeps to test with: one that is right, and a strategy of many."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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

seeds = st.one_of(st.integers(2, 6), st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=6, unique=True))
pairs = st.one_of(
    st.sampled_from(["all", "chain", "none"]),
    st.just([[1, 0]]),
    st.builds(lambda s: {"random": 1, "seed": s}, small),
)
paths = st.one_of(
    st.just({"kind": "linear"}),
    st.builds(lambda bends, train: {"kind": "bezier", "bends": bends, "train": train}, small, trainings),
)


def sweeps() -> st.SearchStrategy[dict[str, Any]]:
    """Right sweeps, as plain data."""
    unique = {"max_size": 2, "unique_by": repr}
    return st.fixed_dictionaries(
        {
            "name": names,
            "problem": problems,
            "endpoints": st.builds(lambda s, t: {"seeds": s, "train": t}, seeds, trainings),
        },
        optional={
            "store": st.text(max_size=9),
            "pairs": pairs,
            "paths": paths,
            "measure": st.fixed_dictionaries(
                {"profile": st.lists(st.builds(lambda n: {"points": n + 2}, small), **unique)}
            ),
            "resources": st.fixed_dictionaries({}, optional={"pack": small, "cpus": rates, "gpus": small}),
        },
    )


def reordered(value: Any) -> Any:
    """The same data, the keys of every mapping the other way round."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(inner) for inner in value] if isinstance(value, list) else value
