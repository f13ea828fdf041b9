"""Paths that are made of two mechanisms: what they promise, what they do, and that their points are mechanisms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from science.auctions.examples import few_open, maximizers, seeds, uniform
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.problems.auctions import AffineMaximizer, Auction, RochetNet, Sampling
from mcdist.science.auctions import (
    SETTINGS,
    Beta,
    Exponential,
    Items,
    Law,
    Maximizers,
    Menus,
    Options,
    Steps,
    box,
    choose,
    judge,
    pieces,
)
from mcdist.science.paths import FAMILIES
from mcdist.science.points import Points
from mcdist.science.problem import Made
from mcdist.science.streams import Stream

CLOSE = 1e-12  # float64 on numbers near 1
SAMPLES = 1500
M = 24  # |K'| <= 5

few = settings(max_examples=15)
fewer = settings(max_examples=5)
ways = st.sampled_from(["three_pieces", "five_pieces"])


@dataclass(frozen=True)
class Case:
    """Valuations from `low` on, of which menus sell by lotteries of steepness c: x = c (v - low) at some v."""

    law: Law
    c: float = 1.0
    low: float = 0.0
    unit: bool = False


CASES = {
    "uniform_1": Case(SETTINGS["uniform_1"].law),
    "uniform_2": Case(SETTINGS["uniform_2"].law),
    "triangle": Case(SETTINGS["triangle"].law),
    "unit_demand_2_3": Case(SETTINGS["unit_demand_2_3"].law, c=0.5, low=2.0, unit=True),
    "beta": Case(Items((Beta(1.0, 2.0),) * 2)),
    "steps": Case(Items((Steps((0.0, 29 / 60, 49 / 60, 1.0), (1.0, 0.0, 1.0)),) * 2)),
    "exponential": Case(Items((Exponential(1.0),) * 2), c=0.25),
}
cases = st.sampled_from(list(CASES))
bounded = st.sampled_from([name for name, case in CASES.items() if math.isfinite(case.law.bound)])


def rochetnet(case: Case, size: int = M, dtype: torch.dtype = torch.float64, **sampling: int) -> RochetNet:
    own = Sampling(**{"held_out": SAMPLES, "fit": SAMPLES} | sampling)
    return RochetNet(case.law, size, unit_demand=case.unit, sampling=own, dtype=dtype)


def bidders(m: int = 2, size: int = M, dtype: torch.dtype = torch.float64, **said: Any) -> AffineMaximizer:
    own = Sampling(held_out=400, fit=400)
    return AffineMaximizer([box([0.0, 0.0], [0.5, 0.5])] * m, size, sampling=own, dtype=dtype, **said)


def in_use(case: Case, seed: int, size: int = M) -> Menus:
    """A menu with most options in use, as a trained one before it is good: planes that nearly touch c |v - low|^2 / 2,
    at valuations of the law."""
    v = case.law.sample(Stream.of("menu", seed), size)[None]
    x = (case.c * (v - case.low)).clamp(0.0, 1.0)
    p = (x * v).sum(-1) - case.c * (v - case.low).square().sum(-1) / 2
    return Menus(x, p.clamp(min=0.0) * (0.97 + 0.03 * uniform(seed, 1, size)))


def point(problem: Auction, options: Options) -> Points:
    return Points(problem.theta(options).to(problem.dtype), {})


def on_one_sample(problem: Auction) -> Auction:
    """What is held out is what options are chosen on."""
    problem.__dict__["held_out"] = problem.fit
    return problem


def connected(problem: Auction, kind: str, a: Options, b: Options, **said: Any) -> Made:
    return problem.connect(kind, point(problem, a), point(problem, b), **said)


def nothing_is_lost(columns: Any) -> None:
    """Flat, linear for each valuation, flat."""
    assert columns["eps_promised"] == columns["eps_sharp"] == 0.0
    assert columns["outer_changed"] == 0.0
    assert columns["middle_deviation"] < CLOSE
    assert abs(columns["shortfall"]) < CLOSE
    assert columns["promise_kept"] is True


# mechanisms that are 0-reducible


@few
@given(seed=seeds, name=cases, way=ways)
def test_between_reducible_menus_nothing_is_lost(seed: int, name: str, way: str) -> None:
    """Whenever what is kept on one sample is all that is taken on the other."""
    case = CASES[name]
    assume(way == "three_pieces" or math.isfinite(case.law.bound))
    a, b = (few_open(in_use(case, seed + i), seed + i, 100.0) for i in (0, 1))
    made = connected(rochetnet(case), way, a, b)
    assume(made.columns["eps_measured"] == 0.0)
    nothing_is_lost(made.columns)


@few
@given(seed=seeds, m=st.integers(1, 3), way=ways)
def test_between_reducible_maximizers_nothing_is_lost(seed: int, m: int, way: str) -> None:
    a, b = (few_open(maximizers(seed + i, K=1, M=M, m=m, w=False), seed + i, float(m)) for i in (0, 3))
    made = connected(on_one_sample(bidders(m)), way, a, b)
    nothing_is_lost(made.columns)


def test_a_pairing_at_random_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs in another order: flat no more, though linear between. Indices that are no pairs: not linear either."""
    case = CASES["uniform_2"]
    problem = on_one_sample(rochetnet(case))
    a, b = (few_open(in_use(case, i), i, 100.0) for i in (0, 1))
    nothing_is_lost(connected(problem, "three_pieces", a, b).columns)
    right = pieces.pairing
    draw = torch.Generator().manual_seed(0)

    def order() -> Tensor:
        return torch.cat([torch.zeros(1, dtype=torch.long), torch.randperm(M, generator=draw) + 1])

    def reordered(options: int, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        phi1, phi2 = right(options, first, second)
        return phi1[other := order()], phi2[other]

    def unpaired(options: int, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        phi1, phi2 = right(options, first, second)
        return phi1[order()], phi2[order()]

    for wrong, linear in ((reordered, True), (unpaired, False)):
        monkeypatch.setattr(pieces, "pairing", wrong)
        made = connected(problem, "three_pieces", a, b)
        found, plainly = made.columns, again(problem, "three_pieces", made.controls)
        assert found["outer_changed"] == plainly["outer_changed"] > 0.1
        assert found["middle_deviation"] == pytest.approx(plainly["middle_deviation"], abs=CLOSE)
        assert found["shortfall"] > 0.01
        assert found["promise_kept"] is False
        assert (found["middle_deviation"] < CLOSE) == linear


# any mechanisms


@few
@given(seed=seeds, name=cases, way=ways)
def test_the_promise_of_menus_is_kept_on_the_sample_it_was_made_on(seed: int, name: str, way: str) -> None:
    case = CASES[name]
    assume(way == "three_pieces" or math.isfinite(case.law.bound))
    problem = on_one_sample(rochetnet(case))
    found = connected(problem, way, in_use(case, seed), in_use(case, seed + 1)).columns
    assert found["shortfall"] <= found["eps_sharp"] + CLOSE
    assert found["eps_sharp"] <= found["eps_promised"] + CLOSE
    assert found["eps_measured"] == found["eps_promised"]
    assert found["middle_deviation"] < CLOSE
    assert found["promise_kept"] is True


@few
@given(seed=seeds, m=st.integers(1, 3), way=ways)
def test_the_promise_of_maximizers_is_kept_on_the_sample_it_was_made_on(seed: int, m: int, way: str) -> None:
    a, b = (maximizers(seed + i, K=1, M=M, m=m, w=False) for i in (0, 3))
    found = connected(on_one_sample(bidders(m)), way, a, b).columns
    assert found["shortfall"] <= found["eps_sharp"] + CLOSE
    assert found["eps_sharp"] <= found["eps_promised"] + CLOSE
    assert found["eps_measured"] == found["eps_promised"]
    assert found["middle_deviation"] < CLOSE
    assert found["promise_kept"] is True


@pytest.mark.parametrize("way", ["three_pieces", "five_pieces"])
def test_promises_are_kept_on_valuations_held_out(way: str) -> None:
    """No violation in 5 pairs for each law; and they are put to the test: much is promised, some of it is lost."""
    found = []
    for name, case in CASES.items():
        if way == "five_pieces" and not math.isfinite(case.law.bound):
            continue
        for seed in range(5):
            problem = rochetnet(case, seed=seed)
            found.append(dict(connected(problem, way, in_use(case, seed), in_use(case, seed + 50)).columns, name=name))
    assert [row for row in found if not row["promise_kept"]] == []
    assert sum(row["eps_promised"] > 0.1 for row in found) > len(found) / 2
    assert sum(row["shortfall"] > 3 * row["shortfall_stderr"] > 0 for row in found) > 3
    assert sum(row["eps_measured"] != row["eps_promised"] for row in found) > len(found) / 2


def again(problem: Auction, way: str, controls: Tensor) -> dict[str, Any]:
    """What a path does, by plain means, from the chain through its control points."""
    n = len(controls) - 1
    t = torch.linspace(0.0, 1.0, 8 * n + 1, dtype=torch.float64)
    paid = problem.options(FAMILIES[way].at(controls, t)).outcome(problem.held_out).payments[..., 0]
    revenue = paid.mean(1)
    least, end = int(revenue.argmin()), 0 if revenue[0] < revenue[-1] else -1
    fall = paid[end] - paid[least]
    first, between, last = (paid[8 * j : 8 * j + 9] for j in (n // 2 - 1, n // 2, n // 2 + 1))
    line = torch.lerp(between[:1], between[-1:], torch.arange(9, dtype=torch.float64)[:, None] / 8.0)
    changed = ((first - first[:1]).abs() > 1e-9).any(0) | ((last - last[-1:]).abs() > 1e-9).any(0)
    return {
        "shortfall": float(fall.mean()),
        "shortfall_stderr": float(fall.std()) / math.sqrt(len(fall)),
        "least": float(revenue[least]),
        "middle_deviation": float((between - line).abs().max()),
        "outer_changed": float(changed.double().mean()),
    }


@few
@given(seed=seeds, name=bounded, way=ways)
def test_what_is_said_of_a_path_is_what_its_control_points_do(seed: int, name: str, way: str) -> None:
    case = CASES[name]
    problem = rochetnet(case)
    a, b = in_use(case, seed), in_use(case, seed + 1)
    made = connected(problem, way, a, b)
    said, found = made.columns, again(problem, way, made.controls)
    assert said["pieces"] == FAMILIES[way].pieces == len(made.controls) - 1
    for column in ("shortfall", "shortfall_stderr", "middle_deviation", "outer_changed"):
        assert said[column] == pytest.approx(found[column], abs=CLOSE), column
    worst = FAMILIES[way].at(made.controls, torch.tensor([said["shortfall_t"]], dtype=torch.float64))
    assert float(problem.options(worst).outcome(problem.held_out).mean()) == pytest.approx(found["least"], abs=CLOSE)
    kept = [choose(o.outcome(problem.fit), M) for o in (a, b)]
    assert (said["kept_a"], said["kept_b"]) == (len(kept[0]), len(kept[1]))
    for column, v in (("eps_promised", problem.fit), ("eps_measured", problem.held_out)):
        lost = max(judge(o.outcome(v), k).lost for o, k in zip((a, b), kept, strict=True))
        assert said[column] == pytest.approx(lost * case.law.bound, abs=CLOSE)


def test_fewer_options_may_be_kept() -> None:
    case = CASES["uniform_2"]
    all_room, less = (
        connected(rochetnet(case), "three_pieces", in_use(case, 0), in_use(case, 1), keep=k).columns for k in (None, 3)
    )
    assert (all_room["kept_a"], all_room["kept_b"]) == (5, 5)
    assert (less["kept_a"], less["kept_b"]) == (3, 3)
    assert less["eps_promised"] > all_room["eps_promised"]
    with pytest.raises(RequestError, match="6 and 6 options needs 36"):
        connected(rochetnet(case), "three_pieces", in_use(case, 0), in_use(case, 1), keep=6)


@fewer
@given(seed=seeds, way=ways, factor=st.sampled_from([0.01, 3.0, 5000.0]))
def test_values_in_other_units_make_the_same_path(seed: int, way: str, factor: float) -> None:
    """v and p times a factor: everything in units of revenue scales, and nothing else changes."""
    one, a, b = CASES["uniform_2"], in_use(CASES["uniform_2"], seed), in_use(CASES["uniform_2"], seed + 1)
    other = Case(box([0.0, 0.0], [factor, factor]))
    before = connected(rochetnet(one), way, a, b).columns
    after = connected(rochetnet(other), way, Menus(a.x, factor * a.p), Menus(b.x, factor * b.p)).columns
    for column in ("eps_promised", "eps_sharp", "eps_measured", "shortfall", "shortfall_stderr"):
        assert after[column] == pytest.approx(factor * before[column], rel=1e-9, abs=CLOSE * factor), column
    assert after["outer_changed"] == before["outer_changed"]
    assert after["promise_kept"] is before["promise_kept"] is True
    assert after["middle_deviation"] < CLOSE * max(1.0, factor)


# large menus


@fewer
@given(seed=seeds, of=st.sampled_from([("uniform_1", 255, 0.5), ("uniform_1", 24, 0.9), ("uniform_2", 255, 2.0)]))
def test_any_large_menus_lose_no_more_than_asked(seed: int, of: tuple[str, int, float]) -> None:
    """Just large enough; of two items eps in units of revenue, the greatest |v|_1 being 2."""
    name, size, eps = of
    case = CASES[name]
    problem = rochetnet(case, size)
    made = connected(problem, "large_menu", in_use(case, seed, size), in_use(case, seed + 1, size), eps=eps)
    said = made.columns
    assert said["eps_promised"] == said["eps_sharp"] == said["eps_measured"] == eps
    assert said["shortfall"] <= eps
    assert said["promise_kept"] is True
    assert said["middle_deviation"] < CLOSE
    assert said["outer_changed"] == 0.0
    assert max(said["kept_a"], said["kept_b"]) <= math.isqrt(size + 1)
    assert (said["pieces"], len(made.controls)) == (5, 6)
    paid = problem.options(made.controls).outcome(problem.held_out).payments[..., 0]
    assert (paid[1] >= paid[0] - eps - CLOSE).all()
    assert (paid[-2] >= paid[-1] - eps - CLOSE).all()


def test_a_menu_too_small_is_told_how_large_it_must_be() -> None:
    case = CASES["uniform_1"]
    with pytest.raises(RequestError, match=r"= 255 options for 1 items .* the menus have 24"):
        connected(rochetnet(case), "large_menu", in_use(case, 0), in_use(case, 1), eps=0.5)
    with pytest.raises(RequestError, match="menus of one buyer"):
        connected(bidders(), "large_menu", maximizers(0, K=1, M=M), maximizers(1, K=1, M=M), eps=0.5)


# valuations without a bound, weights that differ


def test_without_a_bound_the_promise_is_the_revenue_given_up() -> None:
    case = CASES["exponential"]
    said = connected(rochetnet(case), "three_pieces", in_use(case, 0), in_use(case, 1)).columns
    assert 0.0 < said["eps_sharp"] < math.inf
    assert said["eps_promised"] == said["eps_sharp"]
    held = rochetnet(case).held_out
    outcomes = [o.outcome(held) for o in (in_use(case, 0), in_use(case, 1))]
    kept = [choose(o.outcome(rochetnet(case).fit), M) for o in (in_use(case, 0), in_use(case, 1))]
    lost = [float(o.revenue[0][~torch.isin(o.taken[0, :, 0], k)].sum()) for o, k in zip(outcomes, kept, strict=True)]
    assert said["eps_measured"] == pytest.approx(max(lost) / SAMPLES, abs=CLOSE)
    with pytest.raises(RequestError, match="not bounded by inf"):
        connected(rochetnet(case), "five_pieces", in_use(case, 0), in_use(case, 1))


def test_maximizers_of_other_weights_have_no_path_in_pieces() -> None:
    problem = bidders(learned=True)
    a, b = (maximizers(i, K=1, M=M, w=False) for i in (0, 3))
    b = Maximizers(b.x, b.b, b.w * torch.tensor([[1.0, 1.5]], dtype=torch.float64))
    with pytest.raises(RequestError, match=r"same weights, not \[1\.0, 1\.0\] and \[1\.0, 1\.5\]"):
        connected(problem, "three_pieces", a, b)
    made = connected(problem, "three_pieces", a, Maximizers(b.x, b.b, a.w))
    assert torch.equal(problem.layout.views(made.controls)["weights"], torch.ones(4, 2, dtype=torch.float64))


# every path


def ends_of(problem: Auction, seed: int) -> tuple[Points, Points]:
    """Random mechanisms; prices and boosts too."""
    found: list[Points] = []
    for end in ("a", "b"):
        theta = problem.initial(Stream.of(end, seed)).theta.double()
        theta = theta + 0.2 * uniform(seed + len(found), *theta.shape) * (theta == 0.0)
        problem.confine(theta)
        found.append(Points(theta.to(problem.dtype), {}))
    return found[0], found[1]


PROBLEMS: dict[str, Callable[[torch.dtype], Auction]] = {
    "additive": lambda dtype: rochetnet(CASES["uniform_2"], 15, dtype),
    "unit demand": lambda dtype: rochetnet(CASES["unit_demand_2_3"], 15, dtype),
    "bidders": lambda dtype: bidders(2, 15, dtype),
    "learned weights": lambda dtype: bidders(3, 15, dtype, learned=True),
    "one item": lambda dtype: rochetnet(CASES["uniform_1"], 15, dtype),
}
every_problem = pytest.mark.parametrize("of", PROBLEMS)
MADE: dict[str, dict[str, Any]] = {"logits": {}, "three_pieces": {}, "five_pieces": {}, "large_menu": {"eps": 1.0}}
POSSIBLE = [(of, kind) for of in PROBLEMS for kind in MADE if kind != "large_menu" or of == "one item"]
every_made_path = pytest.mark.parametrize(("of", "kind"), POSSIBLE)
both_types = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@both_types
@every_made_path
def test_ends_are_kept_bit_for_bit_in_their_own_type(of: str, kind: str, dtype: torch.dtype) -> None:
    """And the corners of pieces are numbers of the ends: allocations and prices of the second and third corner are
    there at an end (closed, or rounded, first of five)."""
    problem = PROBLEMS[of](dtype)
    a, b = ends_of(problem, 0)
    made = problem.connect(kind, a, b, **MADE[kind])
    assert made.controls.dtype == dtype
    path = FAMILIES[kind].at(made.controls, torch.tensor([0.0, 1.0]))
    assert torch.equal(path, torch.cat([a.theta, b.theta]))
    if kind == "three_pieces":
        for corner, end in ((1, a), (2, b)):
            numbers = torch.cat([end.theta[0], torch.zeros(1, dtype=dtype)])
            assert torch.isin(made.controls[corner], numbers).all()


@both_types
@every_made_path
@fewer
@given(seed=seeds, t=st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
def test_every_point_of_a_made_path_is_a_mechanism(
    of: str, kind: str, dtype: torch.dtype, seed: int, t: list[float]
) -> None:
    """Supply is at most 1, prices at least 0, weights positive, up to rounding of the type."""
    problem = PROBLEMS[of](dtype)
    made = problem.connect(kind, *ends_of(problem, seed), **MADE[kind])
    feasible(problem, FAMILIES[kind].at(made.controls, torch.tensor(t, dtype=torch.float64)))


@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if not family.made])
@every_problem
@fewer
@given(seed=seeds, t=st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
def test_every_point_of_a_path_through_mechanisms_is_one(of: str, kind: str, seed: int, t: list[float]) -> None:
    """Combinations of them with coefficients that are 0 or more and sum to 1, whatever the bends."""
    problem = PROBLEMS[of](torch.float64)
    ends = [end.theta for s in range(1 if kind == "linear" else 2) for end in ends_of(problem, seed + s)]
    feasible(problem, FAMILIES[kind].at(torch.cat(ends), torch.tensor(t, dtype=torch.float64)))


def feasible(problem: Auction, theta: Tensor) -> None:
    options, rounding = problem.options(theta.double()), 4 * torch.finfo(problem.dtype).eps
    assert float(options.excess(getattr(problem, "unit_demand", False)).max()) <= rounding
    if isinstance(options, Menus):
        assert float(options.p.min()) >= 0.0
    if isinstance(options, Maximizers):
        assert float(options.w.min()) > 0.0


@every_problem
@fewer
@given(seed=seeds)
def test_the_corners_of_the_line_in_logits_are_on_it(of: str, seed: int) -> None:
    """By the definition: x = sigmoid of (1 - t) z_a + t z_b, or with the share of nobody; all else straight."""
    problem = PROBLEMS[of](torch.float64)
    a, b = ends_of(problem, seed)
    controls = problem.connect("logits", a, b).controls
    many, shape = problem.layout.sizes[0], problem.layout.shapes[0]

    def z(theta: Tensor) -> Tensor:
        x = theta[:many].reshape(shape)
        nobody = 1.0 - x if problem.axis is None else 1.0 - x.sum(problem.axis, keepdim=True)
        return torch.log(x.clamp(min=1e-12) / nobody.clamp(min=1e-12))

    for j, t in enumerate(torch.linspace(0.0, 1.0, len(controls), dtype=torch.float64)):
        line = (1 - t) * z(a.theta[0]) + t * z(b.theta[0])
        if problem.axis is None:
            x = 1.0 / (1.0 + torch.exp(-line))
        else:
            odds = torch.exp(line)
            x = odds / (1.0 + odds.sum(problem.axis, keepdim=True))
        assert torch.allclose(controls[j, :many].reshape(shape), x, rtol=0, atol=1e-10), j
        rest = (1 - t) * a.theta[0, many:] + t * b.theta[0, many:]
        assert torch.allclose(controls[j, many:], rest, rtol=0, atol=CLOSE), j
