"""Ensembles against a reference at equal budget, and a study's winner against the published setting."""

import numpy as np
import pytest
from scipy import stats

from mcdist.analysis import ensemble_comparison, winner_comparison
from mcdist.errors import RequestError

from .ensembled import ensembles, frames, trial_rows

WINNER = {"start": 12, "lr1": 0.1, "lr2": 0.02, "cycle": 1.0}


def table(*args, **options):
    return frames("ensembles", ensembles(*args, **options)[0])


def test_the_difference_is_students_over_pairs_of_one_seed():
    rows = table(spread=0.1)
    found = ensemble_comparison(rows, metrics=("test_error",)).set_index(["label", "budget"]).loc[("fge", 2)]
    values = rows[rows["budget"] == 2].pivot_table(index="seed", columns="method", values="test_error", aggfunc="first")
    apart = (values["fge"] - values["independent"]).to_numpy(dtype=float)
    low, high = stats.t.interval(0.95, 5, loc=apart.mean(), scale=stats.sem(apart))
    np.testing.assert_allclose(found[["difference", "low", "high"]].astype(float), [apart.mean(), low, high])
    assert (found["pairs"], found["unpaired"], found["reference"]) == (6, 0, "independent")
    assert found["value"] - found["reference_value"] == pytest.approx(found["difference"])
    assert high - low < 0.02, "what seeds have in common is no part of the interval"


def test_less_is_better():
    shows = ensemble_comparison(table(noise=0.001)).groupby("label")["shows"].agg(set).to_dict()
    assert shows == {"snapshot": {"worse"}, "fge": {"better"}, "swa": {"better"}}


def test_an_interval_with_zero_shows_nothing():
    rows = table(noise=0.05)
    found = ensemble_comparison(rows, metrics=("test_error",))
    sides = (found["low"] < 0) & (found["high"] > 0)
    assert sides.any()
    assert (found["shows"] == "not shown").tolist() == sides.tolist()


def test_few_pairs_show_nothing_whatever_they_are():
    found = ensemble_comparison(table(seeds=range(3)))
    assert set(found["shows"]) == {"not shown"}
    assert set(found["reason"]) == {"too few seeds: 3 independent, 4 needed"}


def test_seeds_with_one_of_the_two_are_counted_and_left_out():
    rows = table(("independent", "fge"), budgets=(1,))
    rows = rows[~((rows["method"] == "fge") & (rows["seed"] == 5))]
    found = ensemble_comparison(rows).iloc[0]
    assert (found["pairs"], found["unpaired"]) == (5, 1)
    rest = rows[(rows["method"] == "independent") & (rows["seed"] != 5)]
    assert found["reference_value"] == pytest.approx(rest["test_error"].mean())


def test_a_budget_without_the_reference_says_so():
    rows = table(("independent", "fge"))
    rows = rows[(rows["method"] == "fge") | (rows["budget"] == 1)]
    found = ensemble_comparison(rows, metrics=("test_nll",)).set_index("budget")
    assert found["reason"].tolist() == ["", *["no reference at this budget"] * 2]
    assert found["pairs"].tolist() == [6, 0, 0]
    assert found["unpaired"].tolist() == [0, 6, 6]


@pytest.mark.parametrize(
    ("methods", "asked", "used"),
    [
        (("independent", "fge"), None, "independent"),
        (("swa", "fge"), None, "fge"),
        (("independent", "fge", "swa"), "swa", "swa"),
    ],
)
def test_the_reference(methods, asked, used):
    found = ensemble_comparison(table(methods), asked)
    assert set(found["reference"]) == {used}
    assert used not in set(found["label"])


def test_a_reference_that_is_not_there_is_refused():
    with pytest.raises(RequestError, match="unknown reference 'snapshots'; did you mean 'snapshot'"):
        ensemble_comparison(table(), "snapshots")


def test_no_ensembles_are_no_rows():
    assert ensemble_comparison(frames("ensembles", [])).empty
    assert ensemble_comparison(table(("fge",))).empty


class TestWinner:
    def trials(self, setting=WINNER):
        """The winner is the second; the third would be, had it not been stopped."""
        other = {"lr1": 0.3, "lr2": 0.1, "cycle": 1.0}
        return frames("trials", trial_rows([other, setting, other | {"lr1": 0.5}], [0.5, 0.3, 0.1], {2: 1})[0])

    def final(self, effect, setting=WINNER):
        effects = {"independent": 0.0, "fge": -0.01}
        rows = ensembles(("independent", "fge"), budgets=(1, 2), effects=effects)[0]
        return frames("ensembles", rows + ensembles(("fge",), budgets=(1, 2), effects={"fge": effect}, **setting)[0])

    @pytest.mark.parametrize(("effect", "wins"), [(-0.03, "tuned"), (0.01, "published")])
    def test_whichever_wins(self, effect, wins):
        found = winner_comparison(self.final(effect), self.trials())
        mine = found[found["label"] == "tuned"]
        assert set(mine["winner"]) == {wins}
        assert set(found["reference"]) == {"published"}
        assert mine["budget"].tolist() == [1, 1, 2, 2]
        assert mine["difference"].iloc[0] == pytest.approx(effect + 0.01, abs=0.005)
        assert found.loc[found["label"] == "independent", "winner"].isna().all()

    def test_neither_is_shown_where_few_seeds_were_run(self):
        rows = self.final(-0.03)
        found = winner_comparison(rows[rows["seed"] < 3], self.trials())
        assert set(found.loc[found["label"] == "tuned", "winner"]) == {"not shown"}

    def test_the_published_setting_may_have_been_chosen(self):
        published = {"start": 16, "lr1": 0.05, "lr2": 0.01, "cycle": 2.0}
        rows = frames("ensembles", ensembles(("independent", "fge"), budgets=(1, 2))[0])
        found = winner_comparison(rows, self.trials(published))
        assert set(found["label"]) == {"tuned, which is the published setting"}
        assert set(found["reference"]) == {"independent"}
        assert found["winner"].isna().all()

    def test_without_a_complete_trial_there_is_no_winner(self):
        rows = self.trials()
        assert winner_comparison(self.final(-0.03), rows.assign(complete=False)).empty
        assert winner_comparison(self.final(-0.03), rows.iloc[:0]).empty

    def test_trials_of_another_problem_choose_nothing_here(self):
        assert winner_comparison(self.final(-0.03), self.trials().assign(problem="moons")).empty

    def test_a_snapshot_setting_with_another_rate_is_not_the_published_one(self):
        default = ensembles(("snapshot",), budgets=(1,), effects={"snapshot": 0.0})[0]
        tuned = ensembles(("snapshot",), budgets=(1,), effects={"snapshot": -0.02}, noise=0.001)[0]
        tried = self.trials().assign(start=0, lr1=0.3, lr2=None, cycle=None, cycles=5)
        for rows in (tuned, default):
            for row in rows:
                row["lr1"] = 0.3 if rows is tuned else 0.1
        found = winner_comparison(frames("ensembles", default + tuned), tried.assign(method="snapshot"))
        assert found[["label", "reference", "winner"]].drop_duplicates().values.tolist() == [
            ["tuned", "published", "tuned"]
        ]
