"""What is said of a mechanism in tables `menus` and `menu_options`."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from mcdist.problems.auctions import Auction, RochetNet, Sampling
from mcdist.science.auctions import SETTINGS, Atoms, Exponential, Items, Menus
from mcdist.science.points import Points
from mcdist.store.schemas import TABLES

from .auctioned import KINDS, SAMPLING, auction, starts

SAID = {"problem": "p", "dataset": "d", "model": "m", "seed": 4, "epochs": 3, "lr": 0.1, "optimizer": "adam"}


def described(of: Auction, points: Points, **said: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of a menu (K = 1) and those of its options."""
    metrics = {name: float(values[0]) for name, values in of.evaluate(points).items()}
    (rows,) = of.tables(points, [SAID | metrics | said])
    (menu,) = rows["menus"]
    return menu, rows["menu_options"]


def optimal(name: str, size: int = 8) -> tuple[RochetNet, Points]:
    """A setting's optimal menu, filled up with options that nobody takes."""
    setting = SETTINGS[name]
    best = setting.optimum()
    assert best is not None
    more = torch.nn.functional.pad(best.rows(), (0, 0, 0, size - best.size))
    of = RochetNet(setting.law, size, unit_demand=setting.unit_demand, setting=setting, sampling=SAMPLING)
    return of, Points(of.theta(best.of(more)), {})


def test_an_optimal_menu_is_described_as_published() -> None:
    menu, options = described(*optimal("uniform_2"))
    assert menu["revenue_exact"] == pytest.approx(menu["revenue_optimal"], abs=1e-12)
    assert menu["optimal_source"] == "Manelli & Vincent 2006"
    assert (menu["baseline"], menu["revenue_baseline"]) == ("bundle", pytest.approx((2 / 3) ** 1.5))
    assert (menu["n"], menu["m"], menu["menu_size"], menu["capacity"]) == (2, 1, 8, 3)
    assert (menu["iterations"], menu["epochs"], menu["seed"], menu["lr"]) == (18, 3, 4, 0.1)
    assert (menu["setting"], menu["mechanism"], menu["problem"], menu["allocation"]) == ("d", "m", "p", "projection")
    assert (menu["bound"], menu["held_out"], menu["n_active"]) == (2.0, 500, 4)
    assert [option["option"] for option in options] == [0, 1, 2, 3]
    # two items for 2/3 each: v1 > 2/3, v2 below the bundle's price for the second one
    second = (2 - math.sqrt(2)) / 3
    assert options[1]["mass"] == pytest.approx(second / 3, abs=1e-12)
    assert sorted(options[1]["corners"]) == [
        pytest.approx(corner) for corner in [[2 / 3, 0.0], [2 / 3, second], [1.0, 0.0], [1.0, second]]
    ]
    assert options[0] | {"corners": None, "share": None, "mass": None} == {
        **{"option": 0, "allocation": [0.0, 0.0], "price": 0.0},
        **{"corners": None, "share": None, "mass": None},
    }


def test_one_item_is_sold_on_intervals() -> None:
    _, options = described(*optimal("uniform_1"))
    assert [option["corners"] for option in options] == [[[0.0], [0.5]], [[0.5], [1.0]]]
    assert [option["mass"] for option in options] == [pytest.approx(0.5), pytest.approx(0.5)]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_such_as_tables_have(kind: str) -> None:
    """Every column is one of the table's; what is not known is left out; shares and masses add up to 1."""
    of = auction(kind)
    menu, options = described(of, starts(of, 0))
    for table, rows in (("menus", [menu]), ("menu_options", options)):
        types = {field.name: field.type for field in TABLES[table].schema}
        for row in rows:
            assert set(row) <= set(types)
            assert not any(isinstance(value, float) and not math.isfinite(value) for value in row.values())
    assert sum(option["share"] for option in options) == pytest.approx(1.0)
    one = len(of.laws) == 1
    assert all(("price" in option) == one == ("boost" not in option) for option in options)
    assert ("bidder_weights" in menu) != one
    if one:
        assert sum(option["mass"] for option in options) == pytest.approx(1.0)
    else:
        assert all("mass" not in option and "corners" not in option for option in options)
    assert menu["allocation"] == {"sigmoid": "sigmoid", "unit sigmoid": "sigmoid", "softmax": "softmax"}.get(
        kind, "projection"
    )
    assert {"revenue_optimal", "optimal_source", "revenue_baseline", "baseline"}.isdisjoint(menu)


@pytest.mark.parametrize("kind", ["additive", "bidders"])
def test_reducibility_is_chosen_on_one_sample_and_judged_on_another(kind: str) -> None:
    """Of 7 options and the default, a menu keeps 2: here the option most taken of the fit sample."""
    of = auction(kind)
    points = starts(of, 1)
    menu, _ = described(of, points)
    options, m = of.options(points.theta), len(of.laws)
    fit, held = options.outcome(of.fit), options.outcome(of.held_out)
    assert menu["capacity"] == 2
    if m == 1:
        counts = torch.bincount(fit.taken.flatten(), minlength=8)
        kept = [0, int(counts[1:].argmax()) + 1]
    else:
        losses = [~torch.isin(fit.taken[0], torch.tensor([0, k])).all(1) for k in range(1, 8)]
        least = min(float(lost.double().mean()) for lost in losses)
        assert menu["reducibility_fit"] >= m * least - 1e-12
        return
    lost = {name: ~torch.isin(on.taken[0], torch.tensor(kept)).all(1) for name, on in (("fit", fit), ("held", held))}
    assert menu["n_kept"] == 2
    assert menu["reducibility_fit"] == pytest.approx(float(lost["fit"].double().mean()))
    assert menu["reducibility"] == pytest.approx(float(lost["held"].double().mean()))
    assert menu["dropped_revenue"] == pytest.approx(float((held.revenue[0] * lost["held"]).mean()))


def test_the_soft_revenue_is_that_of_the_held_out_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    of = auction()
    points = starts(of, 0)
    expected = float(of.options(points.theta).surrogate(of.held_out, of.kappa))
    monkeypatch.setattr("mcdist.problems.auctions.auction.ELEMENTS", 1000)
    assert described(of, points)[0]["revenue_soft"] == pytest.approx(expected, abs=1e-12)


def test_masses_of_atoms_are_probabilities() -> None:
    of = RochetNet(Atoms(((1.0,), (2.0,)), (1.0, 3.0)), 2, sampling=Sampling(held_out=50, fit=10))
    menu = Menus(torch.tensor([[[1.0], [0.5]]]).double(), torch.tensor([[1.5, 0.5]]).double())
    _, options = described(of, Points(of.theta(menu), {}))
    # the first type takes half for .5 (and has nothing of it), the second all for 1.5: ties go to the higher price
    assert {option["option"]: option["mass"] for option in options} == {0: 0.0, 1: 0.75, 2: 0.25}
    assert all("corners" not in option for option in options)


def test_a_bound_that_is_none_is_left_out() -> None:
    of = auction(law=Items((Exponential(), Exponential())))
    menu, options = described(of, starts(of, 0))
    assert "bound" not in menu
    assert "revenue_exact" not in menu
    assert all("mass" not in option for option in options)


def test_numbers_that_are_none_are_not_described() -> None:
    of = auction()
    theta = torch.full((1, of.layout.size), float("nan"), dtype=torch.float64)
    assert of.tables(Points(theta, {}), [SAID]) == [{}]
