"""Cyclic rates against the published formulas, at every iteration; members and looks by their laws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mcdist.science.cycles import Cosine, CyclicRate, Triangle

# Rates are a few units in the last place apart, whichever way the formula is summed.
CLOSE = 1e-14

rate = st.floats(1e-6, 10.0)
even = st.integers(1, 400).map(lambda half: 2 * half)
LIKE = torch.zeros((), dtype=torch.float64)


def published_triangle(i: int, c: int, lr1: float, lr2: float) -> float:
    """Garipov et al. 2018, section 4: t(i) = ((i - 1) mod c + 1) / c."""
    t = (((i - 1) % c) + 1) / c
    if t <= 0.5:
        return (1 - 2 * t) * lr1 + 2 * t * lr2
    return (2 - 2 * t) * lr2 + (2 * t - 1) * lr1


def published_cosine(i: int, total: int, cycles: int, lr1: float) -> float:
    """Huang et al. 2017, equation 2: T = total iterations, M = cycles, iterations from 1."""
    length = math.ceil(total / cycles)
    return lr1 / 2 * (math.cos(math.pi * ((i - 1) % length) / length) + 1)


def triangle(c: int, lr1: float = 0.05, lr2: float = 0.01) -> Triangle:
    return Triangle(c, (lr1,), (lr2,))


@pytest.mark.parametrize("c", [2, 4, 10, 90, 782])
def test_a_triangle_is_the_published_one_at_every_iteration(c: int) -> None:
    got = [triangle(c).rate(i)[0] for i in range(1, 3 * c + 8)]
    assert got == pytest.approx([published_triangle(i, c, 0.05, 0.01) for i in range(1, 3 * c + 8)], rel=CLOSE)


def test_the_authors_code_is_one_step_behind_the_paper() -> None:
    """There t is the part of the cycle before the step, here with it: its lowest rate is of the step after a member."""
    steps, epochs = 5, 4
    code = []
    for epoch in range(8):
        for step in range(steps):
            t = (epoch % epochs + step / steps) / epochs
            code.append(0.05 * abs(1 - 2 * t) + 0.01 * (1 - abs(1 - 2 * t)))
    wave = triangle(steps * epochs)
    assert [wave.rate(i)[0] for i in range(1, 40)] == pytest.approx(code[1:], rel=CLOSE)


@pytest.mark.parametrize(("total", "cycles"), [(1, 1), (7, 7), (30, 5), (31, 5), (100, 7), (2000, 6)])
def test_a_cosine_is_the_published_one_at_every_iteration(total: int, cycles: int) -> None:
    got = [Cosine(total, cycles, (0.1,)).rate(i)[0] for i in range(1, total + 1)]
    expected = [published_cosine(i, total, cycles, 0.1) for i in range(1, total + 1)]
    assert got == pytest.approx(expected, rel=CLOSE, abs=0.1 * CLOSE)


@given(even, rate, rate, st.integers(1, 10_000))
def test_a_triangle_is_the_published_one_for_any_cycle(c: int, a: float, b: float, i: int) -> None:
    lr1, lr2 = max(a, b), min(a, b)
    assert triangle(c, lr1, lr2).rate(i) == pytest.approx([published_triangle(i, c, lr1, lr2)], rel=10 * CLOSE)


@given(st.data(), st.integers(1, 5000), rate)
def test_a_cosine_is_the_published_one_for_any_number_of_cycles(data: st.DataObject, total: int, lr1: float) -> None:
    cycles, i = data.draw(st.integers(1, total)), data.draw(st.integers(1, total))
    got = Cosine(total, cycles, (lr1,)).rate(i)
    assert got == pytest.approx([published_cosine(i, total, cycles, lr1)], rel=CLOSE, abs=lr1 * CLOSE)


@given(even, rate, rate, st.integers(0, 3000))
def test_members_of_a_triangle_are_where_its_rate_is_lowest(c: int, a: float, b: float, total: int) -> None:
    """In the middle of each cycle, exactly lr2; everywhere else it is no lower."""
    lr1, lr2 = max(a, b), min(a, b)
    wave = triangle(c, lr1, lr2)
    assert wave.members(total) == [i for i in range(1, total + 1) if i % c == c // 2]
    assert all(wave.rate(i) == [lr2] for i in wave.members(total))
    assert all(wave.rate(i)[0] >= lr2 for i in range(1, 2 * c + 1))


@given(st.integers(1, 5000), st.data())
def test_members_of_a_cosine_are_the_ends_of_its_cycles(total: int, data: st.DataObject) -> None:
    """As many as cycles are begun, never more than were asked for; the last at the end; after each the rate leaps."""
    cycles = data.draw(st.integers(1, total))
    wave = Cosine(total, cycles, (0.1,))
    members = wave.members(total)
    c = math.ceil(total / cycles)
    assert members == [*(i for i in range(1, total) if i % c == 0), total]
    assert len(members) == math.ceil(total / c) <= cycles
    assert all(wave.rate(i + 1) == [0.1] for i in (0, *members[:-1]))


def test_the_last_cycle_of_a_cosine_may_be_short() -> None:
    """Eleven steps in three cycles: four, four, three."""
    wave = Cosine(11, 3, (0.1,))
    assert wave.members(11) == [4, 8, 11]
    assert wave.rate(11) == wave.rate(3) > wave.rate(4)


@given(even, rate, st.integers(1, 10_000))
def test_without_a_range_a_triangle_is_a_constant_rate_to_the_bit(c: int, lr: float, i: int) -> None:
    assert triangle(c, lr, lr).rate(i) == [lr]


@given(st.integers(1, 20), st.lists(st.tuples(rate, rate), min_size=1, max_size=5), st.integers(1, 300))
def test_rates_of_stretches_hold_from_member_to_member(half: int, pairs: list[tuple[float, float]], i: int) -> None:
    """The published formula with the pair of the stretch, which is how many members were before; the last goes on."""
    wave = Triangle(2 * half, (0.3, 0.4), (0.2, 0.1), tuple(pairs))
    before = sum(1 for j in range(1, i) if j % (2 * half) == half)
    lr1, lr2 = pairs[min(before, len(pairs) - 1)]
    assert wave.rate(i) == pytest.approx([published_triangle(i, 2 * half, lr1, lr2)] * 2, rel=10 * CLOSE)
    assert wave.pairs(before) == [(lr1, lr2)] * 2


WAVES: dict[str, CyclicRate] = {
    "triangle": Triangle(6, (0.3, 0.2), (0.1, 0.1)),
    "cosine": Cosine(20, 3, (0.3, 0.2)),
    "one triangle": Triangle(6, (0.3, 0.3), (0.1, 0.1)),
    "one cosine": Cosine(20, 3, (0.3, 0.3)),
}


@pytest.mark.parametrize("name", WAVES)
@pytest.mark.parametrize("tensors", [False, True])
def test_rates_of_steps_as_training_takes_them(name: str, tensors: bool) -> None:
    """Numbers where all points have the same, one tensor [K, 1, 1] each else."""
    wave = WAVES[name]
    found = wave.rates(4, 9, LIKE, tensors=tensors)
    expected = [wave.rate(i) for i in range(5, 10)]
    if name.startswith("one") and not tensors:
        assert list(found) == [row[0] for row in expected]
    else:
        assert all(isinstance(lr, torch.Tensor) and lr.shape == (2, 1, 1) for lr in found)
        assert [lr.flatten().tolist() for lr in found if isinstance(lr, torch.Tensor)] == expected


@given(st.booleans(), st.integers(1, 60), st.integers(1, 9), st.integers(1, 600))
def test_looks_are_spread_over_each_cycle_with_every_member(
    triangular: bool, half: int, per_cycle: int, total: int
) -> None:
    """In order, none twice; from 0 to the last member; none further than half a step from equal distances."""
    cycles = max(1, total // (2 * half))
    wave: CyclicRate = triangle(2 * half) if triangular else Cosine(total, cycles, (0.1,))
    members, looks, c = wave.members(total), wave.looks(total, per_cycle), wave.cycle
    assert looks == sorted(set(looks))
    assert looks[0] == 0
    assert looks[-1] == max(members, default=0)
    assert {*members} <= {*looks}
    even = [n * c / per_cycle for n in range(per_cycle * (total // c + 1))]
    for at in even:
        if at + 0.5 < looks[-1]:
            assert any(abs(look - at) <= 0.5 for look in looks), at
    for look in {*looks} - {*members}:
        assert any(abs(look - at) <= 0.5 for at in even), look


def test_looks_of_a_cycle_that_is_known() -> None:
    """Ten steps, four looks: after 0, 2.5, 5 and 7.5 steps; members in the middle and none after the last."""
    assert triangle(10).looks(27, 4) == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25]
    assert Cosine(11, 3, (0.1,)).looks(11, 2) == [0, 2, 4, 6, 8, 10, 11]
    assert triangle(4).looks(20, 100) == list(range(19))


@pytest.mark.parametrize("c", [-2, 0, 1, 3, 7])
def test_a_cycle_without_a_middle_is_refused(c: int) -> None:
    with pytest.raises(ValueError, match="no middle"):
        triangle(c)


@pytest.mark.parametrize("cycles", [0, 11])
def test_more_cycles_than_steps_are_refused(cycles: int) -> None:
    with pytest.raises(ValueError, match="10 steps are no"):
        Cosine(10, cycles, (0.1,))
