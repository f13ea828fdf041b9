"""What training moves, and where it looks: K free points, or the bends of K curves.

The loss is seen at places theta [K, P]; what moves is a state [K, M, P]. For a curve phi(t) = sum_j c_j(t) theta_j the
gradient for theta_j is c_j(t) times the gradient at phi(t) (chain rule): nothing is differentiated through the
combination, and a step on a curve costs a plain step and a few vector operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mcdist.science.paths.family import PathFamily
from mcdist.science.streams import Stream

__all__ = ["ArclengthBends", "CurveBends", "FreePoints", "Motion"]


class Motion(ABC):
    """State that moves, and the places at which its loss is taken, one or several each step.

    held: the one tensor that is changed in place, [K, ...]; everything else follows from it. It may be put in another's
    place (a trace of the step puts in the tensors that it follows).
    """

    held: Tensor

    @property
    @abstractmethod
    def state(self) -> Tensor:
        """What moves, a view of `held`: [K, M, P]."""

    @abstractmethod
    def form(self) -> str:
        """What kind of motion it is, but for its tensors."""

    def begin_epoch(self, epoch: int, steps: int) -> None:  # noqa: B027  (an optional hook)
        """Draw what the epoch's steps need."""

    @abstractmethod
    def where(self, step: int) -> tuple[Tensor, ...]:
        """The places of this step, one tensor each: what `place` and `pull` need to know of them."""

    @abstractmethod
    def place(self, where: Tensor) -> Tensor:
        """theta [K, P] at which the loss is taken; valid until the next call."""

    def confine(self, confine: Callable[[Tensor], None]) -> None:
        """After a step: have what moves, where it is made of points of a problem, be such points again."""
        confine(self.state)

    weighs: bool = False
    """Whether what it minimises weighs places by where the state is: `pull` then needs the loss itself."""

    @abstractmethod
    def pull(self, where: Tensor, grad: Tensor, loss: Tensor | None = None) -> Tensor:
        """The gradient [K, M, P] of the state, given the loss [K] (where it `weighs`) and its gradient [K, P] there."""


class FreePoints(Motion):
    """K points, each moved by its own gradient: training end points. theta: [K, P], moved in place."""

    def __init__(self, theta: Tensor) -> None:
        self.held = theta
        self._here = (theta.new_empty(0),)

    @property
    def state(self) -> Tensor:
        """See `Motion`."""
        return self.held[:, None]

    def form(self) -> str:
        """See `Motion`."""
        return "points"

    def where(self, step: int) -> tuple[Tensor, ...]:
        """See `Motion`: there is but one place, the points themselves."""
        return self._here

    def place(self, where: Tensor) -> Tensor:
        """See `Motion`."""
        return self.held

    def pull(self, where: Tensor, grad: Tensor, loss: Tensor | None = None) -> Tensor:
        """See `Motion`."""
        return grad[:, None]


class CurveBends(Motion):
    """The bends (and with `free_ends` the ends) of K curves, each seen at its own t ~ U[0, 1] per step.

    controls: [K, n + 2, P], moved in place. streams: K; curve k's t comes from `streams[k].child("t", epoch)`.
    draws: positions t per minibatch, their gradients averaged. A place is known by its coefficients c_j(t), [K, n + 2].
    """

    def __init__(
        self,
        family: PathFamily,
        controls: Tensor,
        streams: Sequence[Stream],
        *,
        free_ends: bool = False,
        draws: int = 1,
    ) -> None:
        self.held, self._family, self._streams, self._draws = controls, family, streams, draws
        self._moving = slice(None) if free_ends else slice(1, -1)
        self._coefficients = controls.new_empty(0)

    @property
    def state(self) -> Tensor:
        """See `Motion`."""
        return self.held[:, self._moving]

    def form(self) -> str:
        """See `Motion`: the family is in the coefficients, which are tensors."""
        return f"bends {self._moving}, {self._draws} draws"

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """See `Motion`: t and c_j(t) of the whole epoch at once, [steps, draws, K, n + 2]."""
        t = torch.stack(
            [torch.from_numpy(s.child("t", epoch).generator().random((steps, self._draws))) for s in self._streams],
            dim=-1,
        )
        self._coefficients = self._known(t).to(self.held.dtype).to(self.held.device, non_blocking=True)

    def _known(self, t: Tensor) -> Tensor:
        """What is to be known of positions t [...], for each of them a tensor."""
        return self._family.coefficients(t, self.held.shape[1])

    def where(self, step: int) -> tuple[Tensor, ...]:
        """See `Motion`."""
        return self._coefficients[step].unbind()

    def place(self, where: Tensor) -> Tensor:
        """See `Motion`."""
        return torch.bmm(where[:, None], self.held)[:, 0]

    def pull(self, where: Tensor, grad: Tensor, loss: Tensor | None = None) -> Tensor:
        """See `Motion`."""
        return where[:, self._moving, None] * grad[:, None]


