"""Augmentation of image batches on their device: pad, crop, flip, by indices that the caller drew."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["random_crop_flip"]


def random_crop_flip(x: Tensor, shifts: Tensor, flips: Tensor, pad: int) -> Tensor:
    """Pad each image with `pad` zeros on every side, crop it back to its size, mirror some left to right.

    x       [..., B, C, H, W], any type
    shifts  [..., B, 2], integers in 0 .. 2 pad: row and column of the crop's corner in the padded image
    flips   [..., B], bool

    Returns a tensor like x; shifts (pad, pad) without a flip return x itself. The zeros are zeros of whatever
    is given: published practice pads the raw image, so give raw pixels and normalise after. Shifts outside of
    their range raise IndexError on the CPU.
    """
    *lead, channels, height, width = x.shape
    padded = F.pad(x.reshape(-1, channels, height, width), (pad, pad, pad, pad))
    top, left = shifts.reshape(-1, 2, 1).unbind(1)
    column = torch.arange(width, device=x.device)
    rows = top + torch.arange(height, device=x.device)
    columns = left + torch.where(flips.reshape(-1, 1), column.flip(0), column)
    image = torch.arange(len(padded), device=x.device)[:, None, None, None]
    channel = torch.arange(channels, device=x.device)[:, None, None]
    cropped = padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
    return cropped.reshape(*lead, channels, height, width)
