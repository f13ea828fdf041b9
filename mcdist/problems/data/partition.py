"""Dividing a data set: test and validation parts by named random draws, smaller sizes, normalisation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcdist.errors import RequestError
from mcdist.problems.data.dataset import Array, Dataset, Source, Split

__all__ = ["DEFAULT_TEST", "Cut", "partition", "permutation"]

DEFAULT_TEST = 0.2


@dataclass(frozen=True)
class Cut:
    """How to divide a source.

    validation  fraction of the training split that is held out, in [0, 1)
    test        fraction of all examples that becomes the test split, in (0, 1), for a set without an
                official one (None: 0.2); not allowed for a set that has one
    split_seed  seed of every draw
    train_size, test_size  keep only so many examples; None keeps all

    Raises RequestError for a value outside of these.
    """

    validation: float = 0.0
    test: float | None = None
    split_seed: int = 0
    train_size: int | None = None
    test_size: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.validation < 1.0:
            raise RequestError(f"data: validation is {self.validation!r}, allowed: a fraction in [0, 1)")
        if self.test is not None and not 0.0 < self.test < 1.0:
            raise RequestError(f"data: test is {self.test!r}, allowed: a fraction in (0, 1)")
        for field, size in (("train_size", self.train_size), ("test_size", self.test_size)):
            if size is not None and size < 1:
                raise RequestError(f"data: {field} is {size!r}, allowed: 1 or more examples")


def permutation(purpose: str, key: str, split_seed: int, n: int) -> npt.NDArray[np.int64]:
    """The order [n] of rows that the three names draw: PCG64 seeded by the SHA-256 of their JSON list."""
    digest = hashlib.sha256(json.dumps([purpose, key, split_seed]).encode()).digest()
    seed = np.random.SeedSequence(int.from_bytes(digest, "big"))
    return np.random.Generator(np.random.PCG64(seed)).permutation(n)


def partition(source: Source, cut: Cut) -> Dataset:
    """Divide `source` as `cut` says; rows of each part stay in ascending order.

    With p a permutation of the training rows, validation is the tail of p and `train_size` keeps its head, so
    that a smaller training set is a subset of a larger one. Each draw has its own name: the test part does
    not depend on `validation`. Raises RequestError where a part would be empty or larger than what there is.
    """
    train, test, words = _with_test(source, cut)
    order = permutation("split", source.key, cut.split_seed, len(train))
    n_validation = _held_out("validation", cut.validation, len(train)) if cut.validation else 0
    n_train = len(train) - n_validation
    validation = train.rows(order[n_train:]) if n_validation else None
    if cut.train_size is not None:
        n_train = _at_most("train_size", cut.train_size, n_train, source.name)
    if n_train < len(train):
        train = train.rows(order[:n_train])
    if cut.test_size is not None:
        _at_most("test_size", cut.test_size, len(test), source.name)
        test = test.rows(permutation("test_size", source.key, cut.split_seed, len(test))[: cut.test_size])
    mean, std = _normalisation(source, train.inputs)
    sizes = _sizes(train, validation, test)
    return Dataset(
        name=source.name,
        train=train,
        validation=validation,
        test=test,
        n_classes=source.n_classes,
        divisor=source.divisor,
        mean=mean,
        std=std,
        note=" ".join((source.note, _scaling(source, mean, std), words, sizes, _draws(source, cut))),
    )


def _with_test(source: Source, cut: Cut) -> tuple[Split, Split, str]:
    """The training split, the test split (drawn where there is no official one), and how in words."""
    if source.test is not None:
        if cut.test is not None:
            raise RequestError(
                f"data {source.name!r}: test is {cut.test!r}, but this data set has a test split of its own; "
                "leave `test` out (test_size makes it smaller)"
            )
        return source.train, source.test, "Official test split."
    fraction = DEFAULT_TEST if cut.test is None else cut.test
    n_all = len(source.train)
    order = permutation("test", source.key, cut.split_seed, n_all)
    n_test = _held_out("test", fraction, n_all)
    words = f"No official test split: {n_test} of {n_all} rows (fraction {fraction:g}) drawn at random."
    return source.train.rows(order[n_test:]), source.train.rows(order[:n_test]), words


def _held_out(field: str, fraction: float, n: int) -> int:
    count = round(fraction * n)
    if not 0 < count < n:
        raise RequestError(f"data: {field} {fraction!r} of {n} examples leaves a part empty")
    return count


def _at_most(field: str, size: int, available: int, name: str) -> int:
    if size > available:
        raise RequestError(f"data {name!r}: {field} is {size}, allowed: at most {available}, which is all there is")
    return size


def _normalisation(source: Source, inputs: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std in units of raw / divisor: as given, or of `inputs`; a constant channel gets std 1."""
    if source.mean is not None and source.std is not None:
        return source.mean, source.std
    channels = [inputs[:, c] for c in range(inputs.shape[1])] if inputs.ndim == 4 else [inputs]
    mean = tuple(float(np.mean(x, dtype=np.float64)) / source.divisor for x in channels)
    std = tuple(float(np.std(x, dtype=np.float64)) / source.divisor if np.ptp(x) else 1.0 for x in channels)
    return mean, std


def _scaling(source: Source, mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    origin = "given" if source.mean is not None else "of the training part"
    numbers = [", ".join(f"{v:.6g}" for v in values) for values in (mean, std)]
    return (
        f"Network input = (raw / {source.divisor:g} - mean) / std, mean ({numbers[0]}), std ({numbers[1]}), {origin}."
    )


def _sizes(train: Split, validation: Split | None, test: Split) -> str:
    held = "no" if validation is None else f"{len(validation)}"
    return f"{len(train)} training, {held} validation, {len(test)} test examples."


def _draws(source: Source, cut: Cut) -> str:
    return f"Random rows: permutation(test | split | test_size, {source.key!r}, split_seed {cut.split_seed})."
