"""Choosing how the tasks of one shape are computed, by trying it for a moment on the device that will do it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Protocol

from mcdist.execute.choice import Choice, Wishes
from mcdist.tasks.work import Way

__all__ = ["OutOfMemory", "Probe", "by_rule", "choose"]

_SMALL_S = 5.0  # work shorter than this, all tasks together, is not worth measuring
_BY_RULE = 16  # the pack of such work
_MOST = 512
_PER_PACK_S = 0.02  # what a pack costs beside its computation: dispatch, files
_SHORT_S = 0.5  # packs of tasks that are computed one by one are made about as long as this
_GAIN = 0.95  # another way is taken where it takes at most this part of the time
_NEAR_BEST = 1.1  # the smallest pack that is within this of the best is taken: smaller ones spread over more workers
_COMPILED_SAVES = 0.4  # of the time, before it was tried; measured: 0.4 to 0.7 for perceptrons
_REPAID = 4.0  # compiling is tried where that saves so many times what it costs


class OutOfMemory(Exception):
    """A trial did not fit."""


class Probe(Protocol):
    """What can be learned of tasks of one shape."""

    tasks: int

    def seconds(self, K: int, way: Way) -> float | None:
        """The time that a pack of K tasks takes, from start to end; None where it is none to speak of.

        Raises OutOfMemory.
        """

    def stacked(self) -> bool:
        """Whether a pack is computed together, not task by task."""

    def images(self) -> bool:
        """Whether the memory format of images could matter."""

    def graphs(self) -> bool:
        """Whether the device has graphs of launches (CUDA)."""

    def compiling(self, K: int, way: Way) -> float:
        """Seconds that compiling would take; little where that was done before, for ever where nothing can be."""


def choose(probe: Probe, wishes: Wishes) -> Choice:
    """The pack and the way for tasks of one shape. What is not left open is taken as it is.

    The pack: of 1, 2, 4, ... tasks the smallest within 10 % of the least time per task, at most half of all tasks
    (two workers at least have something to do), never one that is slower than one task at a time. It does not depend
    on the number of workers.
    """
    way = Way(wishes.compiled == "on", wishes.graphed == "on", wishes.channels_last == "on")
    plain = replace(way, compiled=False, graphed=False)
    one = probe.seconds(1, plain)
    half = -(-probe.tasks // 2)
    if one is None:
        return by_rule(wishes, probe.tasks)
    if one * probe.tasks < _SMALL_S:
        return by_rule(wishes, probe.tasks if probe.stacked() else 1)
    measured: dict[str, Any] = {"seconds_alone": one}
    if wishes.channels_last == "auto" and probe.images():
        other = probe.seconds(1, replace(plain, channels_last=True))
        measured["seconds_channels_last"] = other
        if other is not None and other < _GAIN * one:
            one, plain, way = other, replace(plain, channels_last=True), replace(way, channels_last=True)
    if wishes.pack != "auto":
        most = wishes.pack
    elif not probe.stacked():
        most = _one_by_one(one, half)
    else:
        most = _even(_best_pack(probe, plain, one, half, measured), probe.tasks)
    return Choice(most, _faster_way(probe, wishes, most, way, measured), measured)


def by_rule(wishes: Wishes, tasks: int) -> Choice:
    """The choice for so many tasks that nobody has tried, or that are not worth it."""
    most = min(_BY_RULE, -(-tasks // 2)) if wishes.pack == "auto" else wishes.pack
    return Choice(most, Way(wishes.compiled == "on", wishes.graphed == "on", wishes.channels_last == "on"))


def _one_by_one(one: float, half: int) -> int:
    """Nothing is gained by a pack but fewer files and messages."""
    return max(1, min(_BY_RULE, half, int(_SHORT_S / one)))


def _best_pack(probe: Probe, way: Way, one: float, half: int, measured: dict[str, Any]) -> int:
    per_task = {1: one + _PER_PACK_S}
    idle = 0
    for K in _sizes(min(half, _MOST)):
        try:
            seconds = probe.seconds(K, way)
        except OutOfMemory:
            measured["too_large"] = K
            break
        best = min(per_task.values())
        per_task[K] = ((seconds or 0.0) + _PER_PACK_S) / K
        # small packs may gain nothing yet: the way through stacks has a cost of its own
        idle = idle + 1 if per_task[K] > _GAIN * best else 0
        if idle == 2:
            break
    measured["seconds_per_task"] = {str(k): v for k, v in per_task.items()}
    best = min(per_task.values())
    return next(k for k, v in sorted(per_task.items()) if v <= min(_NEAR_BEST * best, per_task[1]))


def _finite(seconds: float | None) -> float | None:
    """As the store keeps it: a program that did not do what it should took for ever."""
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _sizes(most: int) -> list[int]:
    """2, 4, 8, ..., and the most."""
    doubled = [2**i for i in range(1, most.bit_length())]
    return sorted({k for k in doubled if k < 0.9 * most} | ({most} if most > 1 else set()))


def _even(most: int, tasks: int) -> int:
    """A pack of nearly that size of which all are equally large, if there is one: each size is compiled anew."""
    parts = -(-tasks // most)
    for more in range(parts, parts + parts // 4 + 1):
        if tasks % more == 0:
            return tasks // more
    return most


def _faster_way(probe: Probe, wishes: Wishes, most: int, way: Way, measured: dict[str, Any]) -> Way:
    """Graphs of launches, and compiled steps, where they pay beside what was asked for."""
    graphs_open = wishes.graphed == "auto" and probe.graphs()
    if not graphs_open and wishes.compiled != "auto":
        return way
    try:
        now = probe.seconds(most, way)
        if now is None:
            return way
        if graphs_open:
            other = probe.seconds(most, replace(way, graphed=True))
            measured["seconds_graphed"] = _finite(other)
            if other is not None and other < _GAIN * now:
                now, way = other, replace(way, graphed=True)
        if wishes.compiled == "auto":
            saved = _COMPILED_SAVES * now * probe.tasks / most
            if saved > _REPAID * probe.compiling(most, way):
                other = probe.seconds(most, replace(way, compiled=True))
                measured["seconds_compiled"] = _finite(other)
                if other is not None and other < _GAIN * now:
                    way = replace(way, compiled=True)
        measured["seconds_packed"] = _finite(now)
    except OutOfMemory:  # a pack that was asked for; it will be halved when it is done
        measured["too_large"] = most
    return way
