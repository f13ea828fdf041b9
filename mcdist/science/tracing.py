"""A function of tensors as a graph of tensor operations, with nothing of Python left in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

__all__ = ["Accelerate", "Program", "Trace", "tensors_in", "trace"]


@dataclass(frozen=True)
class Trace:
    """graph: takes the tensors among the arguments, in order, then `captured`; changes in place what the function did.

    captured: tensors that the function took from elsewhere (data, constants): inputs like the others, so that a graph
    made into a program holds no data.
    """

    graph: GraphModule
    captured: list[Tensor]

    def text(self) -> str:
        """The graph in words: two traces with the same text do the same to inputs of the same kind."""
        return str(self.graph.graph)


Program = Callable[..., Sequence[Tensor]]
"""Takes the tensors that were followed, in order; changes in place what the followed function did."""


class Accelerate(Protocol):
    """Makes programs of functions; None where it cannot, or where it does not pay."""

    def __call__(
        self, name: str, follow: Callable[[], Trace], held: Sequence[Tensor], varying: Sequence[Tensor]
    ) -> Program | None:
        """The program of a function of `[*held, *varying]`.

        name: the same for functions that do the same to tensors of the same kinds: only the first of them need be
        followed. held: tensors that will be the same ones in every call; varying: such as each call will bring.
        """


def trace(function: Callable[..., Any], args: tuple[Any, ...]) -> Trace:
    """Follow the function through one call (which is made: what it changes in place is changed).

    args: any nesting of tensors. Whatever else decides what the function does (sizes, flags, numbers) is held fixed.
    """
    leaves, form = pytree.tree_flatten(args)

    def flat(*tensors: Tensor) -> Any:
        given = iter(tensors)
        filled = [next(given) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        return function(*pytree.tree_unflatten(filled, form))

    graph = make_fx(flat)(*tensors_in(args))
    return Trace(graph, _lift(graph))


def tensors_in(args: Any) -> list[Tensor]:
    """The tensors in a nesting of arguments, in the order in which a trace takes them."""
    return [leaf for leaf in pytree.tree_leaves(args) if isinstance(leaf, Tensor)]


def _lift(graph: GraphModule) -> list[Tensor]:
    """Turn the constants of a graph into further inputs."""
    captured: list[Tensor] = []
    inputs: dict[str, Node] = {}
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    for node in list(graph.graph.nodes):
        if node.op != "get_attr":
            continue
        name = str(node.target)
        if name not in inputs:
            with graph.graph.inserting_after(last):
                last = inputs[name] = graph.graph.placeholder(f"captured_{len(captured)}")
            captured.append(getattr(graph, name).detach())
        node.replace_all_uses_with(inputs[name])
        graph.graph.erase_node(node)
    for name in inputs:
        delattr(graph, name)
    graph.graph.lint()
    graph.recompile()
    return captured
