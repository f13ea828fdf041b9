"""End points in words: their problem, how they were trained, and which were trained on from another."""

from __future__ import annotations

import pandas as pd

from mcdist.analysis.plots.style import group_label

__all__ = ["label_endpoints", "trained_on"]

_TRAINING = ("epochs", "optimizer", "lr", "momentum", "weight_decay", "batch_size", "schedule")
_SETTINGS = ("dataset", "model", *_TRAINING, "spawn_epoch")


def trained_on(endpoints: pd.DataFrame) -> pd.Series:
    """Whether each end point is a control: another one, trained on as a path's interior was. No network of its own."""
    return endpoints["parent_id"].notna() & endpoints["spawn_epoch"].isna()


def label_endpoints(endpoints: pd.DataFrame) -> pd.Series:
    """The study of each end point in words: its problem, and the settings that differ within the problem.

    A control has its parent's label, then "trained on", and what differs among such controls.
    """
    controls = trained_on(endpoints)
    own = endpoints[~controls]
    labels = pd.Series("", index=endpoints.index, dtype=object)
    labels.loc[own.index] = _labels(own, own["problem"], _SETTINGS)
    known = dict(zip(own["endpoint_id"], labels.loc[own.index], strict=True))
    parents = dict(zip(endpoints["endpoint_id"], endpoints["parent_id"], strict=True))
    rest = endpoints[controls]
    bases = [
        known.get(_source(name, parents), str(problem))
        for name, problem in zip(*(rest[c] for c in ("endpoint_id", "problem")), strict=True)
    ]
    base = pd.Series([f"{label}, trained on" for label in bases], index=rest.index, dtype=object)
    labels.loc[rest.index] = _labels(rest, base, _TRAINING)
    return labels


def _source(name: str, parents: dict[str, str]) -> str:
    """The end point at the beginning of a chain of parents."""
    seen = {name}
    while pd.notna(parents.get(name)) and parents[name] not in seen:
        name = parents[name]
        seen.add(name)
    return name


def _labels(endpoints: pd.DataFrame, base: pd.Series, settings: tuple[str, ...]) -> pd.Series:
    """Of each end point the base, and the settings that differ among those of the same base."""
    labels = pd.Series("", index=endpoints.index, dtype=object)
    for _, rows in endpoints.assign(problem=base).groupby("problem", dropna=False):
        by = ["problem", *(c for c in settings if rows[c].nunique(dropna=False) > 1)]
        words = [group_label(by, key) for key in rows[by].itertuples(index=False, name=None)]
        labels.loc[rows.index] = pd.Series(words, index=rows.index, dtype=object)
    return labels
