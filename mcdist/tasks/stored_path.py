"""A path as it lies in the store: control points, what it is, what is known of its ends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from mcdist.science.paths import FAMILIES, Joined, PathFamily
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.tasks.work import Stored

__all__ = ["LoadedPath", "about_path", "load_path", "path_tensors"]

Metrics = Mapping[str, float]


class LoadedPath(NamedTuple):
    """controls: K = n + 2 control points, in order. family: how they make a path. about: what the path is (kind, ends,
    ...). ends: the metrics of end a and of end b, where they are known. structure: as it was given, if it was.
    """

    controls: Points
    family: PathFamily
    about: Mapping[str, Any]
    ends: tuple[dict[str, float] | None, dict[str, float] | None]
    structure: Mapping[str, Any] | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Control points of each leg."""
        return self.family.sizes if isinstance(self.family, Joined) else (len(self.controls),)


def about_path(
    who: Mapping[str, Any],
    ends: Sequence[Metrics | None] = (None, None),
    sizes: Sequence[int] = (),
    structure: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """The text kept beside a path's tensors.

    who: what the path is. ends: what was measured at ends that the path has not moved, so that nobody needs to measure
    it again. sizes: control points of each leg, where there are several. structure: of the network's permutations,
    where it was given.
    """
    text = {"kind": "path", "path": json.dumps(who)}
    if structure is not None:
        text["structure"] = json.dumps(structure)
    if len(sizes) > 1:
        text["legs"] = json.dumps(list(sizes))
    known = {f"metrics_{end}": metrics for end, metrics in zip("ab", ends, strict=True)}
    return text | {key: json.dumps(metrics) for key, metrics in known.items() if metrics is not None}


def path_tensors(problem: Problem, controls: Tensor, end_a: Points, end_b: Points) -> dict[str, Tensor]:
    """Control points [M, P] as named tensors, `point_<j>.<name>`.

    Buffers between the ends mean nothing until re-estimated; end a's stand in for them.
    """
    tensors: dict[str, Tensor] = {}
    for j, theta in enumerate(controls):
        buffers = (end_b if j == len(controls) - 1 else end_a).buffers
        state = problem.state(Points(theta[None], buffers), 0)
        tensors |= {f"point_{j}.{name}": tensor for name, tensor in state.items()}
    return tensors


def load_path(stored: Stored, problem: Problem) -> LoadedPath:
    """A path as it was stored."""
    about: dict[str, Any] = json.loads(stored.about["path"])
    ends = [json.loads(stored.about[key]) if key in stored.about else None for key in ("metrics_a", "metrics_b")]
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in stored.tensors.items():
        point, _, name = key.partition(".")
        states.setdefault(int(point.removeprefix("point_")), {})[name] = tensor
    family: PathFamily = FAMILIES[about["kind"]]
    if "legs" in stored.about:
        family = Joined(family, json.loads(stored.about["legs"]))
    controls = Points.stack([problem.point(states[j]) for j in sorted(states)])
    structure = json.loads(stored.about["structure"]) if "structure" in stored.about else None
    return LoadedPath(controls, family, about, (ends[0], ends[1]), structure)
