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


LINE: dict[str, Any] = {"kind": "linear"}
AUTONEB: dict[str, Any] = {"kind": "autoneb"}


def sweep(
    paths: list[dict[str, Any]] | None = None,
    *,
    tours: Any = (),
    curvature: Any = (),
    plane: Any = (),
    **problem: Any,
) -> SweepSpec:
    said = {"data": "digits", "model": {"name": "mlp", "args": {"hidden": [12]}}} | problem
    endpoints = {"seeds": 3, "train": SGD}
    return SweepSpec.model_validate(
        {
            "name": "s",
            "problem": (said,),
            "endpoints": (endpoints,),
            "paths": [CURVE] if paths is None else paths,
            "tours": tours,
            "measure": {"curvature": curvature, "plane": plane},
        }
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


UNITS: list[list[Any]] = [["1.weight", 0], ["1.bias", 0], ["3.weight", 1]]


def by(**how: Any) -> dict[str, Any]:
    """A straight line to an end point that is matched by weights, or as it is said."""
    return {**LINE, "align": {"method": "weights", **how}}


def given(*places: list[Any]) -> dict[str, Any]:
    return by(structure={"groups": {"units": list(places)}})


WRONG_PATHS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a rate for a straight line": (
        [LINE | {"seed": 3}],
        "paths.0: a path of kind 'linear' has no bends to train; got seed",
    ),
    "an objective for a straight line": (
        [LINE | {"objective": "arclength", "ends": "free"}],
        "paths.0: a path of kind 'linear' has no bends to train; got ends, objective",
    ),
    "repair of a curve": (
        [LINE, CURVE | {"repair": True}],
        "paths.1: repair is for straight lines; a path of kind 'bezier' is trained",
    ),
    "repair of an autoneb": (
        [AUTONEB | {"repair": True}],
        "paths.0: repair is for straight lines; a path of kind 'autoneb' is trained",
    ),
    "bends and training of an autoneb": (
        [AUTONEB | {"bends": 2, "train": SGD}],
        "paths.0: autoneb is trained as its neb says; got bends, train",
    ),
    "draws of an autoneb": (
        [AUTONEB | {"draws": 2, "ends": "free", "objective": "arclength"}],
        "paths.0: autoneb is trained as its neb says; got draws, ends, objective",
    ),
    "more examples than there are": (
        [LINE, by(method="activations", samples=1439)],
        "problem: paths.1: align: samples: 1439 are more than the 1438 training examples",
    ),
    "a tensor that is not there": (
        [given(["1.wieght", 0], *UNITS[1:])],
        "problem: paths.0: structure: group 'units': there is no tensor '1.wieght'; did you mean '1.weight'?",
    ),
    "an axis that is not there": (
        [given(["1.weight", 2], *UNITS[1:])],
        "problem: paths.0: structure: group 'units': '1.weight' has axes 0 to 1, not 2",
    ),
    "sizes that differ": (
        [given(["1.weight", 1], *UNITS[1:])],
        "problem: paths.0: structure: group 'units' has 64 units on axis 1 of '1.weight', 12 on axis 0 of '1.bias'",
    ),
    "no structure": ([by(structure={"units": []})], "problem: paths.0: structure: expected {groups: "),
    "a structure that changes the function": (
        [by(), given(*UNITS[:2])],
        "problem: paths.1: the permutation structure changes the function of Sequential: ",
    ),
}


@pytest.mark.parametrize("case", WRONG_PATHS)
def test_paths_that_cannot_be_are_refused_where_they_are(case: str) -> None:
    paths, reason = WRONG_PATHS[case]
    with pytest.raises(RequestError) as caught:
        prepare(sweep(paths), "s.yaml")
    assert str(caught.value).startswith(f"s.yaml: {reason}")


