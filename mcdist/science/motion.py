"""What training moves, and where it looks: K free points, or the bends of K curves.

The loss is seen at places theta [K, P]; what moves is a state [K, M, P]. For a curve phi(t) = sum_j c_j(t) theta_j the
gradient for theta_j is c_j(t) times the gradient at phi(t) (chain rule): nothing is differentiated through the
combination, and a step on a curve costs a plain step and a few vector operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from mcdist.science.paths.family import PathFamily
from mcdist.science.streams import Stream

__all__ = ["CurveBends", "FreePoints", "Motion"]


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

    @abstractmethod
    def pull(self, where: Tensor, grad: Tensor) -> Tensor:
        """The gradient [K, M, P] of the state, given the gradient [K, P] at the place."""


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

    def pull(self, where: Tensor, grad: Tensor) -> Tensor:
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
        c = self._family.coefficients(t, self.held.shape[1])
        self._coefficients = c.to(self.held.dtype).to(self.held.device, non_blocking=True)

    def where(self, step: int) -> tuple[Tensor, ...]:
        """See `Motion`."""
        return self._coefficients[step].unbind()

    def place(self, where: Tensor) -> Tensor:
        """See `Motion`."""
        return torch.bmm(where[:, None], self.held)[:, 0]

    def pull(self, where: Tensor, grad: Tensor) -> Tensor:
        """See `Motion`."""
        return where[:, self._moving, None] * grad[:, None]
