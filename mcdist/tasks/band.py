"""How AutoNEB is asked for, and what it gives: paths and the record of their cycles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mcdist.errors import Diverged
from mcdist.science.autoneb import SCHEDULES, Cycle, NebPath, NebRecipe, scaled
from mcdist.science.neb import Band
from mcdist.science.optimizers import Sgd
from mcdist.science.paths import on_chord
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.schedules import Constant
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe
from mcdist.spec.paths import NebSpec
from mcdist.tasks.trial import training_trial
from mcdist.tasks.work import Bench, Trial

__all__ = ["band_failure", "band_recipe", "band_trial", "cycle_rows", "neb_columns"]

_LR = 0.1
_PRECISIONS = {"full": None, "bfloat16": torch.bfloat16}


def cycles_of(neb: NebSpec) -> tuple[Cycle, ...]:
    """The cycles, a published schedule scaled."""
    if isinstance(neb.cycles, str):
        return scaled(SCHEDULES[neb.cycles], neb.lr or _LR, neb.scale or 1.0)
    return tuple(Cycle(cycle.steps, cycle.lr) for cycle in neb.cycles)


def band_recipe(neb: NebSpec) -> NebRecipe:
    """The settings as the science takes them."""
    return NebRecipe(
        cycles=cycles_of(neb),
        pivots=neb.beginning,
        batch_size=neb.batch_size,
        momentum=neb.momentum,
        weight_decay=neb.weight_decay,
        dense=neb.dense,
        threshold=neb.threshold,
        insert=neb.insert,
        most=neb.most,
        refine=neb.refine,
        precision=_PRECISIONS[neb.precision],
    )


def neb_columns(neb: NebSpec, own_decay: float = 0.0) -> dict[str, Any]:
    """The columns that say how an elastic band, or an end point like one, was trained; epochs depend on the data.

    own_decay: the problem's weight decay.
    """
    return {
        "optimizer": "sgd",
        "lr": max(cycle.lr for cycle in cycles_of(neb)),
        "momentum": neb.momentum,
        "weight_decay": own_decay + neb.weight_decay,
        "batch_size": neb.batch_size,
        "schedule": "autoneb",
    }


def cycle_rows(path_id: str, band: NebPath) -> list[dict[str, Any]]:
    """Rows of table `path_cycles`."""
    return [
        {
            "path_id": path_id,
            "cycle": record.cycle + 1,
            "steps": record.steps,
            "lr": record.lr,
            "pivots": record.pivots,
            "mean_loss": record.loss,
            "saddle": record.saddle,
            "argmax_t": record.argmax,
            "inserted": record.inserted,
            "kept": record.kept,
        }
        for record in band.cycles
    ]


def band_failure(band: NebPath, cycles: Sequence[Cycle]) -> Diverged | None:
    """Why a path failed, where its loss left the finite numbers."""
    if band.diverged is None:
        return None
    return Diverged(f"the loss on the path was not finite at step {band.diverged} of {_total(cycles)}", band.diverged)


def band_trial(neb: NebSpec, problem: Problem, a: Points, b: Points, bench: Bench) -> Trial:
    """A step of bands between the ends a and b, as long as they are on average."""
    how = band_recipe(neb)
    pivots = (how.pivots + how.most) // 2 + 2
    controls = on_chord(a.theta, b.theta, pivots - 2)
    shares = torch.full((len(controls), pivots - 1), 1.0 / (pivots - 1), dtype=torch.float64, device=controls.device)
    recipe = Recipe(1, how.batch_size, Sgd(how.momentum), how.cycles[0].lr, how.weight_decay, Constant(), how.precision)
    buffers = {name: b.repeat_interleave(pivots, dim=0) for name, b in a.buffers.items()}
    streams = [Stream.of("trial", k) for k in range(len(controls)) for _ in range(pivots)]
    trial = training_trial(problem, Band(controls, shares), buffers, recipe, streams, bench)
    return Trial(trial.step, float(_total(how.cycles)), trial.stacked, trial.images)


def _total(cycles: Sequence[Cycle]) -> int:
    return sum(cycle.steps for cycle in cycles)