class ArclengthBends(CurveBends):
    """The bends of K curves, moved to minimise the loss averaged over arclength (Garipov et al. 2018, eq. 1).

        F = int_0^1 w(t) L(phi(t)) dt,  w(t) = |phi'(t)| / int_0^1 |phi'|,

    seen at t ~ U[0, 1] with the weight w(t). The weight moves with the curve, so bend j's gradient is

        w(t) c_j(t) grad L(phi(t)) + L(phi(t)) d w(t) / d theta_j,

    whose second part is a combination of the control points, known from their inner products alone; integrals by
    Gauss-Legendre between kinks. A place is known by c_j(t) and c_j'(t), [K, 2, n + 2].
    """

    weighs = True

    def __init__(
        self,
        family: PathFamily,
        controls: Tensor,
        streams: Sequence[Stream],
        *,
        free_ends: bool = False,
        draws: int = 1,
    ) -> None:
        super().__init__(family, controls, streams, free_ends=free_ends, draws=draws)
        u, weights = family.quadrature(controls.shape[1])
        self._nodes = family.velocities(u, controls.shape[1]).to(controls)  # [Q, M]
        self._weights = weights.to(controls)

    def form(self) -> str:
        """See `Motion`."""
        return f"{super().form()}, by arclength"

    def _known(self, t: Tensor) -> Tensor:
        M = self.held.shape[1]
        return torch.stack([self._family.coefficients(t, M), self._family.velocities(t, M)], dim=-2)

    def place(self, where: Tensor) -> Tensor:
        """See `Motion`."""
        return super().place(where[:, 0])

    def pull(self, where: Tensor, grad: Tensor, loss: Tensor | None = None) -> Tensor:
        """See `Motion`."""
        assert loss is not None
        offsets = self.held - self.held[:, :1]
        gram = torch.bmm(offsets, offsets.transpose(1, 2))  # velocities sum to 0: of the origin nothing is left
        speed, along = _speed(where[:, 1:], gram)  # at t: [K, 1], and d speed / d theta_j = along_j . theta
        speeds, alongs = _speed(self._nodes.expand(len(gram), -1, -1), gram)
        length = (speeds * self._weights).sum(1)[:, None, None]
        turning = torch.einsum("q,kqij->kij", self._weights, alongs)  # d length / d theta_j
        weight = speed[:, :, None] / length
        change = (along[:, 0] - weight * turning) / length
        moved = weight * super().pull(where[:, 0], grad)
        return moved + loss[:, None, None] * torch.bmm(change, offsets)[:, self._moving]


def _speed(velocities: Tensor, gram: Tensor) -> tuple[Tensor, Tensor]:
    """|phi'| [K, Q] for velocities c' [K, Q, M], and its derivatives' coefficients c'_j c'_i / |phi'| [K, Q, M, M]."""
    square = torch.einsum("kqi,kij,kqj->kq", velocities, gram, velocities)
    speed = square.clamp(min=torch.finfo(square.dtype).tiny).sqrt()
    return speed, velocities[..., :, None] * velocities[..., None, :] / speed[..., None, None]
