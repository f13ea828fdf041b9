"""Contenders take turns; what counts are medians, and ratios within a round."""

from __future__ import annotations

import torch

from mcdist.bench.timing import Ratio, Timings, interleaved, stopwatch, threads

from .examples import TAKEN, Clock


def test_contenders_take_turns_and_warm_up_rounds_do_not_count() -> None:
    clock = Clock()
    contenders = {
        "a": stopwatch(clock.work("a", [50.0, 1.0, 2.0, 3.0]), clock),
        "b": stopwatch(clock.work("b", [70.0, 4.0, 5.0, 6.0]), clock),
    }
    taken = interleaved(contenders, 3, warm_up=1)
    assert clock.done == ["a", "b"] * 4
    assert taken == Timings({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]})
    assert taken.rounds == 3


def test_a_contender_may_measure_itself() -> None:
    assert interleaved({"a": lambda: 7.0}, 2) == Timings({"a": [7.0, 7.0]})


def test_a_ratio_is_that_of_medians_and_its_spread_that_of_rounds() -> None:
    assert TAKEN.median("plain") == 6.0
    assert TAKEN.ratio("plain", "stacked") == Ratio(6.0 / 2.0, low=3.0, high=4.0)
    assert TAKEN.ratio("stacked", "plain") == Ratio(2.0 / 6.0, low=0.25, high=1 / 3)


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
