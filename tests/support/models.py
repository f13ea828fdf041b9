"""Models of a user's own, as `support.models:NAME`: well-behaved, and not."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import Tensor, nn


class Mine(nn.Module):
    """One hidden layer; `fate` is called on every forward."""

    def __init__(self, input_shape: tuple[int, ...], n_classes: int, hidden: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(input_shape[0], hidden), nn.ReLU(), nn.Linear(hidden, n_classes))

    def fate(self, x: Tensor) -> None: ...

    def forward(self, x: Tensor) -> Tensor:
        self.fate(x)
        out: Tensor = self.layers(x)
        return out


def _removes(fuse: Path) -> bool:
    """Whether it was there, and this call removed it: of workers that see it at the same time, one does."""
    try:
        fuse.unlink()
    except FileNotFoundError:
        return False
    return True


class KillsItsWorkerOnce(Mine):
    """Kills its process in the first training step that finds the file $MCDIST_TEST_FUSE, which it removes."""

    def fate(self, x: Tensor) -> None:
        fuse = Path(os.environ.get("MCDIST_TEST_FUSE", "/nonexistent"))
        if self.training and x.shape[0] > 2 and _removes(fuse):
            os.kill(os.getpid(), signal.SIGKILL)


class FillsMemoryOnce(Mine):
    """Takes 4 GiB in the first training step that finds the file $MCDIST_TEST_FUSE, which it removes, and waits."""

    def fate(self, x: Tensor) -> None:
        fuse = Path(os.environ.get("MCDIST_TEST_FUSE", "/nonexistent"))
        if self.training and x.shape[0] > 2 and _removes(fuse):
            taken = [b"x" * (1 << 28) for _ in range(16)]
            time.sleep(60)
            del taken


class KillsItsWorkerAlways(Mine):
    """Kills its process in every training step of more than two examples."""

    def fate(self, x: Tensor) -> None:
        if self.training and x.shape[0] > 2:
            os.kill(os.getpid(), signal.SIGKILL)


class RaisesInTraining(Mine):
    """Gives up in every training step of more than two examples."""

    def fate(self, x: Tensor) -> None:
        if self.training and x.shape[-2] > 2:
            raise ArithmeticError("enough of this")


class DependsOnData(Mine):
    """A branch on a number that torch.func cannot see through."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        if out.sum().item() > 0:
            out = out * 2
        return out


class Reordered(nn.Module):
    """Two layers; what is between them goes through an operation of which nobody knows what it does to units."""

    def __init__(self, input_shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(input_shape[0], 8), nn.Linear(8, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        out: Tensor = self.second(torch.special.i0e(hidden) * hidden)
        return out


class Forgetful(Mine):
    """Half of its outputs are dropped at random in training."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().forward(x), 0.5, self.training)


def not_a_module(input_shape: tuple[int, ...], n_classes: int) -> Tensor:
    return torch.zeros(n_classes)
