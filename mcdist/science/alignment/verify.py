"""Whether a structure leaves the function of a network alone, tried on random weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from mcdist.errors import RequestError
from mcdist.science.alignment.permute import apply, random
from mcdist.science.alignment.structure import Structure

__all__ = ["evaluating", "verify"]


def verify(module: nn.Module, structure: Structure, example_input: Tensor) -> None:
    """Try the structure on a network of random weights, biases and buffers, in eval mode.

    With f the network and P a random permutation of every group, f_{P w}(x) = f_w(x) up to rounding for random x.
    The module keeps its weights. example_input: [B, ...], its shape alone counts. Raises RequestError where the
    functions differ: for a structure given by hand, the way to know that it is right.
    """
    structure.check(module.state_dict())
    rng = np.random.default_rng(0)
    state = _random_state(module, rng)
    dtype = next((t.dtype for t in state.values() if t.is_floating_point()), torch.float32)
    device = next((t.device for t in state.values()), torch.device("cpu"))
    x = torch.from_numpy(rng.standard_normal((2, *example_input.shape[1:]))).to(device, dtype)
    moved = apply(state, structure, random(structure, rng))
    with evaluating(module), torch.no_grad():
        before, after = (functional_call(module, s, (x,), tie_weights=False) for s in (state, moved))
    scale = (before - before.mean(0)).abs().max()  # what depends on the input
    difference = (before - after).abs().max()
    bound = torch.finfo(dtype).eps ** 0.5 * 4
    if not difference <= bound * scale:  # true of nan
        raise RequestError(
            f"the permutation structure changes the function of {type(module).__name__}: outputs of random weights "
            f"differ by {float(difference / scale):.1e} of their size once hidden units are permuted"
        )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in eval mode for a while; afterwards every part is in the mode in which it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _random_state(module: nn.Module, rng: np.random.Generator) -> dict[str, Tensor]:
    """Weights N(0, 2 / fan-in); vectors (biases, scales, variances) uniform in [0.5, 1.5]; counters as they are.

    Where the module's tensors are; on the CPU for those on the meta device.
    """
    made: dict[int, Tensor] = {}
    state = {}
    tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    for name, tensor in tensors:
        if id(tensor) not in made:
            made[id(tensor)] = _random_tensor(tensor, rng).to("cpu" if tensor.is_meta else tensor.device)
        state[name] = made[id(tensor)]
    return state


def _random_tensor(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor.clone()
    if tensor.dim() < 2:
        drawn = rng.uniform(0.5, 1.5, tuple(tensor.shape))
    else:
        drawn = rng.standard_normal(tuple(tensor.shape)) * (2 / max(1, tensor[0].numel())) ** 0.5
    return torch.as_tensor(drawn, dtype=tensor.dtype)
