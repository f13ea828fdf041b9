"""Traces from random vectors: unbiased, with standard errors that are what they say, whole and of layers."""

from __future__ import annotations

import math

import pytest
import torch
from curvlinops import hutchpp_trace, xtrace
from torch import Tensor

from mcdist.science.curvature.lanczos import lanczos
from mcdist.science.curvature.layers import Layers
from mcdist.science.curvature.traces import Known, Trace, deflated_trace, from_krylov, sketched
from mcdist.science.layout import Layout
from science.curvature.matrices import Matrices, normal, signs, symmetric

LAYOUT = Layout(("a.weight", "a.bias", "b.weight", "bare", "b.bias"), ((4, 4), (4,), (10,), (6,), (4,)))
P = LAYOUT.size
LAYERS = Layers(LAYOUT)
MATRICES = symmetric([[30.0, 20.0, 10.0] + [math.sin(i) for i in range(P - 3)], [float(i) for i in range(P)]], seed=1)
METHODS = ["hutchinson", "hutch++", "krylov"]


def estimate(method: str, seed: int, probes: int = 12) -> Trace:
    operator = Matrices(MATRICES)
    known: Known | None = None
    if method == "hutch++":
        known = sketched(operator, torch.cat(list(signs(2, 5, P, 1000 + seed)), dim=1))
    elif method == "krylov":
        krylov = lanczos(operator, normal(P, seed), wanted=(1,), tol=1e-2)
        known = from_krylov(krylov, krylov.reached[1][:, 0])
    return deflated_trace(operator, signs(2, probes, P, seed), LAYERS, known)


def blocks() -> Tensor:
    """Traces of the diagonal blocks of layers, [K, L]."""
    return LAYERS.sums(torch.diagonal(MATRICES, dim1=1, dim2=2))


def test_layers_are_modules() -> None:
    assert LAYERS.names == ["a", "b", "bare"]
    assert LAYERS.sizes == [20, 14, 6]
    numbers = torch.arange(P, dtype=torch.float32)
    a, b, bare = sum(range(20)), sum(range(20, 30)) + sum(range(36, 40)), sum(range(30, 36))
    assert LAYERS.sums(numbers).tolist() == [a, b, bare]
    assert torch.equal(LAYERS.masks(numbers) @ numbers, LAYERS.sums(numbers).float())


@pytest.mark.parametrize("method", METHODS)
def test_estimates_are_unbiased_and_their_standard_errors_calibrated(method: str) -> None:
    """Over 150 seeds: the mean is the trace, and z = (estimate - trace) / stderr is about a standard normal."""
    found = [estimate(method, seed) for seed in range(150)]
    for wanted, values, errors in (
        (torch.diagonal(MATRICES, dim1=1, dim2=2).sum(1), [t.whole for t in found], [t.whole_error for t in found]),
        (blocks(), [t.layers for t in found], [t.layers_error for t in found]),
    ):
        off, stated = torch.stack(values) - wanted, torch.stack(errors)
        mean_z = off.mean(0) / (off.std(0) / math.sqrt(len(found)))
        assert (mean_z.abs() < 3.5).all()
        ratio = (off.square().mean(0) / stated.square().mean(0)).sqrt()
        assert ((ratio > 0.8) & (ratio < 1.25)).all()
        assert ((off.abs() < 2 * stated).double().mean(0) > 0.85).all()


@pytest.mark.parametrize("method", METHODS)
def test_layers_add_up_to_the_whole(method: str) -> None:
    found = estimate(method, 0)
    assert torch.allclose(found.layers.sum(1), found.whole, rtol=1e-12)


def test_what_is_known_leaves_less_to_chance() -> None:
    plain, *better = (torch.stack([estimate(m, s).whole_error for s in range(10)]).mean(0)[0] for m in METHODS)
    assert all(error < 0.7 * plain for error in better)


def test_a_subspace_that_is_everything_leaves_nothing() -> None:
    operator = Matrices(MATRICES)
    krylov = lanczos(operator, normal(P), most=P)
    found = deflated_trace(operator, signs(2, 4, P), LAYERS, from_krylov(krylov, krylov.steps[:, 0]))
    assert torch.allclose(found.layers, blocks(), rtol=1e-9)
    assert (found.whole_error < 1e-9).all()


def test_a_krylov_subspace_is_known_up_to_where_each_row_stopped() -> None:
    krylov = lanczos(Matrices(MATRICES), normal(P), wanted=(1,), tol=1e-3)
    steps = krylov.reached[1][:, 0]
    assert steps[0] != steps[1]
    known = from_krylov(krylov, steps)
    assert torch.allclose(known.image, known.basis @ MATRICES, rtol=0, atol=1e-10)
    assert known.basis.square().sum((1, 2)).round().tolist() == steps.tolist()


def test_curvlinops_estimates_the_same() -> None:
    torch.manual_seed(0)
    for k in range(2):
        expected = float(MATRICES[k].trace())
        ours = [float(estimate("krylov", seed).whole[k]) for seed in range(40)]
        for other in (hutchpp_trace, xtrace):
            theirs = [float(other(MATRICES[k], 18)) for _ in range(40)]
            assert sum(theirs) / 40 == pytest.approx(expected, abs=5 * torch.tensor(theirs).std().item() / 40**0.5)
        assert sum(ours) / 40 == pytest.approx(expected, abs=5 * torch.tensor(ours).std().item() / 40**0.5)
