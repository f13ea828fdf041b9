"""What a run takes over from the runs before it."""

from __future__ import annotations

import itertools

import pytest
from support.sweeps import small_sweep

from mcdist.execute.state import what_remains
from mcdist.plan import make_plan
from mcdist.spec import load_spec
from mcdist.store import TaskState

PLAN = make_plan(load_spec(small_sweep()))
ENDPOINT = next(t for t in PLAN.tasks.values() if t.kind == "endpoint")
PATH = next(t for t in PLAN.tasks.values() if t.kind == "path" and ENDPOINT.id in t.inputs)
PROFILE = next(t for t in PLAN.tasks.values() if t.kind == "profile" and PATH.id in t.inputs)


def state(status: str, error_kind: str | None = None) -> TaskState:
    return TaskState(status=status, kind="x", pack_id="p", error_kind=error_kind, attempts=1, wall_s=0.0)


def test_an_empty_store_leaves_everything_to_do() -> None:
    remains = what_remains(PLAN, {})
    assert remains.settled == {}
    assert remains.again == []


@pytest.mark.parametrize(
    ("status", "error_kind", "stays"),
    [("done", None, True), ("failed", "diverged", True), ("failed", "raised", False), ("failed", "lost", False)],
)
def test_done_and_diverged_stay_other_failures_are_tried_again(status: str, error_kind: str, stays: bool) -> None:
    remains = what_remains(PLAN, {ENDPOINT.id: state(status, error_kind)})
    assert (ENDPOINT.id in remains.settled, ENDPOINT.id in remains.again) == (stays, not stays)


@pytest.mark.parametrize(("error_kind", "stays"), [("diverged", True), ("raised", False)])
def test_what_a_failure_blocked_shares_its_fate(error_kind: str, stays: bool) -> None:
    states = {ENDPOINT.id: state("failed", error_kind), PATH.id: state("blocked"), PROFILE.id: state("blocked")}
    remains = what_remains(PLAN, states)
    assert set(remains.settled if stays else remains.again) == {ENDPOINT.id, PATH.id, PROFILE.id}


def test_tasks_of_other_sweeps_are_left_alone() -> None:
    remains = what_remains(PLAN, {"another": state("failed", "raised")})
    assert list(itertools.chain(remains.settled, remains.again)) == []
