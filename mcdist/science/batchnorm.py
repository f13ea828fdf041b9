"""BatchNorm statistics of points at which no network was ever trained."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule

__all__ = ["reestimate"]


def reestimate(module: StackedModule, points: Points, batches: Iterable[Tensor]) -> Points:
    """Points with their BatchNorm running statistics re-estimated by one pass over `batches` ([B, ...] each).

    Running statistics at an interpolated point mean nothing until they are estimated there. BatchNorm runs in train
    mode (everything else, Dropout too, in eval mode) and averages cumulatively, weighted by examples:

        r <- (1 - b / n) r + (b / n) batch statistic,     n = examples seen, this batch of b included,

    (torch's `swa_utils.update_bn` weights by batch: it differs when the last one is short). Each batch is normalised
    by its own statistics, so they depend on the batch size, not on the order of batches. Without BatchNorm the
    points are returned as they are.
    """
    if not module.norms:
        return points
    settled = Points(points.theta, {name: b.clone() for name, b in points.buffers.items()})
    momenta = [norm.momentum for norm in module.norms]
    seen = 0
    try:
        module.switch("statistics")
        with torch.no_grad():
            for inputs in batches:
                seen += inputs.shape[0]
                for norm in module.norms:
                    norm.momentum = inputs.shape[0] / seen  # 1 on the first batch: whatever was there is forgotten
                module(settled, inputs, shared=True)
    finally:
        for norm, momentum in zip(module.norms, momenta, strict=True):
            norm.momentum = momentum
    return settled
