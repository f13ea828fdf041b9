"""Log-determinants above a floor."""

from __future__ import annotations

import math

import pytest
import torch

from mcdist.science.curvature import CurvatureRecipe, Value, curvature
from mcdist.science.curvature.logdet import above
from science.curvature.matrices import dense_ggn, dense_hessian
from science.curvature.test_fisher import one_by_one
from science.examples import plain, problem, starts


def test_eigenvalues_above_a_floor() -> None:
    values = torch.tensor([4.0, 2.0, 0.5, 0.1, -3.0, math.nan], dtype=torch.float64)
    assert above(values, 0.5) == (pytest.approx(math.log(8)), 2, pytest.approx(-2.4))
    assert above(values, 0.01) == (pytest.approx(math.log(0.4)), 4, -3.0)
    assert above(values, 10.0) == (0.0, 0, pytest.approx(3.6))


@pytest.mark.parametrize(("floor", "top_k"), [(0.05, 5), (0.05, 40), (0.3, 53), (1e-12, 53)])
def test_of_every_operator(floor: float, top_k: int) -> None:
    of = problem(plain)
    points, streams = starts(of, range(2))
    examples, decay = of.data_of("train"), 0.02
    recipe = CurvatureRecipe(
        ("log_det", "ggn_log_det", "fisher_log_det"), samples=None, weight_decay=decay, tol=1e-11, floor=floor,
        top_k=top_k,
    )  # fmt: skip
    S = one_by_one(of, points)
    for k, found in enumerate(curvature(of, points, recipe, streams)):
        by_name = {v.measure: v for v in found.values}
        for name, dense in (("log_det", dense_hessian), ("ggn_log_det", dense_ggn)):
            eigenvalues = torch.linalg.eigvalsh(dense(of, points[k], examples)).flip(0)[:top_k] + decay
            check(by_name[name], eigenvalues.tolist(), floor)
            assert by_name[name].truncated == (min(eigenvalues) > floor and top_k < 53)
            assert by_name[name].left_out is None
        eigenvalues = torch.linalg.eigvalsh(S[k].T @ S[k] / 22).flip(0)[:22]  # no weight decay: that is no likelihood
        fisher = by_name["fisher_log_det"]
        if floor > 1e-6:
            check(fisher, eigenvalues.tolist(), floor)
            assert fisher.left_out == pytest.approx(float(eigenvalues[eigenvalues <= floor].sum()), rel=1e-9)
        assert fisher.truncated is False
        assert fisher.label_mode == "data"


def check(found: Value, eigenvalues: list[float], floor: float) -> None:
    counted = [e for e in eigenvalues if e > floor]
    assert found.rank == len(counted)
    assert found.value == pytest.approx(sum(map(math.log, counted)), rel=1e-6, abs=1e-6)
    assert found.floor == floor
