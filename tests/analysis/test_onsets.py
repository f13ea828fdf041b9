"""When instabilities have fallen below their thresholds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mcdist.analysis import instabilities, instability_onset, onset_difference
from mcdist.analysis.onsets import criterion

from .split import ENDS, frames, rise, split_tables

SAMPLES = 300
Law = Callable[[str, int, int], float]


def table_of(law: Law = rise, **how: object) -> pd.DataFrame:
    return instabilities(*frames(split_tables(law, **how)))  # type: ignore[arg-type]


def onset(table: pd.DataFrame, measure: str, **how: object) -> pd.Series:
    found = instability_onset(table[table["measure"] == measure], **{"n_boot": SAMPLES, **how})  # type: ignore[arg-type]
    return found.iloc[0]


def difference(table: pd.DataFrame, thresholds: dict[str, float] | None = None) -> pd.DataFrame:
    return onset_difference(table, thresholds, n_boot=SAMPLES).set_index(["measure", "energetic"])


def shifted(measure: str, parent: int, epoch: int) -> float:
    """A parent's own onsets are 0.4 (parent - 2.5) epochs later, the same of all measures."""
    height = 0.02 if measure.endswith("error") else 0.1 * abs(ENDS[measure])
    return rise(measure, parent, epoch) + height * 0.04 * (parent - 2.5)


def test_which_threshold_is_on_what() -> None:
    assert criterion("train_error") == criterion("val_error") == ("instability", 0.02)
    assert criterion("lambda_max") == criterion("train_loss") == ("ratio", 1.1)
    assert criterion("lambda_max", {"lambda_max": 1.5}) == ("ratio", 1.5)
    on, threshold = criterion("fisher_log_det")
    assert on == "instability"
    assert np.isnan(threshold), "how much is much depends on how many eigenvalues there are"


@pytest.mark.parametrize(
    ("measure", "epoch"),
    [("train_error", 1.5), ("test_error", 1.5), ("train_loss", 3.0), ("lambda_max", 6.0), ("fisher_trace", 6.0)],
)
def test_a_law_that_is_linear_is_crossed_where_it_crosses(measure: str, epoch: float) -> None:
    row = onset(table_of(), measure)
    assert row["onset"] == row["at_least"] == row["at_most"] == pytest.approx(epoch)
    assert (row["pairs"], row["units"], row["missing"], row["censored"]) == (30, 6, 0, "")
    assert row["reason"] == "the same in every sample"
    assert np.isnan(row["low"])


def test_thresholds_may_be_others() -> None:
    table = table_of()
    assert onset(table, "test_error", thresholds={"test_error": 0.021})["onset"] == pytest.approx(1.0)
    assert onset(table, "lambda_max", thresholds={"lambda_max": 1.14})["onset"] == pytest.approx(2.0)
    assert onset(table, "log_det")["reason"] == "no threshold: how much is much is for thresholds to say"
    assert onset(table, "log_det", thresholds={"log_det": 0.5})["onset"] == pytest.approx(6.0)


def test_the_interval_holds_the_onset_and_narrows_with_parents() -> None:
    few = onset(table_of(shifted), "lambda_max")
    assert few["onset"] == pytest.approx(6.0, abs=0.3)
    assert few["low"] < few["onset"] < few["high"]
    assert few["reason"] == ""

    def alike(measure: str, parent: int, epoch: int) -> float:
        return shifted(measure, parent % 6, epoch)

    many = onset(table_of(alike, parents=range(24)), "lambda_max")
    assert many["high"] - many["low"] < 0.75 * (few["high"] - few["low"])


def test_a_noisy_epoch_does_not_decide() -> None:
    """Above again at one late epoch: the isotonic profile has the mean of it and what was before."""

    def bump(measure: str, parent: int, epoch: int) -> float:
        return {0: 0.06, 1: 0.03, 2: 0.012, 4: 0.022, 8: 0.0}[epoch]

    row = onset(table_of(bump), "test_error")
    assert row["onset"] == pytest.approx(1 + (0.03 - 0.02) / (0.03 - 0.017))


def test_an_onset_before_the_first_epoch_is_censored() -> None:
    row = onset(table_of(epochs=[2, 4, 8]), "test_error")
    assert np.isnan(row["onset"])
    assert (row["at_least"], row["at_most"]) == (0.0, 2.0)
    assert row["censored"] == "already below at the first epoch"
    assert (row["low"], row["high"], row["reason"]) == (0.0, 2.0, "")


def test_what_is_below_from_the_very_beginning_has_its_onset_there() -> None:
    row = onset(table_of(lambda measure, parent, epoch: 0.001 * parent), "test_error")
    assert (row["onset"], row["censored"]) == (0.0, "already below at the first epoch")
    assert row["reason"] == "the same in every sample"


