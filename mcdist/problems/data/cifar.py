"""CIFAR-10 and CIFAR-100, read by torchvision from the archives' own batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mcdist.errors import RequestError
from mcdist.problems.data.dataset import Source, Split

__all__ = ["cifar10", "cifar100"]

Triple = tuple[float, float, float]


def cifar10(folder: Path | None, download: bool = False) -> Source:
    """CIFAR-10, [50000, 3, 32, 32] and [10000, 3, 32, 32] uint8, ten classes.

    Mean (0.4914, 0.4822, 0.4465) and std (0.2470, 0.2435, 0.2616) are those of all training pixels of a
    channel. (Some published code has std (0.2023, 0.1994, 0.2010), a mean of per-image deviations.) `folder`
    holds cifar-10-batches-py. Raises RequestError where files are missing (without `download`) or damaged.
    """
    return _source("cifar10", "CIFAR10", 10, folder, download, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def cifar100(folder: Path | None, download: bool = False) -> Source:
    """CIFAR-100, shapes as for `cifar10`, the hundred fine classes; `folder` holds cifar-100-python.

    Mean (0.5071, 0.4865, 0.4409) and std (0.2673, 0.2564, 0.2762), those of all training pixels of a channel.
    """
    return _source("cifar100", "CIFAR100", 100, folder, download, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))


def _source(
    name: str, title: str, n_classes: int, folder: Path | None, download: bool, mean: Triple, std: Triple
) -> Source:
    import torchvision.datasets  # takes seconds to import

    reader = getattr(torchvision.datasets, title)
    remedy = f"give root: a folder that holds {reader.base_folder} (download: true fills it)"
    if folder is None:
        raise RequestError(f"data {name!r}: no folder given; {remedy}")
    place = folder / reader.base_folder
    files = [row[0] for row in reader.train_list + reader.test_list] + [reader.meta["filename"]]
    missing = [file for file in files if not (place / file).is_file()]
    if missing and not download:
        raise RequestError(f"data {name!r}: {place} lacks {', '.join(missing)}; {remedy}")
    try:
        train, test = (reader(str(folder), train=part, download=download) for part in (True, False))
    except (OSError, RuntimeError) as error:
        what = "download failed" if download else "files do not have the published checksums"
        raise RequestError(f"data {name!r}: {place}: {what} ({error}); {remedy}") from error
    return Source(
        name=name,
        key=name,
        train=_split(train),
        test=_split(test),
        n_classes=n_classes,
        divisor=255.0,
        mean=mean,
        std=std,
        note=f"{title}, 32 x 32 uint8 colour images.",
    )


def _split(part: object) -> Split:
    """torchvision keeps images as [N, H, W, C]; networks want channels first."""
    images, labels = np.asarray(getattr(part, "data")), getattr(part, "targets")  # noqa: B009
    return Split(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), np.asarray(labels, dtype=np.int64))
