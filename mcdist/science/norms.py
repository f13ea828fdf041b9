"""BatchNorm in a stack: as one scaling of its input, where torch's own kernel would take the stack apart first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType

import torch
from torch import Tensor, nn

__all__ = ["Norm", "StackedNorms"]

Norm = nn.modules.batchnorm._BatchNorm
_KNOWN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)  # a subclass may do something else in its forward


class StackedNorms:
    """The BatchNorm layers of a module, told when they are computed for a stack.

    In a stack, and not in training, a layer gives (x - mean) * scale + b with scale = w / sqrt(var + eps): the running
    mean and variance in eval mode, those of the batch in train mode, where the running ones move by `momentum` (a
    number, or a tensor without dimensions) towards them. Rounding apart these are torch's numbers. Training keeps
    torch's own kernel, whose backward is fused.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        self.all: list[Norm] = [m for m in module.modules() if isinstance(m, Norm)]
        self._dtype = dtype
        self._scaling = False
        for norm in self.all:
            norm.register_forward_pre_hook(self._full_precision)
            if type(norm) in _KNOWN and norm.track_running_stats and norm.affine:
                self._replace(norm)

    def _full_precision(self, norm: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        """Under autocast BatchNorm gets its input in bfloat16, which under vmap does not go with float32 statistics."""
        return (args[0].to(self._dtype),)

    def _replace(self, norm: Norm) -> None:
        usual = norm.forward

        def forward(own: Norm, inputs: Tensor) -> Tensor:
            return _scaled(own, inputs) if self._scaling else usual(inputs)

        norm.forward = MethodType(forward, norm)  # type: ignore[method-assign]

    @contextmanager
    def scaling(self, wanted: bool) -> Iterator[None]:
        """Within it, layers scale their input, if wanted."""
        before, self._scaling = self._scaling, wanted
        try:
            yield
        finally:
            self._scaling = before


def _scaled(norm: Norm, inputs: Tensor) -> Tensor:
    norm._check_input_dim(inputs)
    over = [0, *range(2, inputs.dim())]
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    along = (1, -1, *(1,) * (inputs.dim() - 2))
    if norm.training:
        examples = inputs.numel() // inputs.shape[1]
        batch_mean = inputs.mean(over)
        inputs = inputs - batch_mean.view(along)  # twice through the data, but far faster here than var_mean
        batch_var = inputs.square().mean(over)
        share = norm.momentum
        assert share is not None, "the statistics of a stack are collected by `reestimate`, which sets it"
        mean.mul_(1 - share).add_(batch_mean * share)
        var.mul_(1 - share).add_(batch_var * (examples / (examples - 1)) * share)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        scale = norm.weight * torch.rsqrt(batch_var + norm.eps)
        return torch.addcmul(norm.bias.view(along), inputs, scale.view(along))
    scale = norm.weight * torch.rsqrt(var + norm.eps)
    return torch.addcmul((norm.bias - mean * scale).view(along), inputs, scale.view(along))
