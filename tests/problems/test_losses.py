"""Losses by name."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.problems.losses import resolve_loss

HERE = __name__


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - F.one_hot(targets, outputs.shape[1])).square().mean()


def weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    """Fits seven classes and no other number."""
    return F.cross_entropy(outputs, targets, weight=torch.arange(1.0, 8.0))


def per_example(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="none")


def constant(outputs: Tensor, targets: Tensor) -> Tensor:
    return torch.zeros(())


def branching(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.sum() if outputs.sum() > 0 else -outputs.sum()


class Holder:
    """Losses may be attributes of something."""

    squared = staticmethod(squared)


def test_cross_entropy_needs_no_function() -> None:
    assert resolve_loss("cross_entropy", 10) is None


def test_a_function_by_its_path() -> None:
    assert resolve_loss(f"{HERE}:squared", 10) is squared
    assert resolve_loss(f"{HERE}:Holder.squared", 10) is squared
    assert resolve_loss("torch.nn.functional:cross_entropy", 3) is F.cross_entropy


def test_the_number_of_classes_is_the_data_sets() -> None:
    assert resolve_loss(f"{HERE}:weighted", 7) is weighted
    with pytest.raises(RequestError, match=r"weighted' fails on outputs \[2, 3\] and targets \[2\]"):
        resolve_loss(f"{HERE}:weighted", 3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no.such.module:f", "cannot be imported .*No module named 'no'"),
        ("torch.nn.functional:nothing", "cannot be imported .*nothing"),
        (":f", "cannot be imported"),
        (f"{HERE}:per_example", r"one differentiable number for a batch; got a tensor \[2\]"),
        (f"{HERE}:constant", "one differentiable number"),
        (f"{HERE}:HERE", "not callable"),
        (f"{HERE}:branching", "control flow"),
    ],
)
def test_what_is_no_loss_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        resolve_loss(name, 3)
