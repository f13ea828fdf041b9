"""Pauses: they take their time, and nothing else."""

from __future__ import annotations

import time

from mcdist.plan import Blueprint
from mcdist.spec.tasks import TASK_SPECS, PauseTask
from mcdist.tasks.registry import KINDS
from mcdist.tasks.work import Item, Result

from .bench import DictBench


def test_a_pack_of_pauses_takes_the_sum_of_their_seconds_and_gives_nothing() -> None:
    began = time.perf_counter()
    items = [Item(str(n), PauseTask(seconds=0.02 * n, number=n), ()) for n in range(3)]
    outcomes = KINDS["pause"](items, DictBench())
    assert outcomes == [Result(), Result(), Result()]
    assert time.perf_counter() - began >= 0.06


def test_pauses_of_one_length_are_told_apart_by_their_number_and_share_packs() -> None:
    one, other = (Blueprint(PauseTask(seconds=1.0, number=n)) for n in (0, 1))
    assert one.task().id != other.task().id
    assert one.group == other.group
    assert TASK_SPECS["pause"] is PauseTask
