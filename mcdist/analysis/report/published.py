"""What the report says of published numbers: one row per source and quantity, as published and as measured."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mcdist.analysis.report.text import interval

__all__ = ["published_rows"]

Row = dict[str, Any]


def published_rows(table: pd.DataFrame) -> list[Row]:
    """The rows of `published_table`, those of one source, quantity and kind together.

    What was measured on the data and network of a published number stands first, marked `same`.
    """
    rows = []
    for (source, quantity, kind), part in table.groupby(["source", "quantity", "kind"], sort=False):
        measured = part[part["status"] == "measured"]
        best = measured.sort_values("same_setting", ascending=False, kind="stable").drop_duplicates("problem")
        rows.append(
            {
                "source": source,
                "quantity": quantity,
                "kind": kind,
                "published": [
                    {"text": text, "setting": setting}
                    for text, setting in part[["published", "setting"]].drop_duplicates().itertuples(index=False)
                ],
                "measured": [
                    {
                        "text": interval(row["estimate"], row["low"], row["high"]),
                        "setting": f"{row['problem']}; {row['pairs']} pairs",
                        "same": bool(row["same_setting"]),
                        "reason": row["reason"],
                    }
                    for row in best.to_dict("records")
                ],
                "note": "; ".join(filter(None, part["note"].drop_duplicates())),
            }
        )
    return rows
