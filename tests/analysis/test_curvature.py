"""Curvature of single paths: values, comparisons, and why there are none."""

import numpy as np
import pandas as pd
import pytest

from mcdist.analysis import curvature_ratios
from mcdist.errors import RequestError

from .frames import frame, sweep_rows
from .measured import S, bump, curvature_rows

LINE, CURVE = sweep_rows(seeds=range(2))["paths"][:2]


def ratios(rows, paths=(CURVE,), **options):
    return curvature_ratios(frame("curvature", rows), frame("paths", paths), **options)


def one(*args, **options):
    (row,) = ratios(curvature_rows(CURVE, *args, **options)).to_dict("records")
    return row


def test_the_values_and_their_ratios():
    row = one(value=lambda s: 1 + s, controls=(1.5, 2.5))
    assert (row["end_a"], row["end_b"], row["control_a"], row["control_b"]) == (1, 2, 1.5, 2.5)
    assert row["mid"] == pytest.approx(1.5)
    assert (row["max"], row["max_s"], row["max_t"]) == pytest.approx((1 + S[-2], S[-2], S[-2] ** 2))
    assert row["mid_over_ends"] == pytest.approx(1)
    assert row["mid_over_controls"] == pytest.approx(0.75)
    assert row["max_over_ends"] == pytest.approx(row["max"] / 1.5)
    assert row["mid_minus_controls"] == pytest.approx(-0.5)
    assert [row[f"{name}_reason"] for name in ("mid_over_ends", "mid_over_controls", "max_over_ends")] == [""] * 3
    assert not row["above_both_ends"]
    assert not row["above_both_controls"]
    assert not row["max_above_both_ends"]
    assert (row["kind"], row["points"], row["missing_points"], row["loss_weight_decay"]) == ("bezier", 9, 0, 0)


def test_the_middle_is_that_of_the_arclength_between_positions():
    rows = [r for r in curvature_rows(CURVE, value=bump(1.0)) if r["s"] != 0.5]
    (row,) = ratios(rows).to_dict("records")
    assert row["mid"] == pytest.approx(bump(1.0)(S[3]))
    assert row["max"] == pytest.approx(row["mid"])
    assert row["above_both_ends"]


def test_above_both_is_no_statement_on_the_mean():
    row = one(value=lambda s: np.where(s == 1, 9.0, 1 + s), controls=(1.6, 0.1))
    assert row["mid_over_controls"] > 1
    assert not row["above_both_controls"]
    assert (row["max_above_both_ends"], row["mid_over_ends"]) == (False, pytest.approx(1.5 / 5))


@pytest.mark.parametrize(("end", "ratio"), [(0.0, "nan"), (-2.0, "nan")])
def test_a_value_that_is_not_positive_leaves_the_difference(end, ratio):
    row = one("lambda_max", value=lambda s: np.where(s == 0, end, 4.0))
    assert np.isnan(row["mid_over_ends"])
    assert row["mid_over_ends_reason"] == "not positive at an end: read the difference"
    assert row["mid_minus_ends"] == pytest.approx(4 - (end + 4) / 2)
    assert not row["above_both_ends"]
    assert row["mid_over_controls"] == pytest.approx(4 / 1.15)


def test_a_middle_below_zero():
    row = one("lambda_max", value=lambda s: np.where(s == 0.5, -1.0, 1.0))
    assert row["mid_over_ends_reason"] == "not positive at mid-path: read the difference"
    assert row["mid_minus_ends"] == -2
    assert row["max_over_ends"] == 1


@pytest.mark.parametrize("measure", ["log_det", "ggn_log_det"])
def test_logarithms_have_differences_alone(measure):
    row = one(measure)
    assert row["mid_over_ends_reason"] == "a logarithm: read the difference"
    assert np.isnan(row["max_over_ends"])
    assert row["mid_minus_ends"] == pytest.approx(1)
    assert row["above_both_ends"]


@pytest.mark.parametrize("hole", [np.nan, np.inf, None])
def test_missing_values_are_said(hole):
    rows = curvature_rows(CURVE)
    rows[2]["value"] = hole
    (row,) = ratios(rows).to_dict("records")
    assert (row["missing_points"], row["mid_over_ends_reason"]) == (1, "")
    assert (np.isnan(row["max"]), row["max_over_ends_reason"]) == (True, "no value between the ends")
    rows[0]["value"] = rows[4]["value"] = hole
    (row,) = ratios(rows).to_dict("records")
    assert row["mid_over_ends_reason"] == "no value at an end"
    assert row["mid_over_controls_reason"] == "no value at mid-path"
    assert pd.isna(row["above_both_ends"])


def test_no_controls():
    row = one(controls=None)
    assert row["mid_over_controls_reason"] == "no value for a control"
    assert pd.isna(row["above_both_controls"])
    assert row["mid_over_ends"] == pytest.approx(2)


def test_standard_errors_of_the_places_are_combined():
    rows = curvature_rows(CURVE, stderr=0.1)
    (row,) = ratios(rows).to_dict("records")
    assert row["mid_stderr"] == pytest.approx(0.1)
    assert row["mid_minus_ends_stderr"] == pytest.approx(np.sqrt(0.1**2 + 0.1**2 / 2))
    relative = np.sqrt((0.1 / 2) ** 2 + (0.1 / np.sqrt(2) / 1) ** 2)
    assert row["mid_over_ends_stderr"] == pytest.approx(2 * relative)
    assert np.isnan(one()["mid_over_ends_stderr"])


def test_settings_are_rows_of_their_own_and_tasks_are_not():
    rows = curvature_rows(CURVE) + curvature_rows(CURVE, label_mode="sampled")
    rows += curvature_rows(CURVE, value=bump(3.0), task_id="again")
    table = ratios(rows)
    assert table["label_mode"].fillna("").tolist() == ["sampled", ""]
    assert table["mid"].tolist() == pytest.approx([2, 3])


def test_layers_only_where_they_are_asked_for():
    rows = curvature_rows(CURVE) + curvature_rows(CURVE, value=bump(2.0), layer="fc1")
    assert ratios(rows)["layer"].isna().all()
    table = ratios(rows, layers=True)
    assert table["layer"].fillna("whole").tolist() == ["fc1", "whole"]
    assert table["mid_over_ends"].tolist() == pytest.approx([3, 2])


def test_a_path_that_was_not_measured_is_listed_with_others_of_its_kind():
    other = CURVE | {"path_id": "other", "endpoint_b": "digits-7"}
    table = ratios(curvature_rows(CURVE), [LINE, CURVE, other])
    assert table["path_id"].tolist() == [CURVE["path_id"], "other"]
    assert table["mid_over_ends_reason"].tolist() == ["", "not measured"]
    assert table["measure"].tolist() == ["fisher_trace"] * 2
    assert table["above_both_ends"].tolist() == [True, pd.NA]


def test_end_points_by_themselves_are_no_path():
    alone = {"role": "endpoint", "endpoint_id": "digits-0", "measure": "lambda_max", "value": 1}
    rows = [*curvature_rows(CURVE), alone]
    assert ratios(rows)["measure"].tolist() == ["fisher_trace"]


def test_no_curvature_no_rows_but_all_columns():
    table = ratios([])
    assert len(table) == 0
    assert {"kind", "measure", "mid_over_ends", "above_both_controls"} <= set(table.columns)


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(RequestError, match="curvature: unknown column 'stderr'"):
        curvature_ratios(frame("curvature", []).drop(columns="stderr"), frame("paths", [CURVE]))
