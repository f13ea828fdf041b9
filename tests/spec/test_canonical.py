"""What of a specification identifies a task."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from mcdist.spec import (
    DataSpec,
    DriftSpec,
    ModelSpec,
    PairsSpec,
    PathSpec,
    ProblemSpec,
    RelaxationSpec,
    ScheduleSpec,
    TrainSpec,
    ValleySpec,
    canonical,
)
from mcdist.spec.base import PLACE, SCALAR, Int, SpecModel
from mcdist.spec.measures import CurvatureSpec, PlaneSpec
from mcdist.spec.paths import AlignSpec, CycleSpec, NebSpec
from spec.examples import problems, reordered, trainings

SGD: dict[str, Any] = {"epochs": 2, "lr": 1.0}
SHA = "0f" * 32
GROUPS: dict[str, Any] = {"groups": {"a": [["0.weight", 0], ["2.weight", 1]]}}
GROUPS_AS_TUPLES: dict[str, Any] = {"groups": {"a": (("0.weight", 0), ("2.weight", 1))}}
RUN: dict[str, Any] = {"lr": 0.1, "time": 5.0, "starts": 3}
DIGITS: dict[str, Any] = {"data": "digits", "model": "mlp"}
CYCLE = CycleSpec(steps=5, lr=0.1)


def same(one: SpecModel, two: SpecModel) -> bool:
    return json.dumps(canonical(one)) == json.dumps(canonical(two))


def test_defaults_and_places_are_left_out() -> None:
    assert canonical(DataSpec(name="mnist", root="/data", download=True, validation=0.0)) == {"name": "mnist"}
    assert canonical(PathSpec(kind="bezier", seed=3)) == {"kind": "bezier", "seed": 3}


def test_shape_leaves_out_scalars_too() -> None:
    train = TrainSpec(**SGD, weight_decay=0.1, batch_size=4)
    assert canonical(train, shape=True) == {"epochs": 2, "batch_size": 4}
    assert canonical(PathSpec(kind="chain", seed=3, bends=2, train=train), shape=True) == {
        "kind": "chain",
        "bends": 2,
        "train": {"epochs": 2, "batch_size": 4},
    }


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (TrainSpec(**SGD), TrainSpec(epochs=2, lr=1)),
        (TrainSpec(**SGD), TrainSpec(**SGD, momentum=0.9)),
        (TrainSpec(**SGD, momentum=0.0), TrainSpec(**SGD, momentum=-0.0)),
        (TrainSpec(**SGD), TrainSpec(**SGD, weight_decay=-0.0)),
        (TrainSpec(**SGD), TrainSpec(**SGD, schedule=ScheduleSpec(kind="constant"))),
        (ScheduleSpec(kind="step"), ScheduleSpec(kind="step", milestones=(0.5, 0.75), gamma=1e-1)),
        (ModelSpec(name="mlp", args={"hidden": (8, 8)}), ModelSpec(name="mlp", args={"hidden": [8, 8]})),
        (ModelSpec(name="m", args={"a": {"b": -0.0}}), ModelSpec(name="m", args={"a": {"b": 0.0}})),
        (ModelSpec(name="mlp"), ModelSpec(name="mlp", args={})),
        (NebSpec(), NebSpec(pivots=3, lr=0.1, scale=1.0)),
        (NebSpec(cycles="short"), NebSpec(cycles="short", pivots=15, scale=1)),
        (PathSpec(kind="autoneb"), PathSpec(kind="autoneb", neb=NebSpec(lr=0.1))),
        (PathSpec(kind="linear"), PathSpec(kind="linear", align=AlignSpec(restarts=1), objective="uniform")),
        (AlignSpec(method="weights", structure=GROUPS), AlignSpec(method="weights", structure=GROUPS_AS_TUPLES)),
        (CurvatureSpec(), CurvatureSpec(at="endpoints", kinds=("bezier",), controls=True)),
        (PlaneSpec(), PlaneSpec(through=((0, 1, 2),))),
        (PlaneSpec(), PlaneSpec(kinds=("bezier",), pairs=PairsSpec(kind="chain"))),
        (DataSpec(name="npz:a", digest=SHA), DataSpec(name="npz:b", digest=SHA, root="x")),
        (DriftSpec(lr=1.0), DriftSpec(lr=1, batch_size=16, replicas=32, steps=(100,), kinds=("bezier",))),
        (DriftSpec(lr=1.0, starts=3), DriftSpec(lr=1.0, starts=(0.25, 0.5, 0.75))),
        (DriftSpec(lr=1.0, steps=5), DriftSpec(lr=1.0, steps=(5,))),
        (RelaxationSpec(**RUN), RelaxationSpec(**RUN, replicas=8, project=15, kinds=("linear",))),
        (ValleySpec(kind="valley"), ValleySpec(kind="valley", energy=-0.0, stiff=8)),
        (ProblemSpec(**DIGITS), ProblemSpec(**DIGITS, kind="classification", weight_decay=0.0)),
    ],
)
def test_the_same_in_other_words_is_the_same(one: SpecModel, two: SpecModel) -> None:
    assert same(one, two)


def test_problems_of_different_kinds_say_so() -> None:
    """The kind is left out of the usual one alone."""
    assert canonical(ValleySpec(kind="valley", stiff=4)) == {"kind": "valley", "stiff": 4}
    assert "kind" not in canonical(ProblemSpec(**DIGITS))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (TrainSpec(**SGD, optimizer="adam"), TrainSpec(**SGD)),
        (TrainSpec(**SGD, momentum=0.0), TrainSpec(**SGD)),
        (ModelSpec(name="m", args={"a": 1}), ModelSpec(name="m", args={"a": True})),
        (ModelSpec(name="m", args={"a": None}), ModelSpec(name="m")),
        (DataSpec(name="npz:a", digest=SHA), DataSpec(name="npz:a", digest=SHA[::-1])),
        (PathSpec(kind="linear"), PathSpec(kind="bezier")),
        (NebSpec(), NebSpec(cycles="short")),
        (NebSpec(cycles="short"), NebSpec(cycles="short", pivots=3)),
        (NebSpec(), NebSpec(pivots=15)),
        (NebSpec(), NebSpec(scale=0.1)),
        (NebSpec(cycles=(CYCLE,)), NebSpec(cycles=(CYCLE, CYCLE))),
        (PathSpec(kind="linear"), PathSpec(kind="linear", align=AlignSpec(method="weights"))),
        (PathSpec(kind="linear"), PathSpec(kind="linear", repair=True)),
        (PathSpec(kind="bezier"), PathSpec(kind="bezier", objective="arclength")),
        (AlignSpec(method="weights"), AlignSpec(method="weights", structure=GROUPS)),
        (CurvatureSpec(measures=("top_k", "log_det")), CurvatureSpec(measures=("log_det", "top_k"))),
        (CurvatureSpec(), CurvatureSpec(samples=None)),
        (PlaneSpec(), PlaneSpec(margin=0.5)),
        (DriftSpec(lr=1.0), DriftSpec(lr=1.0, noise="isotropic")),
        (DriftSpec(lr=1.0, noise="isotropic"), DriftSpec(lr=1.0, noise="isotropic", temperature=0.0)),
        (DriftSpec(lr=1.0), DriftSpec(lr=1.0, samples=None)),
        (DriftSpec(lr=1.0), DriftSpec(lr=1.0, sampling="independent")),
        (RelaxationSpec(**RUN), RelaxationSpec(**RUN, project=None)),
        (RelaxationSpec(**RUN), RelaxationSpec(**RUN, noise="none")),
        (RelaxationSpec(**RUN), RelaxationSpec(**RUN, stop=False)),
        (ValleySpec(kind="valley"), ValleySpec(kind="valley", energy=-0.1)),
        (ProblemSpec(**DIGITS), ProblemSpec(**DIGITS, weight_decay=0.002)),
    ],
)
def test_what_differs_differs(one: SpecModel, two: SpecModel) -> None:
    assert not same(one, two)


@given(trainings | problems)
def test_it_survives_the_way_to_a_worker_and_does_not_see_the_order_of_keys(data: dict[str, Any]) -> None:
    model = ProblemSpec if "model" in data else TrainSpec
    spec = model.model_validate_json(json.dumps(data))
    assert same(spec, model.model_validate_json(spec.model_dump_json()))
    back = model.model_validate_json(json.dumps(reordered(data)))
    assert canonical(back) == canonical(spec)


@given(trainings)
def test_a_field_added_later_with_its_default_changes_nothing(data: dict[str, Any]) -> None:
    class Later(TrainSpec):
        clip: float | None = None
        noise: ScheduleSpec = ScheduleSpec()
        extra: dict[str, Any] = Field(default_factory=dict)

    now, later = (model.model_validate_json(json.dumps(data)) for model in (TrainSpec, Later))
    assert same(now, later)
    assert canonical(now, shape=True) == canonical(later, shape=True)


@given(st.integers(0, 9), st.integers(0, 9))
def test_a_nested_default_counts_by_what_identifies_it(scalar: int, place: int) -> None:
    class Inner(SpecModel):
        scalar: Int = Field(0, json_schema_extra=SCALAR)
        place: Int = Field(0, json_schema_extra=PLACE)
        size: Int = 5

    class Outer(SpecModel):
        inner: Inner = Inner(size=7)

    inner = Inner(scalar=scalar, place=place, size=7)
    assert canonical(Outer(inner=inner), shape=True) == {}
    assert canonical(Outer(inner=inner)) == ({} if scalar == 0 else {"inner": {"scalar": scalar, "size": 7}})
    assert canonical(Outer(inner=Inner())) == {"inner": {}}  # not Outer's default, though Inner's own
