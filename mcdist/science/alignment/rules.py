"""What each kind of operation does with the channels of its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from mcdist.science.alignment.channels import Call, Channels, Refusal, Weight, Weights, solid, value_of
from mcdist.science.alignment.units import FIXED, ZERO, Labels

__all__ = [
    "FunctionRule",
    "ModuleRule",
    "concatenated",
    "conv_function",
    "conv_module",
    "divided",
    "group_norm",
    "indexed",
    "keeps",
    "layer_norm",
    "linear_function",
    "linear_module",
    "maps",
    "padded",
    "pair",
    "per_channel",
    "pool",
    "prelu",
    "reduced",
    "shaped",
    "softmax",
    "softmax_module",
]

ModuleRule = Callable[[Weights, Any, str, Call], Labels]
FunctionRule = Callable[[Weights, Call], Labels]


def _linear(weights: Weights, x: Channels, weight: str, bias: str | None, n: int) -> Labels:
    if len(x.shape) != 2:
        raise Refusal(f"a linear layer on {len(x.shape)} dimensions (understood: [B, features])")
    weights.reads(weight, 1, x.units)
    units = weights.writes(weight, n)
    return units if bias is None else weights.reads(bias, 0, units)


def _conv(weights: Weights, x: Channels, weight: str, bias: str | None, n: int, groups: int) -> Labels:
    C = x.shape[1]
    if groups == 1:
        weights.reads(weight, 1, x.units)
        units = weights.writes(weight, n)
    elif groups == C:  # depthwise: each unit writes its own block
        units = weights.reads(weight, 0, np.repeat(x.units, n // C))
    else:
        raise Refusal(f"a convolution of {groups} groups (understood: 1, or one for each channel)")
    return units if bias is None else weights.reads(bias, 0, units)


def _bias(module: nn.Module, path: str) -> str | None:
    return f"{path}.bias" if module.bias is not None else None


def linear_module(weights: Weights, module: nn.Linear, path: str, call: Call) -> Labels:
    """A layer that writes new units."""
    return _linear(weights, call.value, f"{path}.weight", _bias(module, path), module.out_features)


def conv_module(weights: Weights, module: Any, path: str, call: Call) -> Labels:
    """A layer that writes new units, or (depthwise) a block of channels for each of its input's."""
    x = call.value
    if len(x.shape) != module.weight.dim():
        raise Refusal("a convolution of something that is no batch")
    return _conv(weights, x, f"{path}.weight", _bias(module, path), module.out_channels, module.groups)


def per_channel(weights: Weights, module: nn.Module, path: str, call: Call) -> Labels:
    """BatchNorm and the like: one number of each of its tensors for each channel."""
    labels = solid(call.value.units)
    for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        if tensor.dim() == 1:
            labels = weights.reads(f"{path}.{name}", 0, labels)
    return labels


def layer_norm(weights: Weights, module: nn.LayerNorm, path: str, call: Call) -> Labels:
    """Over all that belongs to an example, which no order changes; weights [C, ...]."""
    x = call.value
    if tuple(module.normalized_shape) != x.shape[1:]:
        raise Refusal("LayerNorm over a part of the dimensions (understood: all but the batch)")
    labels = solid(x.units)
    for name, _ in module.named_parameters(recurse=False):
        labels = weights.reads(f"{path}.{name}", 0, labels)
    return labels


def group_norm(weights: Weights, module: nn.GroupNorm, path: str, call: Call) -> Labels:
    """Over all channels, which no order changes, or over each."""
    if module.num_groups not in (1, module.num_channels):
        raise Refusal(f"GroupNorm of {module.num_groups} groups (understood: 1, or one for each channel)")
    return per_channel(weights, module, path, call)


def prelu(weights: Weights, module: nn.PReLU, path: str, call: Call) -> Labels:
    """One slope for all channels, or one for each."""
    x = call.value
    if module.num_parameters == 1:
        return x.units
    moved = weights.reads(f"{path}.weight", 0, x.units)
    return np.where(x.units == ZERO, ZERO, moved)


def keeps(weights: Weights, call: Call) -> Labels:
    """Elementwise with f(0) = 0."""
    return call.value.units


def maps(weights: Weights, call: Call) -> Labels:
    """Elementwise with f(0) another number."""
    return solid(call.value.units)


def pool(dims: int) -> FunctionRule:
    """Pooling, or padding, over so many dimensions of positions."""

    def rule(weights: Weights, call: Call) -> Labels:
        x = call.value
        if len(x.shape) != dims + 2 or call.shape is None:
            raise Refusal(f"pooling of a value of {len(x.shape)} dimensions to no one value of as many")
        return x.units

    return rule


def shaped(weights: Weights, call: Call) -> Labels:
    """Flatten, view, reshape, squeeze: the channels as they are, or each as a block of its H * W."""
    x = call.value
    new = call.shape
    if new is not None and new[:2] == x.shape[:2]:
        return x.units
    if new is not None and new == (x.shape[0], math.prod(x.shape[1:])):
        return np.repeat(x.units, math.prod(x.shape[2:]))
    raise Refusal(f"{list(x.shape)} as {new and list(new)} (understood: channels kept, or all but the batch flattened)")


