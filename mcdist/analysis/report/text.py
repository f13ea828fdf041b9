"""Numbers, intervals, durations and errors as the report prints them."""

from __future__ import annotations

import math

__all__ = ["duration", "interval", "last_line", "number", "parts", "ratio", "sentence", "share", "spread", "whole"]

NONE = "–"  # noqa: RUF001 (an en dash is what a table shows for nothing)


def number(value: float, digits: int = 3) -> str:
    """A number with three significant digits: `0.0421`, `12,300`, `1.2e−07`; a dash for NaN.

    >>> number(0.042137), number(12345.6), number(float("nan"))
    ('0.0421', '12,300', '–')
    """
    return _fixed([value], digits)[0]


def interval(estimate: float, low: float, high: float, digits: int = 3) -> str:
    """An estimate with its interval, all three to the same place: `0.420 [0.310, 0.550]`; the estimate
    alone without one.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return number(estimate, digits)
    middle, below, above = _fixed([estimate, low, high], digits)
    return f"{middle} [{below}, {above}]"


def ratio(estimate: float, low: float, high: float) -> str:
    """As `interval`, but each number with digits of its own where they span orders of magnitude, as ratios do."""
    if not (math.isfinite(low) and math.isfinite(high)) or 0 < high <= 20 * low:
        return interval(estimate, low, high)
    return f"{number(estimate)} [{number(low)}, {number(high)}]"


def share(estimate: float, low: float, high: float) -> str:
    """A part of a whole in percent, with its interval: `96 % [63, 100]`; a dash for NaN.

    >>> share(1.0, 0.631, 1.0), share(0.5, float("nan"), float("nan"))
    ('100 % [63, 100]', '50 %')
    """
    if not math.isfinite(estimate):
        return NONE
    whole = f"{100 * estimate:.0f} %"
    return f"{whole} [{100 * low:.0f}, {100 * high:.0f}]" if math.isfinite(low) and math.isfinite(high) else whole


def spread(low: float, high: float, digits: int = 3) -> str:
    """A range: `0.31 to 0.55`; one number where both are the same, a dash for NaN."""
    below, above = _fixed([low, high], digits)
    return below if below == above else f"{below} to {above}"


def parts(estimate: float, low: float, high: float) -> tuple[str, str]:
    """As `ratio`, the estimate and its interval apart, for the two lines of a narrow cell.

    >>> parts(0.42, 0.31, 0.55), parts(0.42, float("nan"), float("nan"))
    (('0.420', '[0.310, 0.550]'), ('0.420', ''))
    """
    middle, _, ends = ratio(estimate, low, high).partition(" ")
    return middle, ends


def whole(low: float, high: float) -> str:
    """A range of whole numbers: `3 to 5`; one number where both are the same.

    >>> whole(3.0, 5.0), whole(1000.0, 1000.0)
    ('3 to 5', '1,000')
    """
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def duration(seconds: float) -> str:
    """A time in the two units that matter: `3 h 5 min`, `2 min 7 s`, `0.42 s`.

    >>> duration(11100), duration(127), duration(0.42)
    ('3 h 5 min', '2 min 7 s', '0.42 s')
    """
    if not math.isfinite(seconds):
        return NONE
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def last_line(error: str | None) -> str:
    """The last line of an error that says something: of a traceback, the exception and its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] if isinstance(error, str) else []
    return lines[-1] if lines else "no message was recorded"


def _fixed(values: list[float], digits: int) -> list[str]:
    """The values to the place of the last significant digit of the largest."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest == 0:
        texts = [f"{value:g}" for value in values]
    elif largest < 1e-4:
        texts = [f"{value:.{digits - 1}e}" for value in values]
    else:
        largest = float(f"{largest:.{digits - 1}e}")  # 0.9996 prints as 1.00, not as 1.000
        place = digits - 1 - math.floor(math.log10(largest))
        texts = [f"{round(value, place):,.{max(place, 0)}f}" for value in values]
    return [
        NONE if math.isnan(value) else "∞" if math.isinf(value) else text.replace("-", "\N{MINUS SIGN}")
        for value, text in zip(values, texts, strict=True)
    ]
