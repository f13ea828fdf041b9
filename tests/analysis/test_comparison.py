"""Published numbers beside measured ones."""

import pandas as pd
import pytest

from mcdist.analysis import PUBLISHED, published_table
from mcdist.analysis.published import QUANTITIES

from .frames import frame, sweep_rows
from .measured import S, bump, spectrum_rows, with_measures

NAMES = ("endpoints", "paths", "path_points", "barriers", "curvature", "spectra")
VARIANTS = (("bezier", False, {}), ("bezier", True, {"alignment": "weights"}), ("chain", False, {}))


def rows_of(**options):
    rows = with_measures(sweep_rows(variants=VARIANTS, **options), {"bezier": 1.0})
    for path in rows["paths"]:
        path.update(length=3.0, chord=2.0)
    rows["spectra"] = [row for path in rows["paths"] for row in spectrum_rows(path)]
    return rows


def tables_of(rows):
    return {name: frame(name, rows[name]) for name in NAMES}


@pytest.fixture(scope="module")
def tables():
    return tables_of(rows_of())


@pytest.fixture(scope="module")
def table(tables):
    return published_table(tables)


def one(table, name, kind=None):
    rows = table[table["name"] == name]
    (row,) = rows[rows["kind"] == kind if kind else slice(None)].to_dict("records")
    return row


def test_every_number_has_a_source_a_range_and_a_setting():
    assert len({entry.name for entry in PUBLISHED}) == len(PUBLISHED)
    for entry in PUBLISHED:
        assert entry.source
        assert entry.setting
        assert entry.kinds
        assert entry.quantity in QUANTITIES
        assert entry.low is not None or entry.high is not None
        if entry.low is not None and entry.high is not None:
            assert entry.low <= entry.high


def test_names_and_values_that_notebooks_rely_on():
    found = {entry.name: entry.text for entry in PUBLISHED}
    assert found["garipov-cifar100-vgg16-bezier-min-train-loss"] == "0.54"
    assert found["garipov-cifar100-vgg16-chain-max-train-loss"] == "1.18"
    assert found["garipov-cifar10-preresnet164-bezier-max-test-error"] == "0.0021"
    assert found["draxler-stretch"] == "1.5 to 2.5"
    assert found["draxler-test-error-rise"] == "at most 0.005"
    assert found["di-carlo-fisher-trace"] == "2 to 3"
    assert found["di-carlo-lambda-max"] == "about 2"


def test_losses_and_errors_on_the_curve_against_its_ends(tables, table):
    paths = tables["paths"].query("kind == 'bezier' and not aligned")
    points = tables["path_points"][tables["path_points"]["path_id"].isin(paths["path_id"])]
    ends = points[points["t"].isin([0, 1])].groupby("path_id")
    on = points.groupby("path_id")
    expected = {
        "max-train-loss": (on["train_loss"].max() / ends["train_loss"].max()).median(),
        "min-train-loss": (on["train_loss"].min() / ends["train_loss"].min()).median(),
        "max-test-error": (on["test_error"].max() - ends["test_error"].max()).median(),
    }
    for quantity, value in expected.items():
        row = one(table, f"garipov-cifar10-vgg16-bezier-{quantity}")
        assert row["estimate"] == pytest.approx(value)
        assert (row["data"], row["model"], row["pairs"], row["status"]) == ("digits", "mlp", 15, "measured")
        assert not row["same_setting"]


def test_weight_decay_of_the_path_is_part_of_the_published_loss():
    rows = rows_of(seeds=range(4))
    for path in rows["paths"]:
        path["weight_decay"] = 0.01
    for point in rows["path_points"]:
        point["l2_norm"] = 10.0 - 2 * point["t"] * (1 - point["t"])
    points = frame("path_points", rows["path_points"])
    points = points.assign(m=points["train_loss"] + 0.005 * points["l2_norm"] ** 2)
    points = points[points["path_id"].str.contains("bezier.*False")]
    ends = points[points["t"].isin([0, 1])].groupby("path_id")["m"].min()
    found = one(published_table(tables_of(rows)), "garipov-cifar10-vgg16-bezier-min-train-loss")
    assert found["estimate"] == pytest.approx((points.groupby("path_id")["m"].min() / ends).median())