def reduced(weights: Weights, call: Call) -> Labels:
    """Mean, sum, ... over positions."""
    x = call.value
    dims = call.argument(1, "dim")
    over = [dims] if isinstance(dims, int) else list(dims or [])
    if not over or any(d % len(x.shape) < 2 for d in over) or call.shape is None:
        raise Refusal(f"reduced over dimensions {dims} (understood: those of positions, from 2 on)")
    return x.units


def softmax(weights: Weights, call: Call) -> Labels:
    """Over the channels or positions of an example: in whatever order."""
    dim = call.argument(1, "dim")
    if not isinstance(dim, int) or dim % len(call.value.shape) == 0:
        raise Refusal("softmax over the batch, or over a dimension that is not said")
    return maps(weights, call)


def softmax_module(weights: Weights, module: Any, path: str, call: Call) -> Labels:
    """As `softmax`."""
    return softmax(weights, Call((call.args[0], module.dim), {}, call.shape))


def pair(neutral: bool, absorbing: bool, scalar: FunctionRule) -> FunctionRule:
    """An operation on two values, channel by channel, or on a value and a number.

    neutral: 0 with x is x, so that a unit next to padding stays free; absorbing: 0 with x is 0.
    """

    def rule(weights: Weights, call: Call) -> Labels:
        a, b = call.args[0], call.argument(1, "other")
        if _number(b) and isinstance(a, Channels):
            return scalar(weights, call)
        if _number(a) and isinstance(b, Channels):
            return b.units if absorbing else solid(b.units)
        a, b = value_of(a), value_of(b)
        if len(a.shape) != len(b.shape) or a.shape[:2] != b.shape[:2]:
            raise Refusal(f"{list(a.shape)} with {list(b.shape)}: broadcast over channels")
        return _together(weights, a.units, b.units, neutral, absorbing)

    return rule


def _together(weights: Weights, a: Labels, b: Labels, neutral: bool, absorbing: bool) -> Labels:
    if not neutral and not absorbing:
        a, b = solid(a), solid(b)
    found = np.where(a == ZERO, b, a) if neutral else np.full_like(a, ZERO)
    both = (a != ZERO) & (b != ZERO)
    found[both] = weights.units.unite(a[both], b[both])
    return found


def divided(weights: Weights, call: Call) -> Labels:
    """A value by another, or by a number."""
    a, b = call.args[0], call.argument(1, "other")
    if isinstance(a, Channels) and _number(b):
        return a.units
    return pair(False, False, maps)(weights, call)


def _number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool)


def padded(weights: Weights, call: Call) -> Labels:
    """F.pad: channels appended are zero, or constant."""
    x, pad = call.value, list(call.argument(1, "pad"))
    mode, value = call.argument(2, "mode", "constant"), call.argument(3, "value")
    sides = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)] + [(0, 0)] * (len(x.shape) - len(pad) // 2)
    before, after = sides[len(x.shape) - 2]  # `pad` begins with the last dimension
    if sides[len(x.shape) - 1] != (0, 0) or before < 0 or after < 0:
        raise Refusal("padding of the batch, or channels cut off by padding")
    if (before or after) and mode != "constant":
        raise Refusal(f"channels padded by {mode!r}")
    kind = ZERO if value in (None, 0) else FIXED
    if kind == FIXED and any(side != (0, 0) for side in sides[: len(x.shape) - 2]):
        x = Channels(x.shape, solid(x.units))
    return np.concatenate([np.full(before, kind), x.units, np.full(after, kind)])


def indexed(weights: Weights, call: Call) -> Labels:
    """x[:, a:b, ...]: a part of the channels, any part of the positions."""
    x, index = value_of(call.args[0]), call.args[1]
    index = index if isinstance(index, tuple) else (index,)
    whole = slice(None)
    channels = index[1] if len(index) > 1 else whole
    good = all(isinstance(i, (slice, int)) for i in index) and index[0] == whole and isinstance(channels, slice)
    if not good:
        raise Refusal(f"indexed by {index} (understood: [:, a:b, ...] with slices and numbers)")
    part: Labels = x.units[channels]
    return part


def concatenated(weights: Weights, call: Call) -> Labels:
    """Values side by side along channels."""
    parts = [value_of(x) for x in call.argument(0, "tensors")]
    dim = call.argument(1, "dim", 0)
    if dim % len(parts[0].shape) != 1:
        raise Refusal(f"concatenation along dimension {dim} (understood: channels, 1)")
    return np.concatenate([x.units for x in parts])


def linear_function(weights: Weights, call: Call) -> Labels:
    """F.linear with weights of the state_dict."""
    weight, bias = call.argument(1, "weight"), call.argument(2, "bias")
    x = value_of(call.argument(0, "input"))
    assert call.shape is not None
    return _linear(weights, x, *_named(weight, bias), call.shape[1])


def conv_function(weights: Weights, call: Call) -> Labels:
    """F.conv1d and so on with weights of the state_dict."""
    weight, bias = call.argument(1, "weight"), call.argument(2, "bias")
    x, groups = value_of(call.argument(0, "input")), call.argument(6, "groups", 1)
    assert call.shape is not None
    return _conv(weights, x, *_named(weight, bias), call.shape[1], groups)


def _named(weight: Any, bias: Any) -> tuple[str, str | None]:
    if not isinstance(weight, Weight) or not (bias is None or isinstance(bias, Weight)):
        raise Refusal("its weights are computed, not taken from the state_dict")
    return weight.name, bias.name if bias is not None else None
