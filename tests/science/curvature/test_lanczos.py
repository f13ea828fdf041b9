"""Lanczos iterations on given matrices: eigenvalues, residuals, quadratures, and when each row stops."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from mcdist.science.curvature.lanczos import Krylov, lanczos
from science.curvature.matrices import Matrices, normal, symmetric

P = 24
SPREAD = [float(i * i) for i in range(P)]
SPECTRA: dict[str, list[float]] = {
    "spread": SPREAD,
    "degenerate top": [*SPREAD[:-4], *[500.0] * 4],
    "identity": [3.0] * P,
    "zero": [0.0] * P,
    "two values": [1.0] * 20 + [2.0] * 4,
    "negative definite": [-1.0 - i for i in range(P)],
    "largest magnitude negative": [-1000.0, *SPREAD[:-1]],
    "low rank": [0.0] * 20 + [1.0, 2.0, 3.0, 4.0],
    "outlier": [1e-3 * i for i in range(P - 1)] + [50.0],
}


def run(values: Sequence[Sequence[float]], wanted: Sequence[int] = (1,), tol: float = 1e-12, **options: int) -> Krylov:
    return lanczos(Matrices(symmetric(values)), normal(P), wanted=wanted, tol=tol, **options)


def top(values: Sequence[float], k: int) -> Tensor:
    return torch.tensor(sorted(values, reverse=True)[:k], dtype=torch.float64)


@pytest.mark.parametrize("name", SPECTRA)
def test_leading_eigenvalues_of_known_matrices(name: str) -> None:
    """The algebraically largest, every copy of a degenerate one; residuals are those of the Ritz vectors."""
    values = SPECTRA[name]
    for wanted in ((1,), (6,), (1, 6)):
        krylov = run([values], wanted)
        for k in wanted:
            found = krylov.leading(k)
            assert torch.allclose(found.values[0, 0], top(values, k), rtol=1e-9, atol=1e-9)
            assert (found.residuals[0, 0] < 1e-4 * max(map(abs, values), default=1) + 1e-12).all()


def test_all_points_at_once_as_each_alone() -> None:
    """They stop at different steps; what each of them gives does not depend on the others."""
    together = run(list(SPECTRA.values()), (1, 4), tol=1e-6)
    assert len(set(together.reached[4].flatten().tolist())) > 2
    for i, values in enumerate(SPECTRA.values()):

        def start(k: int, row: int, attempt: int, i: int = i) -> Tensor:
            return normal(P)(i, row, attempt)

        matrix = symmetric(list(SPECTRA.values()))[i : i + 1]
        alone = lanczos(Matrices(matrix), start, wanted=(1, 4), tol=1e-6)
        for k in (1, 4):
            one, all_ = alone.leading(k), together.leading(k)
            assert one.steps[0, 0] == all_.steps[i, 0]
            assert torch.allclose(one.values[0, 0], all_.values[i, 0], rtol=1e-9, atol=1e-9), values


def test_points_that_have_settled_cost_nothing_more() -> None:
    matrices = Matrices(symmetric([SPECTRA["outlier"]] * 7 + [SPREAD]))
    krylov = lanczos(matrices, normal(P), wanted=(1,), tol=1e-10)
    steps = krylov.reached[1].flatten()
    assert steps[:7].max() < steps[7]
    assert matrices.count[0] == int(steps.sum())


def test_one_iteration_serves_several_numbers_of_eigenvalues() -> None:
    """What settles first is reported as it was then."""
    both, one = run([SPREAD], (1, 6), tol=1e-3), run([SPREAD], (1,), tol=1e-3)
    assert both.reached[1] == one.reached[1]
    assert both.reached[1] < both.reached[6]
    assert torch.allclose(both.leading(1).values, one.leading(1).values, rtol=1e-12)
    with pytest.raises(KeyError):
        both.leading(2)


def test_the_residual_is_that_of_the_ritz_vector() -> None:
    matrix = symmetric([SPREAD])
    krylov = lanczos(Matrices(matrix), normal(P), wanted=(2,), tol=1e-3, most=9)
    found, m = krylov.leading(2), 9
    V = krylov.basis[0, 0, :m]
    ritz, s = torch.linalg.eigh(V @ matrix[0] @ V.T)
    for i in (1, 2):
        v = s[:, -i] @ V
        assert float(found.values[0, 0, i - 1]) == pytest.approx(float(ritz[-i]), rel=1e-10)
        residual = (matrix[0] @ v - ritz[-i] * v).norm()
        assert float(found.residuals[0, 0, i - 1]) == pytest.approx(float(residual), rel=1e-6)


def test_the_iteration_stops_at_a_relative_change() -> None:
    previous = 0
    for tol in (1e-1, 1e-3, 1e-6, 1e-12):
        krylov = run([SPREAD], tol=tol)
        found = krylov.leading(1)
        assert abs(float(found.values[0, 0, 0]) - SPREAD[-1]) <= 5 * tol * SPREAD[-1]
        assert previous <= int(found.steps[0, 0])
        previous = int(found.steps[0, 0])
    limited = run([SPREAD], tol=1e-12, most=5).leading(1)
    assert limited.steps[0, 0] == 5
    assert limited.residuals[0, 0, 0] > 1e-3


def test_a_shift_counts_in_the_relative_change_alone() -> None:
    """A I has all its vectors; with a shift that is large beside the eigenvalues the iteration stops sooner."""
    plain = lanczos(Matrices(symmetric([SPREAD])), normal(P), wanted=(1,), tol=1e-6)
    moved = lanczos(Matrices(symmetric([SPREAD])), normal(P), wanted=(1,), tol=1e-6, shift=1e6)
    assert moved.reached[1] < plain.reached[1]
    assert plain.leading(1, 7.0).values == plain.leading(1).values + 7.0


def test_rows_of_blocks() -> None:
    matrix = symmetric([SPREAD, SPECTRA["spread"][::-1]], seed=3)
    masks = torch.zeros(3, P, dtype=torch.float64)
    sizes = [3, 1, 20]
    masks[0, :3] = masks[1, 3:4] = masks[2, 4:] = 1.0
    krylov = lanczos(Matrices(matrix), normal(P), rows=3, wanted=(1, 5), tol=1e-12, dimensions=sizes, masks=masks)
    for k in range(2):
        for r, at in enumerate((slice(0, 3), slice(3, 4), slice(4, P))):
            expected = torch.linalg.eigvalsh(matrix[k, at, at]).flip(0)
            for wanted in (1, 5):
                found, n = krylov.leading(wanted).values[k, r], min(wanted, sizes[r])
                assert torch.allclose(found[:n], expected[:n], rtol=1e-9)
                assert found[n:].isnan().all()
            assert int(krylov.steps[k, r]) <= sizes[r]


def test_the_quadrature_has_the_moments_of_its_start() -> None:
    """m nodes are exact for polynomials of degree 2 m - 1."""
    matrix = symmetric([[x / 100 for x in SPREAD], SPECTRA["two values"]])
    krylov = lanczos(Matrices(matrix), normal(P), rows=2, most=6, restart=False)
    assert krylov.steps.tolist() == [[6, 6], [2, 2]]
    for k, rows in enumerate(krylov.nodes()):
        for r, (x, w) in enumerate(rows):
            v = krylov.basis[k, r, 0]
            assert float(w.sum()) == pytest.approx(1.0, abs=1e-12)
            for degree in range(2 * len(x)):
                moment = v @ torch.linalg.matrix_power(matrix[k], degree) @ v
                assert float(w @ x**degree) == pytest.approx(float(moment), rel=1e-9)


def test_float32_bases_stay_orthonormal() -> None:
    n = 300
    values = [1000.0 / (1 + i) ** 2 for i in range(n)]
    matrix = symmetric([values], dtype=torch.float32)
    krylov = lanczos(Matrices(matrix), normal(n), wanted=(10,), tol=1e-5, most=80)
    m = int(krylov.steps[0, 0])
    V = krylov.basis[0, 0, :m].double()
    assert torch.allclose(V @ V.T, torch.eye(m, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(krylov.leading(10).values[0, 0], top(values, 10), rtol=1e-3)


def test_a_matrix_that_is_not_finite_harms_no_other() -> None:
    matrices = symmetric([SPREAD, SPREAD, SPREAD])
    matrices[1] = torch.nan
    krylov = lanczos(Matrices(matrices), normal(P), wanted=(1, 3), tol=1e-12)
    found = krylov.leading(3)
    assert found.values[1].isnan().all()
    assert torch.allclose(found.values[[0, 2], 0], top(SPREAD, 3).expand(2, -1), rtol=1e-9)
    assert krylov.nodes()[1][0][0].isnan().all()
