"""The programs of a worker: made when first asked for, kept for all packs of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from mcdist.execute.compilation import Compiler
from mcdist.execute.cuda_graphs import CudaGraph
from mcdist.science.tracing import Accelerate, Program, Trace
from mcdist.tasks.work import Way

__all__ = ["Programs"]

_Made = tuple[Program, list[Tensor]]


class Programs:
    """Keeps traces, compiled or as they are, by shape of work, name of function, and kind of inputs."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._made: dict[str, _Made | None] = {}

    def accelerate(self, shape: str, way: Way) -> Accelerate | None:
        """What makes programs for tasks of a shape (named by all that the plan knows of it); None for the plain way."""
        if not (way.compiled or way.graphed):
            return None

        def make(
            name: str, follow: Callable[[], Trace], held: Sequence[Tensor], varying: Sequence[Tensor]
        ) -> Program | None:
            # a graph of launches is of a GPU, and needs tensors that stay where they are
            graphed = way.graphed and bool(held) and held[0].device.type == "cuda"
            if not (way.compiled or graphed):
                return None
            inputs = [*held, *varying]
            kinds = [(tuple(t.shape), t.stride(), t.dtype) for t in inputs]
            key = f"{shape} {name} {way.compiled} {kinds}"
            if key not in self._made:
                self._made[key] = self._make(follow, inputs, way)
            made = self._made[key]
            if made is None:
                return None
            run, captured = made

            def program(*tensors: Tensor) -> Sequence[Tensor]:
                return run(*tensors, *captured)

            return CudaGraph(program, held, varying) if graphed else program

        return make

    def _make(self, follow: Callable[[], Trace], inputs: Sequence[Tensor], way: Way) -> _Made | None:
        try:
            traced = follow()
        except Exception as error:  # a module that stacks well may still do what no trace can follow
            self._compiler.give_up(error)
            return None
        run: Program | None = traced.graph
        if way.compiled:
            run = self._compiler(traced, [*inputs, *traced.captured])
        return None if run is None else (run, traced.captured)
