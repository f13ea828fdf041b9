"""Resampling end points: the independent things in a sweep, from which every pair is made.

With n units (end points, or families of them) a pair (a, b) has the weight w_a w_b in a sample that holds
unit i w_i times, and w_a where both ends belong to one unit; a tour through several end points, the product over
all its units. A resampling is R such weightings; the covariance of estimates over them, times `factor`, estimates
the covariance of the estimates themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.pairs import tour_stops
from mcdist.errors import RequestError

__all__ = [
    "Resampling",
    "Statistic",
    "codes",
    "families",
    "quantile_level",
    "replicate",
    "resample",
    "stream",
]

Statistic = str | float
"""`"mean"`, `"median"`, or a quantile's level in (0, 1)."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Resampling:
    """Weights [R, M] of M pairs in R samples, and the factor of the covariance over the samples."""

    weights: Ints
    factor: float


def quantile_level(statistic: Statistic) -> float | None:
    """The quantile's level that a statistic names; None for the mean. RequestError for anything else."""
    if statistic == "mean":
        return None
    if statistic == "median":
        return 0.5
    if isinstance(statistic, float) and 0 < statistic < 1:
        return statistic
    raise RequestError(f"statistic: got {statistic!r}; allowed: 'mean', 'median' or a quantile's level in (0, 1)")


def stream(seed: int, *names: object) -> np.random.Generator:
    """The random stream of that name: it depends on the seed and the names' text alone, not on any other
    stream.
    """
    digest = hashlib.sha256(json.dumps([str(name) for name in names]).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype="<u4").tolist()])


def families(endpoints: pd.DataFrame) -> dict[str, str]:
    """For every end point of the `endpoints` table, the one that stands for its family (itself where it is alone).

    What is independent is the family: end points that were branched from one parent, or trained on from it, share
    its training, and those of one problem and seed (trained, say, at several learning rates) share initial weights
    and data order. Pass the result as `families` to the functions that give intervals.
    """
    parent: dict[str, str] = {
        str(child): str(ancestor)
        for child, ancestor in zip(endpoints["endpoint_id"], endpoints["parent_id"], strict=True)
        if pd.notna(ancestor)
    }

    def root(name: str) -> str:
        seen = {name}
        while name in parent and parent[name] not in seen:
            name = parent[name]
            seen.add(name)
        return name

    origins = {
        str(name): (str(problem), int(seed))
        for name, problem, seed in zip(*(endpoints[c] for c in ("endpoint_id", "problem", "seed")), strict=True)
        if pd.notna(seed)
    }
    if "spawn_epoch" in endpoints:  # what branches come from is no end point itself; its seed is theirs
        branches = endpoints[endpoints["spawn_epoch"].notna()]
        for trunk, problem, seed in zip(*(branches[c] for c in ("parent_id", "problem", "seed")), strict=True):
            origins.setdefault(str(trunk), (str(problem), int(seed)))
    roots = {str(name): root(str(name)) for name in endpoints["endpoint_id"]}
    first: dict[tuple[str, int], str] = {}
    for name in sorted(set(roots.values()) & set(origins)):
        first.setdefault(origins[name], name)
    return {name: first[origins[top]] if top in origins else top for name, top in roots.items()}


def codes(pairs: pd.DataFrame, family: Mapping[str, str] | None) -> tuple[Ints, int]:
    """Units of the ends of every pair, and of the stops of every tour, as numbers 0..n-1 in the order of their
    names, and n.

    Shape [M, E] with E the most units that a row has; each unit of a row once, -1 in the places left over.
    """
    ends = zip(pairs["endpoint_a"].astype(str), pairs["endpoint_b"].astype(str), tour_stops(pairs), strict=True)
    rows = [(a, b, *stops) for a, b, stops in ends]
    if family is not None:
        rows = [tuple(family.get(name, name) for name in row) for row in rows]
    number = {name: i for i, name in enumerate(sorted({name for row in rows for name in row}))}
    units = np.full((len(rows), max((len(row) for row in rows), default=2)), -1, dtype=np.int64)
    for place, row in enumerate(rows):
        distinct = [number[name] for name in dict.fromkeys(row)]
        units[place, : len(distinct)] = distinct
    return units, len(number)


def resample(units: Ints, n: int, method: str, n_boot: int, rng: np.random.Generator) -> Resampling:
    """All samples without one unit (`"jackknife"`), or `n_boot` samples of n units with replacement
    (`"bootstrap"`); `units` [M, E] as from `codes`.

    Bootstrap samples that hold no pair are left out. The factors: n - 1 for the jackknife, n / (n - 1) for
    the bootstrap (whose samples vary around the n observed units by one degree of freedom too little).
    """
    if method == "jackknife":
        counts, factor = 1 - np.eye(n, dtype=np.int64), n - 1.0
    else:
        counts, factor = rng.multinomial(n, np.full(n, 1 / n), size=n_boot), n / (n - 1)
    weights = counts[:, units[:, 0]]
    for column in units.T[1:]:
        weights = weights * np.where(column < 0, 1, counts[:, column])
    return Resampling(weights[weights.sum(axis=1) > 0], factor)


def replicate(values: Floats, weights: Ints, statistic: Statistic) -> Floats:
    """The statistic of values [M, C] under every row of weights [R, M] (no row all zero): [R, C].

    Weights are counts: the result is that of `np.mean` or `np.quantile` of the values repeated so many times.
    """
    level = quantile_level(statistic)
    if level is None:
        mean: Floats = weights @ values / weights.sum(axis=1, keepdims=True)
        return mean
    return np.stack([_quantile(column, weights, level) for column in values.T], axis=1)


def _quantile(values: Floats, weights: Ints, level: float) -> Floats:
    """Linear interpolation between order statistics (numpy's default) of values [M] repeated by weights [R,
    M]: [R].
    """
    order = np.argsort(values, kind="stable")
    values, upto = values[order], np.cumsum(weights[:, order], axis=1)
    position = level * (upto[:, -1] - 1)
    below = np.floor(position)
    lower = (upto <= below[:, None]).sum(axis=1)
    upper = (upto <= below[:, None] + 1).sum(axis=1).clip(max=len(values) - 1)
    result: Floats = values[lower] + (position - below) * (values[upper] - values[lower])
    return result
