import numpy as np
import pytest

from mcdist.analysis import path_summary
from mcdist.errors import RequestError

from .frames import dyadic, frame

LENGTHS = {pair: 10 * np.exp(value) for pair, value in dyadic(6, np.random.default_rng(1), own=0.2, pair=0.2).items()}


def paths(kind="bezier", chord=5.0, **columns):
    return frame(
        "paths",
        [
            {"path_id": f"{kind}-{a}-{b}", "kind": kind, "aligned": False, "endpoint_a": a, "endpoint_b": b}
            | {"length": length, "chord": chord, "n_points": 3, **columns}
            for (a, b), length in LENGTHS.items()
        ],
    )


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_the_length_over_the_chord(statistic):
    (row,) = path_summary(paths(), statistic=statistic).to_dict("records")
    assert row["estimate"] == pytest.approx(getattr(np, statistic)([length / 5 for length in LENGTHS.values()]))
    assert 1 <= row["low"] < row["estimate"] < row["high"]
    assert (row["kind"], row["pairs"], row["endpoints"], row["units"], row["missing"]) == ("bezier", 15, 6, 6, 0)


def test_any_column_of_paths_by_any_other():
    table = path_summary(paths(objective="arclength"), by=("objective",), value="length")
    assert (table["objective"][0], table["estimate"][0]) == ("arclength", pytest.approx(np.median([*LENGTHS.values()])))


def test_straight_lines_have_no_interval_though_they_differ_by_rounding():
    lines = paths("linear")
    lines["length"] = lines["chord"] * (1 + 1e-14 * np.arange(len(lines)))
    row = path_summary(lines).iloc[0]
    assert (row["estimate"], row["reason"]) == (pytest.approx(1), "all pairs have the same value")
    assert np.isnan([row["low"], row["high"]]).all()


def test_a_chord_of_zero_is_missing():
    table = paths()
    table.loc[0, "chord"] = 0.0
    row = path_summary(table).iloc[0]
    assert (row["pairs"], row["missing"]) == (14, 1)


def test_a_path_listed_twice_counts_once():
    table = paths()
    table.loc[len(table)] = table.loc[0]
    assert path_summary(table)["rows"][0] == 15


def test_a_column_that_is_not_there_is_named_with_its_neighbour():
    with pytest.raises(RequestError, match="paths: unknown column 'lenght'; did you mean 'length'"):
        path_summary(paths(), value="lenght")
