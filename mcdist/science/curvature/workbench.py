"""What several measures of the same points share: computed when first asked for, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mcdist.science.curvature.fisher import gram, label, squared_scores
from mcdist.science.curvature.lanczos import Krylov, Leading, lanczos
from mcdist.science.curvature.layers import Layers
from mcdist.science.curvature.operators import GaussNewton, Hessian, Operator
from mcdist.science.curvature.records import CurvatureRecipe
from mcdist.science.curvature.traces import Known, Trace, deflated_trace, from_krylov, sketched
from mcdist.science.head import Examples
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream

__all__ = ["OPERATORS", "Workbench"]

_NUMBERS = 1 << 28  # of the Krylov bases of blocks at one time
_PROBES = 1 << 22  # numbers in the probes of a point that are multiplied at one time

OPERATORS: dict[str, type[Operator]] = {"hessian": Hessian, "ggn": GaussNewton}


class Workbench:
    """K points, the examples they are judged on, and everything that has been found out about them.

    wanted: for each operator the numbers of leading eigenvalues that measures will ask for, so that one Lanczos
    iteration serves all of them. It has no weight decay in it: that shifts every eigenvalue, and is added at the end.
    """

    def __init__(
        self,
        problem: Problem,
        points: Points,
        examples: Examples,
        recipe: CurvatureRecipe,
        streams: Sequence[Stream],
        wanted: dict[str, tuple[int, ...]],
        bytes_per_example: dict[str, int],
    ) -> None:
        self.problem, self.points, self.examples, self.recipe = problem, points, examples, recipe
        self._streams = [stream.child("curvature", recipe.seed) for stream in streams]
        self._wanted, self._bytes = wanted, bytes_per_example
        self.layers = Layers(problem.layout)
        self._operators: dict[str, Operator] = {}
        self._krylov: dict[str, Krylov] = {}
        self._blocks: dict[str, dict[int, Leading]] = {}

    def __len__(self) -> int:
        return len(self.points)

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.examples[0])

    def operator(self, name: str) -> Operator:
        """The operator of that name at all points."""
        if name not in self._operators:
            self._operators[name] = OPERATORS[name](
                self.problem, self.points, self.examples, bytes_per_example=self._bytes.get(name, 0)
            )
        return self._operators[name]

    def krylov(self, name: str) -> Krylov:
        """One random start for each point, grown until the wanted eigenvalues have settled."""
        if name not in self._krylov:
            recipe = self.recipe
            self._krylov[name] = lanczos(
                self.operator(name),
                self._normal("lanczos"),
                wanted=self._wanted[name],
                tol=recipe.tol,
                most=recipe.max_iterations,
                shift=recipe.weight_decay,
            )
        return self._krylov[name]

    def blocks(self, name: str) -> dict[int, Leading]:
        """The wanted eigenvalues of the diagonal blocks of all layers, [K, L, k] for each number k of them."""
        if name not in self._blocks:
            recipe, L, P = self.recipe, len(self.layers), self.points.theta.shape[1]
            most = max(1, _NUMBERS // (len(self) * recipe.max_iterations * P))
            masks = self.layers.masks(self.points.theta)
            parts = []
            for first in range(0, L, most):
                rows = range(first, min(first + most, L))
                krylov = lanczos(
                    self.operator(name),
                    self._normal("lanczos of layers", first),
                    rows=len(rows),
                    wanted=self._wanted[name],
                    tol=recipe.tol,
                    most=recipe.max_iterations,
                    dimensions=[self.layers.sizes[i] for i in rows],
                    masks=masks[first : rows.stop],
                    shift=recipe.weight_decay,
                )
                parts.append({k: krylov.leading(k, recipe.weight_decay) for k in self._wanted[name]})
            self._blocks[name] = {k: Leading.joined([part[k] for part in parts]) for k in self._wanted[name]}
        return self._blocks[name]

    def quadrature(self, name: str) -> Krylov:
        """Several random starts, of so many steps each, for the spectral density."""
        recipe = self.recipe
        return lanczos(
            self.operator(name),
            self._normal("density"),
            rows=recipe.density_probes,
            most=recipe.density_steps,
            restart=False,
        )

    def trace(self, name: str) -> tuple[Trace, Tensor]:
        """The trace of an operator, and the products [K] that it took; see `CurvatureRecipe.trace_method`."""
        operator, N = self.operator(name), self.recipe.probes
        spent = torch.full((len(self),), N)
        known: Known | None = None
        if self.recipe.trace_method == "krylov":
            krylov = self.krylov(name)
            spent = spent + krylov.reached[1][:, 0]
            known = from_krylov(krylov, krylov.reached[1][:, 0])
        elif self.recipe.trace_method == "hutch++":
            directions = torch.cat(list(self._signs("directions", N // 3)), dim=1)
            known = sketched(operator, directions)
            N -= 2 * directions.shape[1]
        return deflated_trace(operator, self._signs("probes", N), self.layers, known), spent

    def _normal(self, what: str, first: int = 0) -> Callable[[int, int, int], Tensor]:
        P = self.points.theta.shape[1]

        def fresh(k: int, row: int, attempt: int) -> Tensor:
            draw = self._streams[k].child(what, first + row, attempt).generator()
            return torch.from_numpy(draw.standard_normal(P))

        return fresh

    def _signs(self, what: str, count: int) -> Iterator[Tensor]:
        """So many vectors of independent 1 or -1 for each point, [K, c, P] at a time."""
        P = self.points.theta.shape[1]
        generators = [stream.child(what).generator() for stream in self._streams]
        together = min(8, max(1, _PROBES // P))
        for first in range(0, count, together):
            c = min(together, count - first)
            drawn = [[np.frombuffer(g.bytes(-(-P // 8)), dtype=np.uint8) for _ in range(c)] for g in generators]
            bits = np.unpackbits(np.array(drawn), axis=-1, count=P)
            yield torch.from_numpy(bits).to(self.points.theta) * 2 - 1

    @cached_property
    def labels(self) -> Tensor:
        """[K, B], of the Fisher matrix."""
        uniforms = None
        if self.recipe.label_mode == "sampled":
            drawn = [stream.child("labels").generator().random(self.n) for stream in self._streams]
            uniforms = torch.from_numpy(np.stack(drawn)).to(self.points.theta.device)
        return label(self.problem.head(), self.points, self.examples, uniforms)

    @cached_property
    def squared_scores(self) -> Tensor:
        """[K, B, L]: see `fisher`."""
        return squared_scores(self.problem.head(), self.points, self.examples, self.labels, self.layers)

    @cached_property
    def fisher_spectrum(self) -> Tensor:
        """Eigenvalues of the Fisher matrix but for zeros: [K, min(n, P)], float64, the greatest first."""
        rank = min(self.n, self.points.theta.shape[1])
        found = []
        for k in range(len(self)):
            matrix = gram(self.problem.head(), self.points[k], self.examples, self.labels[k])
            # what is not finite has no eigenvalues: LAPACK would raise, and every other point would be lost too
            finite = bool(matrix.isfinite().all())
            found.append(torch.linalg.eigvalsh(matrix) if finite else matrix.new_full((self.n,), torch.nan))
        return torch.stack(found).flip(-1)[:, :rank].clamp(min=0).cpu()
