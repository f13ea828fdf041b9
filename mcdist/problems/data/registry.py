"""The data sets by name. A new one: a loader `(folder, download) -> Source` in its own file, a line here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mcdist.errors import RequestError, unknown_name
from mcdist.problems.data.cifar import cifar10, cifar100
from mcdist.problems.data.dataset import Dataset, Source
from mcdist.problems.data.digits import digits
from mcdist.problems.data.mnist import fashion_mnist, mnist
from mcdist.problems.data.npz import npz, sha256
from mcdist.problems.data.partition import Cut, partition

__all__ = ["DATASETS", "check_dataset_name", "fingerprint", "load_dataset"]

NPZ = "npz:"

DATASETS: dict[str, Callable[[Path | None, bool], Source]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
}


def check_dataset_name(name: str) -> None:
    """Raise RequestError unless `name` is in DATASETS or is npz:FILE; looks at no file."""
    if name not in DATASETS and not (name.startswith(NPZ) and name != NPZ):
        raise RequestError(unknown_name("data set", name, DATASETS, also=", npz:FILE"))


def load_dataset(
    name: str,
    *,
    root: str | None = None,
    download: bool = False,
    validation: float = 0.0,
    test: float | None = None,
    split_seed: int = 0,
    train_size: int | None = None,
    test_size: int | None = None,
) -> Dataset:
    """Load the data set `name` and divide it.

    root        folder of the files (of FILE, where that is relative); may be relative or begin with ~
    download    fetch files that are missing in `root`
    validation  fraction of the training split to hold out, in [0, 1)
    test        fraction of all examples to test on, for a set without a test split of its own (None: 0.2)
    split_seed  seed of all these draws, and of which examples a smaller size keeps
    train_size, test_size  keep so many examples only

    Raises RequestError for an unknown name, a value outside of the above, or files that are missing or wrong.
    """
    check_dataset_name(name)
    cut = Cut(validation, test, split_seed, train_size, test_size)
    if name.startswith(NPZ):
        return partition(npz(_npz_path(name, root), name), cut)
    return partition(DATASETS[name](None if root is None else _absolute(root), download), cut)


def fingerprint(name: str, root: str | None = None) -> str | None:
    """SHA-256 (hexadecimal) of the file of npz:FILE, whose name says nothing of its content; None for others.

    Raises RequestError for an unknown name or a file that cannot be read.
    """
    check_dataset_name(name)
    return sha256(_npz_path(name, root), name) if name.startswith(NPZ) else None


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _npz_path(name: str, root: str | None) -> Path:
    file = os.path.expanduser(name.removeprefix(NPZ))
    return _absolute(file if root is None else os.path.join(_absolute(root), file))
