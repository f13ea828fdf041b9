"""Dividing a data set: parts are disjoint, complete, ordered, nested, and drawn by name."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcdist.errors import RequestError
from mcdist.problems.data.dataset import Source, Split
from mcdist.problems.data.partition import Cut, partition, permutation


def numbered(n: int, n_test: int | None = None, **changes: object) -> Source:
    """Row i holds the number i, so that a part tells which rows it got."""

    def split(count: int) -> Split:
        return Split(np.arange(count, dtype=np.float64)[:, None], np.arange(count) % 3)

    fields = {
        "name": "numbers",
        "key": "numbers",
        "train": split(n),
        "test": None if n_test is None else split(n_test),
        "n_classes": 3,
        "divisor": 1.0,
        "mean": (0.0,),
        "std": (1.0,),
        "note": "Numbers.",
    }
    return Source(**{**fields, **changes})  # type: ignore[arg-type]


def rows(split: Split | None) -> list[int]:
    return [] if split is None else split.inputs[:, 0].astype(int).tolist()


PINNED = [0, 7, 3, 1, 4, 5, 2, 6]

fractions = st.floats(0.05, 0.8)


@given(n=st.integers(20, 200), test=fractions, validation=fractions, seed=st.integers(0, 2**40))
def test_parts_are_disjoint_complete_and_ascending(n: int, test: float, validation: float, seed: int) -> None:
    test, validation = min(test, 0.5), min(validation, 0.5)
    data = partition(numbered(n), Cut(validation, test, seed))
    parts = [rows(data.train), rows(data.validation), rows(data.test)]
    assert sorted(itertools.chain(*parts)) == list(range(n))
    assert all(part == sorted(part) for part in parts)
    assert len(data.test) == round(test * n)


@given(validation=st.sampled_from([0.0, 0.1, 0.5]), seed=st.integers(0, 100))
def test_the_test_part_depends_on_the_seed_alone(validation: float, seed: int) -> None:
    plain, cut = (partition(numbered(50), Cut(v, None, seed)) for v in (0.0, validation))
    assert rows(plain.test) == rows(cut.test)
    other = partition(numbered(50), Cut(validation, None, seed + 1))
    assert rows(other.test) != rows(cut.test)


@given(small=st.integers(1, 40), large=st.integers(1, 40))
def test_smaller_training_sets_are_subsets_of_larger_ones(small: int, large: int) -> None:
    few, many = (
        set(rows(partition(numbered(50, 10), Cut(validation=0.2, train_size=n)).train)) for n in sorted((small, large))
    )
    assert few <= many


def test_a_smaller_training_set_leaves_validation_and_test_alone() -> None:
    whole, few = (partition(numbered(50, 20), Cut(0.2, train_size=n, test_size=7)) for n in (None, 5))
    assert rows(whole.validation) == rows(few.validation)
    assert rows(whole.test) == rows(few.test)
    assert (len(whole.train), len(few.train), len(few.test)) == (40, 5, 7)


def test_nothing_held_out_means_everything_in_its_own_order() -> None:
    data = partition(numbered(9, 4), Cut())
    assert (rows(data.train), data.validation, rows(data.test)) == (list(range(9)), None, list(range(4)))


def test_targets_follow_their_inputs() -> None:
    data = partition(numbered(60), Cut(0.25))
    for part in (data.train, data.validation, data.test):
        assert part is not None
        assert part.targets.tolist() == [row % 3 for row in rows(part)]


def test_draws_are_pinned() -> None:
    assert permutation("split", "digits", 0, 8).tolist() == PINNED
    assert permutation("split", "digits", 1, 8).tolist() != PINNED
    assert permutation("split", "mnist", 0, 8).tolist() != PINNED
    assert permutation("test", "digits", 0, 8).tolist() != PINNED


def test_computed_constants_normalise_the_training_part() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 200, (40, 3, 4, 5)).astype(np.uint8)
    images[:, 2] = 7
    source = numbered(40, train=Split(images, np.arange(40) % 3), divisor=255.0, mean=None, std=None)
    data = partition(source, Cut(0.25, train_size=20))
    mean, std = (np.array(v)[:, None, None] for v in (data.mean, data.std))
    ready = (data.train.inputs / data.divisor - mean) / std
    assert ready.mean((0, 2, 3)) == pytest.approx([0, 0, 0], abs=1e-12)
    assert ready.std((0, 2, 3)) == pytest.approx([1, 1, 0])  # a constant channel stays constant
    assert data.input_shape == (3, 4, 5)


def test_flat_features_share_one_mean_and_std() -> None:
    data = partition(numbered(10, 2, mean=None, std=None), Cut())
    assert data.mean == pytest.approx((4.5,))
    assert data.std == pytest.approx((np.std(np.arange(10)),))


def test_the_note_says_scaling_sizes_and_draws() -> None:
    note = partition(numbered(50), Cut(0.2, 0.1, split_seed=3)).note
    for words in (
        "(raw / 1 - mean) / std",
        "5 of 50 rows",
        "36 training, 9 validation, 5 test",
        "'numbers'",
        "3)",
    ):
        assert words in note


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ({"validation": 1.0}, r"validation is 1.0, allowed: a fraction in \[0, 1\)"),
        ({"validation": float("nan")}, "validation is nan"),
        ({"test": 0.0}, r"test is 0.0, allowed: a fraction in \(0, 1\)"),
        ({"train_size": 0}, "train_size is 0"),
        ({"test_size": -1}, "test_size is -1"),
    ],
)
def test_values_out_of_range_are_refused(cut: dict[str, float], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Cut(**cut)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "cut", "message"),
    [
        (numbered(10, 5), Cut(test=0.2), "has a test split of its own"),
        (numbered(10, 5), Cut(0.5, train_size=6), "train_size is 6, allowed: at most 5"),
        (numbered(10, 5), Cut(test_size=6), "test_size is 6, allowed: at most 5"),
        (numbered(10, 5), Cut(0.01), "leaves a part empty"),
        (numbered(2), Cut(), "test 0.2 of 2 examples leaves a part empty"),
    ],
)
def test_parts_that_cannot_be_are_refused(source: Source, cut: Cut, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        partition(source, cut)
