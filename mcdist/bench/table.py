"""Rows in words: a line while measuring, a table at the end, a table in Markdown for the README.

python -m mcdist.bench.table F.json
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mcdist.bench.results import Results, read_results
from mcdist.bench.row import Row
from mcdist.errors import RequestError

__all__ = ["HEADS", "cells", "line", "main", "markdown", "on"]

HEADS = ("suite", "row", "measured", "least .. greatest", "aim", "met", "numbers")


def cells(row: Row) -> tuple[str, ...]:
    """The cells of a row, under HEADS."""
    name = row.name if row.what in ("", row.name) else f"{row.name}: {row.what}"
    name += "" if row.threads == 1 else f" ({row.threads} threads)"
    if row.status != "measured":
        return row.suite, name, row.status, "", "", "", _one_line(row.reason or "")
    spread = "" if row.rounds < 2 else f"{_figures(row.low)} .. {_figures(row.high)}"
    return row.suite, name, _with_unit(row.value, row.unit), spread, _aim(row), _MET[row.met], _numbers(row)


_MET = {None: "", True: "yes", False: "no"}


def line(row: Row) -> str:
    """The row as one line of a log."""
    _, name, value, spread, aim, met, rest = cells(row)
    if row.status != "measured":
        return f"{name}: {value}: {rest}"
    parts = [f"{name}: {value}", f"({spread} in {row.rounds} rounds)" if spread else ""]
    parts += [f"aim {aim}: {'met' if met == 'yes' else 'missed'}" if aim else "", rest]
    return " · ".join(part for part in parts if part)


def on(machine: dict[str, Any]) -> str:
    """The machine in a sentence."""
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB, {gpus}; {machine['os']}, "
        f"Python {machine['python']}, torch {machine['torch']}, Ray {machine['ray']}, mcdist {machine['mcdist']}; "
        f"{machine['date'][:10]}"
    )


def markdown(results: Results) -> str:
    """The table for the README, and below it the machine."""
    rows = [HEADS, ("---",) * len(HEADS), *(cells(row) for row in results.rows)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", f"On {on(dict(results.machine))}.", ""])


def _aim(row: Row) -> str:
    if row.aim is None:
        return ""
    return f"{'>=' if row.aim.at_least else '<='} {_with_unit(row.aim.bound, row.unit)}"


def _numbers(row: Row) -> str:
    return ", ".join(f"{number.name} {_with_unit(number.value, number.unit)}" for number in row.numbers)


def _with_unit(value: float | None, unit: str) -> str:
    return f"{_figures(value)}{'' if unit == 'x' else ' '}{unit}".rstrip()


def _figures(value: float | None) -> str:
    """Three significant digits; all of a large number's, in groups."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def main() -> None:
    """Print the Markdown of a file of results."""
    if len(sys.argv) != 2:
        print("usage: python -m mcdist.bench.table F.json", file=sys.stderr)
        sys.exit(2)
    try:
        print(markdown(read_results(Path(sys.argv[1]))), end="")
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
