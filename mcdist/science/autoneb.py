"""AutoNEB: low-loss paths between minima by nudged elastic bands that grow where they need to.

    min over paths from theta_a to theta_b of max_t L(phi(t))

(Draxler, Veschgini, Salmhofer & Hamprecht 2018, after Kolsbjerg, Groves & Hammer 2016). A few cycles of stochastic
gradient descent on a chain of pivots, at falling rates; between cycles the loss is looked at between the pivots too,
and pivots are inserted where it bulges. Any number of pairs go together; the bands of as many pivots are one stack.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mcdist.science.acceleration import accelerated
from mcdist.science.neb import Band, redistribute
from mcdist.science.optimizers import Sgd
from mcdist.science.paths.family import on_chord
from mcdist.science.points import ELEMENTS, Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.tracing import Accelerate
from mcdist.science.update import Update

__all__ = ["SCHEDULES", "Cycle", "CycleRecord", "NebPath", "NebRecipe", "autoneb", "scaled"]

SCHEDULES: dict[str, tuple[tuple[int, float], ...]] = {
    "long": ((1000, 1.0),) * 4 + ((2000, 1.0),) * 2 + ((1000, 0.1),) * 4 + ((1000, 0.01),) * 4,
    "short": ((2000, 1.0),) * 3 + ((2000, 0.1),) * 2 + ((2000, 0.01),) * 2,
}
"""Steps of each cycle, and its rate relative to the first (0.1): Draxler et al. 2018, for ResNet-20 on CIFAR-10. The
long one begins with 3 interior pivots, the short one with 15."""


@dataclass(frozen=True)
class Cycle:
    """So many steps at one learning rate, with a fresh optimizer."""

    steps: int
    lr: float


def scaled(schedule: Sequence[tuple[int, float]], lr: float, scale: float = 1.0) -> tuple[Cycle, ...]:
    """The cycles of a schedule of `SCHEDULES` at base rate `lr`; steps times `scale`, at least one in each."""
    return tuple(Cycle(max(1, round(steps * scale)), lr * factor) for steps, factor in schedule)


@dataclass(frozen=True)
class NebRecipe:
    """How to look for a path; but for `cycles`, the published defaults.

    pivots: interior ones at the beginning, on the chord, at least 1. dense: positions between two pivots at which the
    loss is looked at after a cycle, at least 1. A pivot is inserted where it exceeds the straight line between the
    losses of the two pivots by more than `threshold` times the range of the path's loss: at the greatest excess of a
    segment, on the `insert` worst segments of a cycle, never more than `most` interior ones in all.
    refine: an inserted pivot divides its segment's share of the path's length, as in the published code, so that
    segments stay short where the loss bulged; otherwise all segments are equally long again.
    """

    cycles: tuple[Cycle, ...]
    pivots: int = 3
    batch_size: int = 512
    momentum: float = 0.9
    weight_decay: float = 1e-4
    dense: int = 9
    threshold: float = 0.1
    insert: int = 2
    most: int = 31
    refine: bool = True
    precision: torch.dtype | None = None


@dataclass
class CycleRecord:
    """What one cycle made of a path.

    pivots: interior ones during it. saddle: the greatest training loss at all positions looked at after it; argmax:
    where that is, t in [0, 1] with equal t per segment. inserted: pivots, after it. kept: whether the path as it was
    then is the one that is returned. loss: mean minibatch loss of its interior pivots. Not a number where it diverged.
    """

    cycle: int
    steps: int
    lr: float
    pivots: int
    saddle: float
    argmax: float
    inserted: int
    kept: bool
    loss: float


@dataclass
class NebPath:
    """A path as its lowest cycle left it: the chain [M, P], ends included.

    diverged: the step, counted over all cycles from 0, at which a loss was not finite (or that left weights or losses
    that are not); the path goes no further, and `controls` are those of the cycles before, if there were any.
    """

    controls: Tensor
    cycles: list[CycleRecord]
    diverged: int | None


def autoneb(
    problem: Problem,
    ends_a: Points,
    ends_b: Points,
    recipe: NebRecipe,
    streams: Sequence[Stream],
    accelerate: Accelerate | None = None,
) -> list[NebPath]:
    """Paths between K pairs of points, each on its own stream: a pack changes a step by float rounding only.

    One step of a path: redistribute its pivots; loss and gradient of a minibatch at all of them; add weight decay; take
    the part perpendicular to the tangent; SGD with momentum on the interior pivots (velocities stay with their pivots).
    All pivots of a path see the same minibatch, since the tangents compare the losses of neighbours: of different
    minibatches, noise would choose the direction. BatchNorm runs in train mode meanwhile; its statistics are
    re-estimated wherever the path is looked at. The cycle of the lowest saddle is returned, as it was looked at; of
    several (an end may be the highest point) the one of the lowest mean loss.

    ends_a, ends_b: theta [K, P] each, kept bit for bit. accelerate: makes steps and evaluations faster.
    """
    starts = on_chord(ends_a.theta, ends_b.theta, recipe.pivots)
    even = torch.full((recipe.pivots + 1,), 1.0 / (recipe.pivots + 1), dtype=torch.float64, device=starts.device)
    chains = [_Chain(k, start, even, stream) for k, (start, stream) in enumerate(zip(starts, streams, strict=True))]
    for c in range(len(recipe.cycles)):
        sizes: dict[int, list[_Chain]] = {}
        for chain in chains:
            if chain.diverged is None:
                sizes.setdefault(len(chain.controls), []).append(chain)
        for together in sizes.values():
            _descend(problem, ends_a.buffers, together, c, recipe, accelerate)
        moved = [chain for together in sizes.values() for chain in together if chain.diverged is None]
        for chain, profile in zip(moved, _profiles(problem, ends_a, moved, recipe.dense, accelerate), strict=True):
            chain.judge(profile, recipe, last=c == len(recipe.cycles) - 1)
    return [chain.result() for chain in chains]


@dataclass
class _Chain:
    """A path on its way.

    shares: of the segments in its length, [M - 1], float64. steps: taken so far. ends: their losses, [2]. best: saddle
    and mean loss of the lowest cycle, its number, and the chain as it was then.
    """

    k: int
    controls: Tensor
    shares: Tensor
    stream: Stream
    steps: int = 0
    diverged: int | None = None
    cycles: list[CycleRecord] = field(default_factory=list)
    ends: Tensor | None = None
    best: tuple[float, float, int, Tensor] | None = None

    def judge(self, profile: Tensor, recipe: NebRecipe, last: bool) -> None:
        """Take down the saddle of the cycle just made, keep the path if it is the lowest, and insert pivots."""
        if self.ends is None:
            self.ends = profile[[0, -1]]
        profile[[0, -1]] = self.ends  # the same bits every time: where an end is the saddle, cycles tie exactly
        record, top = self.cycles[-1], int(profile.argmax())
        if not bool(profile.isfinite().all()):
            self.diverged = self.steps - 1
            return
        record.saddle, record.argmax = float(profile[top]), top / (len(profile) - 1)
        found = record.saddle, self._mean(profile, recipe.dense)
        if self.best is None or found < self.best[:2]:
            self.best = (*found, record.cycle, self.controls)
        if not last:
            self._insert(profile, recipe)

    def _mean(self, profile: Tensor, dense: int) -> float:
        """Of the loss over the path's length, by trapezoids."""
        segments = profile.unfold(0, dense + 2, dense + 1)
        means = 0.5 * (segments[:, :-1] + segments[:, 1:]).mean(1)
        return float(means @ self.shares.cpu())

    def _insert(self, profile: Tensor, recipe: NebRecipe) -> None:
        """Pivots at the greatest excess of the worst segments, from losses [(M - 1) (dense + 1) + 1]."""
        alpha = torch.linspace(0.0, 1.0, recipe.dense + 2, dtype=profile.dtype)
        segments = profile.unfold(0, recipe.dense + 2, recipe.dense + 1)
        excess = segments - torch.lerp(segments[:, :1], segments[:, -1:], alpha)
        worst, where = excess[:, 1:-1].max(dim=1)
        enough = worst > recipe.threshold * (profile.max() - profile.min())
        room = min(recipe.insert, recipe.most - (len(self.controls) - 2))
        order = worst.argsort(descending=True, stable=True).tolist()
        chosen = [j for j in order if enough[j]][: max(0, room)]
        for j in sorted(chosen, reverse=True):  # from the last, so that the places of the others stay
            u = float(alpha[where[j] + 1])
            self.controls = _with(self.controls, j + 1, torch.lerp(self.controls[j], self.controls[j + 1], u))
            first, share = u * self.shares[j], self.shares[j]
            self.shares = _with(self.shares, j, first)
            self.shares[j + 1] = share - first
        if chosen and not recipe.refine:
            self.shares = torch.full_like(self.shares, 1.0 / len(self.shares))
        self.cycles[-1].inserted = len(chosen)

    def result(self) -> NebPath:
        """The lowest path; one that never got through a cycle as it is now."""
        if self.best is None:
            return NebPath(self.controls, self.cycles, self.diverged)
        _, _, cycle, controls = self.best
        self.cycles[cycle].kept = True
        return NebPath(controls, self.cycles, self.diverged)


