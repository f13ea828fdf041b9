"""Instabilities of networks that were split at an epoch k: what rises on the straight line between their branches.

For E a loss or an error, or a measure of curvature, alpha in [0, 1] along the line (Frankle et al. 2020):

    instability(k) = sup_alpha E - (E(0) + E(1)) / 2,    ratio(k) = sup_alpha E / ((E(0) + E(1)) / 2).

The energetic one is of losses and errors, the entropic one of curvature. Split at the end of training, branches are one
network: there both are 0, and the ratio is 1.
What is independent is the parent, the network that was split: intervals resample parents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdist.analysis.curvature_summaries import positions
from mcdist.analysis.pairs import check_columns, groups
from mcdist.analysis.resampling import Statistic
from mcdist.analysis.summaries import pair_summary

__all__ = ["SPAWN_SETTINGS", "instabilities", "instability_profile", "parents"]

Floats = NDArray[np.float64]

SPAWN_SETTINGS = ("problem", "optimizer", "lr", "momentum", "weight_decay", "batch_size", "schedule", "epochs")
"""What tells two settings of training apart."""

_PAIR = ("path_id", *SPAWN_SETTINGS, "seed", "parent_id", "spawn_epoch", "endpoint_a", "endpoint_b")
_VALUES = ("what", "measure", "ends", "sup", "instability", "ratio")
_ENERGIES = ("_loss", "_error")  # ends of the names of metrics that are energies: of others more may be better
_LOGARITHM = "log_det"  # ends the names of such measures; a ratio of logarithms means nothing


def instabilities(
    endpoints: pd.DataFrame,
    paths: pd.DataFrame,
    barriers: pd.DataFrame | None = None,
    curvature: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row per pair of branches of one parent and epoch and per measure, from the store's tables.

    Only straight lines count, neither aligned nor repaired. Columns: `path_id`, the settings of training, `seed`,
    `parent_id`, `spawn_epoch`, `endpoint_a`, `endpoint_b`;

    - `what`: "energetic" (losses and errors of `barriers`) or "curvature"; `measure`: the metric or the measure;
    - `ends`: mean of both ends; `sup`: the greatest value over the line, ends included; NaN if one is missing;
    - `instability` = sup - ends, `ratio` = sup / ends; no ratio where `ends` is not positive, and of logarithms. A
      log-determinant counts as sum ln(lambda / floor): T / 2 times its instability is the entropic barrier at T.

    A pair without a measure that others of its problem have has NaN there. Of several profiles of a line the finest
    counts; seeds of the subset of `curvature` are rows of their own. Raises RequestError for a column that is not
    there, and for a measure with several settings (of the subset's size, labels, floor, decay).
    """
    pairs = _pairs(endpoints, paths)
    parts = [_energetic(pairs, barriers)] if barriers is not None else []
    parts += [_curved(pairs, curvature)] if curvature is not None else []
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["path_id", *_VALUES[:4]])
    rows = pairs.merge(table, on="path_id").sort_values(["what", "measure", "spawn_epoch", "path_id"])
    ends, sup = (rows[name].astype(float) for name in ("ends", "sup"))
    real = (ends > 0) & ~rows["measure"].astype(str).str.endswith(_LOGARITHM)
    rows = rows.assign(instability=sup - ends, ratio=(sup / ends.where(real)))
    return rows[[*_PAIR, *_VALUES]].reset_index(drop=True)


def _pairs(endpoints: pd.DataFrame, paths: pd.DataFrame) -> pd.DataFrame:
    """The straight lines between two branches of one parent and epoch, with what is said of their training."""
    about = ["parent_id", "spawn_epoch", "seed", *SPAWN_SETTINGS]
    check_columns(endpoints, ["endpoint_id", *about], "endpoints")
    check_columns(paths, ["path_id", "kind", "aligned", "repair", "via", "endpoint_a", "endpoint_b"], "paths")
    branches = endpoints[endpoints["spawn_epoch"].notna()].drop_duplicates("endpoint_id")
    plain = ~(paths["aligned"].eq(True) | paths["repair"].eq(True))
    lines = paths[(paths["kind"] == "linear") & plain & paths["via"].isna()].drop_duplicates("path_id")
    lines = lines[["path_id", "endpoint_a", "endpoint_b"]]
    found = lines.merge(branches[["endpoint_id", *about]], left_on="endpoint_a", right_on="endpoint_id")
    other = branches[["endpoint_id", "parent_id", "spawn_epoch"]]
    found = found.merge(other, left_on="endpoint_b", right_on="endpoint_id", suffixes=("", "_b"))
    same = (found["parent_id"] == found["parent_id_b"]) & (found["spawn_epoch"] == found["spawn_epoch_b"])
    return found[same][list(_PAIR)].astype({"spawn_epoch": float})


