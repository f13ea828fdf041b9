"""Streams: the same name gives the same numbers for ever, another name others."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mcdist.science.streams import Stream

names = st.lists(st.one_of(st.integers(0, 10**6), st.text(max_size=8)), min_size=1, max_size=4).map(tuple)


def test_the_numbers_of_a_name_are_pinned() -> None:
    """Every stored result depends on these: a change here makes all stores irreproducible."""
    stream = Stream.of("endpoint", 0)
    assert stream.seed() == 9089542287759300904
    assert stream.generator().random(3).tolist() == [0.6190029419265315, 0.1617388197490135, 0.7309247019507614]
    assert stream.child("order", 0).generator().permutation(8).tolist() == [3, 2, 1, 6, 5, 0, 4, 7]
    t = Stream.of("path", 0, "a", "b").child("t", 0).generator().random(2)
    assert t.tolist() == [0.12329046998677973, 0.061337740257106366]


def test_a_generator_starts_afresh_each_time() -> None:
    stream = Stream.of("x")
    first = stream.generator()
    first.random(10)
    assert stream.generator().random() == Stream.of("x").generator().random()


def test_a_child_is_the_longer_name() -> None:
    assert Stream.of("path", 3).child("t", 5) == Stream.of("path", 3, "t", 5)


@given(names, names)
def test_different_names_have_different_streams(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    assert (Stream(one).seed() == Stream(other).seed()) == (one == other)


def test_the_text_of_a_number_is_not_the_number() -> None:
    assert Stream.of("1").seed() != Stream.of(1).seed()
    assert Stream.of("a", "b").seed() != Stream.of("ab").seed()


def test_no_seed_at_any_epoch_is_another_seed_at_another_epoch() -> None:
    """What `seed + epoch` gets wrong: seed 0 at epoch 1 and seed 1 at epoch 0 are the same there."""
    seeds = {Stream.of("endpoint", s).child("order", e).seed() for s in range(50) for e in range(50)}
    assert len(seeds) == 2500


def test_seeds_fit_torch() -> None:
    assert all(0 <= Stream.of("s", i).seed() < 2**63 for i in range(1000))


def test_neighbouring_seeds_are_uncorrelated() -> None:
    draws = np.stack([Stream.of("endpoint", s).generator().standard_normal(4000) for s in range(12)])
    off_diagonal = np.corrcoef(draws) - np.eye(12)
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(4000)
