"""Memory that was not enough, and memory that is kept."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from mcdist.execute.memory import ran_out

FAULTS = """
import resource
import torch
from mcdist.execute.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), keep_freed_memory() and (faults(), faults())[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_memory_that_is_kept_is_not_faulted_in_again() -> None:
    """Ten blocks of 64 MiB: 16,384 pages each, the first time that they are used."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    before, after = done.stdout.split()
    if after == "False":
        pytest.skip("not glibc")
    assert int(after) < 0.1 * int(before)


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError("DefaultCPUAllocator: can't allocate memory"), False),
    ],
)
def test_what_says_that_memory_was_not_enough(error: Exception, out: bool) -> None:
    assert ran_out(error) is out


def test_torch_says_so_in_these_words() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 58, dtype=torch.uint8)
    assert ran_out(raised.value)
