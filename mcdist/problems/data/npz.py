"""A data set of one's own: a NumPy .npz file."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np

from mcdist.errors import RequestError, unknown_name
from mcdist.problems.data.dataset import Array, Source, Split

__all__ = ["npz", "sha256"]

ARRAYS = ("x_train", "y_train", "x_test", "y_test", "mean", "std")


def npz(path: Path, name: str) -> Source:
    """The data set in the file `path`.

    x_train, x_test    [N, C, H, W], [N, H, W] (one channel) or [N, D];
                       uint8 (divisor 255), float32 or float64 (divisor 1)
    y_train, y_test    [N], integers from 0
    mean, std          one number, or one per channel, in units of raw / divisor

    Without x_test and y_test a test part is drawn; without mean and std, those of the training part are used.
    Random draws are named by the content of the file, not by its place.

    Raises RequestError for a file that is not so; pickled objects are never read.
    """
    arrays = _read(path, name)
    train = _split(arrays, "train", name)
    test = _split(arrays, "test", name) if "x_test" in arrays or "y_test" in arrays else None
    if test is not None and test.inputs.shape[1:] != train.inputs.shape[1:]:
        raise _wrong(name, f"x_test is {_form(test.inputs)}, x_train is {_form(train.inputs)}", "the same shape")
    if test is not None and test.inputs.dtype != train.inputs.dtype:
        raise _wrong(name, f"x_test is {_form(test.inputs)}, x_train is {_form(train.inputs)}", "the same type")
    n_classes = 1 + max(int(split.targets.max()) for split in (train, test) if split is not None)
    if n_classes < 2:
        raise _wrong(name, "y_train holds one class", "labels 0 .. n_classes - 1 of at least two classes")
    mean, std = _constants(arrays, train.inputs, name)
    return Source(
        name=name,
        key=f"npz:{sha256(path, name)}",
        train=train,
        test=test,
        n_classes=n_classes,
        divisor=255.0 if train.inputs.dtype == np.uint8 else 1.0,
        mean=mean,
        std=std,
        note=f"{path.name}, inputs {train.inputs.dtype}{list(train.inputs.shape[1:])}.",
    )


def sha256(path: Path, name: str) -> str:
    """SHA-256 of the file, as 64 hexadecimal digits. Raises RequestError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise _wrong(name, f"{path} cannot be read ({error.strerror})", "a NumPy .npz file") from error
    return digest.hexdigest()


def _wrong(name: str, got: str, allowed: str) -> RequestError:
    return RequestError(f"data {name!r}: {got}; allowed: {allowed}")


def _form(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _read(path: Path, name: str) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except OSError as error:
        raise _wrong(name, f"{path} cannot be read ({error.strerror})", "a NumPy .npz file") from error
    except (EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        # ValueError also where an array holds pickled objects; a bare .npy array has no context manager.
        raise _wrong(name, f"{path} is not one", "a NumPy .npz file of numbers, without objects") from error
    for array in arrays:
        if array not in ARRAYS:
            raise RequestError(f"data {name!r}: {unknown_name('array', array, ARRAYS)}")
    return arrays


def _split(arrays: dict[str, Array], part: str, name: str) -> Split:
    missing = [array for array in (f"x_{part}", f"y_{part}") if array not in arrays]
    if missing:
        raise _wrong(name, f"array {' and '.join(missing)} missing", "both of a pair")
    inputs, targets = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if inputs.dtype not in (np.uint8, np.float32, np.float64) or inputs.ndim not in (2, 3, 4):
        raise _wrong(
            name,
            f"x_{part} is {_form(inputs)}",
            "uint8, float32 or float64 of shape [N, C, H, W], [N, H, W] or [N, D]",
        )
    if inputs.ndim == 4 and inputs.shape[3] in (1, 3) and inputs.shape[1] > 4:
        raise _wrong(name, f"x_{part} is {_form(inputs)}, channels last", "channels first, [N, C, H, W]")
    if inputs.size == 0 or not np.isfinite(inputs).all():
        raise _wrong(name, f"x_{part} is {_form(inputs)}, empty or not finite", "finite numbers")
    if targets.dtype.kind not in "iu" or targets.ndim != 1 or len(targets) != len(inputs) or targets.min() < 0:
        raise _wrong(name, f"y_{part} is {_form(targets)}", f"integers from 0 of shape [{len(inputs)}]")
    return Split(inputs[:, None] if inputs.ndim == 3 else inputs, targets.astype(np.int64))


def _constants(
    arrays: dict[str, Array], inputs: Array, name: str
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    if "mean" not in arrays and "std" not in arrays:
        return None, None
    channels = inputs.shape[1] if inputs.ndim == 4 else 1
    values = []
    for field in ("mean", "std"):
        got = np.atleast_1d(arrays.get(field, np.empty(0)))
        ok = got.dtype.kind in "iuf" and got.shape in ((1,), (channels,)) and np.isfinite(got).all()
        if not ok or (field == "std" and (got <= 0).any()):
            raise _wrong(name, f"{field} is {got.tolist()}", f"mean and std > 0, each 1 or {channels} finite numbers")
        values.append(tuple(np.broadcast_to(got, (channels,)).astype(float).tolist()))
    return values[0], values[1]
