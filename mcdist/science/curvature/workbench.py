"""What several measures of the same points share: computed when first asked for, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mcdist.science.curvature.fisher import gram, label, squared_scores
from mcdist.science.curvature.lanczos import Krylov, lanczos
from mcdist.science.curvature.layers import Layers
from mcdist.science.curvature.operators import GaussNewton, Hessian, Operator
from mcdist.science.curvature.records import CurvatureRecipe
from mcdist.science.curvature.traces import Trace, deflated_trace, from_krylov
from mcdist.science.head import Examples
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream

__all__ = ["OPERATORS", "Workbench"]

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
        self._blocks: dict[str, Krylov] = {}

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

    def blocks(self, name: str) -> Krylov:
        """The same for the diagonal blocks of all layers, a row each."""
        if name not in self._blocks:
            recipe = self.recipe
            self._blocks[name] = lanczos(
                self.operator(name),
                self._normal("lanczos of layers"),
                rows=len(self.layers),
                wanted=self._wanted[name],
                tol=recipe.tol,
                most=recipe.max_iterations,
                dimensions=self.layers.sizes,
                masks=self.layers.masks(self.points.theta),
                shift=recipe.weight_decay,
            )
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

    def trace(self, name: str) -> Trace:
        """The trace of an operator, deflated by the subspace in which its greatest eigenvalue settled."""
        krylov = self.krylov(name)
        known = from_krylov(krylov, krylov.reached[1][:, 0])
        return deflated_trace(self.operator(name), self._signs(), self.layers, known)

    def _normal(self, what: str) -> Callable[[int, int, int], Tensor]:
        P = self.points.theta.shape[1]

        def fresh(k: int, row: int, attempt: int) -> Tensor:
            draw = self._streams[k].child(what, row, attempt).generator()
            return torch.from_numpy(draw.standard_normal(P))

        return fresh

    def _signs(self) -> Tensor:
        """[K, N, P], each 1 or -1."""
        N, P = self.recipe.probes, self.points.theta.shape[1]
        drawn = []
        for stream in self._streams:
            bits = np.frombuffer(stream.child("probes").generator().bytes(-(-N * P // 8)), dtype=np.uint8)
            drawn.append(np.unpackbits(bits, count=N * P).reshape(N, P))
        return torch.from_numpy(np.stack(drawn)).to(self.points.theta) * 2 - 1

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
        return squared_scores(self.problem, self.points, self.examples, self.labels, self.layers)

    @cached_property
    def fisher_spectrum(self) -> Tensor:
        """Eigenvalues of the Fisher matrix but for zeros: [K, min(n, P)], float64, the greatest first."""
        rank = min(self.n, self.points.theta.shape[1])
        found = [
            torch.linalg.eigvalsh(gram(self.problem, self.points[k], self.examples, self.labels[k]))
            for k in range(len(self))
        ]
        return torch.stack(found).flip(-1)[:, :rank].clamp(min=0).cpu()