def _with(rows: Tensor, at: int, row: Tensor) -> Tensor:
    """A copy of the rows with one more before row `at`."""
    return torch.cat([rows[:at], row[None], rows[at:]])


def _descend(
    problem: Problem,
    buffers: dict[str, Tensor],
    chains: Sequence[_Chain],
    number: int,
    recipe: NebRecipe,
    accelerate: Accelerate | None,
) -> None:
    """One cycle of paths with M pivots each, as one stack of G M points. buffers: those of the K ends a."""
    cycle, M = recipe.cycles[number], len(chains[0].controls)
    shares = torch.stack([chain.shares for chain in chains])
    band = Band(torch.stack([chain.controls for chain in chains]), shares)
    index = torch.tensor([chain.k for chain in chains], device=shares.device).repeat_interleave(M)
    scratch = {name: b[index] for name, b in buffers.items()}
    update = Update(problem, band, scratch, Sgd(recipe.momentum), recipe.weight_decay, recipe.precision)
    streams = [chain.stream.child("cycle", number) for chain in chains for _ in range(M)]
    losses = _steps(update, streams, recipe.batch_size, cycle, accelerate).unflatten(1, (len(chains), M))

    # what was seen stays on the device until here: a step never waits for the host
    pivots = redistribute(band.held, shares)
    bad = ~losses.isfinite().all(2)
    intact = pivots.isfinite().flatten(1).all(1)
    first = torch.where(bad.any(0), bad.int().argmax(0), torch.where(intact, cycle.steps, cycle.steps - 1))
    means = losses[:, :, 1:-1].double().mean((0, 2))
    for chain, own, step, mean in zip(chains, pivots, first.tolist(), means.tolist(), strict=True):
        chain.diverged = chain.steps + step if step < cycle.steps else None
        chain.steps += cycle.steps
        chain.controls = own.clone()  # a view would keep the whole stack
        nan = float("nan")
        mean = mean if chain.diverged is None else nan
        chain.cycles.append(CycleRecord(number, cycle.steps, cycle.lr, M - 2, nan, nan, 0, False, mean))


