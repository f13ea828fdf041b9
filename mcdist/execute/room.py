"""How much memory a process has used, and how much there is left for it."""

from __future__ import annotations

from pathlib import Path

import torch

__all__ = ["left", "peak"]


def peak(device: torch.device) -> int:
    """The most bytes that this process has held at any moment, on a GPU those of its tensors; 0 where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return _kib("/proc/self/status", "VmHWM") * 1024


def left(device: torch.device) -> int:
    """Bytes that could be had now; as many as one could wish for where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return _kib("/proc/meminfo", "MemAvailable") * 1024 or 1 << 62


def _kib(file: str, key: str) -> int:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{key}:")), 0)
