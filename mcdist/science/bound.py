"""One point of a stack as the plain module itself: its parameters are views of a flat vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mcdist.science.layout import Layout

__all__ = ["BoundModule"]

Judge = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Outputs [B, ...] -> loss and error, numbers."""


class BoundModule:
    """A module whose parameters and buffers are put where a point lies, and left there until another point comes.

    The plain path of K = 1: the module is called as it is, no torch.func between, its parameters move with the vector
    they are views of, and the gradient is one flat vector again.
    """

    def __init__(self, module: nn.Module, layout: Layout) -> None:
        self._module, self._layout = module, layout
        tensors = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers())
        self._parameters = [tensors[name] for name in layout.names]
        self._carried = {n: t for n, t in tensors.items() if not isinstance(t, nn.Parameter) or not t.requires_grad}
        self._theta: Tensor | None = None
        self._buffers: list[Tensor] = []
        self._grad: Tensor | None = None

    def bind(self, theta: Tensor, buffers: Mapping[str, Tensor]) -> None:
        """Be the point at theta [P] with these buffers: views, so that what is changed there or here is changed."""
        if self._theta is None or self._theta.data_ptr() != theta.data_ptr() or self._theta.shape != theta.shape:
            for parameter, view in zip(self._parameters, self._layout.views(theta.detach()).values(), strict=True):
                parameter.data = view
            self._theta = theta  # kept, so that no other tensor can come to lie in its place
        given = list(buffers.values())
        if len(given) != len(self._buffers) or any(
            a.data_ptr() != b.data_ptr() for a, b in zip(given, self._buffers, strict=True)
        ):
            for name, buffer in buffers.items():
                self._carried[name].data = buffer
            self._buffers = given

    def __call__(self, inputs: Tensor) -> Tensor:
        """Outputs [B, ...] of the point, in the module's mode."""
        outputs: Tensor = self._module(inputs)
        return outputs

    def gradient(
        self, inputs: Tensor, judge: Judge, precision: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, error, and d loss / d theta [P], a tensor that the next call writes anew.

        precision: autocast of the module's forward to this type.
        """
        with torch.autocast(inputs.device.type, dtype=precision, enabled=precision is not None):
            outputs = self._module(inputs)
        loss, error = judge(outputs)
        found = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        parts = [
            p.new_zeros(p.numel()) if g is None else g.reshape(-1) for g, p in zip(found, self._parameters, strict=True)
        ]
        if self._grad is None:
            self._grad = parts[0].new_empty(self._layout.size)
        torch.cat(parts, out=self._grad)
        return loss.detach(), error, self._grad
