"""Ensembles put together anew from the predictions that were kept of others, without their networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.pairs import check_columns
from mcdist.errors import RequestError, unknown_name
from mcdist.scores import score
from mcdist.store import Store

__all__ = ["Members", "recombine"]

Members = Mapping[str, Sequence[int] | None] | Sequence[str] | pd.DataFrame
"""Ensembles and the numbers of their members (None: all); ensembles with all members; rows of `ensemble_members`."""

Predictions = NDArray[np.float32]
Classes = NDArray[np.int64]


def recombine(store: Store, members: Members, split: str = "test") -> pd.Series[float]:
    """The scores of these members together, from their kept probabilities: size, {split}_error, {split}_nll, brier,
    ece, disagreement and so on, by the names and definitions of table `ensembles`, all of them on the split.

    members: {ensemble_id: [0, 2], another: None}, where None is all of its members; or ensembles' ids; or rows of table
    `ensemble_members`. A network that is a member of two ensembles counts twice if it is taken from both. Raises
    RequestError where there are no predictions or no such members, and for ensembles of different data.
    """
    chosen = _chosen(members)
    if not chosen:
        raise RequestError("members: there must be at least one")
    parts: list[Predictions] = []
    first: tuple[str, Classes] | None = None
    for ensemble_id, which in chosen.items():
        probabilities, targets = _kept(store, ensemble_id, split)
        if first is None:
            first = (ensemble_id, targets)
        elif probabilities.shape[1:] != parts[0].shape[1:] or not np.array_equal(targets, first[1]):
            raise RequestError(f"the ensembles {first[0]!r} and {ensemble_id!r} are not of the same {split} data")
        parts.append(probabilities if which is None else probabilities[_checked(ensemble_id, which, probabilities)])
    together = np.concatenate(parts)
    assert first is not None
    found: dict[str, Any] = {"size": len(together), **score(together, first[1]).columns(split)}
    return pd.Series(found, dtype="float64")


def _chosen(members: Members) -> dict[str, Sequence[int] | None]:
    """The numbers of members by ensemble, None for all."""
    if isinstance(members, pd.DataFrame):
        check_columns(members, ["ensemble_id", "member"], "members")
        return {str(i): [int(m) for m in part] for i, part in members.groupby("ensemble_id", sort=False)["member"]}
    if isinstance(members, Mapping):
        return dict(members)
    return dict.fromkeys([members] if isinstance(members, str) else members)


def _kept(store: Store, ensemble_id: str, split: str) -> tuple[Predictions, Classes]:
    """Probabilities [M, N, C] and targets [N]."""
    if not store.has_weights(ensemble_id):
        ids = set(store.table("ensembles", ["ensemble_id"])["ensemble_id"])
        if ensemble_id not in ids:
            raise RequestError(unknown_name("ensemble", ensemble_id, ids, also="" if ids else "none yet"))
        raise RequestError(
            f"no predictions of the ensemble {ensemble_id!r} were kept: a sweep whose section of ensembles says "
            "'predictions: true' makes one that has them"
        )
    kept = store.weights(ensemble_id)
    splits = [name.removesuffix(".probabilities") for name in kept if name.endswith(".probabilities")]
    if not splits:
        raise RequestError(f"the task {ensemble_id!r} is no ensemble")
    if split not in splits:
        raise RequestError(unknown_name("split", split, splits))
    return kept[f"{split}.probabilities"].numpy(), kept[f"{split}.targets"].numpy()


def _checked(ensemble_id: str, which: Sequence[int], probabilities: Predictions) -> list[int]:
    M = len(probabilities)
    if not which:
        raise RequestError(f"members of {ensemble_id!r}: there must be at least one; None for all")
    for m in which:
        if not 0 <= m < M:
            raise RequestError(f"the ensemble {ensemble_id!r} has the members 0 to {M - 1}; got {m}")
    if len(set(which)) < len(which):
        raise RequestError(f"members of {ensemble_id!r}: one of them is there twice; got {list(which)}")
    return list(which)
