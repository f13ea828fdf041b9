"""Lanczos iteration on K symmetric matrices at once, each row stopping by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mcdist.science.curvature.operators import Operator

__all__ = ["Krylov", "Leading", "lanczos"]

# steps without a change: a start that has little of an eigenvector shows the next one for a while (at a tolerance
# of 1e-3, on a path of a trained perceptron, errors of 1 % or more in 8 of 1008 runs with two such steps, in 3 with
# three; a tolerance of 1e-4 costs one step more)
_STILL = 3

Fresh = Callable[[int, int, int], Tensor]
"""(point, row, attempt) -> a random vector [P]; attempt 0 is the start, others come after an invariant subspace."""


@dataclass(frozen=True)
class Leading:
    """The algebraically largest eigenvalues of each row, [K, c, k], with |A v - lambda v|, and the steps it took."""

    values: Tensor
    residuals: Tensor
    steps: Tensor

    @classmethod
    def joined(cls, parts: Sequence[Leading]) -> Leading:
        """The rows of several, in order."""
        fields = zip(*((part.values, part.residuals, part.steps) for part in parts), strict=True)
        return cls(*(torch.cat(field, dim=1) for field in fields))


@dataclass(frozen=True)
class Krylov:
    """A V = V T + b_m v_(m+1) e_m^T for c rows of each of K points; V^T V = 1.

    basis: [K, c, M + 1, P]. diagonal, coupling: [K, c, M], float64 on the CPU: T's diagonal, and b_1 .. b_M. steps:
    [K, c], each row's own m; what lies beyond is not to be used. reached: for each number of eigenvalues that was
    asked for the steps [K, c] after which those had settled.
    """

    basis: Tensor
    diagonal: Tensor
    coupling: Tensor
    steps: Tensor
    reached: dict[int, Tensor]

    def leading(self, k: int, shift: float = 0.0) -> Leading:
        """The k largest Ritz values (as many as there are; NaN for those beyond) when they had settled, plus shift.

        The residual is |A v - lambda v| = b_m |s_m|, s the eigenvector of T. Raises KeyError for a k that was not
        asked for.
        """
        steps = self.reached[k]
        values = torch.full((*steps.shape, k), torch.nan, dtype=torch.float64)
        residuals = values.clone()
        for row in _rows(steps):
            m = int(steps[row])
            if not self.diagonal[row][:m].isfinite().all():  # of a point that diverged: NaN, no error
                continue
            ritz, vectors = torch.linalg.eigh(_tridiagonal(self.diagonal[row][:m], self.coupling[row][: m - 1]))
            found = min(k, m)
            values[row][:found] = ritz.flip(0)[:found] + shift
            residuals[row][:found] = (self.coupling[row][m - 1] * vectors[-1].abs()).flip(0)[:found]
        return Leading(values, residuals, steps)

    def nodes(self) -> list[list[tuple[Tensor, Tensor]]]:
        """Per point and row the Gauss quadrature of its start: nodes [m] and weights [m], which add up to 1.

        sum_i w_i f(x_i) = <v_1, f(A) v_1> for polynomials f of degree up to 2 m - 1.
        """
        return [[self._quadrature(k, r) for r in range(self.steps.shape[1])] for k in range(self.steps.shape[0])]

    def _quadrature(self, k: int, r: int) -> tuple[Tensor, Tensor]:
        m = int(self.steps[k, r])
        T = _tridiagonal(self.diagonal[k, r, :m], self.coupling[k, r, : m - 1])
        if not T.isfinite().all():
            return torch.full((m,), torch.nan, dtype=torch.float64), torch.full((m,), torch.nan, dtype=torch.float64)
        x, vectors = torch.linalg.eigh(T)
        return x, vectors[0].square()


def lanczos(
    operator: Operator,
    fresh: Fresh,
    *,
    rows: int = 1,
    wanted: Sequence[int] = (),
    tol: float = 0.0,
    most: int = 100,
    dimensions: Sequence[int] | None = None,
    masks: Tensor | None = None,
    restart: bool = True,
    shift: float = 0.0,
) -> Krylov:
    """Grow Krylov spaces from random starts, with full reorthogonalisation.

    wanted: numbers k of algebraically largest eigenvalues; a row stops when for each of them no such eigenvalue (plus
    `shift`) has moved by more than `tol` times itself in three steps running. Without any, or unsettled, after `most`
    steps. masks: [rows, P], 0 or 1: row r is of the block of A on the parameters where its mask is 1; dimensions:
    the numbers of those. restart: go on from a new vector, orthogonal to the rest, where the space is invariant under
    A; it finds further copies of an eigenvalue. Without, the row ends there.
    """
    run = _Run(operator, fresh, rows, most, dimensions, masks, restart)
    rules = {k: _Rule(k, tol, shift, len(operator), rows) for k in wanted}
    while not run.finished():
        run.step()
        if rules:
            largest = run.ritz(max(rules))
            for rule in rules.values():
                rule.see(largest, run.length, run.active)
            run.retire(torch.stack([rule.reached > 0 for rule in rules.values()]).all(0))
    reached = {
        k: torch.where(rule.reached > 0, rule.reached, run.steps).minimum(run.steps) for k, rule in rules.items()
    }
    return Krylov(run.basis[:, :, : run.length + 1], run.diagonal, run.coupling, run.steps, reached)


class _Rule:
    """Notes when the k largest Ritz values have settled."""

    def __init__(self, k: int, tol: float, shift: float, K: int, rows: int) -> None:
        self.k, self.tol, self.shift = k, tol, shift
        self.reached = torch.zeros(K, rows, dtype=torch.int64)
        self._before = torch.full((K, rows, k), torch.nan, dtype=torch.float64)
        self._still = torch.zeros(K, rows, dtype=torch.int64)

    def see(self, largest: Tensor, length: int, active: list[int]) -> None:
        """largest: [A, c, >= k] of the active points after `length` steps, the greatest first."""
        now = largest[..., : self.k] + self.shift
        # what is tiny beside the greatest need not be known to its own relative precision
        scale = torch.maximum(now.abs(), self.tol * now.abs().amax(-1, keepdim=True))
        still = ((now - self._before[active]).abs() <= self.tol * scale).all(-1)  # never, as long as there is a NaN
        self._still[active] = torch.where(still, self._still[active] + 1, 0)
        self._before[active] = now
        settled = (self._still[active] >= _STILL) & (self.reached[active] == 0)
        self.reached[active] = torch.where(settled, length, self.reached[active])


class _Run:
    """The state of the iteration: everything is of all K points; products are of the active ones."""

    def __init__(
        self,
        operator: Operator,
        fresh: Fresh,
        rows: int,
        most: int,
        dimensions: Sequence[int] | None,
        masks: Tensor | None,
        restart: bool,
    ) -> None:
        theta = operator.theta
        K, P = theta.shape
        self._operator, self._fresh, self._masks, self._restart = operator, fresh, masks, restart
        self._of = list(range(K))  # the points that the operator is of
        self.active = list(range(K))
        self._limit = torch.tensor(dimensions or [P] * rows).clamp(max=most).expand(K, rows).clone()
        self._dimension = torch.tensor(dimensions or [P] * rows).expand(K, rows)
        longest = int(self._limit.max())
        self.diagonal = torch.zeros(K, rows, longest, dtype=torch.float64)
        self.coupling = torch.zeros(K, rows, longest, dtype=torch.float64)
        self.steps = torch.zeros(K, rows, dtype=torch.int64)  # 0 while a row goes on
        self.length = 0
        self._attempts = torch.zeros(K, rows, dtype=torch.int64)
        self.basis = torch.zeros(K, rows, min(longest, 16) + 1, P, dtype=theta.dtype, device=theta.device)
        for k, r in _rows(self.steps):
            start = self._random(k, r)
            self.basis[k, r, 0] = start / start.norm()

    def finished(self) -> bool:
        return not self.active

    def step(self) -> None:
        """One more vector for each active row."""
        j, at = self.length, self.active
        self._make_room(j + 2)
        V = self.basis[:, :, : j + 1]
        if len(at) < len(self.steps):
            V = V[at]
        v = V[:, :, j]
        w = self._product(v)
        alpha = _dot(v, w)
        w = w - alpha.to(w.dtype)[..., None] * v
        if j > 0:
            w = w - self.coupling[at, :, j - 1].to(w)[..., None] * V[:, :, j - 1]
        w = w - (V.mT @ (V @ w[..., None]))[..., 0]
        norm = _dot(w, w).sqrt()
        self.diagonal[at, :, j], self.coupling[at, :, j] = alpha.cpu(), norm.cpu()
        self.basis[at, :, j + 1] = w / norm.clamp(min=torch.finfo(w.dtype).tiny).to(w.dtype)[..., None]
        self.length = j + 1
        lost = torch.zeros_like(self.steps, dtype=torch.bool)
        lost[at] = ~(alpha + norm).isfinite().all(-1, keepdim=True).cpu()
        self.retire(lost)
        self._mend(j)

    def _product(self, v: Tensor) -> Tensor:
        if len(self.active) <= 0.6 * len(self._of):  # building its graph again costs about one product
            self._operator = self._operator.take([self._of.index(k) for k in self.active])
            self._of = list(self.active)
        if len(self._of) != len(self.active):
            whole = v.new_zeros(len(self._of), *v.shape[1:])
            here = [self._of.index(k) for k in self.active]
            whole[here] = v
            w = self._operator.apply(whole)[here]
        else:
            w = self._operator.apply(v)
        return w if self._masks is None else w * self._masks

    def _mend(self, j: int) -> None:
        """Where the space is invariant: go on from a fresh vector, or end the row there; end what is complete."""
        size = torch.maximum(self.diagonal[self.active].abs(), self.coupling[self.active]).amax(-1)
        tiny = 16 * torch.finfo(self.basis.dtype).eps * size
        invariant = self.coupling[self.active, :, j] <= tiny
        invariant |= self._dimension[self.active] <= self.length
        for a, r in invariant.nonzero().tolist():
            k = self.active[a]
            self.coupling[k, r, j] = 0.0
            self.basis[k, r, j + 1] = 0.0
            if not self._restart and self.steps[k, r] == 0:
                self.steps[k, r] = self.length
            elif self.length < int(self._limit[k, r]):
                self.basis[k, r, j + 1] = self._orthogonal(k, r, j + 1)
        self.retire(self._limit <= self.length)

    def retire(self, done: Tensor) -> None:
        """End the rows [K, c] that are done; a point is active while one of its rows is."""
        self.steps = torch.where(done & (self.steps == 0), self.length, self.steps)
        self.active = [k for k in self.active if bool((self.steps[k] == 0).any())]

    def ritz(self, k: int) -> Tensor:
        """The k largest Ritz values of the active points, [A, c, k], the greatest first; NaN for what is not there."""
        n = self.length
        T = _tridiagonal(self.diagonal[self.active, :, :n], self.coupling[self.active, :, : n - 1])
        found = torch.linalg.eigvalsh(T).flip(-1)[..., :k]
        missing = found.new_full((*found.shape[:-1], k - found.shape[-1]), torch.nan)
        return torch.cat([found, missing], dim=-1)

    def _random(self, k: int, r: int) -> Tensor:
        vector = self._fresh(k, r, int(self._attempts[k, r])).to(self.basis)
        self._attempts[k, r] += 1
        return vector if self._masks is None else vector * self._masks[r]

    def _orthogonal(self, k: int, r: int, j: int) -> Tensor:
        vector = self._random(k, r)
        V = self.basis[k, r, :j]
        for _ in range(2):
            vector = vector - V.T @ (V @ vector)
            vector = vector / vector.norm()
        return vector

    def _make_room(self, vectors: int) -> None:
        have = self.basis.shape[2]
        if vectors > have:
            more = min(have, self.diagonal.shape[2] + 1 - have)
            self.basis = torch.cat(
                [self.basis, self.basis.new_zeros(*self.basis.shape[:2], more, self.basis.shape[3])], 2
            )


def _rows(steps: Tensor) -> list[tuple[int, int]]:
    return [(k, r) for k in range(steps.shape[0]) for r in range(steps.shape[1])]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() * b.double()).sum(-1)


def _tridiagonal(diagonal: Tensor, coupling: Tensor) -> Tensor:
    return torch.diag_embed(diagonal) + torch.diag_embed(coupling, 1) + torch.diag_embed(coupling, -1)