def test_an_onset_after_the_last_epoch_is_before_the_end_of_training() -> None:
    """What is split at the end is one network."""
    row = onset(table_of(epochs=[0, 1, 4]), "lambda_max")
    assert np.isnan(row["onset"])
    assert (row["at_least"], row["at_most"], row["censored"]) == (4.0, 20.0, "not below at the last epoch")
    assert (row["low"], row["high"]) == (4.0, 20.0)


def test_an_interval_reaches_into_what_is_censored() -> None:
    """Parents' own onsets are from 5 to 7: at a last epoch of 7 some samples never come below."""

    def law(measure: str, parent: int, epoch: int) -> float:
        return shifted(measure, parent, epoch) + 0.02 * (parent > 3)

    row = onset(table_of(law, epochs=[0, 2, 6, 7]), "lambda_max", statistic="mean")
    assert np.isfinite(row["onset"])
    assert row["high"] == 20.0


def test_few_parents_have_an_onset_without_an_interval() -> None:
    row = onset(table_of(shifted, parents=range(3)), "lambda_max")
    assert np.isfinite(row["onset"])
    assert np.isnan(row["low"])
    assert row["reason"] == "too few networks: 3 independent, 4 needed"


def test_parents_that_lack_an_epoch_count_at_the_others() -> None:
    table = table_of(shifted)
    lost = (table["measure"] == "lambda_max") & (table["seed"] < 2) & (table["spawn_epoch"] == 4)
    table.loc[lost, ["instability", "ratio"]] = np.nan
    row = onset(table, "lambda_max")
    assert row["missing"] == 2
    assert np.isfinite([row["onset"], row["low"], row["high"]]).all()


def test_curvature_persists_longer_by_so_many_epochs() -> None:
    found = difference(table_of(shifted))
    row = found.loc[("lambda_max", "test_error")]
    assert row["difference"] == pytest.approx(4.5, abs=0.1)
    assert row["later"] == "curvature"
    assert set(found.index) == {
        (m, e) for m in ("lambda_max", "fisher_trace") for e in ("train_error", "test_error", "train_loss")
    }
    given = difference(table_of(shifted), {"log_det": 0.5})
    assert given.loc[("log_det", "test_error"), "difference"] == pytest.approx(4.5, abs=0.1)


def test_what_both_have_in_common_cancels() -> None:
    """The parents' own shifts move both onsets: their difference is known far better than either."""
    table = table_of(shifted)
    row = difference(table).loc[("lambda_max", "test_error")]
    own = onset(table, "lambda_max")
    assert row["high"] - row["low"] < 0.2 * (own["high"] - own["low"])


def test_a_difference_that_may_be_none_is_not_shown() -> None:
    def law(measure: str, parent: int, epoch: int) -> float:
        height = 0.02 if measure.endswith("error") else 0.1 * abs(ENDS[measure])
        sign = 1 if measure.endswith("error") else -1
        return max(height * (1 + (3.1 + sign * 0.8 * (parent - 2.5) - epoch) / 10), 0.0)

    row = difference(table_of(law)).loc[("lambda_max", "test_error")]
    assert row["low"] < 0 < row["high"]
    assert row["later"] == "not shown"


def test_energy_may_be_what_persists() -> None:
    def law(measure: str, parent: int, epoch: int) -> float:
        return shifted(measure, parent, epoch) + (0.02 if measure.endswith("error") else 0)

    row = difference(table_of(law), {"lambda_max": 1.15})
    assert row.loc[("lambda_max", "test_error"), "later"] == "energetic"


def test_a_difference_of_censored_onsets_has_bounds() -> None:
    """Energy below at the first epoch, 2; curvature above at the last, 4, of 20: later by 2 to 20 epochs."""
    found = difference(table_of(epochs=[2, 4]))
    row = found.loc[("lambda_max", "test_error")]
    assert np.isnan(row["difference"])
    assert (row["at_least"], row["at_most"], row["low"], row["high"]) == (2.0, 20.0, 2.0, 20.0)
    assert row["later"] == "curvature"


def test_settings_are_apart_and_do_not_see_each_other() -> None:
    rows, other = split_tables(shifted), split_tables(shifted, lr=0.3)
    both = instabilities(*frames({name: rows[name] + other[name] for name in rows}))
    alone = instability_onset(table_of(shifted), n_boot=SAMPLES)
    together = instability_onset(both, n_boot=SAMPLES)
    assert together["lr"].unique().tolist() == [0.1, 0.3]
    pd.testing.assert_frame_equal(together[together["lr"] == 0.1].reset_index(drop=True), alone)


def test_of_nothing_there_is_nothing() -> None:
    empty = table_of().iloc[:0]
    assert instability_onset(empty).empty
    assert onset_difference(empty).empty
    assert "onset" in instability_onset(empty)
    assert "later" in onset_difference(empty)
