"""Relaxation on a path: against a plain network in a plain loop, and where it is known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import relaxation_plain
from torch import Tensor

from mcdist.problems.classification import Classification
from mcdist.science.dynamics import walk
from mcdist.science.dynamics.polyline import Polyline
from mcdist.science.dynamics.relaxation import Hold, Relaxed, relax
from mcdist.science.dynamics.walk import Dynamics
from mcdist.science.optimizers import Adam, AdamW, Optimizer, Sgd
from mcdist.science.paths import FAMILIES
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from science.examples import Quadratic, normed, plain, problem, starts

N = 22  # examples
CLOSE = 1e-10
every_treatment = pytest.mark.parametrize("buffers", ["keep", "zero", "project"])

OPTIMIZERS: dict[str, tuple[Callable[[], Optimizer], partial[Any]]] = {
    "sgd": (Sgd, partial(torch.optim.SGD)),
    "momentum": (lambda: Sgd(0.8), partial(torch.optim.SGD, momentum=0.8)),
    "nesterov": (lambda: Sgd(0.8, nesterov=True), partial(torch.optim.SGD, momentum=0.8, nesterov=True)),
    "adam": (lambda: Adam((0.8, 0.9), 1e-2), partial(torch.optim.Adam, betas=(0.8, 0.9), eps=1e-2)),
    "adamw": (lambda: AdamW((0.8, 0.9), 1e-2), partial(torch.optim.AdamW, betas=(0.8, 0.9), eps=1e-2)),
}


def chain_between(of: Classification, seeds: Sequence[int]) -> Polyline:
    return Polyline.of(FAMILIES["chain"], starts(of, seeds)[0].theta, 1)


def points_on(of: Problem, lines: Sequence[Polyline], s: Sequence[float]) -> Points:
    """Where the runs start, one on each line."""
    theta = torch.cat([line.at(torch.tensor([at], dtype=torch.float64)) for line, at in zip(lines, s, strict=True)])
    return of.initial(Stream.of("any")).at(theta)


def minibatches(of: Classification, stream: Stream, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    inputs, targets = of.data_of("train")
    epoch = 0
    while True:
        order = torch.from_numpy(stream.child("order", epoch).generator().permutation(N))
        yield from ((inputs[rows], targets[rows]) for rows in order.split(size) if len(rows) == size)
        epoch += 1


def flat_corners(line: Polyline) -> Tensor:
    return line.at(line._s)


def held(of: Problem, lines: Sequence[Polyline], s: Sequence[float], how: Dynamics, hold: Hold) -> Relaxed:
    streams = [Stream.of("run", k) for k in range(len(lines))]
    heat = torch.full((len(lines),), 1e-4) if how.noise == "isotropic" else None
    return relax(of, lines, points_on(of, lines, s), how, hold, streams, heat)


@pytest.mark.parametrize("name", OPTIMIZERS)
@every_treatment
@pytest.mark.parametrize("kind", ["chain", "bezier"])
def test_every_look_is_that_at_a_plain_network(name: str, buffers: Any, kind: str) -> None:
    """A hundred steps of two runs, put back every seven, the last stretch shorter: s to 1e-8 and all else likewise."""
    of, (ours, theirs) = problem(plain), OPTIMIZERS[name]
    line = Polyline.of(FAMILIES[kind], starts(of, [0, 1, 2])[0].theta, 6)
    lr, decay = (0.05, 0.02) if "adam" in name else (0.1, 0.02)
    how = Dynamics(
        lr, ours, batch_size=4, momentum=0.8 if name in ("momentum", "nesterov") else 0.0, weight_decay=decay
    )
    hold = Hold(steps=100, every=7, buffers=buffers, margin=1e-9, stop=False, trace=1000)
    found = held(of, [line, line], [0.3, 0.6], how, hold)
    begin = line.at(torch.tensor([0.3, 0.6], dtype=torch.float64))
    for k in range(2):
        expected = relaxation_plain.relax(
            of.fresh_module(),
            partial(theirs, lr=lr, weight_decay=decay),
            flat_corners(line),
            begin[k],
            minibatches(of, Stream.of("run", k), 4),
            100,
            7,
            buffers,
        )
        assert [look.step for look in found.traces[k]] == [look.step for look in expected] == [*range(7, 100, 7), 100]
        for got, want in zip(found.traces[k], expected, strict=True):
            assert got.s == pytest.approx(want.s, abs=1e-8)
            assert got.residual * line.length == pytest.approx(want.residual, abs=1e-8)
            assert got.loss == pytest.approx(sum(want.losses) / len(want.losses), abs=1e-8)
        assert float(found.s[k]) == found.traces[k][-1].s
        mean = sum(look.residual**2 for look in found.traces[k]) / len(expected)
        assert float(found.residual[k]) == pytest.approx(mean**0.5, abs=CLOSE)


@pytest.mark.parametrize("every", [1, 15])
def test_what_is_never_put_back_is_a_plain_run_that_is_looked_at(every: int) -> None:
    of, line = problem(plain), chain_between(problem(plain), [0, 1, 2])
    how = Dynamics(0.1, lambda: Sgd(0.8), batch_size=4, momentum=0.8)
    hold = Hold(steps=60, every=every, project=False, margin=1e-9, stop=False, trace=1000)
    found = held(of, [line], [0.5], how, hold)
    make = partial(torch.optim.SGD, lr=0.1, momentum=0.8)
    batches, begin = minibatches(of, Stream.of("run", 0), 4), line.at(torch.tensor([0.5]))[0]
    expected = relaxation_plain.relax(
        of.fresh_module(), make, flat_corners(line), begin, batches, 60, every, "keep", project=False
    )
    assert [look.s for look in found.traces[0]] == pytest.approx([look.s for look in expected], abs=1e-8)
    residuals = [look.residual * line.length for look in found.traces[0]]
    assert residuals == pytest.approx([look.residual for look in expected], abs=1e-8)


class Slope(Quadratic):
    """L(w) = <slope, w> + h/2 |w|^2, or + quartic |w|^4 / 4: all examples alike."""

    def __init__(self, *slope: float, h: float = 0.0, quartic: float = 0.0) -> None:
        super().__init__(torch.zeros(len(slope), dtype=torch.float64))
        self.slope, self.h, self.quartic = torch.tensor(slope, dtype=torch.float64), h, quartic

    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        square = points.theta.square().sum(1)
        loss = points.theta @ self.slope + self.h / 2 * square + self.quartic / 4 * square.square()
        return loss, torch.zeros_like(loss)

    def whole_gradient(self, points: Points) -> tuple[Tensor, Tensor]:
        loss, _, grad = self.gradient(points, None)
        return loss, grad


LENGTH = 4.0
STRAIGHT = Polyline.of(FAMILIES["linear"], torch.tensor([[0.0, 0.0], [LENGTH, 0.0]], dtype=torch.float64), 1)
CALM = Dynamics(0.1, Sgd, noise="none")


def one(of: Problem, s0: float, how: Dynamics = CALM, **hold: Any) -> Relaxed:
    return held(of, [STRAIGHT], [s0], how, Hold(**{"steps": 1000, "trace": 10_000} | hold))


@pytest.mark.parametrize("every", [1, 4, 15])
@pytest.mark.parametrize(("tilt", "end"), [(0.31, "a"), (-0.31, "b")])
def test_on_a_slope_it_arrives_when_it_must(every: int, tilt: float, end: str) -> None:
    """s = s0 - n eta c / length: .5 passes .05 or .95 at n > .45 length / (eta c) = 58.06; the next look sees it."""
    found = one(Slope(tilt, 0.0), 0.5, every=every)
    needed = math.floor(0.45 * LENGTH / (0.1 * abs(tilt))) + 1
    first = -(-needed // every) * every
    assert needed == 59
    assert (int(found.first), bool(found.at_b), int(found.steps)) == (first, end == "b", first)
    assert float(found.s) == pytest.approx(0.5 - first * 0.1 * tilt / LENGTH, abs=CLOSE)
    assert not bool(found.diverged)
    assert float(found.residual) == pytest.approx(0.0, abs=CLOSE)


@pytest.mark.parametrize("every", [1, 6])
def test_gradient_flow_into_a_bowl_arrives_when_it_must(every: int) -> None:
    """x -> (1 - eta h) x: .6 to below .05 of the length at n > ln(.05 / .6) / ln(1 - eta h)."""
    found = one(Slope(0.0, 0.0, h=0.5), 0.6, every=every)
    needed = math.floor(math.log(0.05 / 0.6) / math.log(1.0 - 0.05)) + 1
    assert int(found.first) == -(-needed // every) * every
    for look in found.traces[0]:
        assert look.s == pytest.approx(0.6 * 0.95**look.step, abs=CLOSE)


def test_weight_decay_is_such_a_bowl() -> None:
    """The problem's own .2 and .3 on top of it."""
    flat = Slope(0.0, 0.0)
    flat.weight_decay = 0.2
    decays = replace(CALM, weight_decay=0.3)
    bowl, decayed = one(Slope(0.0, 0.0, h=0.5), 0.6, every=2), one(flat, 0.6, decays, every=2)
    assert int(bowl.first) == int(decayed.first)
    assert [x.s for x in decayed.traces[0]] == pytest.approx([x.s for x in bowl.traces[0]], abs=CLOSE)
    assert {look.loss for look in decayed.traces[0]} == {0.0}


