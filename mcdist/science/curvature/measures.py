"""The measures by name. A new one: a function `(workbench, name) -> [Curvature, ...]` in its file, a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from mcdist.science.curvature.density import density
from mcdist.science.curvature.gradient_noise import gradient_noise
from mcdist.science.curvature.lanczos import Leading
from mcdist.science.curvature.logdet import log_det
from mcdist.science.curvature.records import Curvature, Eigenvalue, Value
from mcdist.science.curvature.workbench import Workbench

__all__ = ["MEASURES", "Measure"]

Run = Callable[[Workbench, str, str], list[Curvature]]
"""(workbench, name of the measure, name of the operator) -> what is found at each point."""


@dataclass(frozen=True)
class Measure:
    """run: the function. operator: hessian, ggn, fisher or gradient. leading: eigenvalues asked of Lanczos, if any."""

    run: Run
    operator: str
    leading: Literal["none", "first", "top_k", "trace"] = "none"


def largest(bench: Workbench, name: str, operator: str) -> list[Curvature]:
    """The algebraically largest eigenvalue: not that of the largest magnitude, which may be negative."""
    found = [Curvature() for _ in range(len(bench))]
    for layer, column, leading in _leading(bench, operator, 1):
        for k, curvature in enumerate(found):
            curvature.values.append(_eigenvalue(bench, name, layer, leading, (k, column)))
    return found


def spectrum(bench: Workbench, name: str, operator: str) -> list[Curvature]:
    """The k algebraically largest eigenvalues, as a spectrum."""
    found = [Curvature() for _ in range(len(bench))]
    for layer, column, leading in _leading(bench, operator, bench.recipe.top_k):
        for k, curvature in enumerate(found):
            values, residuals = leading.values[k, column], leading.residuals[k, column]
            for index, (value, residual) in enumerate(zip(values.tolist(), residuals.tolist(), strict=True)):
                if value == value:  # no more of them than parameters
                    curvature.spectrum.append(Eigenvalue(operator, layer, index, value, _relative(residual, value)))
    return found


def trace(bench: Workbench, name: str, operator: str) -> list[Curvature]:
    """The trace from random vectors, plus weight decay times the number of parameters."""
    found, spent = bench.trace(operator)
    decay, sizes = bench.recipe.weight_decay, bench.layers.sizes
    results = []
    for k in range(len(bench)):
        parts: list[tuple[str | None, Tensor, Tensor, int]] = [(None, found.whole[k], found.whole_error[k], sum(sizes))]
        if bench.recipe.layers:
            parts += zip(bench.layers.names, found.layers[k], found.layers_error[k], sizes, strict=True)
        values = [
            Value(name, layer, float(value) + decay * size, float(error), n_samples=bench.n, iterations=int(spent[k]))
            for layer, value, error, size in parts
        ]
        results.append(Curvature(values))
    return results


def fisher_trace(bench: Workbench, name: str, operator: str) -> list[Curvature]:
    """tr F = mean_b |grad log p(y_b | x_b)|^2, exact on the examples; its standard error is over examples."""
    squares = bench.squared_scores
    results = []
    for k in range(len(bench)):
        curvature = Curvature([_mean(bench, name, None, squares[k].sum(-1))])
        if bench.recipe.layers:
            for at, layer in enumerate(bench.layers.names):
                curvature.values.append(_mean(bench, name, layer, squares[k, :, at]))
        results.append(curvature)
    return results


def fisher_largest(bench: Workbench, name: str, operator: str) -> list[Curvature]:
    """The largest eigenvalue of the Fisher matrix, exact on the examples."""
    mode = bench.recipe.label_mode
    return [
        Curvature([Value(name, None, float(values[0]), n_samples=bench.n, label_mode=mode)])
        for values in bench.fisher_spectrum
    ]


def fisher_leading(bench: Workbench, name: str, operator: str) -> list[Curvature]:
    """The k largest eigenvalues of the Fisher matrix, exact on the examples."""
    return [
        Curvature(spectrum=[Eigenvalue(operator, None, i, float(v), None) for i, v in enumerate(values)])
        for values in bench.fisher_spectrum[:, : bench.recipe.top_k]
    ]


def noise_trace(bench: Workbench, name: str, operator: str) -> list[Curvature]:
    """tr Sigma of the gradients of single examples: the temperature of minibatches of B at rate eta is
    eta tr Sigma / (2 B P).
    """
    traces, errors = gradient_noise(bench.problem, bench.points, bench.examples)
    found = zip(traces.tolist(), errors.tolist(), strict=True)
    return [Curvature([Value(name, None, value, error, n_samples=bench.n)]) for value, error in found]


def _leading(bench: Workbench, operator: str, k: int) -> list[tuple[str | None, int, Leading]]:
    """(layer, its column, eigenvalues): of the whole, then of layers where they are wanted."""
    shift = bench.recipe.weight_decay
    found: list[tuple[str | None, int, Leading]] = [(None, 0, bench.krylov(operator).leading(k, shift))]
    if bench.recipe.layers:
        blocks = bench.blocks(operator)[k]
        found += [(layer, at, blocks) for at, layer in enumerate(bench.layers.names)]
    return found


def _eigenvalue(bench: Workbench, name: str, layer: str | None, leading: Leading, row: tuple[int, int]) -> Value:
    value, residual = float(leading.values[row][0]), float(leading.residuals[row][0])
    steps = int(leading.steps[row])
    return Value(name, layer, value, n_samples=bench.n, iterations=steps, residual=_relative(residual, value))


def _relative(residual: float, value: float) -> float:
    return 0.0 if residual == 0 else residual / abs(value) if value != 0 else float("inf")


def _mean(bench: Workbench, name: str, layer: str | None, numbers: Tensor) -> Value:
    error = float(numbers.std() / len(numbers) ** 0.5) if len(numbers) > 1 else None
    return Value(name, layer, float(numbers.mean()), error, n_samples=bench.n, label_mode=bench.recipe.label_mode)


MEASURES: dict[str, Measure] = {
    "lambda_max": Measure(largest, "hessian", "first"),
    "ggn_max": Measure(largest, "ggn", "first"),
    "fisher_max": Measure(fisher_largest, "fisher"),
    "hessian_trace": Measure(trace, "hessian", "trace"),
    "ggn_trace": Measure(trace, "ggn", "trace"),
    "fisher_trace": Measure(fisher_trace, "fisher"),
    "top_k": Measure(spectrum, "hessian", "top_k"),
    "ggn_top_k": Measure(spectrum, "ggn", "top_k"),
    "fisher_top_k": Measure(fisher_leading, "fisher"),
    "log_det": Measure(log_det, "hessian", "top_k"),
    "ggn_log_det": Measure(log_det, "ggn", "top_k"),
    "fisher_log_det": Measure(log_det, "fisher"),
    "gradient_noise": Measure(noise_trace, "gradient"),
    "density": Measure(density, "hessian"),
    "ggn_density": Measure(density, "ggn"),
}
