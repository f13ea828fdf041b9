"""Barriers: what one metric does along one path."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["barrier"]


def barrier(t: Tensor, s: Tensor, m: Tensor, *, gain: bool = False) -> dict[str, float]:
    """Statistics of a metric m [T] at positions t [T] (t[0] = 0, t[-1] = 1), arclength fractions s [T].

    min, max, mean over the positions; integral: trapezoid over s, the arclength-weighted average; argmax_t, argmin_t;
    barrier_linear = max_t [m(t) - ((1 - t) m(0) + t m(1))] >= 0;
    barrier_mean = max - (m(0) + m(1)) / 2 (Frankle et al. 2020, Ainsworth et al. 2022);
    barrier_max = max - max(m(0), m(1)) >= 0.

    gain: whether more of m is better; barriers are then those of -m: barrier_max = min(m(0), m(1)) - min (of revenue:
    Hertrich, Tao & Vegh 2023).
    """
    t, s, m = t.double(), s.double(), m.double()
    a, b, top = m[0], m[-1], m.max()
    loss = -m if gain else m
    high, ends = loss.max(), (loss[0], loss[-1])
    values = {
        "value_a": a,
        "value_b": b,
        "min": m.min(),
        "max": top,
        "mean": m.mean(),
        "integral": torch.trapezoid(m, s),
        "argmax_t": t[m.argmax()],
        "argmin_t": t[m.argmin()],
        # lerp, unlike (1 - t) a + t b, is exact at both ends and between equal ends: no barrier made of rounding
        "barrier_linear": (loss - torch.lerp(*ends, t)).max(),
        "barrier_mean": high - 0.5 * (ends[0] + ends[1]),
        "barrier_max": high - torch.maximum(*ends),
    }
    return {name: float(value) for name, value in values.items()}