def _steps(
    update: Update, streams: Sequence[Stream], batch_size: int, cycle: Cycle, accelerate: Accelerate | None
) -> Tensor:
    """Take the steps of a cycle; the losses seen by them, [steps, G M]."""
    problem, motion = update.problem, update.motion
    sizes = problem.batch_sizes(batch_size)
    losses = torch.empty(cycle.steps, len(streams), dtype=problem.dtype, device=problem.device)
    fast = None
    epochs = (problem.batches(streams, epoch, batch_size) for epoch in itertools.count())
    for step, batch in enumerate(itertools.islice(itertools.chain.from_iterable(epochs), cycle.steps)):
        where = motion.where(step)
        if accelerate is not None and fast is None:
            fast = accelerated(update, accelerate, batch, where, cycle.lr)
        # what was traced has the shape of the first minibatch; a shorter last one goes the plain way
        take = fast if fast is not None and sizes[step % len(sizes)] == sizes[0] else update
        losses[step], _ = take(batch, where, cycle.lr)
    return losses


def _profiles(
    problem: Problem, ends_a: Points, chains: Sequence[_Chain], dense: int, accelerate: Accelerate | None
) -> list[Tensor]:
    """The training loss along each path, ends included: [(M - 1) (dense + 1) + 1] each, float64, on the CPU.

    All positions of all paths are one row of points, cut where their weights would no longer fit in memory.
    """
    lengths = [(len(chain.controls) - 1) * (dense + 1) + 1 for chain in chains]
    places = [(n, i) for n, length in enumerate(lengths) for i in range(length)]
    most = max(1, ELEMENTS // problem.layout.size)
    found: list[Tensor] = []
    for start in range(0, len(places), most):
        parts = []
        for n, group in itertools.groupby(places[start : start + most], key=lambda place: place[0]):
            controls = chains[n].controls
            parts.append(ends_a[chains[n].k].at(_between(controls, [i for _, i in group], dense + 1)))
        points = problem.settle(Points.stack(parts) if len(parts) > 1 else parts[0], accelerate)
        found.append(problem.evaluate(points, accelerate, splits=("train",))["train_loss"])
    return list(torch.cat(found).split(lengths)) if found else []


def _between(controls: Tensor, positions: Sequence[int], parts: int) -> Tensor:
    """theta [T, P] at positions i, where segment j of the chain begins at i = parts j; pivots are met exactly."""
    i = torch.tensor(positions, device=controls.device)
    segment = (i // parts).clamp(max=len(controls) - 2)
    along = (i - parts * segment).to(controls.dtype) / parts
    return torch.lerp(controls[segment], controls[segment + 1], along[:, None])
