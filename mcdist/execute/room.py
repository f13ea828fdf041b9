"""How much memory a process has used, and how much there is left for it."""

from __future__ import annotations

from pathlib import Path

import torch

__all__ = ["bytes_said", "left", "peak"]


def peak(device: torch.device) -> int:
    """The most bytes that this process has held at any moment, on a GPU those of its tensors; 0 where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return bytes_said("/proc/self/status", "VmHWM")


def left(device: torch.device) -> int:
    """Bytes that could be had now; as many as one could wish for where nobody says.

    On a GPU of which the process has a share only, no more than is left of that, whatever others have left of theirs.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        share = torch.cuda.get_per_process_memory_fraction(device)
        return int(min(free, share * total - torch.cuda.memory_reserved(device)))
    return bytes_said("/proc/meminfo", "MemAvailable") or 1 << 62


def bytes_said(file: str, key: str) -> int:
    """The number of bytes that a file of /proc says for a key; 0 where there is no such file, or no such key."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)
