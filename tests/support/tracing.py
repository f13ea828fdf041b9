"""Programs without a compiler: the traces themselves are run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from mcdist.science.tracing import Program, Trace


class AsTraced:
    """Runs the traces themselves, and counts what it was asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.calls = 0

    def __call__(
        self, name: str, follow: Callable[[], Trace], held: Sequence[Tensor], varying: Sequence[Tensor]
    ) -> Program:
        self.names.append(name)
        traced = follow()

        def run(*tensors: Tensor) -> Sequence[Tensor]:
            self.calls += 1
            outputs: Sequence[Tensor] = traced.graph(*tensors, *traced.captured)
            return outputs

        return run


def refuse(*_: object) -> None:
    """Makes no program of anything."""
