"""MNIST and Fashion-MNIST: four idx files each, under names that both sets share."""

from __future__ import annotations

import gzip
import hashlib
import tempfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mcdist.errors import RequestError
from mcdist.problems.data.dataset import Source, Split

__all__ = ["fashion_mnist", "mnist"]

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

# SHA-256 of the decompressed training labels: file names do not tell the two sets apart, the content does.
TRAIN_LABELS = {
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5": "mnist",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9": "fashion_mnist",
}

UNREADABLE = (OSError, EOFError, zlib.error, AssertionError, RuntimeError, ValueError, TypeError, KeyError)


def mnist(folder: Path | None, download: bool = False) -> Source:
    """MNIST, [60000, 1, 28, 28] and [10000, 1, 28, 28] uint8, with the usual mean 0.1307 and std 0.3081.

    `folder` holds torchvision's layout (MNIST/raw/...) or the four idx files, each plain or .gz. Raises
    RequestError where they are missing (and not to be downloaded), cannot be read, or are Fashion-MNIST's.
    """
    return _source("mnist", "MNIST", folder, download, mean=0.1307, std=0.3081)


def fashion_mnist(folder: Path | None, download: bool = False) -> Source:
    """Fashion-MNIST, shapes and `folder` as for `mnist`, mean 0.2860 and std 0.3530.

    Debian's package dataset-fashion-mnist lays the four .gz files into /usr/share/datasets/fashion-mnist.
    """
    return _source("fashion_mnist", "FashionMNIST", folder, download, mean=0.2860, std=0.3530)


def _source(name: str, title: str, folder: Path | None, download: bool, *, mean: float, std: float) -> Source:
    if folder is None:
        raise RequestError(f"data {name!r}: no folder given; {_remedy(name, title)}")
    paths = _find(folder, title)
    if paths is None and download:
        _download(name, title, folder)
        paths = _find(folder, title)
    if paths is None:
        raise RequestError(
            f"data {name!r}: not found in {folder / title / 'raw'} nor in {folder}; "
            f"expected, plain or .gz: {', '.join(FILES)}; {_remedy(name, title)}"
        )
    train_x, train_y, test_x, test_y = (_read(path, name) for path in paths)
    return Source(
        name=name,
        key=name,
        train=_split(train_x, train_y, name, "training"),
        test=_split(test_x, test_y, name, "test"),
        n_classes=10,
        divisor=255.0,
        mean=(mean,),
        std=(std,),
        note=f"{title}, 28 x 28 uint8 images.",
    )


def _remedy(name: str, title: str) -> str:
    debian = (
        ", or root: /usr/share/datasets/fashion-mnist of Debian's package dataset-fashion-mnist"
        if name == "fashion_mnist"
        else ""
    )
    return f"give root: a folder that holds {title}/raw or these files (download: true fills it){debian}"


def _find(folder: Path, title: str) -> list[Path] | None:
    """The four files, in the order of FILES, from the first place that holds them all."""
    for place in (folder / title / "raw", folder):
        found = [next((p for p in (place / file, place / f"{file}.gz") if p.is_file()), None) for file in FILES]
        paths = [path for path in found if path is not None]
        if len(paths) == len(FILES):
            return paths
    return None


def _download(name: str, title: str, folder: Path) -> None:
    import torchvision.datasets  # takes seconds to import

    try:
        getattr(torchvision.datasets, title)(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        cause = " ".join(str(error).split())
        raise RequestError(f"data {name!r}: download into {folder} failed ({cause}); {_remedy(name, title)}") from error


def _read(path: Path, name: str) -> npt.NDArray[np.uint8]:
    """The array of one idx file, by torchvision's reader; a mix-up of the two sets shows at the labels."""
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        with tempfile.TemporaryDirectory() as scratch:
            plain = Path(scratch) / "idx"
            plain.write_bytes(content)
            array: npt.NDArray[np.uint8] = read_sn3_pascalvincent_tensor(str(plain)).numpy()
    except UNREADABLE as error:
        raise RequestError(f"data {name!r}: {path} is not a readable idx file ({error})") from error
    holds = TRAIN_LABELS.get(hashlib.sha256(content).hexdigest(), name)
    if holds != name:
        raise RequestError(f"data {name!r}: {path} holds the labels of {holds!r}; ask for {holds!r}, or fix root")
    return array


def _split(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], name: str, part: str) -> Split:
    bytes_only = images.dtype == labels.dtype == np.uint8
    if not bytes_only or images.ndim != 3 or labels.shape != images.shape[:1] or (labels > 9).any():
        raise RequestError(
            f"data {name!r}: {part} images are {images.dtype}{list(images.shape)}, labels {labels.dtype}"
            f"{list(labels.shape)}; expected uint8 [N, H, W] and uint8 [N] in 0 .. 9"
        )
    return Split(images[:, None], labels.astype(np.int64))
