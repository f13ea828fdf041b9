"""Which axes of which tensors share a permutation: the symmetry of a network's hidden units, as data."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from mcdist.errors import RequestError

__all__ = ["Group", "Place", "Structure", "nearest"]


@dataclass(frozen=True, order=True)
class Place:
    """Where a group of n units lies on an axis: entries offset .. offset + n * repeat - 1, each unit `repeat` of them.

    Unit i has the entries offset + i * repeat + r, r = 0 .. repeat - 1 (a flattened [C, H, W] has repeat = H * W).
    """

    tensor: str
    axis: int
    offset: int = 0
    repeat: int = 1


@dataclass(frozen=True)
class Group:
    """`size` hidden units that may be permuted among themselves, together on all `places`."""

    name: str
    size: int
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Structure:
    """The groups of a network, and the shapes of the tensors on which they act.

    Entries of an axis in no place of any group never move: those of inputs, outputs, and constant channels. Tensors
    that are not named are left alone.
    """

    groups: tuple[Group, ...]
    shapes: Mapping[str, tuple[int, ...]]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Units of each group."""
        return {group.name: group.size for group in self.groups}

    @property
    def units(self) -> int:
        """Hidden units in all."""
        return sum(self.sizes.values())

    @cached_property
    def tensors(self) -> dict[str, dict[int, list[tuple[Place, Group]]]]:
        """For each tensor, for each of its axes on which something acts, what lies there, by offset."""
        found: dict[str, dict[int, list[tuple[Place, Group]]]] = {}
        for group in self.groups:
            for place in group.places:
                found.setdefault(place.tensor, {}).setdefault(place.axis, []).append((place, group))
        for axes in found.values():
            for segments in axes.values():
                segments.sort(key=lambda segment: segment[0].offset)
        return found

    def check(self, state: Mapping[str, Tensor], what: str = "weights") -> None:
        """Raises RequestError where a state_dict has not the tensors and shapes of this structure."""
        for name, shape in self.shapes.items():
            if name not in state:
                raise RequestError(f"{what}: do not fit the permutation structure: {nearest(name, state)}")
            if tuple(state[name].shape) != shape:
                raise RequestError(
                    f"{what}: do not fit the permutation structure: {name!r} is {list(state[name].shape)}, "
                    f"not {list(shape)}"
                )

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], state: Mapping[str, Tensor]) -> Structure:
        """The structure given by hand as plain data, for networks with this state_dict.

        {"groups": {name: [[tensor, axis], [tensor, axis, {"repeat": 16, "offset": 64}], ...]}}; an axis that holds
        several groups names the offset of each. Sizes follow from the shapes: a group reaches to where the next one
        begins. Where it does not (entries after it never move), {"size": n, "axes": [...]} in place of the list says
        so. Raises RequestError for what is no such data, unknown tensors, wrong axes, and sizes that disagree.
        """
        named = _groups_of(spec)
        read = {name: [_place(name, entry, state) for entry in entries] for name, (_, entries) in named.items()}
        starts: dict[tuple[str, int], list[int]] = {}
        for places in read.values():
            for place in places:
                starts.setdefault((place.tensor, place.axis), []).append(place.offset)
        groups = []
        for name, places in read.items():
            size = named[name][0] or _size(name, places, starts, state)
            groups.append(Group(name, size, tuple(sorted(places))))
        structure = cls(tuple(groups), {p.tensor: tuple(state[p.tensor].shape) for g in groups for p in g.places})
        structure._no_overlaps()
        return structure

    def to_spec(self) -> dict[str, Any]:
        """The plain data from which `from_spec` makes this structure."""
        begins = {(p.tensor, p.axis, p.offset) for group in self.groups for p in group.places}
        begins |= {(name, axis, length) for name, shape in self.shapes.items() for axis, length in enumerate(shape)}
        groups: dict[str, Any] = {}
        for group in self.groups:
            axes = [_entry(place) for place in group.places]
            follows = all((p.tensor, p.axis, p.offset + group.size * p.repeat) in begins for p in group.places)
            groups[group.name] = axes if follows else {"size": group.size, "axes": axes}
        return {"groups": groups}

    def _no_overlaps(self) -> None:
        for tensor, axes in self.tensors.items():
            for axis, segments in axes.items():
                end, before = 0, ""
                for place, group in segments:
                    if place.offset < end:
                        raise RequestError(
                            f"structure: groups {before!r} and {group.name!r} overlap on axis {axis} of {tensor!r}"
                        )
                    end, before = place.offset + group.size * place.repeat, group.name
                if end > self.shapes[tensor][axis]:
                    raise RequestError(
                        f"structure: group {before!r} reaches to entry {end} on axis {axis} of {tensor!r}, "
                        f"which has {self.shapes[tensor][axis]}"
                    )


