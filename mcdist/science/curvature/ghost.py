"""Squared norms of the gradients of single examples, without those gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import grad

from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule

__all__ = ["GhostNorms"]

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class GhostNorms:
    """|d n_b / d p|^2 for a number n_b of each example and every parameter p, by one forward and one backward.

    With d = dn_b / dy of one example, a linear layer y = W x + c has the gradients d x^T and d, whose squared norms are
    |d|^2 |x|^2 and |d|^2 (Goodfellow 2015); BatchNorm in eval mode, y = w h + c, has sum d h and sum d over places; a
    convolution the product of d with the patches of x. `usable`: whether all parameters belong to such layers, each
    to one. A gradient with respect to parameters of one example after the other, or of a stack, costs far more.
    """

    def __init__(self, module: StackedModule) -> None:
        self._module = module
        named = dict(module.module.named_parameters(remove_duplicate=False))
        trained = {id(p): name for name, p in named.items() if name in module.layout.names}
        self._layers = [
            m for m in module.module.modules() if any(id(p) in trained for p in m.parameters(recurse=False))
        ]
        owned = [id(p) for m in self._layers for p in m.parameters(recurse=False) if id(p) in trained]
        self._place = {i: module.layout.names.index(name) for i, name in trained.items()}
        self.usable = len(set(owned)) == len(owned) and all(map(_known, self._layers))
        self._seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}

    def __call__(self, points: Points, judge: Callable[[Points], Tensor]) -> Tensor | None:
        """[K, B, number of parameters], float64; None where a layer is not called once, on inputs [B, ...].

        judge: K points -> n [K, B], by one forward of the module in eval mode.
        """
        still = Points(points.theta.detach(), points.buffers)
        with self._tapped(stack=len(points) > 1 and not self._module.pointwise), torch.enable_grad():
            numbers = judge(still)
        seen = self._gathered(len(points))
        if seen is None:
            return None
        slopes = iter(grad(numbers.sum(), [y for _, parts in seen for _, y in parts], materialize_grads=True))
        squares = numbers.new_zeros(*numbers.shape, len(self._module.layout.names), dtype=torch.float64)
        for layer, parts in seen:
            found = [_squares(layer, x, next(slopes)) for x, _ in parts]
            for parameter, size in zip((layer.weight, layer.bias), zip(*found, strict=True), strict=False):
                if parameter is not None and id(parameter) in self._place:
                    squares[..., self._place[id(parameter)]] = torch.cat(size).to(squares)
        return squares

    def _gathered(self, K: int) -> list[tuple[Any, list[tuple[Tensor, Tensor]]]] | None:
        """What each layer's calls left: one for a stack, else one for each point, in order."""
        calls = 1 if K > 1 and not self._module.pointwise else K
        seen = [(layer, self._seen.get(layer, [])) for layer in self._layers]
        self._seen = {}
        whole = all(len(parts) == calls and _fits(layer, parts[0][0]) for layer, parts in seen)
        return seen if whole else None

    @contextmanager
    def _tapped(self, *, stack: bool) -> Iterator[None]:
        self._seen = {}
        handles = [layer.register_forward_hook(self._hook(stack)) for layer in self._layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, stack: bool) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
        def hook(layer: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
            def note(x: Tensor, y: Tensor) -> Tensor:
                varied = torch.zeros_like(y, requires_grad=True)
                self._seen.setdefault(layer, []).append((x.detach(), varied))
                return y + varied

            inputs = _standardised(layer, args[0]) if isinstance(layer, _NORMS) else args[0]
            tapped: Tensor = _Tap.apply(inputs, output, note) if stack else note(inputs[None], output[None])[0]
            return tapped

        return hook


class _Tap(torch.autograd.Function):
    """Within a stack: hands a layer's whole input and output, [K, B, ...], to `note`, and gives what that gives."""

    @staticmethod
    def forward(inputs: Tensor, output: Tensor, note: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        raise RuntimeError("a tap is for stacks alone")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: Any, inputs: Tensor, output: Tensor, note: Any) -> tuple[Tensor, int]:
        pairs = zip((inputs, output), in_dims, strict=False)
        stacked = [t.expand(info.batch_size, *t.shape) if at is None else t.movedim(at, 0) for t, at in pairs]
        return note(*stacked), 0


def _known(layer: nn.Module) -> bool:
    if type(layer) is nn.Conv2d:
        return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if type(layer) in _NORMS:
        return bool(layer.track_running_stats)
    return type(layer) is nn.Linear


def _fits(layer: nn.Module, x: Tensor) -> bool:
    """Whether an input [K, B, ...] has examples first and, of a linear layer, features alone after them."""
    return x.dim() == (5 if isinstance(layer, nn.Conv2d) else 3 if isinstance(layer, nn.Linear) else x.dim())


def _standardised(norm: Any, x: Tensor) -> Tensor:
    """h = (x - mean) / sqrt(var + eps)."""
    along = (1, -1, *(1,) * (x.dim() - 2))
    mean: Tensor = norm.running_mean
    scale = torch.rsqrt(norm.running_var + norm.eps)
    return (x - mean.view(along)) * scale.view(along)


def _squares(layer: Any, x: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Squared norms [K, B] of the gradients with respect to weight and bias; x, d: [K, B, ...]."""
    if isinstance(layer, nn.Linear):
        bias = d.square().sum(-1, dtype=torch.float64)
        return bias * x.square().sum(-1, dtype=torch.float64), bias
    over = list(range(3, d.dim()))
    bias = (d.sum(over) if over else d).square().sum(-1, dtype=torch.float64)
    if not isinstance(layer, _NORMS):
        patches = F.unfold(x.flatten(0, 1), layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        each = d.flatten(3).flatten(0, 1) @ patches.mT  # [K B, out, in * kernel]
        return each.square().sum((1, 2), dtype=torch.float64).view(bias.shape), bias
    moved = d * x
    return (moved.sum(over) if over else moved).square().sum(-1, dtype=torch.float64), bias
