"""Flat weights and named views are the same numbers, and the same gradients."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mcdist.science.layout import Layout

shapes = st.lists(st.lists(st.integers(1, 4), max_size=3).map(tuple), min_size=1, max_size=5)


def layout_of(sizes: list[tuple[int, ...]]) -> Layout:
    return Layout(tuple(f"p{i}" for i in range(len(sizes))), tuple(sizes))


@given(shapes, st.lists(st.integers(1, 3), max_size=2).map(tuple))
def test_views_and_flatten_are_inverse(sizes: list[tuple[int, ...]], lead: tuple[int, ...]) -> None:
    layout = layout_of(sizes)
    theta = torch.arange(torch.Size((*lead, layout.size)).numel(), dtype=torch.float64).reshape(*lead, layout.size)
    views = layout.views(theta)
    assert [v.shape for v in views.values()] == [(*lead, *shape) for shape in layout.shapes]
    for at in np.ndindex(*lead):
        assert torch.equal(layout.flatten({n: v[at] for n, v in views.items()}), theta[at])


def test_views_share_memory_with_the_flat_vector() -> None:
    layout = layout_of([(2, 3), (4,)])
    theta = torch.zeros(layout.size)
    layout.views(theta)["p1"].fill_(7.0)
    assert theta.tolist() == [0.0] * 6 + [7.0] * 4


def test_the_order_is_the_modules_own() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    layout = Layout.of(dict(module.named_parameters()))
    flat = nn.utils.parameters_to_vector(module.parameters())
    assert torch.equal(layout.flatten(dict(module.named_parameters())), flat)
    assert layout.size == flat.numel() == 3 * 2 + 2 + 2 + 1


def test_gradients_through_views_are_those_of_the_parameters() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    layout = Layout.of(dict(module.named_parameters()))
    theta = layout.flatten(dict(module.named_parameters())).detach().requires_grad_()
    (through_views,) = torch.autograd.grad(torch.func.functional_call(module, layout.views(theta), x).sum(), theta)
    own = torch.autograd.grad(module(x).sum(), list(module.parameters()))
    assert torch.equal(through_views, torch.cat([g.flatten() for g in own]))