def _energetic(pairs: pd.DataFrame, barriers: pd.DataFrame) -> pd.DataFrame:
    check_columns(barriers, ["path_id", "metric", "n_points", "value_a", "value_b", "max"], "barriers")
    mine = barriers[barriers["path_id"].isin(pairs["path_id"]) & barriers["metric"].str.endswith(_ENERGIES)]
    mine = mine.sort_values("n_points").drop_duplicates(["path_id", "metric"], keep="last")
    ends = (mine["value_a"].astype(float) + mine["value_b"].astype(float)) / 2
    found = pd.DataFrame({"path_id": mine["path_id"], "measure": mine["metric"], "ends": ends, "sup": mine["max"]})
    return _for_every_pair(pairs, found, "energetic")


def _curved(pairs: pd.DataFrame, curvature: pd.DataFrame) -> pd.DataFrame:
    check_columns(curvature, ["path_id", "role", "measure", "t", "value", "subset_seed"], "curvature")
    mine = curvature[curvature["path_id"].isin(pairs["path_id"])]
    records: list[dict[str, Any]] = []
    for _, of_problem in mine.merge(pairs[["path_id", "problem"]], on="path_id", suffixes=("", "_")).groupby("problem"):
        for measure in sorted(of_problem["measure"].unique()):
            rows = positions(of_problem, measure)
            if measure.endswith(_LOGARITHM):  # over another number of eigenvalues it would not be the same thing
                above = rows["value"].astype(float) - rows["rank"].astype(float) * np.log(rows["floor"].astype(float))
                rows = rows.assign(value=above)
            for key, part in groups(rows, ["path_id", "subset_seed"]):
                records.append({"path_id": key[0], "measure": measure} | _along(part))
    found = pd.DataFrame(records, columns=["path_id", "measure", "ends", "sup"])
    return _for_every_pair(pairs, found, "curvature")


def _along(rows: pd.DataFrame) -> dict[str, float]:
    """The mean of both ends and the greatest value, NaN where a value or an end is missing."""
    t, value = (rows[name].to_numpy(dtype=float) for name in ("t", "value"))
    ends = [value[np.isclose(t, end, rtol=0, atol=1e-9)] for end in (0.0, 1.0)]
    whole = all(len(end) for end in ends) and len(np.unique(t)) > 2
    return {
        "ends": float(sum(end.mean() for end in ends) / 2) if whole else np.nan,
        "sup": float(value.max()) if whole else np.nan,
    }


def _for_every_pair(pairs: pd.DataFrame, found: pd.DataFrame, what: str) -> pd.DataFrame:
    """The values, and NaN for the pairs that lack a measure which others of their problem have."""
    problem = pairs[["path_id", "problem"]]
    asked = found.merge(problem, on="path_id")[["problem", "measure"]].drop_duplicates()
    every = problem.merge(asked, on="problem")[["path_id", "measure"]]
    return every.merge(found, on=["path_id", "measure"], how="left").assign(what=what)


def parents(table: pd.DataFrame) -> dict[str, str]:
    """For every branch in a table of `instabilities` its parent: the `families` that its intervals resample."""
    return {
        str(end): str(p) for side in "ab" for end, p in zip(table[f"endpoint_{side}"], table["parent_id"], strict=True)
    }


def instability_profile(
    table: pd.DataFrame,
    by: Sequence[str] = (*SPAWN_SETTINGS, "what", "measure"),
    statistic: Statistic = "median",
    *,
    level: float = 0.95,
    families: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Both instabilities against the epoch of splitting, over the pairs of each group of `instabilities`.

    Columns `by`, `spawn_epoch`; `part`: of all epochs; `pairs`, `units` (parents; see `families`, which are taken from
    the table if not given), `missing`; `instability`, `ratio`, each with `.._low`, `.._high`: the statistic and its
    interval as in `pair_summary`; `reason` and `ratio_reason` where there is none.
    """
    check_columns(table, [*by, "spawn_epoch", "parent_id", "epochs", "instability", "ratio"], "instabilities")
    own = parents(table) if families is None else families
    keys = [*by, "spawn_epoch"]
    parts = {
        value: pair_summary(table, "instabilities", keys, value, statistic, level=level, families=own, at_least=least)
        for value, least in (("instability", 0.0), ("ratio", 1.0))
    }
    found = parts["instability"][[*keys, "pairs", "units", "missing", "reason"]].copy()
    for value, part in parts.items():
        for column, end in (("estimate", ""), ("low", "_low"), ("high", "_high")):
            found[f"{value}{end}"] = part[column]
    found["ratio_reason"] = parts["ratio"]["reason"]
    lengths = [float(rows["epochs"].iloc[0]) for _, rows in groups(table, keys)]
    found.insert(len(keys), "part", found["spawn_epoch"].astype(float) / np.array(lengths, dtype=float))
    return found
