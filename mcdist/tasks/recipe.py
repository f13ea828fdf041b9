"""Training settings of the spec as the training loop takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mcdist.errors import Diverged
from mcdist.science.optimizers import OPTIMIZERS, Optimizer, per_point
from mcdist.science.schedules import SCHEDULES
from mcdist.science.training import Recipe, Trained
from mcdist.spec.training import TrainSpec

__all__ = ["diverged", "history_rows", "recipe", "training_columns"]


def recipe(specs: Sequence[TrainSpec], like: Tensor) -> Recipe:
    """One recipe for K settings of one shape: they differ in scalars alone. like: gives type and device."""
    first = specs[0]
    return Recipe(
        epochs=first.epochs,
        batch_size=first.batch_size,
        optimizer=_optimizer(specs, like),
        lr=per_point([s.lr for s in specs], like),
        weight_decay=per_point([s.weight_decay for s in specs], like),
        schedule=SCHEDULES[first.schedule.kind](**first.schedule.options()),
        precision=torch.bfloat16 if first.precision == "bfloat16" else None,
    )


def _optimizer(specs: Sequence[TrainSpec], like: Tensor) -> Optimizer:
    first = specs[0]
    options: dict[str, Any] = {"betas": first.betas, "eps": first.eps}
    if first.optimizer == "sgd":
        momentum = per_point([s.momentum or 0.0 for s in specs], like)
        options = {"momentum": momentum, "nesterov": first.nesterov}
    return OPTIMIZERS[first.optimizer](**options)


def training_columns(spec: TrainSpec | None) -> dict[str, Any]:
    """The columns that say how something was trained; none for what was not."""
    if spec is None:
        return {}
    said = ("epochs", "optimizer", "lr", "momentum", "weight_decay", "batch_size")
    return {name: getattr(spec, name) for name in said} | {"schedule": spec.schedule.kind}


def history_rows(trained: Trained, k: int, **owner: str) -> list[dict[str, Any]]:
    """Rows of table `history` of point k; owner: endpoint_id or path_id."""
    return [
        owner | {"epoch": e.epoch, "lr": e.lr[k], "train_loss": e.loss[k], "train_error": e.error[k]}
        for e in trained.history
    ]


def diverged(trained: Trained, k: int, batches: int) -> Diverged | None:
    """Why point k failed, where its loss left the finite numbers; batches: steps per epoch."""
    step = trained.diverged[k]
    if step is None:
        return None
    return Diverged(f"the training loss was not finite at step {step} (epoch {step // batches + 1})", step)
