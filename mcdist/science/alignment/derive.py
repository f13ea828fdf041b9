"""The permutation structure of a network, derived by following its channels through the traced forward."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from mcdist.errors import RequestError
from mcdist.science.alignment.channels import Call, Channels, Refusal, Weight, Weights
from mcdist.science.alignment.operations import FUNCTIONS, METHODS, MODULES
from mcdist.science.alignment.structure import Group, Place, Structure
from mcdist.science.alignment.units import FIXED, Labels, blocks, exchangeable
from mcdist.science.alignment.verify import evaluating, verify

__all__ = ["derive"]


def derive(module: nn.Module, example_input: Tensor) -> Structure:
    """The groups of hidden units that may be permuted in a network without changing its function.

    The forward is traced by torch.fx and walked once. Each channel of each value carries the unit to which it belongs:
    layers that mix channels write new ones, operations on one channel at a time keep them, an addition (a skip) makes
    the units of both sides one, padding with zero channels adds none. Units that lie in the same values may change
    places. What goes in and what comes out never moves; weights shared by several layers move as one. In the end
    random permutations of random weights are tried (`verify`).

    example_input: [B, ...], shapes alone count. Raises RequestError, naming the node, for a forward that cannot be
    traced, or an operation that is not known to keep channels apart: a structure given as data
    (`Structure.from_spec`) is the way then.
    """
    name = type(module).__name__
    with evaluating(module), torch.no_grad():
        walk = _Walk(module, name)
        walk.run(_two(module, example_input))
    structure = _structure(name, module, walk)
    verify(module, structure, example_input)
    return structure


def _two(module: nn.Module, example: Tensor) -> Tensor:
    """Two examples, as the module's weights are."""
    first = next(module.parameters(), example)
    return example[:1].expand(2, *example.shape[1:]).to(first.device, first.dtype).clone()


class _Tracer(fx.Tracer):
    """A tracer that knows where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[str] = []

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        self.path.append(f"{self.path_of_module(m)} ({type(m).__name__})")
        found = super().call_module(m, forward, args, kwargs)
        self.path.pop()
        return found


def _traced(module: nn.Module, name: str) -> fx.GraphModule:
    tracer = _Tracer()
    try:
        return fx.GraphModule(module, tracer.trace(module))
    except Exception as error:  # whatever code that is not ours does with a proxy
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        where = tracer.path[-1] if tracer.path else "forward"
        raise _refused(name, where, f"torch.fx cannot trace it: {reason}") from error


class _Walk(fx.Interpreter):
    """The traced forward, run once, with the units of every value beside it."""

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__(_traced(module, name))
        self.extra_traceback = False  # messages are for users
        self.weights = Weights(_first_names(module))
        self.values: list[Labels] = []
        self._network, self._name = module, name
        self._followed: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run a node, and follow the units through it."""
        try:
            result = super().run_node(n)
        except Exception as error:  # code that is not ours
            raise _refused(self._name, _where(self._network, n), f"fails on the example: {error}") from error
        try:
            self._followed[n] = self._follow(n, result)
        except Refusal as refusal:
            raise _refused(self._name, _where(self._network, n), str(refusal)) from refusal
        except (AttributeError, IndexError, TypeError, ValueError) as error:  # a way to call it that no rule foresees
            raise _refused(self._name, _where(self._network, n), f"called in a way not understood ({error})") from error
        return result

    def _follow(self, n: fx.Node, result: Any) -> Any:
        """What stands for a node's result: `Channels`, a tuple of them, `Weight`, or the plain result itself."""
        args: Any = fx.node.map_arg(n.args, lambda m: self._followed[m])
        kwargs: Any = fx.node.map_arg(n.kwargs, lambda m: self._followed[m])
        if n.op == "placeholder":
            return self._input(result)
        if n.op == "get_attr":
            return Weight(str(n.target))
        if n.op == "output":
            return self._output(args[0])
        if not _holds_values(args) and not _holds_values(kwargs):
            if isinstance(result, Tensor):
                raise Refusal("a tensor that depends on no activation")
            return result
        if n.target in ("size", "dim") or n.target is getattr:
            return self._shape(n, args, result)
        call = Call(args, kwargs, tuple(result.shape) if isinstance(result, Tensor) else None)
        if n.target in ("chunk", "split") or n.target in (torch.chunk, torch.split):
            return self._parts(args[0], call, result)
        if n.target is operator.getitem and isinstance(args[0], tuple):
            return args[0][args[1]]
        labels = self._rule(n)(self.weights, call)
        if not isinstance(result, Tensor) or result.dim() < 2 or result.shape[0] != 2 or result.shape[1] != len(labels):
            raise Refusal("its result is no one value [B, channels, ...]")
        return self._kept(Channels(tuple(result.shape), labels))

    def _rule(self, n: fx.Node) -> Callable[[Weights, Call], Labels]:
        if n.op == "call_module":
            part = self._network.get_submodule(str(n.target))
            rule = MODULES.get(type(part))
            if rule is None:
                raise Refusal(f"what {type(part).__name__} does with channels is not known")
            return lambda weights, call: rule(weights, part, str(n.target), call)
        known: Mapping[Any, Any] = METHODS if n.op == "call_method" else FUNCTIONS
        if n.target not in known:
            raise Refusal("what it does with channels is not known")
        found: Callable[[Weights, Call], Labels] = known[n.target]
        return found

    def _kept(self, value: Channels) -> Channels:
        self.values.append(value.units)
        return value

    def _input(self, result: Any) -> Channels:
        if self._followed or not isinstance(result, Tensor) or result.dim() < 2:
            raise Refusal("an input other than one tensor [B, ...]")
        return Channels(tuple(result.shape), np.full(result.shape[1], FIXED))

    def _output(self, value: Any) -> Channels:
        if not isinstance(value, Channels):
            raise Refusal("an output other than one tensor [B, ...]")
        moving = value.units[value.units > FIXED]
        self.weights.units.unite(np.full(len(moving), FIXED), moving)
        return value

    def _shape(self, n: fx.Node, args: tuple[Any, ...], result: Any) -> Any:
        if n.target is getattr and args[1] not in ("shape", "ndim"):
            raise Refusal(f"attribute {args[1]!r} of an activation")
        return result

    def _parts(self, x: Any, call: Call, result: Any) -> tuple[Channels, ...]:
        """chunk and split along channels."""
        if not isinstance(x, Channels) or call.argument(2, "dim", 0) % len(x.shape) != 1:
            raise Refusal("split along another dimension than channels, 1")
        ends = np.cumsum([part.shape[1] for part in result])[:-1]
        pieces = np.split(x.units, ends)
        return tuple(self._kept(Channels(tuple(p.shape), units)) for p, units in zip(result, pieces, strict=True))


