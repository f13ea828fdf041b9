"""Workers of one size: what becomes of those that are starting when there is no room any more."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mcdist.execute import ray_crew
from mcdist.execute.placement import Placement
from mcdist.execute.ray_crew import Crew


class Actor:
    """Stands for an actor: asked whether it is ready, it gives itself as the reference."""

    def __init__(self) -> None:
        self.ready = self
        self.killed = False

    def remote(self) -> Actor:
        return self


def test_of_several_that_fail_at_once_those_told_not_to_start_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their node went: the first failure makes the crew smaller, and the references of the others come after it."""

    def kill(actor: Actor) -> None:
        actor.killed = True

    def get(reference: Actor) -> Any:
        raise ray_crew.RayError("its node is gone")

    monkeypatch.setattr(ray_crew.ray, "kill", kill)
    monkeypatch.setattr(ray_crew.ray, "get", get)
    crew = Crew(cast(Placement, None), lambda placement: Actor())
    crew.size = 3
    crew.staff()
    all_ = list(crew.starting)
    assert crew.started(all_[0]) is None
    crew.size = 1
    crew.staff()
    assert [actor.killed for actor in all_] == [False, False, True]
    assert [crew.started(reference) for reference in all_[1:]] == [None, None]
    assert not crew.starting
    crew.staff()
    assert len(crew.starting) == 1
