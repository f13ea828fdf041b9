"""The kinds of tasks."""

from __future__ import annotations

from mcdist.tasks import (
    align,
    branch,
    curvature,
    drift,
    endpoint,
    ensemble,
    ensemble_trial,
    finetune,
    join,
    path,
    pause,
    plane,
    profile,
    relaxation,
    study_trial,
    trajectory,
    trunk,
    twin,
)
from mcdist.tasks.work import Kind

__all__ = ["KINDS"]

KINDS: dict[str, Kind] = {
    "endpoint": endpoint.KIND,
    "trunk": trunk.KIND,
    "branch": branch.KIND,
    "finetune": finetune.KIND,
    "align": align.KIND,
    "path": path.KIND,
    "join": join.KIND,
    "profile": profile.KIND,
    "curvature": curvature.KIND,
    "plane": plane.KIND,
    "twin": twin.KIND,
    "drift": drift.KIND,
    "relaxation": relaxation.KIND,
    "trial": study_trial.KIND,
    "trajectory": trajectory.KIND,
    "ensemble": ensemble.KIND,
    "ensemble_trial": ensemble_trial.KIND,
    "pause": pause.KIND,
}
