"""What the task kinds of noisy dynamics share: the recipe, the starts on a path, the temperature there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcdist.science.dynamics.polyline import Polyline
from mcdist.science.dynamics.temperature import gradient_noise, measured_temperature, nominal_temperature
from mcdist.science.dynamics.walk import Dynamics
from mcdist.science.optimizers import OPTIMIZERS
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.spec.dynamics import DriftSpec, DynamicsSpec, RelaxationSpec
from mcdist.tasks.positions import at_once
from mcdist.tasks.stored_path import LoadedPath, load_path
from mcdist.tasks.work import Bench

__all__ = [
    "Departure",
    "Temperatures",
    "departure",
    "dynamics_columns",
    "dynamics_of",
    "polyline_of",
    "starts_of",
    "temperatures",
]

_REACH = 1e-3  # of a path's length: so far to either side its direction is looked at, so that corners are halved


def dynamics_of(spec: DynamicsSpec) -> Dynamics:
    """The noisy dynamics that a spec describes; of the plain SGD of a drift, or of a relaxation's optimizer."""
    name, options = "sgd", dict[str, Any](momentum=spec.momentum)
    if isinstance(spec, RelaxationSpec):
        name = spec.optimizer
        options = {"momentum": spec.momentum, "nesterov": spec.nesterov}
        if name != "sgd":
            options = {"betas": spec.betas, "eps": spec.eps}
    return Dynamics(
        lr=spec.lr,
        optimizer=lambda: OPTIMIZERS[name](**options),
        noise=spec.noise,
        batch_size=spec.batch_size or 1,
        independent=spec.sampling == "independent",
        momentum=spec.momentum,
        weight_decay=spec.weight_decay,
    )


def polyline_of(path: LoadedPath, spec: DynamicsSpec) -> Polyline:
    """The piecewise-linear curve that stands for a path."""
    return Polyline.of(path.family, path.controls.theta, spec.segments)


def starts_of(path: LoadedPath, polyline: Polyline, s: Sequence[float]) -> Points:
    """The points of a path at these arclengths; what they carry beside their weights is end a's."""
    return path.controls.at(polyline.at(torch.tensor(s, dtype=torch.float64)).to(path.controls.theta))


@dataclass(frozen=True)
class Departure:
    """From where drifts are measured on a path: S points, the unit tangents [S, P] there, their curve parameters."""

    polyline: Polyline
    points: Points
    tangents: Tensor
    t: list[float]


def departure(path_id: str, spec: DriftSpec, problem: Problem, bench: Bench) -> Departure:
    """The starts of a drift on a path in the store. A tangent is the mean direction a little to either side."""
    path = load_path(bench.stored(path_id), problem)
    polyline = polyline_of(path, spec)
    s = torch.tensor(spec.starts, dtype=torch.float64)
    tangents = polyline.tangents(s - _REACH) + polyline.tangents(s + _REACH)
    unit = tangents / tangents.norm(dim=1, keepdim=True)
    return Departure(polyline, starts_of(path, polyline, spec.starts), unit, polyline.t(s).tolist())


@dataclass(frozen=True)
class Temperatures:
    """Of N starts. nominal: see table `relaxations`. measured: [N]. trace, stderr: [N] tr(Sigma), None where no
    minibatch is in the noise.
    """

    nominal: float
    measured: Tensor
    trace: Tensor | None = None
    stderr: Tensor | None = None

    @property
    def of_noise(self) -> Tensor:
        """[N], the T of isotropic noise."""
        return self.measured

    def columns(self, k: int) -> dict[str, Any]:
        """The columns that say the temperature of start k."""
        return {
            "t_nominal": self.nominal,
            "t_measured": float(self.measured[k]),
            "gradient_noise": None if self.trace is None else float(self.trace[k]),
            "gradient_noise_stderr": None if self.stderr is None else float(self.stderr[k]),
        }


def temperatures(problem: Problem, starts: Points, spec: DynamicsSpec) -> Temperatures:
    """The temperature at every start; measured on `samples` examples where minibatches make it, or noise for them."""
    N, how = len(starts), dynamics_of(spec)
    if spec.noise == "none":
        return Temperatures(0.0, torch.zeros(N, dtype=torch.float64))
    if spec.temperature is not None:
        return Temperatures(spec.temperature, torch.full((N,), spec.temperature, dtype=torch.float64))
    examples = problem.sample(spec.samples, Stream.of("temperature", "subset"))
    size = at_once(problem)
    groups = (problem.settle(starts[first : first + size]) for first in range(0, N, size))
    parts = [gradient_noise(problem, settled, examples) for settled in groups]
    trace, stderr = (torch.cat(found) for found in zip(*parts, strict=True))
    return Temperatures(nominal_temperature(how), measured_temperature(how, trace, problem.layout.size), trace, stderr)


def dynamics_columns(problem: Problem, spec: DynamicsSpec) -> dict[str, Any]:
    """The columns that say how something moved."""
    return {
        "lr": spec.lr,
        "batch_size": None if spec.temperature is not None else spec.batch_size,
        "momentum": spec.momentum,
        "weight_decay": problem.weight_decay + spec.weight_decay,
        "noise": spec.noise,
        "sampling": spec.sampling if spec.noise == "minibatch" else None,
        "seed": spec.seed,
        "n_params": problem.layout.size,
    }
