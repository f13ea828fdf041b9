"""MNIST, Fashion-MNIST and CIFAR, from files made here in their published formats."""

import gzip
import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets

from mcdist.errors import RequestError
from mcdist.problems.data import load_dataset
from mcdist.problems.data import mnist as mnist_module

RNG = np.random.default_rng(1)
IMAGES = {part: RNG.integers(0, 256, (n, 28, 28)).astype(np.uint8) for part, n in (("train", 6), ("t10k", 4))}
LABELS = {part: RNG.integers(0, 10, len(images)).astype(np.uint8) for part, images in IMAGES.items()}


def idx(array: np.ndarray) -> bytes:
    """The idx format: two zero bytes, type 8 (uint8), number of axes, big-endian sizes, bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, *, zipped: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for kind, axes, arrays in (("images", 3, IMAGES), ("labels", 1, LABELS)):
            name, content = f"{part}-{kind}-idx{axes}-ubyte", idx(arrays[part])
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("name", "raw"), [("mnist", "MNIST/raw"), ("fashion_mnist", "FashionMNIST/raw"), ("mnist", ".")]
)
def test_idx_files_in_either_layout(tmp_path: Path, name: str, raw: str, zipped: bool) -> None:
    write_idx(tmp_path / raw, zipped=zipped)
    data = load_dataset(name, root=str(tmp_path))
    for split, part in ((data.train, "train"), (data.test, "t10k")):
        assert np.array_equal(split.inputs, IMAGES[part][:, None])
        assert np.array_equal(split.targets, LABELS[part])
    assert (data.divisor, data.n_classes, data.input_shape, len(data.mean)) == (255.0, 10, (1, 28, 28), 1)


def test_root_may_be_relative_or_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path / "files", zipped=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for root in ("files", "~/files"):
        assert len(load_dataset("mnist", root=root).train) == 6


@pytest.mark.parametrize(("asked", "held"), [("mnist", "fashion_mnist"), ("fashion_mnist", "mnist")])
def test_a_mix_up_of_the_two_sets_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, held: str
) -> None:
    write_idx(tmp_path, zipped=True)
    labels = hashlib.sha256(idx(LABELS["train"])).hexdigest()
    monkeypatch.setitem(mnist_module.TRAIN_LABELS, labels, held)
    with pytest.raises(RequestError, match=rf"labels-idx1-ubyte\.gz holds the labels of '{held}'"):
        load_dataset(asked, root=str(tmp_path))
    assert len(load_dataset(held, root=str(tmp_path)).train) == 6


def test_missing_files_are_named_with_their_place_and_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="dataset-fashion-mnist") as refusal:
        load_dataset("fashion_mnist", root=str(tmp_path))
    for words in (str(tmp_path / "FashionMNIST" / "raw"), "t10k-labels-idx1-ubyte", "download: true"):
        assert words in str(refusal.value)
    with pytest.raises(RequestError, match="no folder given"):
        load_dataset("mnist", download=True)


@pytest.mark.parametrize("content", [b"", b"short", idx(np.zeros(9, np.uint8))[:-4], idx(np.full(6, 11, np.uint8))])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    write_idx(tmp_path, zipped=False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(RequestError, match=r"idx file|in 0 \.\. 9"):
        load_dataset("mnist", root=str(tmp_path))
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"0" * 50)[:-9])
    with pytest.raises(RequestError, match=r"ubyte\.gz is not a readable idx file"):
        load_dataset("mnist", root=str(tmp_path))


def test_images_and_labels_of_different_length_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, zipped=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS["train"]))
    with pytest.raises(RequestError, match=r"test images are uint8\[4, 28, 28\], labels uint8\[6\]"):
        load_dataset("mnist", root=str(tmp_path))


def test_download_happens_when_asked_and_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(self: torchvision.datasets.MNIST) -> None:
        write_idx(Path(self.raw_folder), zipped=False)

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", fetch)
    with pytest.raises(RequestError, match="not found"):
        load_dataset("mnist", root=str(tmp_path))
    assert len(load_dataset("mnist", root=str(tmp_path), download=True).train) == 6


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_a_failed_download_is_a_wrong_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(self: object) -> None:
        raise OSError("no route")

    for family in (torchvision.datasets.MNIST, torchvision.datasets.CIFAR10):
        monkeypatch.setattr(family, "download", fail)
    with pytest.raises(RequestError, match=r"download .*failed \(no route\).*give root"):
        load_dataset(name, root=str(tmp_path), download=True)


CIFAR = RNG.integers(0, 256, (3, 3, 32, 32)).astype(np.uint8)


def write_cifar(root: Path, reader: type, label_key: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Batches of three images in the archive's layout, and torchvision's checksums made to be theirs."""
    folder: Path = root / reader.base_folder  # type: ignore[attr-defined]
    folder.mkdir()

    def put(name: str, content: object) -> str:
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return hashlib.md5(data).hexdigest()

    batch = {"data": CIFAR.reshape(3, -1), label_key: [2, 0, 1]}
    for field in ("train_list", "test_list"):
        monkeypatch.setattr(reader, field, [[name, put(name, batch)] for name, _ in getattr(reader, field)])
    meta = dict(reader.meta)  # type: ignore[attr-defined]
    monkeypatch.setattr(reader, "meta", {**meta, "md5": put(meta["filename"], {meta["key"]: ["a", "b", "c"]})})
    return folder


@pytest.mark.parametrize(
    ("name", "reader", "label_key", "batches", "n_classes"),
    [
        ("cifar10", torchvision.datasets.CIFAR10, "labels", 5, 10),
        ("cifar100", torchvision.datasets.CIFAR100, "fine_labels", 1, 100),
    ],
)
def test_cifar_batches_come_channels_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    reader: type,
    label_key: str,
    batches: int,
    n_classes: int,
) -> None:
    folder = write_cifar(tmp_path, reader, label_key, monkeypatch)
    data = load_dataset(name, root=str(tmp_path))
    assert np.array_equal(data.train.inputs, np.concatenate([CIFAR] * batches))
    assert np.array_equal(data.test.inputs, CIFAR)
    assert data.test.targets.tolist() == [2, 0, 1]
    assert (data.n_classes, data.input_shape, len(data.mean), len(data.std)) == (n_classes, (3, 32, 32), 3, 3)

    (folder / reader.test_list[0][0]).write_bytes(b"damaged")  # type: ignore[attr-defined]
    with pytest.raises(RequestError, match="published checksums"):
        load_dataset(name, root=str(tmp_path))
    (folder / reader.test_list[0][0]).unlink()  # type: ignore[attr-defined]
    with pytest.raises(RequestError, match=f"{reader.base_folder} lacks test"):  # type: ignore[attr-defined]
        load_dataset(name, root=str(tmp_path))
