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
    """State that moves, [K, M, P], and the places at which its loss is taken (`draws` of them each step)."""

    state: Tensor
    draws: int = 1

    def begin_epoch(self, epoch: int, steps: int) -> None:  # noqa: B027  (an optional hook)
        """Draw what the epoch's steps need."""

    @abstractmethod
    def place(self, step: int, draw: int) -> Tensor:
        """theta [K, P] at which the loss of this step is taken."""

    @abstractmethod
    def pull(self, step: int, draw: int, grad: Tensor) -> Tensor:
        """The gradient [K, M, P] of the state, given the gradient [K, P] at the place."""


class FreePoints(Motion):
    """K points, each moved by its own gradient: training end points. theta: [K, P], moved in place."""

    def __init__(self, theta: Tensor) -> None:
        self.state = theta[:, None]

    def place(self, step: int, draw: int) -> Tensor:
        """See `Motion`."""
        return self.state[:, 0]

    def pull(self, step: int, draw: int, grad: Tensor) -> Tensor:
        """See `Motion`."""
        return grad[:, None]


class CurveBends(Motion):
    """The bends (and with `free_ends` the ends) of K curves, each seen at its own t ~ U[0, 1] per step.

    controls: [K, n + 2, P], moved in place. streams: K; curve k's t comes from `streams[k].child("t", epoch)`.
    draws: positions t per minibatch, their gradients averaged.
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
        self.family, self.controls, self.streams, self.draws = family, controls, streams, draws
        self.moving = slice(None) if free_ends else slice(1, -1)
        self.state = controls[:, self.moving]
        self._coefficients = controls.new_empty(0)

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """See `Motion`: t and c_j(t) of the whole epoch at once, [K, steps, draws, n + 2]."""
        t = torch.stack(
            [torch.from_numpy(s.child("t", epoch).generator().random((steps, self.draws))) for s in self.streams]
        )
        c = self.family.coefficients(t, self.controls.shape[1])
        self._coefficients = c.to(self.controls.device, self.controls.dtype)

    def place(self, step: int, draw: int) -> Tensor:
        """See `Motion`."""
        c = self._coefficients[:, step, draw]
        return torch.bmm(c[:, None], self.controls)[:, 0]

    def pull(self, step: int, draw: int, grad: Tensor) -> Tensor:
        """See `Motion`."""
        c = self._coefficients[:, step, draw, self.moving]
        return c[:, :, None] * grad[:, None]
