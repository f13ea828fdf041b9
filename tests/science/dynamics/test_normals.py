"""Normal numbers of points: each row by its own stream, whatever goes on beside it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mcdist.science.dynamics.normals import Normals
from mcdist.science.streams import Stream

STREAMS = [Stream.of("walker", k) for k in range(5)]


def plain(stream: Stream, P: int, steps: int) -> Tensor:
    """[steps, P] of one stream, all at once: more than are drawn at a time for small P."""
    draw = torch.Generator().manual_seed(stream.child("noise").seed())
    blocks = max(1, min(16, 4096 // P))
    return torch.cat([torch.randn(blocks, P, generator=draw, dtype=torch.float64) for _ in range(-(-steps // blocks))])


@pytest.mark.parametrize("P", [1, 9, 300, 5000])
def test_every_row_is_its_own_stream_whoever_leaves(P: int) -> None:
    """Seven steps of five rows, then those of rows 3 and 1 alone."""
    normals = Normals(STREAMS, torch.empty(5, P, dtype=torch.float64))
    together = [normals.next().clone() for _ in range(7)]
    normals.keep(torch.tensor([3, 1]))
    later = [normals.next().clone() for _ in range(30)]
    for k, row in enumerate(STREAMS):
        expected = plain(row, P, 37)
        assert torch.equal(torch.stack(together)[:, k], expected[:7])
        if k in (3, 1):
            assert torch.equal(torch.stack(later)[:, (3, 1).index(k)], expected[7:37])


def test_they_are_normal_and_independent_from_step_to_step() -> None:
    normals = Normals([Stream.of("walker", k) for k in range(500)], torch.empty(500, 4, dtype=torch.float64))
    drawn = torch.stack([normals.next().clone() for _ in range(40)])
    n = drawn.numel()
    assert abs(float(drawn.mean())) < 4 / n**0.5
    assert abs(float(drawn.var()) - 1) < 4 * (2 / n) ** 0.5
    for lag in (1, 16):  # within what is drawn at once, and from one draw to the next
        assert abs(float((drawn[lag:] * drawn[:-lag]).mean())) < 4 / drawn[lag:].numel() ** 0.5


def test_type_and_shape_are_those_of_the_points() -> None:
    found = Normals(STREAMS, torch.empty(5, 3, dtype=torch.float32)).next()
    assert (found.dtype, found.shape) == (torch.float32, (5, 3))
