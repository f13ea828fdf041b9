"""Networks on their way with a cyclic rate: from member to member, looked at on the way, to be broken off anywhere.

    run = Cycling.begin(specs, parents, bench)
    while not run.done:
        settled = run.advance()

Between two members everything can be kept (`kept`) and gone on with (`Cycling.resume`), to the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcdist.errors import Diverged, TaskError
from mcdist.science.cycles import Cosine, CyclicRate, Pair, Triangle
from mcdist.science.motion import FreePoints
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream
from mcdist.science.training import Recipe, Trained, Window, train
from mcdist.spec.tasks import TrajectoryTask
from mcdist.tasks.kept import Kept, copied, moved, named, points_named, under
from mcdist.tasks.recipe import diverged, recipe
from mcdist.tasks.snapshots import resumed
from mcdist.tasks.work import Bench

__all__ = ["Cycling", "cyclic_rate"]

_JUDGED = ("val", "test")
"""The splits on which a trajectory is judged, where there are."""


@dataclass
class _Way:
    """Where K networks are, and what there is of them so far."""

    points: Points
    memory: dict[str, Tensor] | None
    begun: Tensor  # [K, P], at iteration 0
    made: int  # steps
    diverged: list[int | None]  # the step, from the beginning of the training, at which a loss left the finite numbers
    looks: list[dict[str, Any]]  # by look: numbers, and lists of K of them
    stretches: list[list[Pair]]  # (lr1, lr2) of the K points on each stretch that was made
    members: list[Points]  # settled, on the CPU


class Cycling:
    """K networks of one shape with a cyclic rate: they differ in seeds and scalars alone.

    splits: those on which they are judged, of "val" and "test" those that there are if not said; no other is looked at.
    With none a look costs nothing: statistics are then re-estimated for members alone. keep: whether members are kept.
    """

    def __init__(
        self, specs: Sequence[TrajectoryTask], bench: Bench, way: _Way, splits: Sequence[str] | None, keep: bool
    ) -> None:
        """See `begin` and `resume`."""
        self.problem: Problem = bench.problem(specs[0].problem)
        there = [name for name in _JUDGED if name in self.problem.splits]
        self._splits = tuple(there if splits is None else splits)
        self._specs, self._bench, self._way, self._keep = specs, bench, way, keep
        self._how = _how(specs, bench, way.points.theta)
        self.steps = len(self.problem.batch_sizes(self._how.batch_size))
        """Steps of an epoch."""
        self._total = (specs[0].epochs - specs[0].start) * self.steps
        self.rate: CyclicRate = cyclic_rate(specs, self.steps)
        self.ends = self.rate.members(self._total)
        """The iterations at which members are taken, all that the epochs hold."""
        if not self.ends:
            raise TaskError(f"{self._total} steps hold no member of cycles of {self.rate.cycle} steps")
        self._when = self.rate.looks(self._total, specs[0].looks)

    @classmethod
    def begin(
        cls,
        specs: Sequence[TrajectoryTask],
        parents: Sequence[str | None],
        bench: Bench,
        *,
        splits: Sequence[str] | None = None,
        keep: bool = True,
    ) -> Cycling:
        """At iteration 0, looked at. parents: ids of the trunks or end points that they start from, None: the seed."""
        points, memory = _start(specs, parents, bench)
        way = _Way(points, memory, points.theta.clone(), 0, [None] * len(specs), [], [], [])
        run = cls(specs, bench, way, splits, keep)
        run._look(None, None)
        return run

    @classmethod
    def resume(
        cls,
        specs: Sequence[TrajectoryTask],
        kept: Kept,
        bench: Bench,
        *,
        splits: Sequence[str] | None = None,
        keep: bool = True,
    ) -> Cycling:
        """As it was when it was `kept`. Where the specs say other rates than before, those hold from here on."""
        problem = bench.problem(specs[0].problem)
        device, tensors, data = problem.device, kept.tensors, kept.data
        way = _Way(
            points=points_named(tensors, device),
            memory=under(tensors, "memory.") or None,
            begun=tensors["begun"].to(device, copy=True),
            made=data["made"],
            diverged=list(data["diverged"]),
            looks=[dict(look) for look in data["looks"]],
            stretches=[[(high, low) for high, low in pairs] for pairs in data["stretches"]],
            members=[
                points_named(tensors, torch.device("cpu"), f"member_{j}.")
                for j in range(len(data["stretches"]) if keep else 0)
            ],
        )
        return cls(specs, bench, way, splits, keep)

    def kept(self) -> Kept:
        """All that `resume` needs; nothing of it changes later."""
        way = self._way
        tensors = {**named(way.points), "begun": copied(way.begun)}
        tensors |= {f"memory.{name}": copied(tensor) for name, tensor in (way.memory or {}).items()}
        for j, member in enumerate(way.members):
            tensors |= named(member, f"member_{j}.")
        data = {"made": way.made, "diverged": way.diverged, "looks": way.looks, "stretches": way.stretches}
        return Kept(tensors, json.loads(json.dumps(data)))

    @property
    def taken(self) -> int:
        """How many members were taken."""
        return len(self._way.stretches)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to be done: all members are there, or all networks have diverged."""
        return self.taken == len(self.ends) or all(step is not None for step in self._way.diverged)

    @property
    def iteration(self) -> int:
        """Steps made since the cycles began."""
        return self._way.made

    @property
    def epochs_used(self) -> float:
        """Epochs trained so far, those before the cycles included."""
        return self._epoch(self._way.made)

    def change(self, lr1: float, lr2: float) -> None:
        """Other rates for all networks from here on. They are recorded in `rates`."""
        specs = [spec.model_copy(update={"lr1": lr1, "lr2": lr2, "rates": ()}) for spec in self._specs]
        self.rate = cyclic_rate(specs, self.steps)

    def advance(self) -> Points | None:
        """Train up to the next member: K settled points on the device, valid until the next call. None where all
        networks diverged on the way.
        """
        way, end = self._way, self.ends[self.taken]
        found: list[Points] = []

        def hook(made: int, loss: Tensor) -> None:
            way.made = made
            settled = self._look(self.taken if made == end else None, loss)
            if made == end:
                found.append(settled)

        at = [i for i in self._when if way.made < i <= end]
        window = Window(self.rate, way.made, end, at, hook, tensors=self._bench.accelerate is not None)
        streams = [Stream.of("endpoint", spec.seed) for spec in self._specs]
        motion, first = FreePoints(way.points.theta), self._specs[0].start
        trained = train(
            self.problem,
            motion,
            way.points.buffers,
            self._how,
            streams,
            self._bench.accelerate,
            first=first,
            memory=way.memory,
            window=window,
        )
        way.memory = trained.memory
        way.diverged = [a if a is not None else b for a, b in zip(way.diverged, trained.diverged, strict=True)]
        if not found:
            return None
        way.stretches.append(self.rate.pairs(self.taken))
        if self._keep:
            way.members.append(moved(found[0], torch.device("cpu")))
        return found[0]

    def failed(self, k: int) -> Diverged | None:
        """Why network k failed, where its loss left the finite numbers."""
        return diverged(Trained(diverged=self._way.diverged), k, self.steps)

    def looks(self, k: int) -> list[dict[str, Any]]:
        """What network k looked like so far: columns of table `trajectories`, beside those that say which it is."""
        return [
            {name: value[k] if isinstance(value, list) else value for name, value in look.items()}
            for look in self._way.looks
        ]

    def members(self, k: int) -> list[dict[str, Any]]:
        """When members of network k were taken: iteration, epoch, lr, distance from iteration 0."""
        said = ("iteration", "epoch", "lr", "distance")
        return [{name: look[name] for name in said} for look in self.looks(k) if look["member"] is not None]

    def rates(self, k: int) -> list[Pair]:
        """(lr1, lr2) of network k on each stretch that ended in a member so far."""
        return [pairs[k] for pairs in self._way.stretches]

    def member(self, j: int) -> Points:
        """The K networks as they were when member j was taken, settled, on the device."""
        return moved(self._way.members[j], self.problem.device)

    def tensors(self, k: int) -> dict[str, Tensor]:
        """The members of network k so far: `member_<j>.<name of the module's state_dict>`, settled, on the CPU."""
        return {
            f"member_{j}.{name}": tensor
            for j, points in enumerate(self._way.members)
            for name, tensor in self.problem.state(points, k).items()
        }

    def _look(self, member: int | None, loss: Tensor | None) -> Points:
        """Judge the networks where they are; settled, if they are judged or members."""
        points, made = self._way.points, self._way.made
        settled = self.problem.settle(points) if self._splits or member is not None else points
        metrics = self.problem.evaluate(settled, splits=self._splits) if self._splits else {}
        away = points.theta.double() - self._way.begun.double()
        pairs = self.rate.pairs(self.taken)
        look: dict[str, Any] = {
            "lr1": [high for high, _ in pairs],
            "lr2": [low for _, low in pairs],
            "iteration": made,
            "epoch": self._epoch(made),
            "lr": self.rate.rate(max(made, 1)),
            "member": member,
            "train_loss": None if loss is None else loss.tolist(),
        }
        for split in self._splits:
            for metric, column in (("loss", "nll"), ("error", "error")):
                look[f"{split}_{column}"] = metrics[f"{split}_{metric}"].tolist()
        self._way.looks.append(look | {"distance": away.norm(dim=1).tolist()})
        return settled

    def _epoch(self, iteration: int) -> float:
        return self._specs[0].start + iteration / self.steps


