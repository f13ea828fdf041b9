"""REPAIR: activation statistics of interpolated networks put right (Jordan et al. 2022, arXiv 2211.08403)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from mcdist.errors import RequestError
from mcdist.science.alignment.structure import Structure
from mcdist.science.alignment.writers import writers
from mcdist.science.points import Points
from mcdist.science.stacked import StackedModule

__all__ = ["check_repairable", "repair"]

_TOGETHER = 16  # points of a stack: what a layer gives for them and a batch stays small


@dataclass(frozen=True)
class _Statistics:
    """Mean and standard deviation of a layer's channels, each [K, C]."""

    mean: Tensor
    std: Tensor


def repair(
    module: StackedModule, points: Points, t: Tensor, ends: Points, structure: Structure, batches: Sequence[Tensor]
) -> Points:
    """Points [T] between two ends, each hidden channel rescaled to have the interpolated statistics of the ends.

    With mu and sigma a channel's mean and standard deviation before the nonlinearity, over all examples of `batches`
    ([B, ...] each) and positions, every linear layer and convolution that writes hidden units gets

        W' = s W,   b' = s (b - mu_t) + mu*,   s = sigma* / sigma_t,
        mu* = (1 - t) mu_0 + t mu_1,   sigma* = (1 - t) sigma_0 + t sigma_1,

    one after the other as they are executed, since what follows a layer sees its new output. So the statistics are
    those of all data, however it is cut into batches, and at t = 0 and 1 nothing changes but by rounding. That takes a
    pass over the data for each layer; data in one batch take one pass for all, each layer's output being rescaled on
    its way. A channel that is constant at t (sigma_t = 0) gets the mean alone. Eval mode.

    t: [T]; ends: K = 2, at t = 0 and 1. Raises RequestError as `check_repairable` does, and for no examples.
    """
    if len(points) != len(t) or len(ends) != 2:
        raise ValueError(f"{len(points)} points at {len(t)} t between {len(ends)} ends")
    check_repairable(module, structure)
    if not batches or not sum(len(batch) for batch in batches):
        raise RequestError("REPAIR: no examples to take statistics of")
    probe = _Probe(module, structure)
    targets = _interpolated(probe.measure(ends, batches), t.to(points.theta))
    if len(batches) == 1:
        found = probe.measure(points, batches, targets)
        for name, statistics in found.items():
            points = _rescaled(module, points, name, statistics, targets[name])
        return points
    for name in targets:
        statistics = probe.measure(points, batches, only=name)[name]
        points = _rescaled(module, points, name, statistics, targets[name])
    return points


def check_repairable(module: StackedModule, structure: Structure) -> None:
    """Raises RequestError where a network is not one for REPAIR.

    With BatchNorm, whose re-estimated statistics do the same already (the paper's "reset"); with a hidden layer that
    has no bias, which is where a mean would go, or whose weights are frozen, shared or run twice; with units that no
    linear layer or convolution writes.
    """
    name = type(module.module).__name__
    if module.norms:
        raise RequestError(
            f"REPAIR is for networks without BatchNorm: {name} has {len(module.norms)} such layers, whose statistics "
            "are re-estimated at every point anyway"
        )
    found = writers(module.module, structure, norms=False)
    for writer in found:
        if getattr(writer.layer, "bias", None) is None:
            raise RequestError(f"REPAIR: layer {writer.name!r} of {name} has no bias, which is where a mean would go")
        if any(f"{writer.name}.{part}" not in module.layout.names for part in ("weight", "bias")):
            raise RequestError(f"REPAIR: the weights of layer {writer.name!r} of {name} are frozen, or another's too")
    written = {group.name for writer in found for _, group in writer.segments}
    missing = [group.name for group in structure.groups if group.name not in written]
    if missing:
        raise RequestError(f"REPAIR: no linear layer or convolution of {name} writes the units of {missing[0]!r}")


def _interpolated(ends: Mapping[str, _Statistics], t: Tensor) -> dict[str, _Statistics]:
    def between(x: Tensor) -> Tensor:
        return (1 - t)[:, None] * x[0] + t[:, None] * x[1]

    return {name: _Statistics(between(s.mean), between(s.std)) for name, s in ends.items()}


def _scale(present: _Statistics, target: _Statistics) -> Tensor:
    """sigma* / sigma_t, 1 where a channel is constant up to rounding."""
    level = 10 * torch.finfo(present.mean.dtype).eps * present.mean.abs()
    alive = present.std > level
    return torch.where(alive, target.std / torch.where(alive, present.std, 1), 1)


