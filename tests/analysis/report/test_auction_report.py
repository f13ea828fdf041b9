"""The report of auctions as a reader sees it: revenue alone, claims with their numbers, and networks beside."""

import re

import numpy as np
import pytest

from mcdist.analysis import auction_barriers, families, menu_summary, promise_summary, write_report
from mcdist.analysis.report import auction_figures, figures, measured_figures
from mcdist.analysis.report.pictures import Picture
from mcdist.store import open_store

from ..auctioned import OPTIMUM, SIZES, auction_sweep, menu
from ..frames import frame, task
from ..measured import curvature_rows
from .test_report import Page, one_metric, put


@pytest.fixture(autouse=True)
def unpainted(monkeypatch, request):
    """Figures are made but not painted, which takes longest."""
    if "whole" not in request.fixturenames:
        for module in (auction_figures, figures, measured_figures):
            monkeypatch.setattr(module, "picture", lambda figure, alt: Picture("data:,", alt))


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store", create=True)


def page_of(store, tmp_path, sweep=None):
    return Page(write_report(store, tmp_path / "r.html", sweep).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder, rows = tmp_path_factory.mktemp("auctions"), auction_sweep(seeds=range(4))
    store = open_store(folder / "store", create=True)
    put(store, "auctions", rows)
    page = Page(write_report(store, folder / "r.html").read_text(encoding="utf-8"))
    return page, {name: frame(name, part) for name, part in rows.items()}


CHAPTER = "Auctions: uniform_2, rochetnet"


def claims(page):
    """Claim, what it is of, verdict, numbers; the claim written out in each row."""
    rows, last = [], ""
    for cells in page.table("Claim", "Of")[1:]:
        last = cells[0] or last
        rows.append((last, *cells[1:]))
    return rows


def test_an_auction_has_revenue_and_no_error_or_loss(whole):
    page, _ = whole
    assert CHAPTER in page.headings
    shown = re.sub(r"# resolved.*", "", page.text)
    for absent in ("error", "Train loss", "train loss", "nats", "saddle", "Test"):
        words = [line for line in shown.splitlines() if absent in line and "standard error" not in line]
        assert not [line for line in words if "the error of the sample" not in line], absent
    assert "The data do not show" not in page.text
    assert page.table("Problem") == []
    assert [image["alt"].split(".")[0] for image in page.images] == [
        "Areas of valuations that take each option, menu by menu",
        "Reducibility of menus against their size",
        "Mean revenue against t for each kind of path",
        "Mean barrier of revenue against menu size, by kind of path",
    ]


def test_end_points_by_size(whole):
    page, tables = whole
    rows = page.table("Auction", "Surrogate's revenue")[1:]
    assert [row[1] for row in rows] == [f"{size} options" for size in SIZES]
    assert [row[0] for row in rows] == ["uniform_2, rochetnet", "", ""]
    mean = tables["menus"].query("menu_size == 8")["revenue_exact"].mean()
    assert rows[0][2:5] == ["4", f"{mean:.4f}0.5442 to 0.5445", "exact"]


def test_what_menus_earn_is_menu_summary(whole):
    page, tables = whole
    summary = menu_summary(tables["menus"]).iloc[0]
    row = page.table("Best of seeds", "Menus of")[1]
    ends = f"[{summary['revenue_low']:.4f}, {summary['revenue_high']:.4f}]"
    assert row[:3] == ["8 options", "4", f"{summary['revenue']:.4f}{ends}"]
    assert row[5] == f"{summary['gap']:.2f}[{summary['gap_low']:.2f}, {summary['gap_high']:.2f}]"
    assert (row[6], row[8]) == ("0 % [0, 60]", "4 to 5")
    reducible = page.table("May keep")[1]
    assert reducible[:4] == ["8 options", "4", "4.5", "3"]
    assert reducible[6] == "0 % [0, 60]"


def test_barriers_are_auction_barriers(whole):
    page, tables = whole
    table = auction_barriers(tables["barriers"], families=families(tables["endpoints"]))
    found = table[table["problem"].str.endswith(" 8")].iloc[0]
    row = page.table("Greatest, %", "Pairs with a barrier")[1]
    assert row[:3] == ["8 options", "linear", "6"]
    middle, ends = re.fullmatch(r"([\d.]+)(\[.*\])", row[3]).groups()
    assert float(middle) == pytest.approx(found["estimate"], abs=0.05)
    assert ends.startswith("[")
    assert row[6:9] == ["6 of 6", "100 % [40, 100]", "2.00"]
    made = page.table("Greatest, %", "Pairs with a barrier")[3]
    assert (made[1], made[6], made[7]) == ("three pieces", "0 of 6", "0 % [0, 60]")


def test_promises(whole):
    page, tables = whole
    row = page.table("Promises kept [95\u00a0%]")[1]
    found = promise_summary(tables["paths"]).iloc[0]
    assert row[:5] == ["8 options", "three pieces", "6", "2 to 3", "0.0500at most 0.0500"]
    assert row[9] == "6 of 6100 % [40, 100]"
    assert found["kept"] == 18


def test_claims_and_their_verdicts(whole):
    rows = claims(whole[0])
    verdicts = {(claim, of): verdict for claim, of, verdict, _ in rows}
    within = "Trained menus reach the optimum within 0.5 %"
    assert [verdicts[within, f"{size} options"] for size in SIZES] == [
        "the data show the opposite",
        "not shown",
        "shown",
    ]
    lower = "After matching of options they are lower"
    assert {verdicts[lower, f"{size} options"] for size in SIZES} == {"shown"}
    assert verdicts["The bigger the menu, the lower the barrier", "linear"] == "shown"
    assert verdicts["The bigger the menu, the lower the barrier", "three pieces"] == "not shown"
    assert verdicts["The bigger the menu, the more reducible", "menus"] == "shown"
    assert verdicts["Paths made of their ends keep their promises", "three pieces"] == "shown"
    (numbers,) = [
        n for c, of, _, n in rows if (c, of) == ("The bigger the menu, the lower the barrier", "three pieces")
    ]
    assert numbers == "no barrier is shown (18 in all, 0 above 0)"


def test_straight_lines_have_barriers_where_the_median_is_above_0_and_most_pairs_show_one(whole, store, tmp_path):
    rows = {of: (verdict, numbers) for claim, of, verdict, numbers in claims(whole[0]) if claim.startswith("Straight")}
    verdict, numbers = rows["8 options"]
    assert verdict == "shown"
    assert numbers.startswith("6 of 6 pairs, 100 % [40, 100]; median ")
    flat = auction_sweep(sizes=(8,), seeds=range(8))
    for row in flat["barriers"]:
        row["barrier_max"] = 0.0
    put(store, "flat", flat)
    verdict, numbers = next((v, n) for c, _, v, n in claims(page_of(store, tmp_path)) if c.startswith("Straight"))
    assert verdict == "the data show the opposite"
    assert numbers.startswith("0 of 28 pairs, 0 % [0, 37]; median 0 ")


def test_a_broken_promise_shows_the_opposite(store, tmp_path):
    rows = auction_sweep(sizes=(8,), seeds=range(4))
    broken = next(path for path in rows["paths"] if path["kind"] == "three_pieces")
    broken.update(shortfall=0.2, promise_kept=False)
    put(store, "a", rows)
    page = page_of(store, tmp_path)
    verdict, numbers = next((v, n) for c, _, v, n in claims(page) if c.startswith("Paths made"))
    assert verdict == "the data show the opposite"
    assert numbers.startswith("5 of 6 kept, 83 %")


def test_known_revenues_beside_measured_ones(whole):
    page, tables = whole
    rows = page.table("What is known")
    assert rows[1][0:3] == ["uniform_2", "optimumSomebody", "0.5500"]
    assert rows[1][6] == "less"
    assert rows[2][1:3] == ["best simple auction: items apart", "0.5000"]
    assert rows[2][6] == "more"
    best = tables["menus"].query("menu_size == 32")["revenue_exact"].max()
    assert rows[1][5] == f"{best:.4f}"
    assert best < OPTIMUM


def test_learned_mechanisms_that_were_published_stand_beside_an_affine_maximizer(store, tmp_path):
    about = {"setting": "bidders_2_items_2", "mechanism": "affine_maximizer", "m": 2}
    put(store, "a", auction_sweep(sizes=(8,), seeds=range(4), exact=False, revenue_optimal=None, **about))
    page = page_of(store, tmp_path)
    rows = page.table("What is known")
    assert [row[2] for row in rows[1:]] == ["0.5000", "0.8680", "0.8620", "0.8780"]
    assert "not verified" in rows[2][7]
    assert "revenue by sample" in page.table("Greatest, %", "Pairs with a barrier")[1][-1]
    assert "Menus can be drawn for one buyer" in page.text
    assert page.table("Best of seeds", "Menus of")[1][3] == "held out, ± 0.0020"


def test_networks_and_auctions_in_one_store(store, tmp_path):
    put(store, "both", one_metric(seeds=range(4)), auction_sweep(sizes=(8,), seeds=range(4)))
    page = page_of(store, tmp_path)
    assert [page.headings.count(name) for name in ("digits", CHAPTER)] == [1, 1]
    ends = page.table("Problem", "Count")
    assert len(ends) == 2
    assert ends[1][0].startswith("digits")
    assert len(page.table("Auction", "Menus of")) == 2
    assert not [row for row in page.barriers if "revenue" in row[0]]
    (published,) = [rows for rows in page.tables if "Quantity" in rows[0]]
    assert "uniform_2" not in str(published)


def test_two_sizes_have_no_trend_and_say_why(store, tmp_path):
    put(store, "two", auction_sweep(sizes=(8, 16), seeds=range(4)))
    numbers = [n for c, _, _, n in claims(page_of(store, tmp_path)) if c.startswith("The bigger")]
    assert len(numbers) == 4
    assert all(n.startswith("2 menu sizes: a trend needs 3") for n in numbers)


def test_end_points_alone(store, tmp_path):
    rows = auction_sweep(sizes=(8,), seeds=range(3))
    put(store, "ends", rows | {"paths": [], "path_points": [], "barriers": []})
    page = page_of(store, tmp_path)
    assert "The data do not show any barrier: no path of this chapter has a measured profile." in page.text
    assert "too few seeds: 3 independent, 4 needed" in page.text


def test_an_auction_whose_numbers_are_not_finite_is_missing_and_counted(store, tmp_path):
    rows = auction_sweep(sizes=(8,), seeds=range(5))
    gone = menu(8, 4)["endpoint_id"]
    rows["menus"] = [row for row in rows["menus"] if row["endpoint_id"] != gone]
    put(store, "a", rows)
    page = page_of(store, tmp_path)
    table = page.table("Auction", "Menus of")
    assert ["size not known", "1"] in [row[1:3] for row in table]
    assert "1 missing" in str(table)


def test_curvature_of_auctions_has_a_chapter_of_its_own(store, tmp_path):
    rows = auction_sweep(sizes=(8,), seeds=range(4))
    rows["curvature"] = [row for path in rows["paths"][:6] for row in curvature_rows(path)]
    rows["tasks"] += [task(name, "curvature") for name in {row["task_id"] for row in rows["curvature"]}]
    put(store, "a", rows)
    page = page_of(store, tmp_path)
    assert "uniform_2/rochetnet 8" in page.headings
    assert "minus the revenue of the surrogate" in page.text
    assert "Curvature along the paths" in page.headings
    assert not {"Barriers", "Families of paths", "Planes", "Profiles"} & set(page.headings)
    assert np.all(["nats" not in row for rows in page.tables for row in map(str, rows)])
