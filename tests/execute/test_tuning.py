"""How a pack and a way are chosen: the laws of it, with a probe whose times are known."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcdist.execute import tuning
from mcdist.execute.choice import Choice, Wishes
from mcdist.execute.tuning import OutOfMemory, by_rule, choose
from mcdist.tasks.work import Way

OPEN = Wishes("auto", "auto", "auto", "auto")
PER_PACK_S = tuning._PER_PACK_S


@dataclass
class Fake:
    """A device on which everything takes a known time. pack: seconds of a pack of K, the plain way.

    compiled, graphed, channels_last: the part of the time that is left by them. fits: tasks that memory is enough for.
    """

    tasks: int
    pack: Callable[[int], float]
    compiled: float = 1.0
    graphed: float = 1.0
    channels_last: float = 1.0
    fits: int = 1 << 30
    compiling_s: float = 10.0
    is_stacked: bool = True
    has_images: bool = False
    has_graphs: bool = False
    asked: list[tuple[int, Way]] = field(default_factory=list)

    def seconds(self, K: int, way: Way) -> float | None:
        self.asked.append((K, way))
        if self.fits < K:
            raise OutOfMemory
        factors = [f for f in (way.compiled and self.compiled, way.graphed and self.graphed) if f is not False]
        return self.pack(K) * math.prod(factors) * (self.channels_last if way.channels_last else 1.0)

    def stacked(self) -> bool:
        return self.is_stacked

    def images(self) -> bool:
        return self.has_images

    def graphs(self) -> bool:
        return self.has_graphs

    def compiling(self, K: int, way: Way) -> float:
        return self.compiling_s


def stacks(alone: float, begin: float, each: float) -> Callable[[int], float]:
    """One task takes `alone`; a stack takes a time to begin, and one for each task in it."""
    return lambda K: alone if K == 1 else begin + each * K


seconds = st.floats(1e-3, 1e3)
packs = st.builds(stacks, seconds, seconds, seconds)
tasks = st.integers(1, 3000)
shares = st.floats(0.05, 3.0)
fakes = st.builds(
    Fake,
    tasks,
    packs,
    compiled=shares,
    graphed=shares,
    channels_last=shares,
    fits=st.integers(1, 600),
    compiling_s=st.floats(1.0, 100.0) | st.just(math.inf),
    is_stacked=st.booleans(),
    has_images=st.booleans(),
    has_graphs=st.booleans(),
)
switches = st.sampled_from(("auto", "on", "off"))
wishes = st.builds(Wishes, st.just("auto") | st.integers(1, 2000), switches, switches, switches)


def per_task(of: Fake, K: int) -> float:
    return (of.pack(K) + PER_PACK_S) / K


def plain(*, pack: object = "auto", channels_last: str = "off") -> Wishes:
    """Nothing is open but, perhaps, the pack."""
    return Wishes(pack, "off", "off", channels_last)  # type: ignore[arg-type]


@given(fakes)
def test_a_pack_is_never_slower_than_one_task_at_a_time(of: Fake) -> None:
    most = choose(of, plain()).most
    if of.pack(1) * of.tasks >= 5:  # shorter work is not measured
        assert per_task(of, most) <= per_task(of, 1) or not of.is_stacked


@given(fakes)
def test_a_pack_has_at_most_half_of_the_tasks(of: Fake) -> None:
    """So that two workers at least have something to do."""
    assert 1 <= choose(of, plain()).most <= -(-of.tasks // 2)


@given(tasks, packs)
def test_the_pack_is_the_smallest_within_a_tenth_of_the_best(number: int, pack: Callable[[int], float]) -> None:
    of = Fake(number, pack)
    choice = choose(of, plain())
    if of.pack(1) * number < 5:
        return
    tried = {K: per_task(of, K) for K, _ in of.asked}
    assert {int(K): s for K, s in choice.measured["seconds_per_task"].items()} == pytest.approx(tried)
    good = [K for K in sorted(tried) if tried[K] <= 1.1 * min(tried.values()) and tried[K] <= tried[1]]
    nearly = max(-(-number // good[0]) * 5 // 4, 1)
    assert number // nearly <= choice.most <= good[0]
    assert choice.most == good[0] or number % choice.most == 0


@given(tasks, packs)
def test_sizes_are_tried_by_doubling_until_two_in_turn_gain_nothing(number: int, pack: Callable[[int], float]) -> None:
    of = Fake(number, pack)
    choose(of, plain())
    tried = [K for K, _ in of.asked]
    most = min(512, -(-number // 2))
    assert tried[0] == 1
    for before, after in itertools.pairwise(tried):
        assert after == 2 * before or after == most
    if len(tried) > 1 and tried[-1] != most:
        for n in (-2, -1):
            assert per_task(of, tried[n]) > 0.95 * min(per_task(of, K) for K in tried[:n])


def test_a_stack_that_gains_only_when_it_is_larger_is_found() -> None:
    """The way through stacks has a cost of its own: two in a stack may be slower than two alone."""
    of = Fake(160, stacks(1.0, 1.9, 0.1))
    assert per_task(of, 2) > 0.95 * per_task(of, 1)
    assert choose(of, plain()).most > 32


@pytest.mark.parametrize(
    ("number", "most"),
    [
        (112, 16),  # seven of them
        (120, 15),  # eight, which sixteen would have made too, not all equal
        (126, 14),  # nine in place of eight
        (100, 16),  # no equal parts near: seven, of 15 and of 14
        (113, 16),  # a prime
    ],
)
def test_packs_of_a_size_that_shares_the_tasks_equally_are_preferred(number: int, most: int) -> None:
    """Each size is compiled anew."""
    of = Fake(number, lambda K: K * (0.4 if K >= 16 else 1.0 - 0.05 * K))
    assert choose(of, plain()).most == most


@given(st.integers(1, 512), tasks)
def test_equal_parts_are_nearly_as_large(most: int, number: int) -> None:
    even = tuning._even(most, number)
    assert even <= most
    if even != most:
        assert number % even == 0
        assert number // even <= 1.25 * -(-number // most)


@given(fakes)
def test_what_ran_out_of_memory_is_not_tried_again_nor_exceeded(of: Fake) -> None:
    if of.pack(1) * of.tasks < 5 or not of.is_stacked:
        return
    choice = choose(of, OPEN)
    too_large = [K for K, _ in of.asked if of.fits < K]
    assert len(too_large) <= 1
    assert choice.most <= of.fits
    assert ("too_large" in choice.measured) == bool(too_large)


def test_one_task_that_does_not_fit_is_for_the_caller() -> None:
    with pytest.raises(OutOfMemory):
        choose(Fake(10, stacks(1.0, 1.0, 1.0), fits=0), OPEN)


@given(fakes, wishes)
def test_what_is_said_is_taken_as_it_is(of: Fake, said: Wishes) -> None:
    choice = choose(replace(of, fits=1 << 30), said)
    if said.pack != "auto":
        assert choice.most == said.pack
    for asked, got in (
        (said.compiled, choice.way.compiled),
        (said.graphed, choice.way.graphed),
        (said.channels_last, choice.way.channels_last),
    ):
        assert asked == "auto" or got == (asked == "on")


def test_a_pack_that_was_asked_for_and_does_not_fit_stays_for_halving_to_find_its_size() -> None:
    choice = choose(Fake(100, stacks(1.0, 1.0, 0.1), fits=8), Wishes(32, "auto", "auto", "auto"))
    assert (choice.most, choice.way) == (32, Way())
    assert choice.measured["too_large"] == 32


@given(fakes, wishes)
def test_the_same_probe_gives_the_same_choice(of: Fake, said: Wishes) -> None:
    assert choose(replace(of, fits=9999), said) == choose(replace(of, fits=9999), said)


@given(fakes, wishes)
def test_what_is_kept_of_a_choice_is_json(of: Fake, said: Wishes) -> None:
    choice = choose(replace(of, fits=9999), said)
    assert Choice.of(json.loads(json.dumps(choice.record(), allow_nan=False))) == choice


@given(tasks, st.booleans(), st.booleans())
def test_work_of_less_than_five_seconds_is_not_measured(number: int, stacked: bool, images: bool) -> None:
    of = Fake(number, lambda K: 4.9 / number, is_stacked=stacked, has_images=images, has_graphs=True)
    choice = choose(of, OPEN)
    assert of.asked == [(1, Way())]
    assert choice == Choice(min(16, -(-number // 2)) if stacked else 1)


def test_work_of_no_time_to_speak_of_is_packed_by_rule() -> None:
    class Nothing(Fake):
        def seconds(self, K: int, way: Way) -> float | None:
            return None

    assert choose(Nothing(5000, lambda K: 0.0), OPEN) == by_rule(OPEN, 5000) == Choice(16)


@pytest.mark.parametrize(("number", "most"), [(1, 1), (2, 1), (3, 2), (31, 16), (32, 16), (4000, 16)])
def test_the_rule(number: int, most: int) -> None:
    assert by_rule(OPEN, number) == Choice(most)
    assert by_rule(Wishes(7, "on", "off", "auto"), number) == Choice(7, Way(compiled=True))


@pytest.mark.parametrize(("alone", "most"), [(10.0, 1), (0.26, 1), (0.25, 2), (0.1, 5), (0.01, 16)])
def test_tasks_computed_one_by_one_go_together_for_half_a_second_at_most(alone: float, most: int) -> None:
    """They gain nothing but fewer files; nobody waits long for a pack's end."""
    of = Fake(10_000, lambda K: alone * K, is_stacked=False)
    assert choose(of, plain()).most == most
    assert of.asked == [(1, Way())]


