"""Matching options: what was shuffled is put back, and no other order is nearer."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdist.errors import RequestError
from mcdist.science.auctions import Maximizers, Menus, match

from .examples import maximizers, menus, seeds, uniform

few = settings(max_examples=25)


@few
@given(seed=seeds, several=st.booleans())
def test_a_shuffled_list_is_put_back(seed: int, several: bool) -> None:
    a: Menus | Maximizers = maximizers(seed, K=1) if several else menus(seed, K=1)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed)) + 1
    b = a.pick(order)
    noisy = b.of(b.rows() + 1e-6 * uniform(seed + 1, *b.rows().shape))
    assert torch.equal(b.pick(match(a, noisy)[0]).rows(), a.rows())


@few
@given(seed=seeds)
def test_no_other_order_is_nearer(seed: int) -> None:
    a, b = menus(seed, M=4), menus(seed + 5, M=4)
    for k, order in enumerate(match(a, b)):
        found = float((a[k].rows() - b[k].pick(order).rows()).square().sum())
        for other in itertools.permutations(range(1, 5)):
            assert found <= float((a[k].rows() - b[k].pick(torch.tensor(other)).rows()).square().sum()) + 1e-12


def test_a_matched_list_is_the_same_mechanism() -> None:
    a, b, v = menus(0, K=1), menus(5, K=1), uniform(9, 40, 2)
    (order,) = match(a, b)
    assert sorted(order.tolist()) == [1, 2, 3, 4, 5, 6]
    assert torch.equal(b.pick(order).outcome(v).payments, b.outcome(v).payments)


def test_lists_of_different_shapes() -> None:
    with pytest.raises(RequestError, match=r"cannot be matched: \[2, 6, 3\] and \[2, 5, 3\]"):
        match(menus(0), menus(0, M=5))
