"""Barriers: what one metric does along one path."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["barrier"]


def barrier(t: Tensor, s: Tensor, m: Tensor) -> dict[str, float]:
    """Statistics of a metric m [T] at positions t [T] (t[0] = 0, t[-1] = 1), arclength fractions s [T].

    min, max, mean over the positions; integral: trapezoid over s, the arclength-weighted average; argmax_t;
    barrier_linear = max_t [m(t) - ((1 - t) m(0) + t m(1))] >= 0;
    barrier_mean = max - (m(0) + m(1)) / 2 (Frankle et al. 2020, Ainsworth et al. 2022);
    barrier_max = max - max(m(0), m(1)) >= 0.
    """
    t, s, m = t.double(), s.double(), m.double()
    a, b, top = m[0], m[-1], m.max()
    values = {
        "value_a": a,
        "value_b": b,
        "min": m.min(),
        "max": top,
        "mean": m.mean(),
        "integral": torch.trapezoid(m, s),
        "argmax_t": t[m.argmax()],
        # lerp, unlike (1 - t) a + t b, is exact at both ends and between equal ends: no barrier made of rounding
        "barrier_linear": (m - torch.lerp(a, b, t)).max(),
        "barrier_mean": top - 0.5 * (a + b),
        "barrier_max": top - torch.maximum(a, b),
    }
    return {name: float(value) for name, value in values.items()}
