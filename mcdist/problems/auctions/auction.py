"""What a buyer's menu and an affine maximizer have in common as problems."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.problems.auctions.connecting import connected
from mcdist.problems.auctions.described import described
from mcdist.science.alignment import Group, Place, Structure
from mcdist.science.auctions import Law, Options, Setting, exact_revenue, matter
from mcdist.science.auctions.initial import tangents
from mcdist.science.auctions.logits import LogitPoints
from mcdist.science.auctions.options import ELEMENTS
from mcdist.science.auctions.rochet import Menus
from mcdist.science.head import Examples
from mcdist.science.layout import Layout
from mcdist.science.motion import FreePoints, Motion
from mcdist.science.points import Points
from mcdist.science.problem import Made, Problem, Rows, gradient
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate

__all__ = ["Auction", "Sampling"]

_PRICES = 1023  # that initial options are means over
_NEAR = 1 << 18  # numbers of a table, several of which are near the core


@dataclass(frozen=True)
class Sampling:
    """Valuations: how many steps make an epoch, how many are held out, on how many options are chosen, their seed."""

    iterations: int = 100
    held_out: int = 131_072
    fit: int = 16_384
    seed: int = 0


class Auction(Problem):
    """Revenue of a mechanism on valuations of m bidders, each of a law of its own.

    theta = (allocations, prices or boosts, weights where they are learned), in this order; feasible ones are a convex
    set, to which `confine` leads back. Trained on the surrogate, -E[revenue with softmax(kappa value)], on valuations
    drawn afresh at each step: an epoch is `iterations` steps. Judged by the hard choice in float64 on the held-out
    sample, the same for all points; train_loss is the surrogate on the fit sample, the one on which options are chosen.

    options: M besides the default. logits: end points are trained by the logits of their allocations. start: given
    mechanisms that training starts from. setting: what is known of the optimum. axis: of the allocations' shape, from
    the last, along which a unit is shared; None where each entry has its own.
    """

    gains = frozenset({"revenue", "revenue_exact"})
    beside = frozenset({"l2_norm", "stderr", "n_active"})
    counts = frozenset({"n_active"})

    def __init__(
        self,
        laws: Sequence[Law],
        layout: Layout,
        axis: int | None,
        kappa: float,
        sampling: Sampling,
        *,
        logits: bool,
        start: Sequence[Options],
        setting: Setting | None,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        self.device, self.dtype, self.layout = torch.device(device), dtype, layout
        self.laws, self.axis, self.kappa, self.sampling = tuple(laws), axis, kappa, sampling
        self.logits, self.setting = logits, setting
        self._start = [self.theta(options) for options in start]

    @abstractmethod
    def options(self, theta: Tensor) -> Options:
        """The K mechanisms of theta [K, P]; differentiable."""

    @abstractmethod
    def theta(self, options: Options) -> Tensor:
        """theta [K, P] of mechanisms, numbers kept bit for bit: the inverse of `options`."""

    @abstractmethod
    def drawn(self, stream: Stream, n: int) -> Tensor:
        """n valuations from a stream, float64: [n, items] of a buyer, [n, m, items] of bidders."""

    @abstractmethod
    def random(self, stream: Stream) -> Options:
        """One random mechanism to begin with, drawn from a stream."""

    def tangents(self, stream: Stream, weights: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
        """Random options of which each is the best for somebody (see `tangents`), of valuations times weights."""
        buyers = self.drawn(stream.child("buyers"), self.size)
        prices = self.drawn(stream.child("prices"), _PRICES)
        return tangents(buyers * weights, prices * weights, self.axis)

    @property
    def size(self) -> int:
        """M, options besides the default."""
        return self.layout.shapes[0][0]

    @property
    def allocation(self) -> str:
        """What end points are trained by: projection, or logits, whose name is that of their inverse."""
        if not self.logits:
            return "projection"
        return "sigmoid" if len(self.laws) == 1 else "softmax"

    @property
    def bound(self) -> float:
        """The greatest |v|_1 of a bidder; may be infinite."""
        return max(law.bound for law in self.laws)

    @cached_property
    def held_out(self) -> Tensor:
        """The valuations on which everything is judged."""
        stream = Stream.of("valuations", "held out", self.sampling.seed)
        return self.drawn(stream, self.sampling.held_out).to(self.device)

    @cached_property
    def fit(self) -> Tensor:
        """The valuations on which options are chosen, and the surrogate is measured."""
        return self.drawn(Stream.of("valuations", "fit", self.sampling.seed), self.sampling.fit).to(self.device)

    def initial(self, stream: Stream, start: int = 0) -> Points:
        """See `Problem`."""
        if self._start:
            return Points(self._start[start].to(self.device, self.dtype), {})
        return Points(self.theta(self.random(stream.child("init"))).to(self.device, self.dtype), {})

    def motion(self, theta: Tensor) -> Motion:
        """See `Problem`."""
        return LogitPoints(theta, self.layout.shapes[0], self.axis) if self.logits else FreePoints(theta)

    def batch_sizes(self, batch_size: int) -> list[int]:
        """See `Problem`: valuations are fresh, so that no minibatch is short."""
        return [batch_size] * self.sampling.iterations

    def batches(
        self, streams: Sequence[Stream], epoch: int, batch_size: int, *, independent: bool = False
    ) -> Iterator[Tensor]:
        """See `Problem`: valuations [K, B, ...], independent of all others in any case."""
        for step in range(self.sampling.iterations):
            drawn = [self.drawn(s.child("valuations", epoch, step), batch_size) for s in streams]
            yield torch.stack(drawn).to(self.device, self.dtype, non_blocking=True)

    def some(self, batch: Tensor, index: Tensor) -> Tensor:
        """See `Problem`."""
        return batch[index]

    @property
    def examples(self) -> int:
        """See `Problem`: of the fit sample."""
        return self.sampling.fit

    def loss(self, points: Points, batch: Tensor, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """See `Problem`: minus the surrogate revenue, and 0."""
        loss = -self.options(points.theta).surrogate(batch, self.kappa)
        return loss, torch.zeros_like(loss.detach())

    def gradient(
        self, points: Points, batch: Tensor, precision: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Problem`: on a CPU of so few points at once that their tables stay near the core."""
        K = len(points)
        table = batch.shape[1] * (self.size + 1) * (len(self.laws) + 1)
        many = K if self.device.type == "cuda" else max(1, _NEAR // table)
        parts = [gradient(self, points[k : k + many], batch[k : k + many], precision) for k in range(0, K, many)]
        loss, error, grad = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        return loss, error, grad

    def settle(self, points: Points, accelerate: Accelerate | None = None) -> Points:
        """See `Problem`: nothing belongs to the parameters."""
        return points

    def evaluate(
        self, points: Points, accelerate: Accelerate | None = None, splits: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """See `Problem`: train_loss; revenue, stderr, n_active held out, revenue_exact where it is; l2_norm."""
        found: dict[str, Tensor] = {}
        with torch.no_grad():
            options = self.options(points.theta.double())
            if splits is None or "train" in splits:
                found["train_loss"] = -self.soft(options, self.fit).cpu()
            if splits is None or "test" in splits:
                found |= self._judged(options)
        return found | {"l2_norm": points.theta.double().norm(dim=1).cpu()}

    def _judged(self, options: Options) -> dict[str, Tensor]:
        means, errors, active = [], [], []
        for each in _one_by_one(options):
            outcome = each.outcome(self.held_out)
            means.append(outcome.mean())
            errors.append(outcome.stderr())
            active.append(matter(outcome, self.size).sum(1).double())
        found = {"revenue": means, "stderr": errors, "n_active": active}
        exact = self.exact(options)
        known = {} if exact is None else {"revenue_exact": exact}
        return {name: torch.cat(values).cpu() for name, values in found.items()} | known

    def soft(self, options: Options, v: Tensor) -> Tensor:
        """Surrogate revenue [K] of these valuations [N, ...], of as many at once as `ELEMENTS` allows."""
        many = max(1, ELEMENTS // ((self.size + 1) * (len(self.laws) + 1)))
        found = []
        for each in _one_by_one(options):
            sums = [each.surrogate(some, self.kappa) * len(some) for some in v.split(many)]
            found.append(torch.stack(sums).sum(0) / len(v))
        return torch.cat(found)

    def exact(self, options: Options) -> Tensor | None:
        """Revenue [K] without sampling; None where there is no such way."""
        if not isinstance(options, Menus):
            return None
        try:
            return exact_revenue(options, self.laws[0])
        except RequestError:  # of a law that has none
            return None

    def doubt(self, metric: str, a: Points, b: Points) -> float | None:
        """See `Problem`: of revenue."""
        if metric != "revenue":
            return None
        if torch.equal(a.theta, b.theta):
            return 0.0
        with torch.no_grad():
            one, other = (self.options(p.theta.double()).outcome(self.held_out).revenue for p in (a, b))
        return float((one - other).std()) / math.sqrt(self.sampling.held_out)

    def connect(self, kind: str, a: Points, b: Points, *, keep: int | None = None, eps: float | None = None) -> Made:
        """See `Problem`: logits, three_pieces, five_pieces, and of a menu large_menu."""
        return connected(self, kind, a, b, keep, eps)

    def tables(self, settled: Points, said: Sequence[Mapping[str, Any]]) -> list[Rows]:
        """See `Problem`: tables `menus` and `menu_options`."""
        return [described(self, settled[k], said[k]) for k in range(len(settled))]

    def glimpse(self, points: Points, accelerate: Accelerate | None = None) -> float:
        """See `Problem`: one point."""
        self.evaluate(points[0])
        return float(len(points))

    def stacks(self, *, training: bool) -> bool:
        """See `Problem`: points are judged one by one, on samples that fill a table each."""
        return training

    def sample(self, n: int | None, stream: Stream) -> Examples:
        """See `Problem`: the first n valuations of a stream's own sample; all of the fit sample if not said."""
        return (self.fit if n is None else self.drawn(stream, n).to(self.device),)

    def value(self, points: Points, examples: Examples) -> Tensor:
        """See `Problem`."""
        (v,) = examples
        return -self.options(points.theta).surrogate(v.to(points.theta.dtype), self.kappa)

    def structure(self, given: Mapping[str, Any] | None = None) -> Structure:
        """See `Problem`: options may stand in any order."""
        if given is not None:
            raise RequestError("options are what is matched in auctions: leave structure out")
        acted = {name: shape for name, shape in self._shapes().items() if name != "weights"}
        group = Group("options", self.size, tuple(sorted(Place(name, 0) for name in acted)))
        return Structure((group,), acted)

    def state(self, points: Points, k: int) -> dict[str, Tensor]:
        """See `Problem`: allocations, prices or boosts, and weights."""
        return {name: part.cpu().clone() for name, part in self.layout.views(points.theta[k].detach()).items()}

    def point(self, state: Mapping[str, Tensor]) -> Points:
        """See `Problem`."""
        return Points(self.layout.flatten(state)[None].to(self.device, self.dtype), {})

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return dict(zip(self.layout.names, self.layout.shapes, strict=True))


def _one_by_one(options: Options) -> Iterator[Options]:
    return (options[k] for k in range(len(options)))
