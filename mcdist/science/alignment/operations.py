"""The operations whose effect on channels is known, each with its rule. A new one: a line here."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mcdist.science.alignment.rules import (
    FunctionRule,
    ModuleRule,
    concatenated,
    conv_function,
    conv_module,
    divided,
    group_norm,
    indexed,
    keeps,
    layer_norm,
    linear_function,
    linear_module,
    maps,
    padded,
    pair,
    per_channel,
    pool,
    prelu,
    reduced,
    shaped,
    softmax,
    softmax_module,
)

__all__ = ["FUNCTIONS", "METHODS", "MODULES"]


def _simply(rule: FunctionRule) -> ModuleRule:
    """A module without tensors, as its function."""
    return lambda weights, module, path, call: rule(weights, call)


_DIMS = (1, 2, 3)
_KEEPING = (
    nn.Identity,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Tanh,
    nn.Hardswish,
    nn.Softsign,
    nn.Tanhshrink,
    nn.Softshrink,
    nn.Hardshrink,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
_MAPPING = (
    nn.Sigmoid,
    nn.Softplus,
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.LogSigmoid,
    nn.Threshold,
)
_POOLS = (
    "MaxPool",
    "AvgPool",
    "LPPool",
    "AdaptiveMaxPool",
    "AdaptiveAvgPool",
    "ZeroPad",
    "ReflectionPad",
    "ReplicationPad",
)
_add, _multiply, _compare = pair(True, False, maps), pair(False, True, keeps), pair(False, False, maps)

MODULES: dict[type[nn.Module], ModuleRule] = {
    nn.Linear: linear_module,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), conv_module),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), per_channel),
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), per_channel),
    nn.LayerNorm: layer_norm,
    nn.GroupNorm: group_norm,
    nn.PReLU: prelu,
    nn.Flatten: _simply(shaped),
    nn.Softmax: softmax_module,
    nn.LogSoftmax: softmax_module,
    **dict.fromkeys(_KEEPING, _simply(keeps)),
    **dict.fromkeys(_MAPPING, _simply(maps)),
    **{getattr(nn, f"{name}{d}d"): _simply(pool(d)) for name in _POOLS for d in _DIMS if hasattr(nn, f"{name}{d}d")},
}
"""Rules by exact type: a subclass may do something else in its forward."""

_NAMES: dict[FunctionRule, str] = {
    keeps: "relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ celu selu gelu silu mish tanh tanh_ hardswish softsign "
    "dropout dropout_ dropout1d dropout2d dropout3d alpha_dropout neg abs sqrt sin square sign contiguous clone detach",
    maps: "sigmoid sigmoid_ softplus hardsigmoid hardtanh logsigmoid exp log rsqrt reciprocal cos clamp clamp_ clip",
    shaped: "flatten view reshape squeeze unsqueeze",
    reduced: "mean sum amax amin",
    softmax: "softmax log_softmax",
    _add: "add add_ sub sub_ subtract",
    _multiply: "mul mul_ multiply",
    divided: "div div_ divide true_divide",
    _compare: "maximum minimum",
    padded: "pad",
    concatenated: "cat concat concatenate",
    linear_function: "linear",
    conv_function: "conv1d conv2d conv3d",
    **{
        pool(d): " ".join(f"{name}_pool{d}d" for name in ("max", "avg", "lp", "adaptive_avg", "adaptive_max"))
        for d in _DIMS
    },
}

METHODS: dict[str, FunctionRule] = {name: rule for rule, names in _NAMES.items() for name in names.split()}

FUNCTIONS: dict[Callable[..., Any], FunctionRule] = {
    **{getattr(source, name): rule for source in (torch, F) for name, rule in METHODS.items() if hasattr(source, name)},
    **dict.fromkeys((operator.add, operator.iadd, operator.sub, operator.isub), _add),
    **dict.fromkeys((operator.mul, operator.imul), _multiply),
    **dict.fromkeys((operator.truediv, operator.itruediv), divided),
    operator.neg: keeps,
    operator.getitem: indexed,
}
