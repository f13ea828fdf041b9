"""Valuations by a function from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcdist.errors import RequestError
from mcdist.problems.elsewhere import imported
from mcdist.science.auctions import Law
from mcdist.science.streams import Stream

__all__ = ["Sampled"]


@dataclass(frozen=True)
class Sampled(Law):
    """Valuations by a function from elsewhere: sampler(generator, n, **args) -> [n, items], values 0 or more.

    generator: a numpy Generator, the only source of random numbers. greatest: sup |v|_1 where it is known. Raises
    RequestError where it cannot be imported, raises, or gives something else.
    """

    name: str
    items: int = 1
    greatest: float | None = None
    args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one, other = (self.sample(Stream.of("trial"), 2) for _ in range(2))
        if not torch.equal(one, other):
            raise RequestError(
                f"sampler {self.name!r}: gave other values from the same generator: it must draw from that alone"
            )

    @property
    def bound(self) -> float:
        """See `Law`."""
        return float("inf") if self.greatest is None else self.greatest

    def sample(self, stream: Stream, n: int) -> Tensor:
        """See `Law`; of a larger sample the smaller one is no part."""
        try:
            drawn = np.asarray(_import(self.name)(stream.generator(), n, **self.args), dtype=np.float64)
        except RequestError:
            raise
        except Exception as error:  # code that is not ours
            raise RequestError(f"sampler {self.name!r}: {type(error).__name__}: {error}") from error
        if drawn.shape != (n, self.items):
            raise RequestError(f"sampler {self.name!r}: gave {list(drawn.shape)}, not [{n}, {self.items}]")
        if not (np.isfinite(drawn).all() and (drawn >= 0.0).all()):
            raise RequestError(f"sampler {self.name!r}: gave values that are no finite numbers of 0 or more")
        return torch.from_numpy(np.ascontiguousarray(drawn))


def _import(name: str) -> Callable[..., Sequence[Sequence[float]]]:
    found = imported(name, f"sampler {name!r}:", "package.module:sampler")
    if not callable(found):
        raise RequestError(f"sampler {name!r}: is {type(found).__name__}, allowed: a callable")
    sampler: Callable[..., Sequence[Sequence[float]]] = found
    return sampler
