"""Data sets by name, and the embedded one."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mcdist.errors import RequestError
from mcdist.problems.data import DATASETS, check_dataset_name, load_dataset


def test_digits_are_scikit_learns() -> None:
    data = load_dataset("digits", validation=0.1)
    reference, _ = load_digits(return_X_y=True)
    assert (len(data.train), len(data.validation or ()), len(data.test)) == (1294, 144, 359)
    assert (data.input_shape, data.divisor, data.mean, data.std) == ((64,), 16.0, (0.0,), (1.0,))
    assert data.train.inputs.dtype == np.float32
    parts = [data.train, data.validation, data.test]
    gathered = np.concatenate([part.inputs for part in parts if part is not None])
    assert sorted(map(tuple, gathered)) == sorted(map(tuple, reference))


@pytest.mark.parametrize("name", [*DATASETS, "npz:some/file.npz"])
def test_known_names_pass(name: str) -> None:
    check_dataset_name(name)


@pytest.mark.parametrize("name", ["digit", "npz:", "NPZ:file", ""])
def test_unknown_names_are_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(RequestError, match=r"unknown data set .* npz:FILE"):
        check_dataset_name(name)
    with pytest.raises(RequestError, match="unknown data set"):
        load_dataset(name)


def test_a_wrong_fraction_is_refused_before_files_are_looked_for() -> None:
    with pytest.raises(RequestError, match="validation is 2"):
        load_dataset("cifar10", root="nowhere", validation=2.0)
