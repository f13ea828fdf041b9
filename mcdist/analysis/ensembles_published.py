"""Measured ensembles set beside published ones, where data and network are those of the publication."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mcdist.analysis.ensembles import ensemble_summary
from mcdist.analysis.pairs import check_columns
from mcdist.analysis.published import PUBLISHED_ENSEMBLES, PublishedEnsemble

__all__ = ["published_ensembles"]

_ABOUT = ("name", "source", "setting", "method", "budget", "published")
_COLUMNS = [*_ABOUT, "problem", "label", "accuracy", "low", "high", "seeds", "reason", "status"]


def published_ensembles(
    ensembles: pd.DataFrame,
    endpoints: pd.DataFrame,
    *,
    level: float = 0.95,
    units: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Each published accuracy of an ensemble beside the same method and budget of this store, in percent.

    Measured numbers stand beside a published one only where problem, data and network are the same, as `endpoints`
    tells; one row `not measured` where there are none. Columns: `name`, `source`, `setting` (data and network in
    words), `method`, `budget` (multiples of what trains one network), `published` (accuracy in percent); `problem`,
    `label`, `accuracy` (100 (1 - test error), mean over `seeds`) with its interval `low`, `high`, `reason` as in
    `ensemble_summary`; `status`: `measured` or `not measured`.

    Raises RequestError for a column that is not there.
    """
    check_columns(endpoints, ["problem", "dataset", "model"], "endpoints")
    about = endpoints[["problem", "dataset", "model"]].drop_duplicates().astype(object)
    found = ensemble_summary(ensembles, ("problem",), level=level, units=units).merge(about, on="problem")
    return pd.DataFrame([row for entry in PUBLISHED_ENSEMBLES for row in _rows(entry, found)], columns=_COLUMNS)


def _rows(entry: PublishedEnsemble, found: pd.DataFrame) -> list[dict[str, object]]:
    about = {name: getattr(entry, name) for name in _ABOUT[:-1]} | {"published": entry.accuracy}
    same = found["dataset"].isin(entry.data) & found["model"].isin(entry.models)
    same &= (found["method"] == entry.method) & (found["budget"] == entry.budget)
    rows = [
        about
        | {name: row[name] for name in ("problem", "label", "seeds", "reason")}
        | {"accuracy": 100 * (1 - row["test_error"]), "status": "measured"}
        | {"low": 100 * (1 - row["test_error_high"]), "high": 100 * (1 - row["test_error_low"])}
        for row in found[same].to_dict("records")
    ]
    nothing = {"problem": None, "label": None, "accuracy": np.nan, "low": np.nan, "high": np.nan, "seeds": 0}
    return rows or [about | nothing | {"reason": "", "status": "not measured"}]
