"""From the specification of a problem to the problem, and what is refused before any work."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mcdist.errors import RequestError
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.problems import build_problem, data_key, prepare

from .bench import SGD, digits, problem_spec

CURVE = {"kind": "bezier", "train": SGD}


def sweep(paths: list[dict[str, Any]] | None = None, **problem: Any) -> SweepSpec:
    said = {"data": "digits", "model": {"name": "mlp", "args": {"hidden": [12]}}} | problem
    endpoints = {"seeds": 2, "train": SGD}
    return SweepSpec.model_validate(
        {"name": "s", "problem": (said,), "endpoints": (endpoints,), "paths": paths or [CURVE]}
    )


def test_what_is_known_of_a_problem_before_any_work() -> None:
    (facts,) = prepare(sweep(data={"name": "digits", "validation": 0.1, "train_size": 500})).facts
    assert facts.n_params == 64 * 12 + 12 + 12 * 10 + 10
    assert facts.train == 500
    assert facts.evaluated == 500 + 144 + 359  # all that is held out is evaluated
    assert not facts.convolutional


def test_one_data_set_is_loaded_once_whatever_is_done_to_it() -> None:
    spec = sweep()
    (problem,) = spec.problem
    other = problem.model_copy(update={"eval_batch": 10})
    prepared = prepare(spec.model_copy(update={"problem": (problem, other)}))
    assert list(prepared.datasets) == [data_key(problem.data)]
    assert len(prepared.facts) == 2


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"paths": [{"kind": "bezir", "train": SGD}]}, "paths.0: unknown path kind 'bezir'; did you mean 'bezier'"),
        ({"paths": [{"kind": "linear"}, {"kind": "chain"}]}, "paths.1: a path of kind 'chain' needs train"),
        ({"paths": [{"kind": "linear", "train": SGD}]}, "paths.0: a path of kind 'linear' has no bends .*got train"),
        ({"data": {"name": "digits", "augment": "crop_flip"}}, "problem.data: augment: crop_flip needs images"),
        ({"statistics_size": 2000}, "problem: statistics_size: 2000 is more than the 1438"),
        ({"loss": "torch:no_such_loss"}, "problem: loss 'torch:no_such_loss' cannot be imported"),
        ({"model": "no_such_model"}, "problem.model: unknown model 'no_such_model'"),
    ],
)
def test_a_wrong_request_is_refused_where_it_is_wrong(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        prepare(sweep(**wrong))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_problem_has_the_type_that_is_asked_for(dtype: torch.dtype) -> None:
    spec = problem_spec(dtype=str(dtype).removeprefix("torch."))
    problem = build_problem(spec, digits(), torch.device("cpu"))
    assert problem.dtype == dtype
    assert problem.layout.size == 64 * 12 + 12 + 12 * 10 + 10
