"""Training settings of the spec as the training loop takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from mcdist.errors import Diverged
from mcdist.science.optimizers import OPTIMIZERS, PerPoint, per_point
from mcdist.science.schedules import SCHEDULES
from mcdist.science.training import Recipe, Trained
from mcdist.spec.training import TrainSpec

__all__ = ["diverged", "history_rows", "recipe", "training_columns"]


def recipe(specs: Sequence[TrainSpec], like: Tensor, *, tensors: bool = False) -> Recipe:
    """One recipe for K settings of one shape: they differ in scalars alone. like: gives type and device.

    tensors: every such scalar as a tensor, also where all are the same: a trace then serves all settings.
    """
    first = specs[0]

    def scalars(values: Iterable[float]) -> PerPoint:
        return per_point(list(values), like, always=tensors)

    options: dict[str, Any] = {"betas": first.betas, "eps": first.eps}
    if first.optimizer == "sgd":
        plain = not any(s.momentum for s in specs)  # of no use, then, to remember a velocity
        options = {"momentum": 0.0 if plain else scalars(s.momentum or 0.0 for s in specs), "nesterov": first.nesterov}
    decays = any(s.weight_decay for s in specs)
    return Recipe(
        epochs=first.epochs,
        batch_size=first.batch_size,
        optimizer=OPTIMIZERS[first.optimizer](**options),
        lr=scalars(s.lr for s in specs),
        weight_decay=scalars(s.weight_decay for s in specs) if decays else 0.0,
        schedule=SCHEDULES[first.schedule.kind](**first.schedule.options()),
        precision=torch.bfloat16 if first.precision == "bfloat16" else None,
        rates=tuple(s.lr for s in specs),
    )


def training_columns(spec: TrainSpec | None, own_decay: float = 0.0) -> dict[str, Any]:
    """The columns that say how something was trained; none for what was not, 0 epochs where it might
    have been. own_decay: the problem's weight decay."""
    if spec is None:
        return {}
    if not spec.epochs:
        return {"epochs": 0}
    said = ("epochs", "optimizer", "lr", "momentum", "weight_decay", "batch_size")
    decay = {"weight_decay": own_decay + spec.weight_decay}
    return {name: getattr(spec, name) for name in said} | decay | {"schedule": spec.schedule.kind}


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
