"""How many workers of each size fit beside one another, against trying every way to place them."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcdist.execute.allotment import Node, Want, allot

cpus, gpus = st.integers(0, 6), st.integers(0, 2)
some_nodes = st.lists(st.builds(Node, cpus, gpus), min_size=0, max_size=3)
some_wants = st.lists(st.builds(Want, st.integers(1, 3), gpus, st.integers(1, 8)), min_size=1, max_size=3)


def holds(nodes: list[Node], wants: list[Want], numbers: list[int]) -> bool:
    """Whether so many workers can be placed at the same time: every way is tried."""
    if not any(numbers):
        return True
    if not nodes:
        return False
    here = itertools.product(*(range(number + 1) for number in numbers))
    return any(
        sum(n * w.cpus for n, w in zip(way, wants, strict=True)) <= nodes[0].cpus
        and sum(n * w.gpus for n, w in zip(way, wants, strict=True)) <= nodes[0].gpus
        and holds(nodes[1:], wants, [all_ - n for all_, n in zip(numbers, way, strict=True)])
        for way in here
    )


@given(some_nodes, some_wants)
def test_what_is_given_fits_together_and_is_no_more_than_was_wanted(nodes: list[Node], wants: list[Want]) -> None:
    found = allot(nodes, wants)
    assert all(0 <= number <= want.most for number, want in zip(found, wants, strict=True))
    assert holds(nodes, wants, found)


@given(some_nodes, some_wants)
def test_nobody_is_left_out_where_the_first_of_each_fit_one_after_the_other(
    nodes: list[Node], wants: list[Want]
) -> None:
    """Those with GPUs come first: what has none where another has several did not fit beside the first of each."""
    found = allot(nodes, wants)
    ones = [min(number, 1) for number in found]
    for i, number in enumerate(found):
        if not number and not (wants[i].apart and any(not node.gpus and node.fits(wants[i].cpus, 0) for node in nodes)):
            before = [j for j in range(len(wants)) if (wants[j].apart, j) < (wants[i].apart, i)]
            assert any(ones[j] for j in before) or not holds(nodes, [wants[i]], [1])


@given(st.lists(st.builds(Node, cpus, gpus, st.integers(1, 4)), max_size=3), st.builds(Want, st.integers(1, 3), gpus))
def test_workers_of_one_size_fill_all_nodes_that_are_for_them(nodes: list[Node], want: Want) -> None:
    plain = [node for node in nodes if not node.gpus and node.fits(want.cpus, 0)] if want.apart else []
    assert allot(nodes, [want]) == [sum(node.fits(want.cpus, want.gpus) for node in plain or nodes)]


@given(st.builds(Node, cpus, gpus), st.integers(1, 4), some_wants)
def test_nodes_alike_are_as_many_single_ones(node: Node, many: int, wants: list[Want]) -> None:
    assert allot([Node(node.cpus, node.gpus, many)], wants) == allot([node] * many, wants)


def test_of_a_type_that_does_not_say_what_it_has_each_node_may_hold_one_worker() -> None:
    unsaid = Node(math.inf, math.inf, many=6)
    assert allot([unsaid], [Want(1, 1)]) == [6]
    assert sum(allot([unsaid], [Want(1, 1), Want(1, 0)])) == 6


@pytest.mark.parametrize(("share", "number"), [(0.1, 10), (0.14, 7), (1 / 3, 3)])
def test_shares_add_up(share: float, number: int) -> None:
    assert allot([Node(64, 1)], [Want(1, share)]) == [number]