def _rescaled(module: StackedModule, points: Points, name: str, present: _Statistics, target: _Statistics) -> Points:
    """Points with one layer's statistics put right."""
    theta = points.theta.clone()
    views = module.layout.views(theta)
    weight, bias = views[f"{name}.weight"], views[f"{name}.bias"]
    scale = _scale(present, target)
    weight.mul_(scale.reshape(*scale.shape, *(1,) * (weight.dim() - 2)))
    bias.sub_(present.mean).mul_(scale).add_(target.mean)
    return Points(theta, points.buffers)


class _Heard(Exception):
    """What was asked for has been computed: the rest of the forward need not run."""


class _Probe:
    """Statistics of the layers that write hidden units."""

    def __init__(self, module: StackedModule, structure: Structure) -> None:
        self._module = module
        self._layers = {writer.name: writer.layer for writer in writers(module.module, structure, norms=False)}

    def measure(
        self,
        points: Points,
        batches: Sequence[Tensor],
        targets: Mapping[str, _Statistics] | None = None,
        only: str | None = None,
    ) -> dict[str, _Statistics]:
        """Of K points over all batches, by layer as executed. targets: rescale every output to have those, first."""
        self._module.switch("eval")
        names = list(self._layers) if only is None else [only]
        step = 1 if self._module.pointwise else _TOGETHER
        parts = []
        with torch.no_grad():
            for start in range(0, len(points), step):
                part = slice(start, start + step)
                aims = {n: _Statistics(s.mean[part], s.std[part]) for n, s in (targets or {}).items()}
                total = _Total()
                for inputs in batches:
                    total.add(self._batch(points[part], inputs.to(points.theta), aims, names), len(inputs))
                parts.append(total.statistics(points.theta.dtype))
        return {
            name: _Statistics(torch.cat([p[name].mean for p in parts]), torch.cat([p[name].std for p in parts]))
            for name in parts[0]
        }

    def _batch(
        self, points: Points, inputs: Tensor, aims: Mapping[str, _Statistics], names: Sequence[str]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and variance [K, C] of each layer on one batch."""
        run = partial(self._one, inputs=inputs, names=names)
        given = (self._module.layout.views(points.theta), points.buffers, {n: (s.mean, s.std) for n, s in aims.items()})
        if len(points) > 1:
            stacked: dict[str, tuple[Tensor, Tensor]] = vmap(run)(*given)
            return stacked
        single = run(*tree_map(lambda x: x[0], given))
        return {name: (mean[None], var[None]) for name, (mean, var) in single.items()}

    def _one(
        self,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        aims: dict[str, tuple[Tensor, Tensor]],
        inputs: Tensor,
        names: Sequence[str],
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and variance [C] of each layer of one network on one batch, in the order of execution."""
        heard: dict[str, tuple[Tensor, Tensor]] = {}

        def listen(name: str, layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if name in heard:
                raise RequestError(f"REPAIR: layer {name!r} runs twice in a forward: it has not one mean")
            channel = output.dim() - 1 if isinstance(layer, nn.Linear) else 1
            over = [d for d in range(output.dim()) if d != channel]
            mean = output.mean(over, keepdim=True)
            var = (output - mean).square().mean(over)
            heard[name] = mean.flatten(), var
            if len(names) == 1 and not aims:
                raise _Heard
            if name not in aims:
                return output
            target = _Statistics(*aims[name])
            scale = _scale(_Statistics(mean.flatten(), var.sqrt()), target)
            return (output - mean) * scale.reshape(mean.shape) + target.mean.reshape(mean.shape)

        with _hooked({name: self._layers[name] for name in names}, listen), suppress(_Heard):
            functional_call(self._module.module, {**parameters, **buffers}, (inputs,))
        for name in names:
            if name not in heard:
                raise RequestError(f"REPAIR: layer {name!r} takes no part in the forward")
        return heard


class _Total:
    """Means and variances of batches, put together (Chan, Golub, LeVeque 1983) in float64."""

    def __init__(self) -> None:
        self._n = 0
        self._parts: dict[str, tuple[Tensor, Tensor]] = {}

    def add(self, part: Mapping[str, tuple[Tensor, Tensor]], n: int) -> None:
        """Those of a batch of n examples."""
        total = self._n + n
        for name, (mean, var) in part.items():
            mean, var = mean.double(), var.double()
            if name in self._parts:
                old_mean, old_var = self._parts[name]
                shift, share = mean - old_mean, n / total
                var = (1 - share) * old_var + share * var + share * (1 - share) * shift.square()
                mean = old_mean + share * shift
            self._parts[name] = mean, var
        self._n = total

    def statistics(self, dtype: torch.dtype) -> dict[str, _Statistics]:
        """Of all examples so far."""
        return {name: _Statistics(mean.to(dtype), var.sqrt().to(dtype)) for name, (mean, var) in self._parts.items()}


@contextmanager
def _hooked(layers: Mapping[str, nn.Module], listen: Callable[..., Tensor]) -> Iterator[None]:
    hooks = [layer.register_forward_hook(partial(listen, name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
