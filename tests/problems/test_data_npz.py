"""A data set of one's own in a .npz file."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mcdist.errors import RequestError
from mcdist.problems.data import fingerprint, load_dataset

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 2, 4, 4)).astype(np.uint8)
FLAT = RNG.standard_normal((12, 5)).astype(np.float32)
LABELS = np.arange(12, dtype=np.int32) % 3


def write(folder: Path, **arrays: object) -> str:
    np.savez(folder / "mine.npz", **arrays)  # type: ignore[arg-type]
    return str(folder)


def test_images_with_a_test_part(tmp_path: Path) -> None:
    root = write(tmp_path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:5], y_test=LABELS[:5])
    data = load_dataset("npz:mine.npz", root=root)
    assert np.array_equal(data.train.inputs, IMAGES)
    assert data.train.targets.dtype == np.int64
    assert (data.divisor, data.n_classes, data.input_shape, len(data.test)) == (255.0, 3, (2, 4, 4), 5)
    assert data.mean == pytest.approx(tuple((IMAGES / 255).mean((0, 2, 3))))
    assert data.std == pytest.approx(tuple((IMAGES / 255).std((0, 2, 3))))


def test_flat_features_without_a_test_part(tmp_path: Path) -> None:
    root = write(tmp_path, x_train=FLAT, y_train=LABELS)
    data = load_dataset("npz:mine.npz", root=root, test=0.25)
    assert (len(data.train), len(data.test), data.divisor) == (9, 3, 1.0)
    assert data.train.inputs.dtype == np.float32


def test_images_without_a_channel_axis_get_one(tmp_path: Path) -> None:
    root = write(tmp_path, x_train=IMAGES[:, 0], y_train=LABELS)
    assert load_dataset("npz:mine.npz", root=root).input_shape == (1, 4, 4)


def test_given_constants_are_used(tmp_path: Path) -> None:
    root = write(tmp_path, x_train=IMAGES, y_train=LABELS, mean=0.5, std=[0.2, 0.3])
    data = load_dataset("npz:mine.npz", root=root)
    assert (data.mean, data.std) == ((0.5, 0.5), (0.2, 0.3))


def test_the_split_follows_the_content_not_the_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, x_train=FLAT, y_train=LABELS)
    a, b = (load_dataset(f"npz:{tmp_path / name / 'mine.npz'}") for name in ("a", "b"))
    assert np.array_equal(a.test.inputs, b.test.inputs)


def test_fingerprint_is_the_sha256_of_the_file(tmp_path: Path) -> None:
    root = write(tmp_path, x_train=FLAT, y_train=LABELS)
    expected = hashlib.sha256((tmp_path / "mine.npz").read_bytes()).hexdigest()
    assert fingerprint("npz:mine.npz", root) == expected
    assert fingerprint(f"npz:{tmp_path}/mine.npz") == expected
    assert fingerprint("digits") is None
    with pytest.raises(RequestError, match=r"none\.npz cannot be read"):
        fingerprint("npz:none.npz", root)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": FLAT}, "array y_train missing"),
        ({"x_train": FLAT, "y_train": LABELS, "x_test": FLAT}, "array y_test missing"),
        (
            {"x_train": FLAT, "y_train": LABELS, "x_tset": FLAT},
            "unknown array 'x_tset'; did you mean 'x_test'",
        ),
        ({"x_train": FLAT, "y_train": LABELS[:5]}, r"y_train is int32\[5\]; allowed: .* \[12\]"),
        ({"x_train": FLAT, "y_train": LABELS / 2}, "y_train is float64"),
        ({"x_train": FLAT, "y_train": LABELS - 1}, "integers from 0"),
        ({"x_train": FLAT, "y_train": LABELS * 0}, "at least two classes"),
        ({"x_train": FLAT.astype(int), "y_train": LABELS}, "x_train is int64"),
        ({"x_train": FLAT * np.nan, "y_train": LABELS}, "not finite"),
        ({"x_train": FLAT[:0], "y_train": LABELS[:0]}, "empty"),
        ({"x_train": np.zeros((12, 8, 8, 3)), "y_train": LABELS}, "channels last"),
        ({"x_train": FLAT, "y_train": LABELS, "x_test": FLAT[:, :2], "y_test": LABELS}, "the same shape"),
        (
            {"x_train": FLAT, "y_train": LABELS, "x_test": FLAT / np.float64(2), "y_test": LABELS},
            "the same type",
        ),
        ({"x_train": FLAT, "y_train": LABELS, "mean": 0.0}, "std is"),
        ({"x_train": IMAGES, "y_train": LABELS, "mean": 0.0, "std": [1, 0]}, "std > 0"),
        ({"x_train": np.array([{}] * 12), "y_train": LABELS}, "without objects"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        load_dataset("npz:mine.npz", root=write(tmp_path, **arrays))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_what_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.npz").write_bytes(content)
    with pytest.raises(RequestError, match=r"mine\.npz is not one; allowed: a NumPy \.npz file"):
        load_dataset("npz:mine.npz", root=str(tmp_path))


def test_a_single_array_is_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", FLAT)
    with pytest.raises(RequestError, match=r"bare\.npy is not one"):
        load_dataset("npz:bare.npy", root=str(tmp_path))
