"""The kinds of problem by name. A new one: its specification in `mcdist.spec.problem`, a file here, a line here."""

from __future__ import annotations

from mcdist.tasks.problem_kinds.auctions import AFFINE_MAXIMIZER, ROCHETNET
from mcdist.tasks.problem_kinds.classification import CLASSIFICATION
from mcdist.tasks.problem_kinds.kind import ProblemKind
from mcdist.tasks.problem_kinds.valley import VALLEY

__all__ = ["PROBLEM_KINDS"]

PROBLEM_KINDS: dict[str, ProblemKind] = {
    "classification": CLASSIFICATION,
    "valley": VALLEY,
    "rochetnet": ROCHETNET,
    "affine_maximizer": AFFINE_MAXIMIZER,
}
