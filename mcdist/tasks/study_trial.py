"""Task kind `trial`: one trial of a study of noise, the relaxation of many paths at one setting summed up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import torch

from mcdist.spec.tasks import TrialTask
from mcdist.tasks.dynamics import dynamics_columns
from mcdist.tasks.work import Bench, Item, Kind, Outcome, Result

__all__ = ["KIND"]

_HOW = ("lr", "batch_size", "momentum", "weight_decay", "noise", "sampling")
_SUMMED = ("exposure", "censored", "diverged", "t_nominal", "t_measured")


def _run(items: Sequence[Item], bench: Bench) -> list[Outcome]:
    """One row per item."""
    return [_trial(item, bench) for item in items]


def _trial(item: Item, bench: Bench) -> Result:
    """The runs of all paths together, those that diverged left out.

    If a run arrives at a constant rate, whatever it has been through, the likelihood of that rate is greatest at
    arrived / exposure, exposure being the time of all runs, of those that were broken off too.
    """
    spec = cast(TrialTask, item.spec)
    wanted, problem = spec.relaxation, bench.problem(spec.problem)
    stored = [bench.stored(i).tensors for i in item.inputs]
    runs = {name: torch.cat([tensors[name] for tensors in stored]) for name in _SUMMED}
    stayed = ~runs["diverged"]
    exposure, arrived = float(runs["exposure"][stayed].sum()), int((stayed & ~runs["censored"]).sum())
    how = dynamics_columns(problem, wanted)
    row = {
        "trial_id": item.id,
        "problem": spec.problem.columns()["problem"],
        "subject": "relaxation",
        "parameters": json.dumps(wanted.model_dump(mode="json", exclude={"kinds"}), sort_keys=True),
        "optimizer": wanted.optimizer,
        **{name: how[name] for name in _HOW},
        "k_project": wanted.project,
        "t_nominal": float(runs["t_nominal"][0]),
        "t_measured": float(runs["t_measured"].mean()),
        "time_limit": wanted.time,
        "paths": len(item.inputs),
        "runs": int(stayed.sum()),
        "arrived": arrived,
        "censored": int(runs["censored"].sum()),
        "diverged": int(runs["diverged"].sum()),
        "exposure": exposure,
        "relaxation_time": exposure / arrived if arrived else None,
    }
    return Result(rows={"trials": [row]})


KIND = Kind(_run)