def test_curvature_at_mid_path(tables, table):
    curvature = tables["curvature"].query("measure == 'fisher_trace' and role == 'path'")
    paths = tables["paths"].query("kind == 'bezier' and not aligned")
    mine = curvature[curvature["path_id"].isin(paths["path_id"])]
    ratios = mine[mine["s"] == 0.5].set_index("path_id")["value"]  # both ends are 1
    row = one(table, "di-carlo-fisher-trace", "bezier")
    assert row["estimate"] == pytest.approx(ratios.median())
    assert row["low"] < row["estimate"] < row["high"]
    spectrum = one(table, "di-carlo-leading-spectrum", "bezier")
    assert spectrum["estimate"] == pytest.approx(bump(1.0)(S).max())


def test_the_least_of_the_leading_eigenvalues_counts():
    rows = rows_of(seeds=range(4))
    for row in rows["spectra"]:
        if row["index"] == 3 and row["s"] == 0.5:
            row["eigenvalue"] = 0.05
    row = one(published_table(tables_of(rows)), "di-carlo-leading-spectrum", "bezier")
    assert row["estimate"] == pytest.approx(0.05 / (1 / 8))


def test_what_was_not_measured_is_said(table):
    row = one(table, "draxler-stretch")
    assert (row["status"], row["kind"], row["pairs"]) == ("not measured", "autoneb", 0)
    assert pd.isna([row["data"], row["model"], row["estimate"], row["low"]]).all()


def test_the_papers_own_setting_is_marked():
    rows = rows_of(seeds=range(4))
    for end in rows["endpoints"]:
        end.update(dataset="cifar100", model="vgg16")
    table = published_table(tables_of(rows))
    same = table[table["same_setting"]]
    assert set(same["name"]) == {
        f"garipov-cifar100-vgg16-{kind}-{quantity}"
        for kind in ("bezier", "chain")
        for quantity in ("max-train-loss", "min-train-loss", "max-test-error")
    }


def test_problems_are_rows_of_their_own():
    rows, more = rows_of(seeds=range(4)), rows_of(problem="letters", seeds=range(4))
    for end in more["endpoints"]:
        end["dataset"] = "letters"
    both = tables_of({name: rows[name] + more[name] for name in NAMES})
    found = published_table(both).query("name == 'di-carlo-lambda-max' and kind == 'bezier'")
    assert found["data"].tolist() == ["digits", "letters"]
    assert found["missing"].tolist() == [0, 0]


def test_tours_aligned_and_repaired_paths_do_not_count(tables, table):
    paths = tables["paths"].copy().astype({"via": object, "repair": object})
    bezier = paths.index[(paths["kind"] == "bezier") & ~paths["aligned"].astype(bool)]
    paths.at[bezier[0], "via"] = ["digits-5"]
    paths.at[bezier[1], "repair"] = True
    row = one(published_table(tables | {"paths": paths}), "di-carlo-lambda-max", "bezier")
    assert row["pairs"] == 13


@pytest.mark.parametrize("missing", [NAMES, ("curvature", "spectra"), ("path_points", "barriers"), ("endpoints",)])
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_tables_that_are_not_there_are_not_measured(tables, missing, how):
    left = {name: rows for name, rows in tables.items() if name not in missing}
    if how == "empty":
        left |= {name: frame(name, []) for name in missing}
    table = published_table(left)
    assert set(table["name"]) == {entry.name for entry in PUBLISHED}
    if "endpoints" in missing:
        assert set(table["status"]) == {"not measured"}
    assert isinstance(table, pd.DataFrame)
