"""BatchNorm statistics of points at which no network was ever trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule
from mcdist.science.tracing import Accelerate, Program, tensors_in, trace

__all__ = ["reestimate"]

_TOGETHER = 16  # points of a program: what a layer gives for them and a batch stays near the core


def reestimate(
    module: StackedModule, points: Points, batches: Iterable[Tensor], accelerate: Accelerate | None = None
) -> Points:
    """Points with their BatchNorm running statistics re-estimated by one pass over `batches` ([B, ...] each).

    Running statistics at an interpolated point mean nothing until they are estimated there. BatchNorm runs in train
    mode (everything else, Dropout too, in eval mode) and averages cumulatively, weighted by examples:

        r <- (1 - b / n) r + (b / n) batch statistic,     n = examples seen, this batch of b included,

    (torch's `swa_utils.update_bn` weights by batch: it differs when the last one is short). Each batch is normalised
    by its own statistics, so they depend on the batch size, not on the order of batches. Without BatchNorm the
    points are returned as they are. accelerate: makes a program for batches as large as the first.
    """
    if not module.norms:
        return points
    if accelerate is None or module.pointwise or len(points) == 1:  # programs are of stacks
        size, accelerate = len(points), None
    else:
        size = min(len(points), _TOGETHER)
    settled = _filled_up(points, size)
    groups = [settled[start : start + size] for start in range(0, len(settled), size)]
    seen, full = 0, 0
    program: Program | None = None
    module.switch("statistics")
    with torch.no_grad():
        for inputs in batches:
            share = inputs.shape[0] / (seen + inputs.shape[0])  # 1 on the first batch: what was there is forgotten
            if seen == 0 and accelerate is not None:
                full = inputs.shape[0]
                program = _program(module, groups[0], inputs, accelerate)
            seen += inputs.shape[0]
            weight = torch.tensor(share, dtype=settled.theta.dtype, device=settled.theta.device)
            for group in groups:
                if program is not None and inputs.shape[0] == full:
                    program(*tensors_in((group.theta, group.buffers, inputs, weight)))
                else:
                    with _momentum(module, share):
                        module(group, inputs, shared=True)
    return Points(points.theta, settled[: len(points)].buffers)


def _filled_up(points: Points, size: int) -> Points:
    """A copy of the buffers, to be changed; the last point again and again until `size` divides their number."""
    fill = -len(points) % size
    index = torch.tensor([*range(len(points)), *[len(points) - 1] * fill], device=points.theta.device)
    theta = points.theta[index] if fill else points.theta
    return Points(theta, {name: b[index] for name, b in points.buffers.items()})


def _program(module: StackedModule, group: Points, inputs: Tensor, accelerate: Accelerate) -> Program | None:
    def estimate(theta: Tensor, buffers: dict[str, Tensor], inputs: Tensor, share: Tensor) -> tuple[Tensor]:
        with _momentum(module, share):
            module(Points(theta, buffers), inputs, shared=True)
        return (1 - share,)  # a program must give something; what counts is done in place

    def copies() -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
        own = {name: b.clone() for name, b in group.buffers.items()}
        return group.theta, own, inputs, torch.ones((), dtype=group.theta.dtype, device=group.theta.device)

    return accelerate("statistics", lambda: trace(estimate, copies()), [], tensors_in(copies()))


@contextmanager
def _momentum(module: StackedModule, share: float | Tensor) -> Iterator[None]:
    """The layers' momentum for a while; a tensor is for stacks alone, whose layers take one."""
    momenta = [norm.momentum for norm in module.norms]
    try:
        for norm in module.norms:
            norm.momentum = share  # type: ignore[assignment]
        yield
    finally:
        for norm, momentum in zip(module.norms, momenta, strict=True):
            norm.momentum = momentum
