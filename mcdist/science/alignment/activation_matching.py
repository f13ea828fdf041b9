"""Matching of hidden units by what they do: correlation of activations (Ainsworth et al. 2022, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from mcdist.errors import RequestError
from mcdist.science.alignment.matching import Matching, assign, check_pair
from mcdist.science.alignment.structure import Group, Place, Structure
from mcdist.science.alignment.verify import evaluating
from mcdist.science.alignment.writers import Writer, channels_last, writers

__all__ = ["activation_matching"]

_DEAD = 1e-12  # of its mean square: less variance is rounding (float32 has eps^2 = 1e-14)


def activation_matching(
    module: nn.Module,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    structure: Structure,
    batches: Iterable[Tensor],
) -> Matching:
    """Permutations of b's hidden units that make them do what a's do on the inputs of `batches` ([B, ...] each),

        for each group   max_p sum_i C(i, p(i)),   C(i, j) = sum over layers of corr(a's unit i, b's unit j),

    over all examples and positions: one linear assignment problem a group, exact. The activations are those before the
    nonlinearity: the outputs of every linear layer and convolution that writes the group, or of the BatchNorm that
    takes such an output, and of BatchNorms on a stream that several layers write. (Correlation is blind to scales, but
    not to the sign that a BatchNorm may give.) A dead unit, of no variance, correlates 0 with every other and takes
    what is left. Eval mode. The objective in the result is the sum over groups.

    module: plain, whose own weights stay as they are. Raises RequestError where the states do not fit the structure or
    each other, where no layer writes a group, and for no examples.
    """
    check_pair(a, b, structure)
    found = _Correlations(module, structure)
    states = [_placed(module, state) for state in (a, b)]
    with evaluating(module), torch.no_grad():
        for inputs in batches:
            found.add(*(found.activations(state, inputs) for state in states))
    permutations, before, after = {}, 0.0, 0.0
    for group in structure.groups:
        gain = found.correlation(group)
        p = assign(gain)
        permutations[group.name] = torch.from_numpy(p)
        before += float(np.trace(gain))
        after += float(gain[np.arange(group.size), p].sum())
    return Matching(structure, permutations, before, after, (before, after), 1, "activations")


def _placed(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state_dict where the module is, and of its types."""
    own = module.state_dict()
    return {name: tensor.to(own[name]) for name, tensor in state.items()}


class _Correlations:
    """Sums over batches from which correlations between the units of two networks follow."""

    def __init__(self, module: nn.Module, structure: Structure) -> None:
        self._module = module
        self._writers = writers(module, structure, norms=True)
        self._moments: dict[str, _Moments] = {}

    def activations(self, state: Mapping[str, Tensor], inputs: Tensor) -> dict[str, Tensor]:
        """What each writer gives, but those whose output a BatchNorm takes."""
        with _listening(self._writers) as heard:
            functional_call(self._module, dict(state), (inputs,), tie_weights=False)
        return heard

    def add(self, a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> None:
        """The activations of both networks on one batch."""
        for name, x in a.items():
            pair = channels_last(x), channels_last(b[name])
            if name not in self._moments:
                self._moments[name] = _Moments(*(rows.mean(0) for rows in pair))
            self._moments[name].add(*pair)

    def correlation(self, group: Group) -> NDArray[np.float64]:
        """[n, n], summed over the layers that write a group."""
        gain = np.zeros((group.size, group.size))
        heard = False
        for writer in self._writers:
            for place, written in writer.segments:
                if written == group and writer.name in self._moments:
                    gain += self._moments[writer.name].correlation(place, group)
                    heard = True
        if not heard:
            raise RequestError(
                f"activations cannot be matched: no linear layer or convolution writes group {group.name!r}, or there "
                "are no examples"
            )
        return gain


class _Moments:
    """Sums of two networks' activations, less the means of the first batch (so that no digits cancel).

    Within a batch they are summed in the network's own type, over batches in float64.
    """

    def __init__(self, *origins: Tensor) -> None:
        self._origins = origins
        C = len(origins[0])
        self._n = 0
        self._sums = torch.zeros(2, C, dtype=torch.float64, device=origins[0].device)
        self._squares = torch.zeros_like(self._sums)
        self._products = self._sums.new_zeros(C, C)

    def add(self, *rows: Tensor) -> None:
        """Rows [N, C] of both."""
        a, b = (x - origin for x, origin in zip(rows, self._origins, strict=True))
        self._n += len(a)
        self._sums += torch.stack([a.sum(0), b.sum(0)])
        self._squares += torch.stack([a.square().sum(0), b.square().sum(0)])
        self._products += a.T @ b

    def correlation(self, place: Place, group: Group) -> NDArray[np.float64]:
        """[n, n]: of the group's units at a place, mean over the entries of a unit."""
        means = self._sums / self._n
        variances = self._squares / self._n - means.square()
        level = variances + (means + torch.stack(self._origins)).square()
        inverse = torch.where(variances > _DEAD * level, variances, torch.inf).rsqrt()
        covariance = self._products / self._n - torch.outer(*means)
        whole = torch.outer(*inverse) * covariance
        end = place.offset + group.size * place.repeat
        part = whole[place.offset : end, place.offset : end]
        part = part.reshape(group.size, place.repeat, group.size, place.repeat)
        found: NDArray[np.float64] = torch.einsum("irjr->ij", part).div(place.repeat).cpu().numpy()
        return found


@contextmanager
def _listening(layers: list[Writer]) -> Iterator[dict[str, Tensor]]:
    """Within it, the dict gets copies of what the layers give; a BatchNorm's output takes the place of its input."""
    heard: dict[str, Tensor] = {}
    given: dict[str, Tensor] = {}

    def listen(writer: Writer, layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        if writer.is_norm:
            for name in [name for name, tensor in given.items() if tensor is args[0]]:
                heard.pop(name, None)
        given[writer.name] = output
        heard[writer.name] = output.clone()  # a nonlinearity may work in place

    hooks = [writer.layer.register_forward_hook(partial(listen, writer)) for writer in layers]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()
