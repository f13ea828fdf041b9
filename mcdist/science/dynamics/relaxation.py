"""Relaxation on a path: noisy runs from points of a path, put back on it every few steps, until they reach an end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mcdist.science.dynamics.polyline import Polyline
from mcdist.science.dynamics.walk import Dynamics, Walk, together
from mcdist.science.optimizers import Optimizer
from mcdist.science.points import Points
from mcdist.science.problem import Problem
from mcdist.science.streams import Stream

__all__ = ["Hold", "Look", "Relaxed", "relax"]

_ALONG = ("velocity", "first")  # what an optimiser remembers that is a direction in weight space


@dataclass(frozen=True)
class Hold:
    """How runs are held to their path, and when they end.

    steps: after so many a run is broken off. every: steps from one look at the runs to the next; the last look is at
    `steps` in any case. project: whether a look puts a run back, theta <- the nearest point of the path.
    buffers: what becomes of the optimiser's memory then. keep: it stays. zero: it is that of a fresh optimiser, Adam's
    count of steps included. project: of velocity and first moment the part along the path's unit tangent tau stays,
    v <- <v, tau> tau; Adam's second moment, which is a scale and no direction, stays, and the count with it.
    margin: a run has arrived at a look that finds s < margin or s > 1 - margin; it ends there if `stop`.
    trace: at most so many looks at a run are kept.
    """

    steps: int
    every: int = 15
    project: bool = True
    buffers: Literal["keep", "zero", "project"] = "zero"
    margin: float = 0.05
    stop: bool = True
    trace: int = 50

    def looks(self) -> Iterator[tuple[int, int]]:
        """Steps made at each look, and since the one before."""
        before = 0
        for made in [*range(self.every, self.steps, self.every), self.steps]:
            yield made, made - before
            before = made

    def kept(self) -> set[int]:
        """The looks kept of every run, by the steps made: evenly spaced over the whole time, the last one of them.

        One less than `trace`: the first passage comes beside them.
        """
        looks = [made for made, _ in self.looks()]
        most = min(len(looks), self.trace - 1)
        return {looks[-(-j * len(looks) // most) - 1] for j in range(1, most + 1)}


class Look(NamedTuple):
    """What a look at a run found, before it was put back.

    residual: its distance from the path, as a part of the path's length. loss: mean minibatch loss over the steps since
    the look before that was kept.
    """

    step: int
    s: float
    residual: float
    loss: float


@dataclass(frozen=True)
class Relaxed:
    """What became of N runs; on the CPU.

    steps: [N] made. first: [N] steps at the look that first found it arrived, 0 where none did. at_b: [N], whether it
    arrived at end b. diverged: [N], whether loss or weights left the finite numbers. s: [N] at the last look that found
    finite numbers, NaN where none did. residual: [N] root mean square distance from the path at those looks, as a part
    of its length. traces: N lists of looks: those of `Hold.kept`, the first passage, and where it stopped there, no
    more.
    """

    steps: Tensor
    first: Tensor
    at_b: Tensor
    diverged: Tensor
    s: Tensor
    residual: Tensor
    traces: list[list[Look]]


def relax(
    problem: Problem,
    paths: Sequence[Polyline],
    starts: Points,
    how: Dynamics,
    hold: Hold,
    streams: Sequence[Stream],
    temperature: Tensor | None = None,
) -> Relaxed:
    """N runs, each on its own of `paths` (N of them, any number of which may be the same) from its own of `starts`.

    streams: N, a run's random numbers. temperature: [N], of isotropic noise. Runs that have arrived (where they `stop`)
    or diverged are left behind, and change nothing for the others.
    """
    size, parts = together(problem), []
    for first in range(0, len(starts), size):
        own = slice(first, first + size)
        T = None if temperature is None else temperature[own].to(starts.theta.device)
        parts.append(_relaxed(Walk(problem, starts[own], how, streams[own], T), paths[own], hold))
    return _joined(parts)


def _relaxed(walk: Walk, paths: Sequence[Polyline], hold: Hold) -> Relaxed:
    """One group of runs, from beginning to end."""
    log = _Log(len(walk), hold)
    index = torch.arange(len(walk))  # those under way
    for made, steps in hold.looks():
        loss = walk.advance(steps)
        s, residual = _put_back(walk.points.theta, paths, hold.project)
        going = log.enter(index, made, steps, s.cpu(), residual.cpu(), loss.cpu())
        if not bool(going.all()):
            left = going.nonzero()[:, 0]
            if not len(left):
                break
            index, paths = index[left], [paths[k] for k in left.tolist()]
            left = left.to(s.device)
            walk.keep(left)
            s = s[left]
        if hold.project:
            _treat(walk.optimizer, hold.buffers, paths, s)
    return log.result()


def _put_back(theta: Tensor, paths: Sequence[Polyline], project: bool) -> tuple[Tensor, Tensor]:
    """s [K] and the distance over the path's length [K] of theta [K, P], which is put back on the path or left."""
    parts = []
    for path, own in _by_path(paths):
        s, residual, away = path.project(theta[own])
        parts.append(torch.stack([s, residual / path.length]))
        if project:
            theta[own] -= away.to(theta.dtype)
    s, residual = torch.cat(parts, dim=1)
    return s, residual


