"""Settings of the literature: optimal menus earn what they are said to, and no menu beside them earns more."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from mcdist.science.auctions import SETTINGS, Items, Menus, Uniform, exact_revenue
from mcdist.science.streams import Stream

from .examples import menu, uniform
from .test_affine import deterministic

KNOWN = [name for name, setting in SETTINGS.items() if setting.menu]


@pytest.mark.parametrize("name", KNOWN)
def test_the_optimal_menu_earns_the_optimum(name: str) -> None:
    setting = SETTINGS[name]
    best = setting.optimum()
    assert best is not None
    best.check(setting.unit_demand)
    assert float(exact_revenue(best, setting.law)) == pytest.approx(setting.revenue, abs=1e-14)


def test_the_optima_as_they_are_printed() -> None:
    printed = {"uniform_1": 0.25, "uniform_2": 0.549201, "unit_demand_2_3": 2.133132, "triangle": 0.384900}
    assert printed.keys() == set(KNOWN)
    for name, value in printed.items():
        assert SETTINGS[name].revenue == pytest.approx(value, abs=5e-7)


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("step", [1e-3, 1e-2])
def test_no_menu_beside_it_earns_more(name: str, step: float) -> None:
    """Forty menus with two options more, all of them moved a little, and feasible."""
    setting = SETTINGS[name]
    best = setting.optimum()
    assert best is not None
    x = torch.cat([best.x, best.x[:, :1], 0.5 * best.x[:, -1:]], 1)
    p = torch.cat([best.p, best.p[:, :1], 0.5 * best.p[:, -1:]], 1)
    x = (x + step * (2.0 * uniform(0, 40, *x.shape[1:]) - 1.0)).clamp(0.0, 1.0)
    if setting.unit_demand:
        x = x / x.sum(-1, keepdim=True).clamp(min=1.0)
    near = Menus(x, p + step * (2.0 * uniform(1, 40, p.shape[1]) - 1.0))
    near.check(setting.unit_demand)
    found = exact_revenue(near, setting.law)
    assert setting.revenue is not None
    assert (found <= setting.revenue + 1e-12).all()
    assert float(found.max()) > 0.9 * setting.revenue


def test_simple_menus_for_two_items() -> None:
    law, baselines = SETTINGS["uniform_2"].law, SETTINGS["uniform_2"].baselines
    apart = menu(((1.0, 0.0), 0.5), ((0.0, 1.0), 0.5), ((1.0, 1.0), 1.0))
    assert float(exact_revenue(apart, law)) == pytest.approx(baselines["items_apart"], abs=1e-14)
    bundle = menu(((1.0, 1.0), math.sqrt(2 / 3)))
    assert float(exact_revenue(bundle, law)) == pytest.approx(baselines["bundle"], abs=1e-14)
    assert baselines["bundle"] == pytest.approx(0.544331, abs=5e-7)


def test_the_straight_jacket_for_three_items() -> None:
    """One item at 3/4, two at (6 - sqrt 2) / 4, all at 1.2257, by a sample."""
    setting = SETTINGS["uniform_3"]
    prices = {1: 0.75, 2: (6 - math.sqrt(2)) / 4, 3: 1.2257}
    sets = [s for s in itertools.product([0.0, 1.0], repeat=3) if any(s)]
    jacket = menu(*((s, prices[round(sum(s))]) for s in sets))
    found = jacket.outcome(setting.law.sample(Stream.of("jacket"), 50_000))
    assert abs(float(found.mean()) - 0.875) < 4.0 * float(found.stderr()) + 5e-4


@pytest.mark.parametrize(("bidders", "items"), [(2, 2), (3, 2)])
def test_baselines_of_several_bidders(bidders: int, items: int) -> None:
    """Each item by itself, so that those of 5 and 10 items are multiples; as affine maximizers of all assignments."""
    setting = SETTINGS["bidders_2_items_2" if bidders == 2 else "bidders_3_items_10"]
    v = uniform(0, 20_000, bidders, items)
    for name, boost in (("vcg", 0.0), ("myerson_by_item", -0.5)):
        found = deterministic(bidders, items, boost).outcome(v)
        expected = setting.baselines[name] * items / setting.law.items
        assert abs(float(found.mean()) - expected) < 4.0 * float(found.stderr())


def test_what_is_not_known_is_not_made_up() -> None:
    for name, setting in SETTINGS.items():
        assert (setting.revenue is None) == (setting.bidders > 1), name
        assert (setting.source is None) == (setting.revenue is None), name
        assert setting.law.bound == setting.law.items or name in ("triangle", "unit_demand_2_3"), name
    assert SETTINGS["uniform_6"].law == Items((Uniform(),) * 6)
    assert SETTINGS["beta_1_2"].optimum() is None
