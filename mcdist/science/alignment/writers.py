"""The layers of a module that write hidden units, as a structure says."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from mcdist.science.alignment.structure import Group, Place, Structure

__all__ = ["Writer", "channels_last", "writers"]

_MIXING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Writer:
    """A layer whose output channels are units of groups, and where in them each group lies."""

    name: str
    layer: nn.Module
    segments: tuple[tuple[Place, Group], ...]

    @property
    def is_norm(self) -> bool:
        """Whether it is a BatchNorm, which writes its input's units anew."""
        return isinstance(self.layer, _NORMS)


def writers(module: nn.Module, structure: Structure, *, norms: bool) -> list[Writer]:
    """Linear layers and convolutions (and BatchNorms) with a group on axis 0 of their weight, in the module's order."""
    kinds: tuple[type[nn.Module], ...] = (*_MIXING, *_NORMS) if norms else _MIXING
    found = []
    for name, layer in module.named_modules():
        segments = structure.tensors.get(f"{name}.weight" if name else "weight", {}).get(0)
        if segments and isinstance(layer, kinds):
            found.append(Writer(name, layer, tuple(segments)))
    return found


def channels_last(output: Tensor) -> Tensor:
    """[N, C]: what a layer [B, C, ...] gives, one row for each example and position."""
    return output.movedim(1, -1).reshape(-1, output.shape[1])
