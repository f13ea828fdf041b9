"""Log-determinants of leading subspaces."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mcdist.science.curvature.records import Curvature, Value
from mcdist.science.curvature.workbench import Workbench

__all__ = ["above", "log_det"]


def log_det(bench: Workbench, name: str, operator: str) -> list[Curvature]:
    """sum ln lambda_i over the eigenvalues above the floor, and how many those are.

    Of the Fisher matrix all eigenvalues are known, so nothing above the floor is missed and the sum of what is left out
    is given; of the Hessian and the GGN the `top_k` largest are, weight decay included.
    """
    floor, k = bench.recipe.floor, bench.recipe.top_k
    if operator == "fisher":
        values = bench.fisher_spectrum
        steps = [None] * len(bench)
        mode: str | None = bench.recipe.label_mode
    else:
        leading = bench.krylov(operator).leading(k, bench.recipe.weight_decay)
        values = leading.values[:, 0]
        steps, mode = leading.steps[:, 0].tolist(), None
    results = []
    for row, iterations in zip(values, steps, strict=True):
        total, rank, left_out = above(row, floor)
        known = len(row[~row.isnan()])
        results.append(
            Curvature(
                [
                    Value(
                        name,
                        None,
                        total,
                        n_samples=bench.n,
                        label_mode=mode,
                        iterations=iterations,
                        floor=floor,
                        rank=rank,
                        truncated=operator != "fisher" and rank == known < bench.points.theta.shape[1],
                        left_out=left_out if operator == "fisher" else None,
                    )
                ]
            )
        )
    return results


def above(eigenvalues: Tensor, floor: float) -> tuple[float, int, float]:
    """sum of ln lambda over lambda > floor, the number of those, and the sum of the others (NaN are none).

    NaN, 0 and NaN where there is no eigenvalue at all, as of a point that diverged.
    """
    there = eigenvalues[~eigenvalues.isnan()]
    if not len(there):
        return math.nan, 0, math.nan
    counted = there[there > floor]
    return float(torch.log(counted).sum()), len(counted), float(there[there <= floor].sum())
