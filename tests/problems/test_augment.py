"""Pad, crop and flip against torchvision, image by image."""

import pytest
import torch
from torchvision.transforms import functional as reference

from mcdist.problems.data import random_crop_flip


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(("lead", "pad"), [((7,), 4), ((2, 5), 2), ((2, 2, 3), 1), ((3,), 0)])
def test_equals_torchvision_exactly(lead: tuple[int, ...], pad: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    height, width = 6, 9
    x = torch.randint(0, 256, (*lead, 3, height, width)).to(dtype)
    shifts = torch.randint(0, 2 * pad + 1, (*lead, 2))
    flips = torch.rand(lead) < 0.5
    out = random_crop_flip(x, shifts, flips, pad)
    assert (out.shape, out.dtype) == (x.shape, dtype)
    flat = zip(x.flatten(0, -4), shifts.flatten(0, -2), flips.flatten(), out.flatten(0, -4), strict=True)
    for image, (top, left), flip, got in flat:
        expected = reference.crop(reference.pad(image, [pad]), int(top), int(left), height, width)
        assert torch.equal(got, reference.hflip(expected) if flip else expected)


def test_a_centred_crop_without_flip_changes_nothing() -> None:
    x = torch.rand(4, 1, 5, 5)
    assert torch.equal(random_crop_flip(x, torch.full((4, 2), 3), torch.zeros(4, dtype=torch.bool), 3), x)


def test_zeros_come_in_from_outside() -> None:
    out = random_crop_flip(torch.ones(1, 1, 3, 3), torch.tensor([[0, 4]]), torch.tensor([False]), 2)
    assert out[0, 0].tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_shifts_out_of_range_are_an_error() -> None:
    with pytest.raises(IndexError):
        random_crop_flip(torch.ones(1, 1, 3, 3), torch.tensor([[5, 0]]), torch.tensor([False]), 2)