@pytest.mark.parametrize(("steps", "arrives"), [(58, False), (59, True), (60, True), (1, False)])
def test_it_is_broken_off_exactly_at_the_limit(steps: int, arrives: bool) -> None:
    """The last look is at the limit, however many steps lie between looks; 59 steps are needed."""
    for every in (1, 15, 1000):
        found = one(Slope(0.31, 0.0), 0.5, steps=steps, every=every)
        expected = 59 if arrives and every == 1 else steps
        assert int(found.steps) == expected
        assert int(found.first) == (expected if arrives else 0)
        assert found.traces[0][-1].step == expected


def test_a_start_at_the_edge_has_not_arrived() -> None:
    found = one(Slope(0.0, 0.0), 0.5, margin=0.5 - 1e-12, steps=30)
    assert (int(found.first), int(found.steps)) == (0, 30)


def plain_slope(tilt: float, side: float, mu: float, every: int, steps: int, buffers: str) -> list[tuple[float, float]]:
    """Position along, and distance from the path at every look, of heavy-ball descent in two coordinates."""
    x, y, vx, vy, looks = 0.5 * LENGTH, 0.0, 0.0, 0.0, []
    for step in range(1, steps + 1):
        vx, vy = mu * vx + tilt, mu * vy + side
        x, y = x - 0.1 * vx, y - 0.1 * vy
        if step % every == 0:
            looks.append((x / LENGTH, abs(y) / LENGTH))
            y = 0.0
            if buffers == "zero":
                vx = 0.0
            if buffers != "keep":
                vy = 0.0
    return looks