def cyclic_rate(specs: Sequence[TrajectoryTask], steps: int) -> CyclicRate:
    """The rate of K trajectories that differ in scalars alone. steps: of an epoch."""
    spec, high = specs[0], tuple(spec.lr1 for spec in specs)
    if spec.rate == "cosine":
        assert spec.cycles is not None, "a cosine rate has a number of cycles"
        return Cosine((spec.epochs - spec.start) * steps, spec.cycles, high)
    assert spec.cycle is not None, "a triangular rate has cycles of a length"
    return Triangle(round(spec.cycle * steps), high, tuple(spec.lr2 for spec in specs), spec.rates)


def _start(
    specs: Sequence[TrajectoryTask], parents: Sequence[str | None], bench: Bench
) -> tuple[Points, dict[str, Tensor] | None]:
    """The points at iteration 0, and the optimizer's memory there, None for a fresh one."""
    problem, start = bench.problem(specs[0].problem), specs[0].start
    if not start:
        return Points.stack([problem.initial(Stream.of("endpoint", spec.seed)) for spec in specs]), None
    stored = [bench.stored(parent).tensors for parent in parents if parent is not None]
    if start == specs[0].train.epochs:
        return Points.stack([problem.point(tensors) for tensors in stored]), None
    return resumed(problem, stored, start)


def _how(specs: Sequence[TrajectoryTask], bench: Bench, like: Tensor) -> Recipe:
    return recipe([spec.train for spec in specs], like, tensors=bench.accelerate is not None)