def _holds_values(given: Any) -> bool:
    found: list[Any] = []
    fx.node.map_aggregate(given, lambda x: found.append(x))
    return any(isinstance(x, (Channels, Weight)) for x in found)


def _where(network: nn.Module, n: fx.Node) -> str:
    """A node in words that its author knows."""
    if n.op == "call_module":
        return f"module {str(n.target)!r} ({type(network.get_submodule(str(n.target))).__name__})"
    inside = [path for path, _ in (n.meta.get("nn_module_stack") or {}).values() if path]
    what = str(n.target) if isinstance(n.target, str) else getattr(n.target, "__name__", str(n.target))
    return f"{what!r} (node {n.name}" + (f", in module {inside[-1]!r})" if inside else ")")


def _refused(name: str, where: str, why: str) -> RequestError:
    return RequestError(
        f"the permutation structure of {name} cannot be derived: {where}: {why}; "
        "it can be given in the spec as data: structure: {groups: {name: [[tensor, axis], ...]}}"
    )


def _first_names(module: nn.Module) -> dict[str, str]:
    """For each name in the state_dict the first name of the same tensor."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(t), name) for name, t in module.state_dict(keep_vars=True).items()}


def _structure(name: str, module: nn.Module, walk: _Walk) -> Structure:
    """The groups of exchangeable units, and where they lie."""
    weights = walk.weights
    axes = {key: weights.units.find(labels) for key, labels in weights.axes.items()}
    for n, parameter in module.named_parameters():
        if parameter.numel() > 1 and n not in {tensor for tensor, _ in axes}:
            raise _refused(name, "forward", f"{n!r} takes no part in it (used in training alone?)")
    values = {v.tobytes(): v for v in (weights.units.find(labels) for labels in walk.values)}  # each once
    groups = exchangeable([*axes.values(), *values.values()])
    of = {unit: g for g, members in enumerate(groups) for unit in members}
    same: dict[str, list[str]] = {}
    for alias, tensor in _first_names(module).items():
        same.setdefault(tensor, []).append(alias)
    places: dict[int, list[Place]] = {}
    for (tensor, axis), labels in axes.items():
        found = blocks(labels, groups, of)
        if found is None:
            raise _refused(name, f"axis {axis} of {tensor!r}", "its units are in no order of whole blocks")
        for g, offset, repeat in found:
            places.setdefault(g, []).extend(Place(alias, axis, offset, repeat) for alias in same[tensor])
    if any(blocks(labels, groups, of) is None for labels in values.values()):
        raise _refused(name, "forward", "channels are put in an order that is not one of whole blocks")
    shapes = {n: tuple(t.shape) for n, t in module.state_dict().items()}
    made = _named({g: tuple(p) for g, p in sorted(places.items())}, [len(members) for members in groups])
    return Structure(made, {n: shapes[n] for n in shapes if any(n == p.tensor for g in made for p in g.places)})


def _named(places: Mapping[int, tuple[Place, ...]], sizes: list[int]) -> tuple[Group, ...]:
    """Groups named for the layer that writes them first."""
    made: dict[str, Group] = {}
    for g, where in places.items():
        first = where[0]
        name = first.tensor.rpartition(".")[0] or first.tensor
        if first.offset:
            name += f"[{first.offset}:{first.offset + sizes[g] * first.repeat}]"
        while name in made:
            name += "'"
        made[name] = Group(name, sizes[g], tuple(sorted(where)))
    return tuple(made.values())
