"""Which option of one list corresponds to which of another."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.science.auctions.options import Options

__all__ = ["match"]


def match(a: Options, b: Options) -> Tensor:
    """Orders of b's options, [K, M] (indices from 1), that minimise sum_k |a_k - b_order(k)|^2, list by list.

    Distances are between rows: allocations and prices (boosts). The default stays what it is. `b[k].pick(order[k])` is
    b in a's order, the same mechanism.
    """
    left, right = a.rows().detach().double(), b.rows().detach().double()
    if left.shape != right.shape:
        raise RequestError(
            f"options cannot be matched: {list(left.shape)} and {list(right.shape)} [menus, options, numbers each]"
        )
    orders = []
    for one, other in zip(left.cpu(), right.cpu(), strict=True):
        _, order = linear_sum_assignment((one[:, None] - other[None]).square().sum(-1).numpy())
        orders.append(torch.from_numpy(np.asarray(order, dtype=np.int64)) + 1)
    return torch.stack(orders).to(b.x.device)