@every_treatment
def test_what_becomes_of_the_velocity(buffers: Any) -> None:
    how = replace(CALM, optimizer=lambda: Sgd(0.9), momentum=0.9)
    found = one(Slope(0.01, 0.2), 0.5, how, every=5, steps=50, buffers=buffers)
    expected = plain_slope(0.01, 0.2, 0.9, 5, 50, buffers)
    for got, (s, residual) in zip(found.traces[0], expected, strict=True):
        assert got.s == pytest.approx(s, abs=CLOSE)
        assert got.residual == pytest.approx(residual, abs=CLOSE)


def test_the_three_treatments_of_the_velocity_differ() -> None:
    last = {b: plain_slope(0.01, 0.2, 0.9, 5, 50, b)[-1] for b in ("keep", "zero", "project")}
    assert last["project"][0] == last["keep"][0] < last["zero"][0]
    assert last["zero"][1] == last["project"][1] < last["keep"][1]


def test_put_back_at_every_step_or_never() -> None:
    """The slope drives along the path and away from it; s is the same where the path is straight."""
    always, never = (one(Slope(0.1, 0.2), 0.5, every=1, steps=100, project=p) for p in (True, False))
    assert [x.s for x in always.traces[0]] == pytest.approx([x.s for x in never.traces[0]], abs=CLOSE)
    assert [x.residual for x in always.traces[0]] == pytest.approx([0.02 / LENGTH] * 100, abs=CLOSE)
    assert [x.residual for x in never.traces[0]] == pytest.approx([0.02 * n / LENGTH for n in range(1, 101)], abs=CLOSE)