@given(shares)
def test_channels_last_is_taken_where_it_gains(left: float) -> None:
    of = Fake(100, lambda K: 1.0 * K, channels_last=left, is_stacked=False, has_images=True)
    choice = choose(of, plain(channels_last="auto"))
    assert choice.way.channels_last == (left < 0.95)
    assert choice.measured["seconds_channels_last"] == pytest.approx(left)


def test_channels_last_is_not_tried_where_there_are_no_images() -> None:
    of = Fake(100, lambda K: 1.0 * K, channels_last=0.1, has_images=False)
    assert not choose(of, plain(channels_last="auto")).way.channels_last
    assert not any(way.channels_last for _, way in of.asked)


def test_packs_are_tried_in_the_memory_format_that_gains() -> None:
    of = Fake(100, stacks(1.0, 1.0, 0.1), channels_last=0.5, has_images=True)
    choose(of, plain(channels_last="auto"))
    assert all(way.channels_last for K, way in of.asked if K > 1)


@given(packs, tasks, shares, st.floats(1.0, 100.0))
def test_compiled_where_it_is_faster_and_repays_itself(
    pack: Callable[[int], float], number: int, left: float, compiling: float
) -> None:
    """Compiling is tried where four tenths of the time would repay it four times, and kept where it gains 5 %."""
    of = Fake(number, pack, compiled=left, compiling_s=compiling)
    if of.pack(1) * number < 5:
        return
    choice = choose(of, Wishes("auto", "auto", "off", "off"))
    repays = 0.4 * pack(choice.most) * number / choice.most > 4 * compiling
    assert choice.way.compiled == (repays and left < 0.95)
    assert any(way.compiled for _, way in of.asked) == repays