def _treat(optimizer: Optimizer, buffers: str, paths: Sequence[Polyline], s: Tensor) -> None:
    """See `Hold`, of runs that are at s [K] of their paths."""
    if buffers == "zero":
        for memory in optimizer.memory.values():
            memory.zero_()
    elif buffers == "project":
        for name in _ALONG:
            if name in optimizer.memory:
                memory = optimizer.memory[name][:, 0]
                for path, own in _by_path(paths):
                    tau = path.tangents(s[own])
                    memory[own] = ((memory[own].double() * tau).sum(1, keepdim=True) * tau).to(memory.dtype)


def _by_path(paths: Sequence[Polyline]) -> Iterator[tuple[Polyline, slice]]:
    """The runs on each path: they are side by side."""
    start = 0
    for _, same in itertools.groupby(paths, key=id):
        own = list(same)
        yield own[0], slice(start, start := start + len(own))


class _Log:
    """What was seen of N runs so far."""

    def __init__(self, N: int, hold: Hold) -> None:
        self._hold, self._kept = hold, hold.kept()
        self._steps, self._first, self._looks, self._since = torch.zeros(4, N, dtype=torch.int64)
        self._square, self._loss = torch.zeros(2, N, dtype=torch.float64)
        self._s = torch.full((N,), float("nan"), dtype=torch.float64)
        self._at_b, self._diverged = torch.zeros(2, N, dtype=torch.bool)
        self._traces: list[list[Look]] = [[] for _ in range(N)]

    def enter(self, index: Tensor, made: int, steps: int, s: Tensor, residual: Tensor, loss: Tensor) -> Tensor:
        """A look at the runs `index` [k] after so many steps, and so many since the look before. Which go on: [k]."""
        finite = s.isfinite() & residual.isfinite() & loss.isfinite()
        self._steps[index] = made
        self._diverged[index] = ~finite
        there, s, residual, loss = index[finite], s[finite], residual[finite], loss[finite]
        self._s[there] = s
        self._looks[there] += 1
        self._square[there] += residual.square()
        self._since[there] += steps
        self._loss[there] += steps * loss
        fresh = ((s < self._hold.margin) | (s > 1.0 - self._hold.margin)) & (self._first[there] == 0)
        self._first[there[fresh]] = made
        self._at_b[there[fresh]] = s[fresh] > 0.5
        self._trace(made, there, s, residual, fresh | (made in self._kept))
        return finite & ~(self._first[index] > 0) if self._hold.stop else finite

    def _trace(self, made: int, there: Tensor, s: Tensor, residual: Tensor, kept: Tensor) -> None:
        for i in kept.nonzero()[:, 0].tolist():
            run = int(there[i])
            mean = float(self._loss[run] / self._since[run])
            self._traces[run].append(Look(made, float(s[i]), float(residual[i]), mean))
            self._loss[run], self._since[run] = 0.0, 0

    def result(self) -> Relaxed:
        residual = (self._square / self._looks).sqrt()
        return Relaxed(self._steps, self._first, self._at_b, self._diverged, self._s, residual, self._traces)


def _joined(parts: Sequence[Relaxed]) -> Relaxed:
    """Groups one after the other."""
    fields = ("steps", "first", "at_b", "diverged", "s", "residual")
    whole = {name: torch.cat([getattr(part, name) for part in parts]) for name in fields}
    return Relaxed(**whole, traces=[trace for part in parts for trace in part.traces])
