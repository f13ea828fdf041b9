"""Numbers, intervals, durations and errors as the report prints them."""

from __future__ import annotations

import math

__all__ = ["duration", "interval", "last_line", "number", "ratio", "spread"]

NONE = "–"  # noqa: RUF001 (an en dash is what a table shows for nothing)


def number(value: float, digits: int = 3) -> str:
    """A number with three significant digits: `0.0421`, `12,300`, `1.2e−07`; a dash for NaN.

    >>> number(0.042137), number(12345.6), number(float("nan"))
    ('0.0421', '12,300', '–')
    """
    return _fixed([value], digits)[0]


def interval(estimate: float, low: float, high: float) -> str:
    """An estimate with its interval, all three to the same place: `0.420 [0.310, 0.550]`; the estimate
    alone without one.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return number(estimate)
    middle, below, above = _fixed([estimate, low, high], 3)
    return f"{middle} [{below}, {above}]"


def ratio(estimate: float, low: float, high: float) -> str:
    """As `interval`, but each number with digits of its own where they span orders of magnitude, as ratios do."""
    if not (math.isfinite(low) and math.isfinite(high)) or 0 < high <= 20 * low:
        return interval(estimate, low, high)
    return f"{number(estimate)} [{number(low)}, {number(high)}]"


def spread(low: float, high: float) -> str:
    """A range: `0.31 to 0.55`; one number where both are the same, a dash for NaN."""
    below, above = _fixed([low, high], 3)
    return below if below == above else f"{below} to {above}"


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
