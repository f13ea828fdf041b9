"""Scores of ensembles over seeds, their labels, and which of them share networks."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mcdist.analysis import ensemble_summary, ensemble_units
from mcdist.analysis.ensembles import METHODS, SCORES
from mcdist.errors import RequestError

from .ensembled import B, ensembles, frames


def table(*args, **options):
    return frames("ensembles", ensembles(*args, **options)[0])


def both(*parts):
    return frames("ensembles", [row for rows, _ in parts for row in rows])


def labels(frame):
    found = ensemble_summary(frame)
    return dict.fromkeys(found["label"])


def test_each_score_is_a_mean_over_seeds_with_students_interval():
    rows = table()
    found = ensemble_summary(rows).set_index(["method", "budget"])
    mine = rows[(rows["method"] == "fge") & (rows["budget"] == 2)]
    row = found.loc[("fge", 2)]
    for score in ("test_error", "test_nll", "brier", "ece", "disagreement", "mean_member_error", "oracle_error"):
        values = mine[score].to_numpy(dtype=float)
        low, high = stats.t.interval(0.95, 5, loc=values.mean(), scale=stats.sem(values))
        np.testing.assert_allclose(
            row[[score, f"{score}_low", f"{score}_high"]].astype(float), [values.mean(), low, high]
        )
    assert (row["seeds"], row["units"], row["rows"], row["reason"], row["missing"]) == (6, 6, 6, "", 0)
    assert (row["epochs"], row["budget_epochs"], row["epochs_used"], row["size"]) == (B, 2 * B, 2 * B - 1, 4)


def test_the_gain_is_over_the_mean_member_seed_by_seed():
    rows = table(("fge",), budgets=(1,))
    row = ensemble_summary(rows).iloc[0]
    gain = (rows["mean_member_error"] - rows["test_error"]).to_numpy(dtype=float)
    assert row["gain"] == pytest.approx(gain.mean())
    assert row["gain_high"] - row["gain"] == pytest.approx(stats.t.ppf(0.975, 5) * stats.sem(gain))
    assert row["nll_gain"] == pytest.approx((rows["mean_member_nll"] - rows["test_nll"]).astype(float).mean())


def test_methods_come_in_order_and_budgets_grow():
    found = ensemble_summary(table(("swa", "curve", "fge", "independent"), budgets=(3, 1)))
    assert list(dict.fromkeys(found["method"])) == [m for m in METHODS if m != "snapshot"]
    assert found["budget"].tolist() == [1, 3] * 4


def test_a_single_member_has_no_disagreement():
    found = ensemble_summary(table(("independent",), budgets=(1, 2))).set_index("budget")
    assert np.isnan(found.loc[1, "disagreement"])
    assert found.loc[2, "disagreement"] > 0


def test_few_seeds_have_a_mean_without_interval_and_the_reason():
    row = ensemble_summary(table(("fge",), seeds=range(3), budgets=(1,))).iloc[0]
    assert row["reason"] == "too few seeds: 3 independent, 4 needed"
    assert np.isnan([row[f"{score}_low"] for score in SCORES]).all()
    assert np.isfinite(row["test_error"])


def test_scores_that_are_not_finite_are_counted_and_left_out():
    rows = table(("fge",), budgets=(1,))
    rows.loc[0, "test_nll"] = np.inf
    row = ensemble_summary(rows).iloc[0]
    assert row["missing"] == 1
    assert row["test_nll"] == pytest.approx(rows["test_nll"].astype(float)[1:].mean())


class TestLabels:
    def test_of_one_setting_it_is_the_method(self):
        assert labels(table()) == dict.fromkeys(["independent", "snapshot", "fge", "swa"])

    def test_it_says_what_differs_and_nothing_else(self):
        rows = both(ensembles(("fge",)), ensembles(("fge",), lr1=0.1), ensembles(("swa",), cycle=4.0))
        assert labels(rows) == dict.fromkeys(["fge, lr1 0.05", "fge, lr1 0.1", "swa"])

    def test_a_start_that_follows_from_the_budget_is_no_setting(self):
        """One long run of 2 B starts from the end point, one of B at 80 % of it."""
        rows = both(
            ensembles(("fge",), budgets=(1,), restarts=False),
            ensembles(("fge",), budgets=(2, 3), restarts=False, start=B),
        )
        assert labels(rows) == {"fge": None}

    def test_a_start_that_differs_at_one_budget_is(self):
        rows = both(ensembles(("fge",), budgets=(1,)), ensembles(("fge",), budgets=(1,), start=12))
        assert labels(rows) == dict.fromkeys(["fge, start 12", "fge, start 16"])

    def test_one_long_run_is_told_from_restarts(self):
        rows = both(ensembles(("fge",)), ensembles(("fge",), budgets=(2, 3), restarts=False, start=B))
        assert labels(rows) == dict.fromkeys(["fge", "fge, one long run"])

    def test_the_epochs_of_an_end_point_tell_budgets_apart(self):
        rows = both(ensembles(("fge",), budgets=(1,)), ensembles(("fge",), budgets=(1,), budget_epochs=40, start=32))
        assert labels(rows) == dict.fromkeys(["fge, B = 20", "fge, B = 40"])

    def test_numbers_of_members(self):
        rows = both(*(ensembles(("curve",), budgets=(3,), points=n) for n in (3, 5)))
        rows = pd.concat([rows, both(*(ensembles(("snapshot",), budgets=(3,), cycles=n) for n in (4, 6)))])
        assert labels(rows) == dict.fromkeys(
            ["snapshot, 4 cycles", "snapshot, 6 cycles", "curve, 3 points", "curve, 5 points"]
        )


class TestUnits:
    def frames(self, rows, members, paths=()):
        seeds = {row["run_id"] for row in members if "/" not in row["run_id"]}
        ends = [{"endpoint_id": name, "problem": "digits", "seed": int(name.split("-")[1])} for name in seeds]
        return [
            frames(name, part)
            for name, part in (
                ("ensembles", rows),
                ("ensemble_members", members),
                ("endpoints", ends),
                ("trajectories", []),
                ("paths", list(paths)),
            )
        ]

    def rows(self, *groups):
        """One ensemble of each group of seeds, whose members are end points."""
        rows = [{"ensemble_id": f"e{k}", "problem": "digits", "seed": seeds[0]} for k, seeds in enumerate(groups)]
        members = [
            {"ensemble_id": f"e{k}", "run_id": f"digits-{seed}"} for k, seeds in enumerate(groups) for seed in seeds
        ]
        return rows, members

    def test_of_one_sweep_they_are_the_seeds(self):
        found = ensemble_units(*self.frames(*self.rows((0,), (0, 3), (1,), (1, 4), (2, 5))))
        assert found == {"e0": "e0", "e1": "e0", "e2": "e2", "e3": "e2", "e4": "e4"}

    def test_a_network_in_common_joins_seeds_through_others_too(self):
        found = ensemble_units(*self.frames(*self.rows((0, 3), (1, 4), (3, 1), (2, 5))))
        assert len(set(found.values())) == 2
        assert found["e0"] == found["e1"] == found["e2"] != found["e3"]

    def test_a_curve_is_of_both_its_ends(self):
        rows, members = self.rows((0,), (1,), (2,))
        rows.append({"ensemble_id": "curve", "problem": "digits", "seed": 0})
        members.append({"ensemble_id": "curve", "run_id": "path/01"})
        path = {"path_id": "path/01", "endpoint_a": "digits-0", "endpoint_b": "digits-1"}
        found = ensemble_units(*self.frames(rows, members, [path]))
        assert found["e0"] == found["e1"] == found["curve"] != found["e2"]

    def test_seeds_of_other_problems_are_others(self):
        rows, members = self.rows((0,), (0,))
        rows[1]["problem"] = "moons"
        members[1]["run_id"] = "moons-0"
        parts = self.frames(rows, members)
        parts[2]["problem"] = parts[2]["endpoint_id"].str.split("-").str[0]
        assert ensemble_units(*parts) == {"e0": "e0", "e1": "e1"}

    def test_fewer_units_have_no_interval(self):
        rows = table(("fge",), budgets=(1,))
        units = {name: f"u{k % 3}" for k, name in enumerate(rows["ensemble_id"])}
        row = ensemble_summary(rows, units=units).iloc[0]
        assert (row["seeds"], row["units"]) == (6, 3)
        assert row["reason"].startswith("too few seeds: 3 independent")


def test_problems_are_apart_and_no_ensembles_are_no_rows():
    rows = both(ensembles(("fge",)), ensembles(("fge",), problem="moons", lr1=0.2))
    found = ensemble_summary(rows)
    assert found.groupby("problem")["seeds"].first().to_dict() == {"digits": 6, "moons": 6}
    assert set(found["label"]) == {"fge"}
    empty = ensemble_summary(frames("ensembles", []))
    assert empty.empty
    assert list(empty.columns) == list(found.columns)


def test_columns_that_are_not_there_are_refused():
    with pytest.raises(RequestError, match="ensembles: unknown column 'budget'"):
        ensemble_summary(table().drop(columns="budget"))
