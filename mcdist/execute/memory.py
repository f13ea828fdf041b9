"""The memory of a worker's process."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

import torch

__all__ = ["ONE_ARENA", "free_memory", "keep_freed_memory", "ran_out"]

ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}
"""Environment of a process that is to keep the memory of large blocks, too; see `keep_freed_memory`."""

_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2  # names of malloc.h

_SAID = ("DefaultCPUAllocator: can't allocate memory", "CUDA error: out of memory")


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for its next allocation. Whether that took effect: glibc only.

    glibc gives every block of more than 32 MiB (at first: 128 KiB) a mapping of its own, and unmaps it when it is
    freed. The activations of a convolutional network are such blocks: each step then touches new pages, and the system
    must fault in and clear each. From here on there are no such mappings (M_MMAP_MAX 0), the heap grows by 64 MiB at
    least and keeps up to 1 GiB at its top when blocks are freed.

    A thread other than the first has a heap of its own by default, made of parts of 64 MiB: blocks larger than that
    are mapped as before. `ONE_ARENA`, in the environment when the process starts, gives all threads the main heap.

    Measured: a step of three 3 x 3 convolutions with 32, 32, 64 channels and BatchNorm, 32 x 32 images, one thread,
    glibc 2.36, milliseconds of CPU time and page faults a step, before and after, in a thread:

    - 128 images (largest block 34 MB): 349 -> 254 ms, 65,000 -> 340 faults; greatest memory 905 -> 1048 MB
    - 512 images (134 MB): 1952 -> 1958 ms, the same 672,000 faults; with one arena 1110 to 1280 ms, 7,000 to 140,000
      faults; greatest memory 1.3 -> 2.2 GB
    """
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError, AttributeError):  # no such library or function: not glibc
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, 1 << 30) and mallopt(_TOP_PAD, 64 << 20))
    return False


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
