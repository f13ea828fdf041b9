"""The memory of a worker's process."""

from __future__ import annotations

import gc

import torch

__all__ = ["free_memory", "ran_out"]

_SAID = ("DefaultCPUAllocator: can't allocate memory", "CUDA error: out of memory")


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that memory, the host's or the device's, was not enough."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def free_memory() -> None:
    """Give back what nothing holds any more: for the next attempt, and for others on the same device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