def nearest(name: str, state: Mapping[str, Tensor]) -> str:
    """What to say of a tensor that is not there."""
    near = difflib.get_close_matches(name, list(state), n=1, cutoff=0.6)
    return f"there is no tensor {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _groups_of(spec: Mapping[str, Any]) -> dict[str, tuple[int | None, Sequence[Any]]]:
    """For each group its size, where it is said, and its entries."""
    if not isinstance(spec, Mapping) or set(spec) != {"groups"} or not isinstance(spec["groups"], Mapping):
        raise RequestError(f"structure: expected {{groups: {{name: [[tensor, axis], ...]}}}}, got {_short(spec)}")
    found: dict[str, tuple[int | None, Sequence[Any]]] = {}
    for name, given in spec["groups"].items():
        size, entries = None, given
        if isinstance(given, Mapping):
            if set(given) != {"size", "axes"} or not _natural(given["size"], 1):
                raise RequestError(f"structure: group {name!r}: expected {{size: n, axes: [...]}}, got {_short(given)}")
            size, entries = given["size"], given["axes"]
        if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
            raise RequestError(f"structure: group {name!r}: expected [[tensor, axis], ...], got {_short(given)}")
        found[str(name)] = (size, entries)
    return found


def _place(group: str, entry: Any, state: Mapping[str, Tensor]) -> Place:
    good = isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) in (2, 3)
    options = entry[2] if good and len(entry) == 3 else {}
    good = good and isinstance(entry[0], str) and isinstance(options, Mapping) and set(options) <= {"offset", "repeat"}
    good = good and _natural(options.get("offset", 0), 0) and _natural(options.get("repeat", 1), 1)
    if not good:
        raise RequestError(
            f"structure: group {group!r}: expected [tensor, axis] or [tensor, axis, {{repeat: r, offset: o}}], "
            f"got {_short(entry)}"
        )
    tensor, axis = entry[0], entry[1]
    if tensor not in state:
        raise RequestError(f"structure: group {group!r}: {nearest(tensor, state)}")
    dims = state[tensor].dim()
    if not _natural(axis, 0) or axis >= dims:
        raise RequestError(f"structure: group {group!r}: {tensor!r} has axes 0 to {dims - 1}, not {axis!r}")
    return Place(tensor, axis, options.get("offset", 0), options.get("repeat", 1))


def _size(
    group: str, places: Sequence[Place], starts: Mapping[tuple[str, int], list[int]], state: Mapping[str, Tensor]
) -> int:
    """The units that fit between each place's offset and the next one's, which must agree."""
    known: tuple[int, Place] | None = None
    for place in places:
        length = state[place.tensor].shape[place.axis]
        end = min((s for s in starts[place.tensor, place.axis] if s > place.offset), default=length)
        size, rest = divmod(end - place.offset, place.repeat)
        where = f"axis {place.axis} of {place.tensor!r}"
        if rest or size < 1:
            raise RequestError(
                f"structure: group {group!r}: {end - place.offset} entries on {where} are no blocks of {place.repeat}"
            )
        if known is not None and size != known[0]:
            other = f"axis {known[1].axis} of {known[1].tensor!r}"
            raise RequestError(f"structure: group {group!r} has {known[0]} units on {other}, {size} on {where}")
        known = size, place
    assert known is not None
    return known[0]


def _entry(place: Place) -> list[Any]:
    options = {"repeat": place.repeat} if place.repeat != 1 else {}
    if place.offset:
        options["offset"] = place.offset
    return [place.tensor, place.axis, *([options] if options else [])]


def _natural(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
