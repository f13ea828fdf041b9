"""What is measured, and what is found: plain numbers, ready for tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from mcdist.errors import RequestError

__all__ = ["Curvature", "CurvatureRecipe", "Density", "Eigenvalue", "Value"]

LABEL_MODES = ("data", "sampled")
TRACE_METHODS = ("krylov", "hutch++", "hutchinson")


@dataclass(frozen=True)
class CurvatureRecipe:
    """What to measure at a point, and how.

    measures: names of MEASURES. samples: training examples, drawn once for all points (None: all); seed: of that draw,
    and part of the name of the streams of probes and sampled labels. label_mode: labels of the Fisher matrix, those of
    the data or drawn from the model. weight_decay: coefficient of 0.5 |w|^2 in the loss whose Hessian and GGN it is.
    top_k: eigenvalues of spectra and log-determinants. tol: relative change at which an eigenvalue has settled.
    max_iterations: most products for it. probes: random vectors of a trace. trace_method: krylov (what is left when the
    subspace in which the greatest eigenvalue settled is taken out, on top of its products), hutch++ (a third of the
    products for the range, a third for the trace in it) or hutchinson. floor: log-determinants are of the
    eigenvalues above it, an absolute number, so that sums at different points are of the same kind. layers: also layer
    by layer. density_*: vectors and Lanczos steps of a density, its grid points, and the standard deviation of its
    Gaussians as a part of the spectrum's extent.
    """

    measures: tuple[str, ...] = ("lambda_max", "fisher_trace")
    samples: int | None = 1000
    seed: int = 0
    label_mode: Literal["data", "sampled"] = "data"
    weight_decay: float = 0.0
    top_k: int = 10
    tol: float = 1e-4
    max_iterations: int = 100
    probes: int = 32
    trace_method: Literal["krylov", "hutch++", "hutchinson"] = "krylov"
    floor: float = 1e-3
    layers: bool = False
    density_probes: int = 4
    density_steps: int = 64
    density_grid: int = 512
    density_width: float = 0.01

    def __post_init__(self) -> None:
        if not self.measures:
            raise RequestError("curvature: no measures")
        least = {
            "samples": 1,
            "top_k": 1,
            "max_iterations": 2,
            "probes": 2,
            "density_probes": 1,
            "density_steps": 2,
            "density_grid": 2,
        }
        for name, value in ((n, getattr(self, n)) for n in least):
            if value is not None and value < least[name]:
                raise RequestError(f"curvature: {name} is {value}, allowed: {least[name]} or more")
        for name in ("tol", "floor", "density_width"):
            if not 0 < getattr(self, name) < float("inf"):
                raise RequestError(f"curvature: {name} is {getattr(self, name)}, allowed: a number above 0")
        if not 0 <= self.weight_decay < float("inf"):
            raise RequestError(f"curvature: weight_decay is {self.weight_decay}, allowed: 0 or more")
        for name, allowed in (("label_mode", LABEL_MODES), ("trace_method", TRACE_METHODS)):
            if getattr(self, name) not in allowed:
                raise RequestError(f"curvature: {name} is {getattr(self, name)!r}, allowed: {', '.join(allowed)}")
        if self.trace_method == "hutch++" and self.probes < 4:
            raise RequestError(f"curvature: hutch++ with {self.probes} probes, allowed: 4 or more")


@dataclass(frozen=True)
class Value:
    """One measure of one point, or of one layer of it; None where a column does not apply.

    iterations: products with the operator. residual: |A v - lambda v| / |lambda|. rank: eigenvalues that a
    log-determinant counted; truncated: whether all that were computed were counted, so that there may be more;
    left_out: the sum of the eigenvalues at or below the floor, where all are known.
    """

    measure: str
    layer: str | None
    value: float
    stderr: float | None = None
    n_samples: int = 0
    label_mode: str | None = None
    iterations: int | None = None
    residual: float | None = None
    floor: float | None = None
    rank: int | None = None
    truncated: bool | None = None
    left_out: float | None = None


@dataclass(frozen=True)
class Eigenvalue:
    """One of the algebraically largest eigenvalues; index 0 is the greatest. residual: None where it is exact."""

    operator: str
    layer: str | None
    index: int
    eigenvalue: float
    residual: float | None


@dataclass(frozen=True, eq=False)
class Density:
    """Spectral density on a grid: it integrates to 1. stderr: over random vectors, None for a single one."""

    operator: str
    x: npt.NDArray[np.float64]
    density: npt.NDArray[np.float64]
    stderr: npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class Curvature:
    """All that was measured at one point."""

    values: list[Value] = field(default_factory=list)
    spectrum: list[Eigenvalue] = field(default_factory=list)
    density: list[Density] = field(default_factory=list)

    def value(self, measure: str, layer: str | None = None) -> float:
        """The value of a measure. Raises KeyError where it was not measured."""
        for found in self.values:
            if (found.measure, found.layer) == (measure, layer):
                return found.value
        raise KeyError(measure if layer is None else f"{measure} of {layer}")