def test_a_program_that_does_not_what_it_should_is_never_chosen() -> None:
    """It took for ever: no number for the store."""

    class Wrong(Fake):
        def seconds(self, K: int, way: Way) -> float | None:
            return math.inf if way.compiled or way.graphed else super().seconds(K, way)

    choice = choose(Wrong(10_000, stacks(1.0, 1.0, 0.1), has_graphs=True), OPEN)
    assert choice.way == Way()
    assert (choice.measured["seconds_compiled"], choice.measured["seconds_graphed"]) == (None, None)


def test_graphs_of_launches_are_tried_where_the_device_has_them() -> None:
    with_them = Fake(100, stacks(1.0, 1.0, 0.1), graphed=0.5, has_graphs=True)
    without = replace(with_them, has_graphs=False, asked=[])
    assert choose(with_them, Wishes("auto", "off", "auto", "off")).way == Way(graphed=True)
    assert choose(without, Wishes("auto", "off", "auto", "off")).way == Way()
    assert not any(way.graphed for _, way in without.asked)


@pytest.mark.parametrize(
    ("compiled", "graphed", "tried"),
    [
        ("auto", "on", [Way(graphed=True), Way(compiled=True, graphed=True)]),
        ("on", "auto", [Way(compiled=True), Way(compiled=True, graphed=True)]),
        ("on", "on", []),
        ("off", "off", []),
    ],
)
def test_a_way_is_compared_beside_what_was_asked_for(compiled: str, graphed: str, tried: list[Way]) -> None:
    """And what is not open is not tried at all."""
    of = Fake(10_000, stacks(1.0, 1.0, 0.1), compiled=0.5, graphed=0.5, has_graphs=True)
    choose(of, Wishes(4, compiled, graphed, "off"))  # type: ignore[arg-type]
    assert [way for K, way in of.asked if K == 4] == tried


def test_graphs_that_leave_nothing_to_compiling_are_not_compiled() -> None:
    """Compiling is compared with the graph of launches, where that was chosen."""

    class Once(Fake):
        def seconds(self, K: int, way: Way) -> float | None:
            plainly = super().seconds(K, Way())
            return plainly if plainly is None or way == Way() else 0.5 * plainly

    choice = choose(Once(10_000, stacks(1.0, 1.0, 0.1), has_graphs=True), OPEN)
    assert choice.way == Way(graphed=True)


def test_a_choice_made_for_no_more_than_one_task() -> None:
    of = Fake(1, stacks(60.0, 1.0, 1.0), compiled=0.5)
    assert choose(of, OPEN) == Choice(
        1, Way(), {"seconds_alone": 60.0, "seconds_per_task": {"1": 60.0 + PER_PACK_S}, "seconds_packed": 60.0}
    )
