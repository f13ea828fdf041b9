"""Families of paths. A new one is a file with a `PathFamily` and a line in `FAMILIES`."""

from mcdist.science.paths.autoneb import AutoNeb
from mcdist.science.paths.bezier import Bezier
from mcdist.science.paths.chain import Chain
from mcdist.science.paths.family import PathFamily, on_chord
from mcdist.science.paths.joined import Joined
from mcdist.science.paths.linear import Linear
from mcdist.science.paths.made import Made

__all__ = ["FAMILIES", "AutoNeb", "Bezier", "Chain", "Joined", "Linear", "Made", "PathFamily", "on_chord"]

FAMILIES: dict[str, PathFamily] = {
    "linear": Linear(),
    "bezier": Bezier(),
    "chain": Chain(),
    "autoneb": AutoNeb(),
    "logits": Made(),
    "three_pieces": Made(3),
    "five_pieces": Made(5),
    "large_menu": Made(5),
}
