"""Alignment modulo permutation symmetry: structures, permutations, matching, and REPAIR."""

from mcdist.science.alignment.derive import derive
from mcdist.science.alignment.matching import Matching
from mcdist.science.alignment.permute import Permutations, apply, compose, identity, inverse, random
from mcdist.science.alignment.structure import Group, Place, Structure
from mcdist.science.alignment.verify import verify
from mcdist.science.alignment.weight_matching import weight_matching

__all__ = [
    "Group",
    "Matching",
    "Permutations",
    "Place",
    "Structure",
    "apply",
    "compose",
    "derive",
    "identity",
    "inverse",
    "random",
    "verify",
    "weight_matching",
]
