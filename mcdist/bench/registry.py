"""The suites by name. A new one: its file in `mcdist/bench/suites/`, a line here."""

from __future__ import annotations

from mcdist.bench.suite import Suite
from mcdist.bench.suites.curve_step import CURVE_STEP
from mcdist.bench.suites.gpu import GPU
from mcdist.bench.suites.machinery import DISPATCH, OVERHEAD
from mcdist.bench.suites.pack import PACK_COMPILED, PACK_CURVES, PACK_MLP
from mcdist.bench.suites.plan import PLAN
from mcdist.bench.suites.profile import PROFILE
from mcdist.bench.suites.resume import RESUME
from mcdist.bench.suites.scale import SCALE
from mcdist.bench.suites.scaling import SCALING
from mcdist.bench.suites.sweep import SWEEP

__all__ = ["SUITES"]

SUITES: dict[str, Suite] = {
    "curve_step": CURVE_STEP,
    "pack_mlp": PACK_MLP,
    "pack_curves": PACK_CURVES,
    "pack_compiled": PACK_COMPILED,
    "profile": PROFILE,
    "sweep": SWEEP,
    "scaling": SCALING,
    "overhead": OVERHEAD,
    "dispatch": DISPATCH,
    "resume": RESUME,
    "plan": PLAN,
    "scale": SCALE,
    "gpu": GPU,
}
