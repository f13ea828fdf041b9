import doctest
import math

import pytest

from mcdist.analysis.plots import style
from mcdist.analysis.report import text
from mcdist.analysis.report.text import duration, interval, last_line, number, spread


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.0, "0"),
        (0.42, "0.420"),
        (0.99999, "1.00"),
        (-1.5, "\N{MINUS SIGN}1.50"),
        (12345.6, "12,300"),
        (1.234e-7, "1.23e\N{MINUS SIGN}07"),
        (math.inf, "∞"),
        (math.nan, text.NONE),
    ],
)
def test_numbers_have_three_significant_digits(value, printed):
    assert number(value) == printed


def test_an_interval_is_printed_to_one_place():
    assert interval(0.42, 0.31, 0.55) == "0.420 [0.310, 0.550]"
    assert interval(2.345, 0.0123, 17.2) == "2.3 [0.0, 17.2]"


def test_without_an_interval_the_estimate_stands_alone():
    assert interval(0.42, math.nan, math.nan) == "0.420"


def test_a_range_of_one_value_is_that_value():
    assert (spread(0.31, 0.55), spread(0.3, 0.3)) == ("0.310 to 0.550", "0.300")


@pytest.mark.parametrize(
    ("seconds", "printed"), [(59.7, "60 s"), (60, "1 min 0 s"), (7200, "2 h 0 min"), (200_000, "2 d 7 h")]
)
def test_durations(seconds, printed):
    assert duration(seconds) == printed


def test_the_last_line_of_an_error():
    assert last_line("Traceback:\n  File\nValueError: no\n\n") == "ValueError: no"
    assert last_line(None) == last_line("") == "no message was recorded"


@pytest.mark.parametrize("module", [text, style])
def test_the_examples_in_the_docstrings(module):
    assert doctest.testmod(module).failed == 0
