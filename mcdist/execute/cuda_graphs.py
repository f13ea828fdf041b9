"""A program as one CUDA graph: its hundreds of kernels are launched as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mcdist.science.tracing import Program

__all__ = ["CudaGraph"]

_WARM_UP = 3  # calls before capture, on a side stream, as torch asks for: libraries choose and allocate in them


class CudaGraph:
    """Replays what `program` does to `held` (in place) and to copies of what varies.

    Capture needs the calls before it to be made for real; what they change in `held` is put back.
    """

    def __init__(self, program: Program, held: Sequence[Tensor], varying: Sequence[Tensor]) -> None:
        self._held = len(held)
        self._inputs = [t.clone() for t in varying]
        before = [t.clone() for t in held]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), torch.no_grad():
            for _ in range(_WARM_UP):
                program(*held, *self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(self._graph):
            self._outputs = list(program(*held, *self._inputs))
        for tensor, saved in zip(held, before, strict=True):
            tensor.copy_(saved)

    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        """The program's outputs, valid until the next call. The first tensors must be those held, the rest vary."""
        for own, given in zip(self._inputs, tensors[self._held :], strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._outputs
