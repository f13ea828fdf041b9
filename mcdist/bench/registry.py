"""The suites by name. A new one: its file in `mcdist/bench/suites/`, a line here."""

from __future__ import annotations

from mcdist.bench.suite import Suite
from mcdist.bench.suites.plan import PLAN
from mcdist.bench.suites.resume import RESUME
from mcdist.bench.suites.scaling import SCALING
from mcdist.bench.suites.sweep import SWEEP

__all__ = ["SUITES"]

SUITES: dict[str, Suite] = {"plan": PLAN, "resume": RESUME, "sweep": SWEEP, "scaling": SCALING}
