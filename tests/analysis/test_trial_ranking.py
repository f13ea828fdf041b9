"""Trials of a study of ensembles: ranks and correlations of the complete ones alone, and where others were stopped."""

import numpy as np
import pytest
from scipy import stats

from mcdist.analysis import setting_correlations, stopped_trials, trial_curves, tuned_trials
from mcdist.errors import RequestError

from .ensembled import frames, trial_rows
from .moved import trial_rows as relaxation_rows

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
NLL = (0.5, 0.4, 0.3, 0.35, 0.6, 0.7, 0.8, 0.2)


def rows(nll=NLL, stopped=None, **columns):
    settings = [{"lr1": lr, "lr2": lr / 10} for lr in RATES[: len(nll)]]
    trials, cycles = trial_rows(settings, nll, stopped or {}, **columns)
    return frames("trials", trials), frames("trial_cycles", cycles)


def test_the_least_nll_is_first():
    found = tuned_trials(rows()[0])
    assert found["val_nll"].tolist() == sorted(NLL)
    assert found["rank"].tolist() == list(range(1, 9))
    assert found["lr1"].iloc[0] == 0.5


def test_stopped_trials_have_no_rank_and_are_counted():
    """The last has the least nll, and was stopped."""
    found = tuned_trials(rows(stopped={7: 1, 4: 2})[0])
    assert "trial-07" not in set(found["trial_id"])
    assert found["lr1"].iloc[0] == 0.05
    assert set(found["stopped"]) == {2}
    assert set(found["complete"]) == {6}


def test_the_interval_is_of_the_seeds():
    row = tuned_trials(rows()[0]).iloc[0]
    half = stats.t.ppf(0.975, 4) * 0.01
    assert (row["val_nll_low"], row["val_nll_high"]) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))
    assert tuned_trials(rows(seeds=3)[0])["val_nll_low"].isna().all()
    assert tuned_trials(rows(seeds=1, val_nll_stderr=None)[0])["val_nll_high"].isna().all()


def test_a_trial_that_diverged_has_no_rank_and_comes_last():
    found = tuned_trials(rows(nll=(np.inf, 0.4, np.nan, 0.3))[0])
    assert found["trial_id"].tolist()[:2] == ["trial-03", "trial-01"]
    np.testing.assert_array_equal(found["rank"], [1, 2, np.nan, np.nan])


def test_trials_of_relaxations_are_none_of_these():
    trials, cycles = rows()
    both = frames("trials", trials.to_dict("records") + relaxation_rows([0.1, 0.2], [1.0, 2.0]))
    assert len(tuned_trials(both)) == 8
    assert len(trial_curves(both, cycles)) == 32
    assert tuned_trials(both[both["subject"] == "relaxation"]).empty
    assert stopped_trials(both).empty


class TestCorrelations:
    def test_they_are_spearmans_over_complete_trials(self):
        found = setting_correlations(rows(stopped={7: 1})[0]).set_index("setting")
        assert found.index.tolist() == ["lr1", "lr2"], "what all trials have in common is left out"
        expected = stats.spearmanr(RATES[:7], NLL[:7]).statistic
        assert found.loc["lr1", "correlation"] == pytest.approx(expected)
        row = found.loc["lr1"]
        half = 1.959964 * np.sqrt((1 + expected**2 / 2) / 4)
        ends = np.tanh([np.arctanh(expected) - half, np.arctanh(expected) + half])
        np.testing.assert_allclose([row["low"], row["high"]], ends, rtol=1e-6)
        assert (row["trials"], row["values"], row["least"], row["greatest"]) == (7, 7, 0.01, 0.4)

    def test_a_setting_that_makes_it_worse_is_positive(self):
        found = setting_correlations(rows(nll=[lr + 0.1 * (k % 2) for k, lr in enumerate(RATES)])[0]).iloc[0]
        assert found["correlation"] > 0.8
        assert found["low"] > 0

    @pytest.mark.parametrize(
        ("nll", "reason"),
        [
            (NLL[:5], "too few trials: 5 complete, 6 needed"),
            (RATES, "the ranks agree wholly"),
            ((0.3,) * 8, "all trials have the same nll"),
        ],
    )
    def test_no_interval_and_why(self, nll, reason):
        found = setting_correlations(rows(nll=nll)[0]).iloc[0]
        assert found["reason"] == reason
        assert np.isnan([found["low"], found["high"]]).all()

    def test_methods_are_apart(self):
        first, second = rows()[0], rows(nll=NLL[::-1], method="snapshot")[0]
        both = frames("trials", first.to_dict("records") + second.to_dict("records"))
        assert setting_correlations(both)["method"].tolist() == ["fge", "fge", "snapshot", "snapshot"]


def test_how_many_were_stopped_after_how_many_cycles():
    found = stopped_trials(rows(stopped={0: 1, 1: 1, 4: 2})[0])
    assert found[["cycles", "reached", "stopped", "planned", "complete"]].values.tolist() == [
        [1, 8, 2, 4, 5],
        [2, 6, 1, 4, 5],
    ]
    assert stopped_trials(rows()[0]).empty


def test_curves_have_ranks_and_end_where_a_trial_was_stopped():
    trials, cycles = rows(stopped={4: 2})
    found = trial_curves(trials, cycles)
    assert found.groupby("trial_id").size().to_dict()["trial-04"] == 2
    assert found.iloc[0]["trial_id"] == "trial-07"
    last = found[found["trial_id"] == "trial-04"]
    assert not last["complete"].any()
    assert last["rank"].isna().all()
    assert last["cycle"].tolist() == [1, 2]


def test_no_trials_are_no_rows_and_missing_columns_are_refused():
    trials, cycles = rows()
    empty = trials.iloc[:0]
    for found in (tuned_trials(empty), setting_correlations(empty), stopped_trials(empty), trial_curves(empty, cycles)):
        assert found.empty
    assert set(tuned_trials(trials).columns) == set(tuned_trials(empty).columns)
    with pytest.raises(RequestError, match="trials: unknown column 'val_nll'"):
        tuned_trials(trials.drop(columns="val_nll"))