WRONG_MEASURES: dict[str, tuple[dict[str, Any], str]] = {
    "no such measure": (
        {"curvature": [{"measures": ["fisher_trace", "lamda_max"]}]},
        "curvature.0: unknown measure 'lamda_max'; did you mean 'lambda_max'? allowed: density, fisher_log_det, ",
    ),
    "a kind that is not in the sweep": (
        {"curvature": [{}, {"kinds": ["beziers"]}]},
        "curvature.1: kinds: unknown path kind 'beziers'; did you mean 'bezier'? allowed: bezier",
    ),
    "a kind that exists elsewhere": (
        {"curvature": [{"kinds": ["autoneb"]}]},
        "curvature.0: kinds: unknown path kind 'autoneb'; allowed: bezier",
    ),
    "controls at end points": (
        {"curvature": [{"at": "endpoints", "controls": True}]},
        "curvature.0: controls and kinds are of paths; got them with at: endpoints",
    ),
    "kinds at end points": (
        {"curvature": [{"at": "endpoints", "kinds": ["bezier"]}]},
        "curvature.0: controls and kinds are of paths; got them with at: endpoints",
    ),
    "controls of straight lines": (
        {"curvature": [{"controls": True, "kinds": ["linear"]}], "paths": [LINE, CURVE]},
        "curvature.0: controls are ends trained on as their path was; these paths are not trained",
    ),
    "paths that are not there": (
        {"curvature": [{}], "paths": []},
        "curvature.0: there are no paths; for end points say at: endpoints",
    ),
    "more examples than there are": (
        {"curvature": [{"samples": 1439}]},
        "curvature.0: samples: 1439 are more than the 1438 training examples",
    ),
    "Fisher of a loss that is no likelihood": (
        {"curvature": [{"measures": ["top_k", "fisher_max"]}], "loss": "torch.nn.functional:cross_entropy"},
        "curvature.0: fisher_max is of cross_entropy alone: torch.nn.functional:cross_entropy is no likelihood, and "
        "has no Fisher matrix; allowed: density, ggn_density, ",
    ),
    "planes of straight lines alone": (
        {"plane": [{}], "paths": [LINE]},
        "plane.0: every path of the sweep is a straight line, which spans no plane; say through: [[i, j, k]]",
    ),
    "planes of straight lines": (
        {"plane": [{"kinds": ["linear"]}], "paths": [LINE, CURVE]},
        "plane.0: kinds: a straight line spans no plane: its ends and its middle are on one line",
    ),
    "planes of a kind that is not in the sweep": (
        {"plane": [{"points": 5}, {"kinds": ["bezir"]}]},
        "plane.1: kinds: unknown path kind 'bezir'; did you mean 'bezier'? allowed: bezier",
    ),
}


@pytest.mark.parametrize("case", WRONG_MEASURES)
def test_measures_that_cannot_be_are_refused_where_they_are(case: str) -> None:
    said, reason = WRONG_MEASURES[case]
    with pytest.raises(RequestError) as caught:
        prepare(sweep(**said), "s.yaml")
    assert str(caught.value).startswith(f"s.yaml: measure.{reason}")


def test_legs_with_ends_that_move_would_not_meet() -> None:
    with pytest.raises(RequestError, match=r"^s\.yaml: paths\.1: ends: free moves the end points, .* would not meet$"):
        prepare(sweep([LINE, CURVE | {"ends": "free"}], tours=[[0, 1, 2]]), "s.yaml")
    prepare(sweep([LINE, CURVE | {"ends": "free"}]))


def test_a_model_whose_structure_cannot_be_found_out_is_refused_unless_it_is_given() -> None:
    model = {"model": "support.models:Reordered"}
    prepare(sweep([LINE], **model))
    with pytest.raises(RequestError) as caught:
        prepare(sweep([LINE, by()], **model), "s.yaml")
    assert str(caught.value).startswith("s.yaml: problem: paths.1: ")
    assert "structure" in str(caught.value)
    places = [["first.weight", 0], ["first.bias", 0], ["second.weight", 1]]
    prepare(sweep([LINE, given(*places)], **model))


def test_repair_is_refused_for_a_model_with_batchnorm_whatever_else_is_right() -> None:
    model = {"model": {"name": "mlp", "args": {"hidden": [12], "batch_norm": True}}}
    prepare(sweep([by()], **model))
    with pytest.raises(RequestError, match=r"^s\.yaml: problem: paths\.0: REPAIR is for networks without BatchNorm"):
        prepare(sweep([LINE | {"repair": True}], **model), "s.yaml")


def test_everything_that_is_right_is_taken() -> None:
    paths = [LINE | {"repair": True}, by(), given(*UNITS), by(method="activations", samples=1438), CURVE, AUTONEB]
    curvature = [{"samples": 1438, "controls": True}, {"at": "endpoints", "samples": None}, {"kinds": ["linear"]}]
    plane = [{"kinds": ["autoneb", "bezier"]}, {"through": [[0, 1, 2]]}]
    prepare(sweep(paths, tours=[[0, 1, 2]], curvature=curvature, plane=plane))
    prepare(sweep([LINE], plane=[{"through": [[0, 1, 2]]}]))
    prepare(sweep([], curvature=[{"at": "endpoints"}], plane=[{"through": [[0, 1, 2]]}]))
    own = {"measures": ["lambda_max", "ggn_trace"]}
    prepare(sweep(curvature=[own], loss="torch.nn.functional:cross_entropy"))


def test_of_several_problems_the_wrong_one_is_named() -> None:
    spec = sweep([given(*UNITS)])
    (problem,) = spec.problem
    other = problem.model_copy(update={"model": problem.model.model_copy(update={"args": {"batch_norm": True}})})
    with pytest.raises(RequestError, match=r"^s\.yaml: problem\.1: paths\.0: structure: .* no tensor '3\.weight'"):
        prepare(spec.model_copy(update={"problem": (problem, other)}), "s.yaml")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_problem_has_the_type_that_is_asked_for(dtype: torch.dtype) -> None:
    spec = problem_spec(dtype=str(dtype).removeprefix("torch."))
    problem = build_problem(spec, lambda key: digits(), torch.device("cpu"))
    assert problem.dtype == dtype
    assert problem.layout.size == 64 * 12 + 12 + 12 * 10 + 10
