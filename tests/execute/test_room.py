"""How much memory is left for a worker."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mcdist.execute.room import left
from mcdist.execute.worker import Worker
from mcdist.store import open_store

GIB = 1 << 30


@pytest.mark.parametrize(
    ("free", "share", "reserved", "expected"),
    [
        (70, 1.0, 2, 70),  # all that nobody has
        (70, 0.25, 2, 18),  # a quarter of 80, less what the process has of it
        (10, 0.25, 2, 10),  # others have taken more than theirs
    ],
)
def test_of_a_shared_gpu_no_more_is_left_than_of_the_share(
    monkeypatch: pytest.MonkeyPatch, free: int, share: float, reserved: int, expected: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: share)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved * GIB)
    assert left(torch.device("cuda")) == expected * GIB


@pytest.mark.parametrize(
    ("device", "share", "set_to"), [("cuda", 0.25, [0.25]), ("cuda", 1.0, []), ("cuda", 2.0, []), ("cpu", 0.0, [])]
)
def test_a_worker_with_a_share_of_a_gpu_takes_no_more_of_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, share: float, set_to: list[float]
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda fraction, device: asked.append(fraction))
    store = open_store(tmp_path / "s", create=True)
    Worker(store.uri, device, torch.get_num_threads(), lambda key: pytest.fail("no data is asked for"), share)
    assert asked == set_to
