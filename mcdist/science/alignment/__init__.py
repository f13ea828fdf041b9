"""Alignment modulo permutation symmetry: structures, permutations, matching, and REPAIR."""

from mcdist.science.alignment.activation_matching import activation_matching
from mcdist.science.alignment.derive import derive
from mcdist.science.alignment.matching import Matching
from mcdist.science.alignment.permute import Permutations, apply, compose, identity, inverse, random
from mcdist.science.alignment.repair import check_repairable, repair
from mcdist.science.alignment.structure import Group, Place, Structure
from mcdist.science.alignment.verify import verify
from mcdist.science.alignment.weight_matching import weight_matching

__all__ = [
    "Group",
    "Matching",
    "Permutations",
    "Place",
    "Structure",
    "activation_matching",
    "apply",
    "check_repairable",
    "compose",
    "derive",
    "identity",
    "inverse",
    "random",
    "repair",
    "verify",
    "weight_matching",
]
