"""Traces of K symmetric matrices from products with random vectors, whole and layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mcdist.science.curvature.lanczos import Krylov
from mcdist.science.curvature.layers import Layers
from mcdist.science.curvature.operators import Operator

__all__ = ["Known", "Trace", "deflated_trace", "from_krylov", "sketched"]


@dataclass(frozen=True)
class Known:
    """A subspace on which the matrices are known: an orthonormal basis Q [K, m, P] and A Q; rows of 0 are none."""

    basis: Tensor
    image: Tensor


@dataclass(frozen=True)
class Trace:
    """Estimates with their standard errors (NaN for a single probe): of the whole [K], of each layer [K, L]."""

    whole: Tensor
    whole_error: Tensor
    layers: Tensor
    layers_error: Tensor


def deflated_trace(operator: Operator, probes: Iterable[Tensor], layers: Layers, known: Known | None = None) -> Trace:
    """tr A = tr(Q^T A Q) + E z^T (1 - Q Q^T) A (1 - Q Q^T) z, for probes z [K, c, P] of independent signs.

    Without a known subspace this is Hutchinson's estimator; with a sketched one Hutch++ (Meyer, Musco, Musco & Woodruff
    2021); with that of a Lanczos iteration, which holds the greatest eigenvalues, its Krylov form (Chen & Hallman
    2023). Unbiased given Q, which must not depend on the probes; so the standard error is that of a mean over probes.

    The trace of a diagonal block, E_l the projection on a layer, comes from the same products:
    tr(E_l A) = tr(E_l (Q Q^T A + A Q Q^T - Q Q^T A Q Q^T)) + E z^T E_l (1 - Q Q^T) A (1 - Q Q^T) z.
    """
    parts = []
    for some in probes:
        image = operator.apply(some if known is None else _off(known, some))
        parts.append(layers.sums(some * (image if known is None else _off(known, image))))
    samples = torch.cat(parts, dim=1)
    exact = samples.new_zeros(len(samples), len(layers))
    if known is not None:
        inner = known.basis @ known.image.mT  # [K, m, m], symmetric but for rounding
        doubled = layers.sums(known.basis * known.image) * 2
        exact = (doubled - layers.sums(known.basis * (inner @ known.basis))).sum(1)
    of_layers, layers_error = _mean(samples)
    whole, whole_error = _mean(samples.sum(-1))
    return Trace(whole + exact.sum(-1), whole_error, of_layers + exact, layers_error)


def _off(known: Known, vectors: Tensor) -> Tensor:
    """(1 - Q Q^T) v."""
    return vectors - (vectors @ known.basis.mT) @ known.basis


def _mean(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over N samples [K, N, ...] and its standard error."""
    return samples.mean(1), samples.std(1) / samples.shape[1] ** 0.5


def from_krylov(krylov: Krylov, steps: Tensor) -> Known:
    """The first `steps` [K] vectors of the first row of each point: A V = V T + b_m v_(m+1) e_m^T."""
    most = int(steps.max())
    basis = krylov.basis[:, 0, : most + 1]
    T = torch.zeros(len(basis), most, most + 1, dtype=torch.float64)
    for k, m in enumerate(steps.tolist()):
        along, beside = krylov.diagonal[k, 0, :m], krylov.coupling[k, 0, :m]
        T[k, :m, :m] = torch.diag(along) + torch.diag(beside[:-1], 1) + torch.diag(beside[:-1], -1)
        T[k, m - 1, m] = beside[-1]
    image = T.to(basis) @ basis
    there = torch.arange(most) < steps[:, None]
    return Known(basis[:, :most] * there[..., None].to(basis), image)


def sketched(operator: Operator, directions: Tensor) -> Known:
    """The range of A S for random directions S [K, m, P]; twice m products."""
    image = operator.apply(directions)
    basis = torch.linalg.qr(image.mT)[0].mT.contiguous()
    return Known(basis, operator.apply(basis))
