"""What the science asks of a problem."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.alignment import Matching, Structure
from mcdist.science.head import Examples, Head
from mcdist.science.layout import Layout
from mcdist.science.motion import FreePoints, Motion
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate

__all__ = ["Made", "Problem", "Rows", "gradient"]


Rows = dict[str, list[dict[str, Any]]]
"""Rows by table, without the keys that say whose they are."""


@dataclass(frozen=True)
class Made:
    """A path that a problem has made of two ends: control points [M, P], and what is to be said of it, by column."""

    controls: Tensor
    columns: Mapping[str, Any] = field(default_factory=dict)


class Problem(ABC):
    """A loss on weight space, seen through stacked points.

    Everything takes K points at once; row k of every result depends on point k and its own streams alone, so that a
    point's numbers do not depend on which points share its pack (beyond float rounding).
    """

    layout: Layout
    device: torch.device
    dtype: torch.dtype
    images: bool = False
    """Whether batches are images, for which there is more than one memory format."""
    weight_decay: float = 0.0
    """Coefficient w of 0.5 w |theta|^2 in its objective. Losses and metrics are without it; what trains, moves or bends
    points adds it."""

    gains: frozenset[str] = frozenset()
    """Metrics of which more is better; all others are losses."""
    counts: frozenset[str] = frozenset()
    """Metrics that are whole numbers."""
    beside: frozenset[str] = frozenset({"l2_norm"})
    """Metrics that are no measure of how good a point is, so that they have no barriers."""

    @abstractmethod
    def initial(self, stream: Stream, start: int = 0) -> Points:
        """One random point (K = 1), drawn from `stream`; or, of a problem with points given to start from, number
        `start` of these.
        """

    def motion(self, theta: Tensor) -> Motion:
        """What moves when points are trained from their seeds: theta [K, P] itself, in place, or what it is made of.

        Its places are points of this problem; the last of them, after the last step, is `Motion.place`.
        """
        return FreePoints(theta)

    def confine(self, theta: Tensor) -> None:  # noqa: B027  (an optional hook)
        """Move weights [..., P], in place, to the nearest that are points of this problem: where not all are."""

    def connect(self, kind: str, a: Points, b: Points, *, keep: int | None = None, eps: float | None = None) -> Made:
        """A path of a family that is `made`, from a to b (K = 1 each).

        keep, eps: see `PathSpec`. Raises RequestError for a kind that there is not, or not between these two.
        """
        raise RequestError(f"{type(self).__name__} has no paths of kind {kind!r}")

    def tables(self, settled: Points, said: Sequence[Mapping[str, Any]]) -> list[Rows]:
        """What is said of each of K end points in tables of the problem's own; the task adds whose they are.

        said: what is said of each in table `endpoints`: seed, training; and its metrics.
        """
        return [{} for _ in range(len(settled))]

    def doubt(self, metric: str, a: Points, b: Points) -> float | None:
        """Standard error of metric(a) - metric(b) (K = 1 each) on the sample on which both are measured; None where
        the metric is no mean over a sample of something larger.
        """
        return None

    @abstractmethod
    def batch_sizes(self, batch_size: int) -> list[int]:
        """Examples in each minibatch of one epoch."""

    @abstractmethod
    def batches(
        self, streams: Sequence[Stream], epoch: int, batch_size: int, *, independent: bool = False
    ) -> Iterator[Any]:
        """The minibatches of one epoch, each for K points: point k's examples come from `streams[k]` alone.

        independent: each example is drawn by itself, whatever was drawn before, in place of a shuffled epoch.
        """

    def some(self, batch: Any, index: Tensor) -> Any:
        """The minibatch for some of its K points. Raises RequestError where a problem has no minibatches."""
        raise RequestError(f"{type(self).__name__} has no minibatches")

    @property
    def examples(self) -> int:
        """Training examples; 0 where the loss is a function of the weights alone, with no noise of minibatches."""
        return 0

    def whole_gradient(self, points: Points) -> tuple[Tensor, Tensor]:
        """Loss [K] of all training examples and its gradient [K, P]; train mode, un-augmented: no noise in it.

        Raises RequestError where the loss is random whatever the examples.
        """
        raise RequestError(f"{type(self).__name__} has no loss of all its examples")

    @abstractmethod
    def loss(self, points: Points, batch: Any, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Minibatch loss [K], differentiable in `points.theta`, and error [K]; train mode (buffers may move).

        precision: autocast to this type, None for none.
        """

    def gradient(
        self, points: Points, batch: Any, precision: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss [K], error [K] and d loss_k / d theta_k [K, P]; the caller may change the gradient.

        The same numbers as `gradient`, by whatever way is fastest; that tensor may be used again by the next call.
        """
        return gradient(self, points, batch, precision)

    def stacks(self, *, training: bool) -> bool:
        """Whether K points are computed together, rather than one after the other."""
        return True

    @abstractmethod
    def settle(self, points: Points, accelerate: Accelerate | None = None) -> Points:
        """The same parameters with the buffers that belong to them (BatchNorm statistics re-estimated)."""

    @abstractmethod
    def evaluate(
        self, points: Points, accelerate: Accelerate | None = None, splits: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Metrics of settled points by column name, each [K], float64, on the CPU: `train_loss`, ...

        splits: those on which to judge ("train", "val", "test"); all that there are if not said.
        """

    def probabilities(self, points: Points, split: str) -> Tensor:
        """Softmax probabilities [K, N, C] of settled points for the N examples of a split ("train", "val", "test"), in
        float64, on the CPU.

        Raises RequestError where the loss is no likelihood of classes; KeyError for a split that there is not.
        """
        raise RequestError(f"{type(self).__name__} predicts no classes: it has no ensembles")

    def targets(self, split: str) -> Tensor:
        """The right classes [N] of a split, on the CPU; raises as `probabilities`."""
        raise RequestError(f"{type(self).__name__} predicts no classes: it has no ensembles")

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that there are: of "train", "val", "test"; none where the loss is a function of weights alone."""
        return ()

    @abstractmethod
    def glimpse(self, points: Points, accelerate: Accelerate | None = None) -> float:
        """Do a small part of `settle` and `evaluate`, to be timed; so many parts make up the whole."""

    def sample(self, n: int | None, stream: Stream) -> Examples:
        """n training examples (None: all) without replacement, drawn by `stream`, un-augmented; for all points alike.

        Raises RequestError for an n that the data does not have, and where a problem has no fixed examples.
        """
        raise RequestError(f"{type(self).__name__} has no fixed examples: its curvature is not defined")

    def value(self, points: Points, examples: Examples) -> Tensor:
        """Mean loss [K] over the examples, without weight decay; eval mode, twice differentiable in `points.theta`.

        Row k of the gradient depends on point k alone. Raises RequestError where `sample` does.
        """
        raise RequestError(f"{type(self).__name__} has no loss of fixed examples: its curvature is not defined")

    def head(self) -> Head:
        """How its loss follows from outputs. Raises RequestError for a problem that is a loss alone."""
        raise RequestError(f"{type(self).__name__} is a loss alone: it has no outputs, so no GGN and no Fisher")

    def structure(self, given: Mapping[str, Any] | None = None) -> Structure:
        """Which axes of which tensors of `state` share a permutation that leaves the function as it is.

        given: the same as plain data, in place of what can be found out. Raises RequestError where it cannot.
        """
        raise RequestError(f"{type(self).__name__} has no known symmetry: it cannot be aligned")

    def match_activations(
        self, a: Mapping[str, Tensor], b: Mapping[str, Tensor], structure: Structure, samples: int
    ) -> Matching:
        """Permutations of b's units that have them do what those of a do on the first so many training examples."""
        raise RequestError(f"{type(self).__name__} has no activations to be matched")

    def repair(self, points: Points, t: Tensor, ends: Points, structure: Structure) -> Points:
        """The points phi(t) [T] between two ends (K = 2) with the activation statistics interpolated from theirs."""
        raise RequestError(f"{type(self).__name__} has no activations to be repaired")

    @abstractmethod
    def state(self, points: Points, k: int) -> dict[str, Tensor]:
        """Point k as the named tensors that are stored (a module's own `state_dict`), on the CPU."""

    @abstractmethod
    def point(self, state: Mapping[str, Tensor]) -> Points:
        """The point (K = 1) of stored named tensors: the inverse of `state`."""


def gradient(
    problem: Problem, points: Points, batch: Any, precision: torch.dtype | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss [K], error [K] and d loss_k / d theta_k [K, P] on a minibatch.

    Row k of the gradient of sum_k loss_k is the gradient of loss_k, since loss_k depends on point k alone.
    """
    theta = points.theta.detach().requires_grad_()
    loss, error = problem.loss(Points(theta, points.buffers), batch, precision)
    (grad,) = torch.autograd.grad(loss.sum(), theta)
    return loss.detach(), error, grad
