"""The suites by name. A new one: its file in `mcdist/bench/suites/`, a line here."""

from __future__ import annotations

from mcdist.bench.suite import Suite
from mcdist.bench.suites.plan import PLAN

__all__ = ["SUITES"]

SUITES: dict[str, Suite] = {"plan": PLAN}