def test_the_loss_of_a_trace_is_the_mean_since_the_look_before() -> None:
    """L = c x, and x falls by eta c a step; of a hundred looks three are kept, at steps 34, 67 and 100."""
    found = one(Slope(0.01, 0.0), 0.5, every=1, steps=100, trace=4)
    losses = [0.01 * (2.0 - 0.1 * 0.01 * n) for n in range(100)]
    kept = [(34, losses[:34]), (67, losses[34:67]), (100, losses[67:])]
    assert [look.step for look in found.traces[0]] == [step for step, _ in kept]
    assert [look.loss for look in found.traces[0]] == pytest.approx([sum(x) / len(x) for _, x in kept], abs=CLOSE)


def test_the_first_passage_is_kept_beside_the_others_and_begins_a_new_mean() -> None:
    found = one(Slope(0.31, 0.0), 0.5, every=1, steps=100, trace=3, stop=False)
    assert [look.step for look in found.traces[0]] == [50, 59, 100]
    losses = [0.31 * (2.0 - 0.1 * 0.31 * n) for n in range(59)]
    assert found.traces[0][1].loss == pytest.approx(sum(losses[50:]) / 9, abs=CLOSE)


@given(steps=st.integers(1, 3000), every=st.integers(1, 100), trace=st.integers(2, 60))
def test_looks_and_those_of_them_that_are_kept(steps: int, every: int, trace: int) -> None:
    hold = Hold(steps=steps, every=every, trace=trace)
    looks, kept = list(hold.looks()), sorted(hold.kept())
    assert sum(since for _, since in looks) == looks[-1][0] == steps
    assert all(since == every for _, since in looks[:-1])
    assert 1 <= looks[-1][1] <= every
    assert set(kept) <= {made for made, _ in looks}
    assert kept[-1] == steps
    assert len(kept) == min(len(looks), trace - 1)
    numbers = [[made for made, _ in looks].index(k) + 1 for k in kept]
    gaps = [b - a for a, b in zip([0, *numbers], numbers, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def noisy_runs(of: Problem, lines: Sequence[Polyline], hold: Hold, how: Dynamics) -> Relaxed:
    """Four runs on each line."""
    return held(of, [line for line in lines for _ in range(4)], [0.2, 0.4, 0.5, 0.9] * len(lines), how, hold)


@pytest.mark.parametrize("noise", ["minibatch", "isotropic"])
@every_treatment
def test_what_is_in_a_pack_changes_rounding_alone(noise: Any, buffers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two paths, runs that arrive at different times, groups of three that cut across paths, each alone."""
    of = problem(normed, eval_batch=N)
    lines = [chain_between(of, [0, 1]), chain_between(of, [2, 3, 4])]
    how = Dynamics(0.3, lambda: Sgd(0.5), noise=noise, batch_size=4, momentum=0.5)
    hold = Hold(steps=120, every=4, buffers=buffers, margin=0.15)
    together = noisy_runs(of, lines, hold, how)
    assert len(set(together.steps.tolist())) > 2
    monkeypatch.setattr(walk, "_TOGETHER", 3 * of.layout.size)
    assert_same(noisy_runs(of, lines, hold, how), together)
    monkeypatch.setattr(walk, "_TOGETHER", 1)
    assert_same(noisy_runs(of, lines, hold, how), together)


def assert_same(got: Relaxed, expected: Relaxed) -> None:
    for name in ("steps", "first", "at_b", "diverged"):
        assert torch.equal(getattr(got, name), getattr(expected, name)), name
    torch.testing.assert_close(got.s, expected.s, rtol=0, atol=CLOSE)
    torch.testing.assert_close(got.residual, expected.residual, rtol=0, atol=CLOSE)
    for one, other in zip(got.traces, expected.traces, strict=True):
        assert [look.step for look in one] == [look.step for look in other]
        for a, b in zip(one, other, strict=True):
            assert list(a) == pytest.approx(list(b), abs=CLOSE)


@pytest.mark.parametrize("project", [True, False])
def test_to_stop_or_to_go_on_changes_nothing_before_the_first_passage(project: bool) -> None:
    of = problem(plain)
    lines, how = [chain_between(of, [0, 1, 2])], Dynamics(0.3, Sgd, batch_size=4)
    hold = Hold(steps=300, every=4, margin=0.15, trace=20, project=project)
    stops, goes_on = (noisy_runs(of, lines, replace(hold, stop=stop), how) for stop in (True, False))
    assert torch.equal(stops.first, goes_on.first)
    assert torch.equal(stops.at_b & (stops.first > 0), goes_on.at_b & (goes_on.first > 0))
    arrived = stops.first > 0
    assert arrived.any()
    assert torch.equal(stops.steps, torch.where(arrived, stops.first, 300))
    assert goes_on.steps.tolist() == [300] * 4
    for k in range(4):
        before = [look for look in goes_on.traces[k] if look.step <= int(stops.steps[k])]
        assert len(goes_on.traces[k]) <= 20
        for a, b in zip(stops.traces[k], before, strict=True):
            assert list(a) == pytest.approx(list(b), abs=CLOSE)


@pytest.mark.parametrize("stop", [True, False])
def test_who_leaves_the_finite_numbers_harms_no_other(stop: bool) -> None:
    """x -> x - eta x^3 explodes from x = 3.6, not from x = .4 and 1.2; no look is in between."""
    of, how = Slope(0.0, 0.0, quartic=1.0), replace(CALM, lr=0.2)
    hold = Hold(steps=45, every=15, margin=0.01, stop=stop)
    found = held(of, [STRAIGHT] * 3, [0.1, 0.9, 0.3], how, hold)
    assert found.diverged.tolist() == [False, True, False]
    assert found.steps.tolist() == [45, 15, 45]
    assert found.first.tolist() == [0, 0, 0]
    assert found.traces[1] == []
    assert math.isnan(float(found.s[1]))
    for k, s0 in ((0, 0.1), (2, 0.3)):
        alone = held(of, [STRAIGHT], [s0], how, hold)
        assert float(found.s[k]) == pytest.approx(float(alone.s[0]), abs=CLOSE)
        assert len(found.traces[k]) == 3


def test_isotropic_noise_spreads_along_a_flat_path_as_diffusion() -> None:
    """Flat loss, put back at every step: s is a random walk, variance 2 T t / length^2; 9 % is 4 standard errors."""
    flat, K, T = Slope(0.0, 0.0), 4000, 0.02
    how = Dynamics(0.1, Sgd, noise="isotropic")
    begin = points_on(flat, [STRAIGHT] * K, [0.5] * K)
    streams = [Stream.of("walk", k) for k in range(K)]
    found = relax(flat, [STRAIGHT] * K, begin, how, Hold(steps=6, every=1), streams, torch.full((K,), T))
    assert float(found.s.var()) == pytest.approx(2 * T * 6 * 0.1 / LENGTH**2, rel=0.09)
    assert float(found.residual.square().mean()) == pytest.approx(2 * T * 0.1 / LENGTH**2, rel=0.09)
