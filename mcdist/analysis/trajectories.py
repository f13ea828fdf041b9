"""Networks on their way with a cyclic rate: rate, error and distance, and what low points have over high ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from mcdist.analysis.over_seeds import mean_columns, over_units
from mcdist.analysis.pairs import check_columns, groups

__all__ = ["TRAJECTORY_SETTING", "labelled_trajectories", "low_points", "trajectory_summary"]

TRAJECTORY_SETTING = ("rate", "start", "lr1", "lr2", "cycle", "cycles", "until")
"""What tells trajectories apart; `until` is the epoch of the last look."""

_LOOKED = ("test_error", "test_nll", "val_error", "val_nll", "train_loss", "distance")
_PLACED = ("trajectory_id", "problem", "seed", *TRAJECTORY_SETTING[:-1], "iteration", "epoch", "lr", "member")


def trajectory_summary(
    trajectories: pd.DataFrame, by: Sequence[str] = ("problem",), *, level: float = 0.95
) -> pd.DataFrame:
    """Rate, error, nll and distance after each number of iterations: means over seeds with intervals.

    One row per group of `by`, setting (the columns TRAJECTORY_SETTING, in words `label`) and look: `iteration` (steps
    since the cycles began), `epoch`, `lr`, `member` (which was taken there; null where none was), `seeds`, and
    `test_error`, `test_nll`, `val_error`, `val_nll`, `train_loss` and `distance` (Euclidean, from iteration 0), each
    with `_low` and `_high` (see `over_seeds`), the interval at each look by itself. fge and swa share trajectories.

    Raises RequestError for a column that is not there.
    """
    rows = labelled_trajectories(trajectories, by)
    records = []
    for key, part in groups(rows, [*by, "label"]):
        for _, look in groups(part, ["iteration", "epoch"]):
            first = look.iloc[0]
            records.append(
                {
                    **dict(zip(by, key, strict=False)),
                    "label": first["label"],
                    **{name: first[name] for name in TRAJECTORY_SETTING},
                    "iteration": int(first["iteration"]),
                    "epoch": float(first["epoch"]),
                    "lr": float(first["lr"]),
                    "member": float(first["member"]),
                    "seeds": look["seed"].nunique(),
                    **mean_columns(look, _LOOKED, "seed", level, at_least=0.0),
                }
            )
    looked = [f"{name}{end}" for name in _LOOKED for end in ("", "_low", "_high")]
    columns = [*by, "label", *TRAJECTORY_SETTING, "iteration", "epoch", "lr", "member", "seeds", *looked]
    return pd.DataFrame(records, columns=columns)


def low_points(trajectories: pd.DataFrame, by: Sequence[str] = ("problem",), *, level: float = 0.95) -> pd.DataFrame:
    """Are networks better where the rate is low? Between each two members the look of the highest rate, against what
    the straight line between the two has there (so that the progress of training counts for neither); averaged along
    the trajectory, then over seeds.

    One row per group of `by` and setting, as in `trajectory_summary`:

    - `seeds`: trajectories with two members or more and a look between them; `compared`: looks in all of them;
    - `low_lr`, `high_lr`: mean rates of members and of these looks; `low_error`, `high_error`, `low_nll`, `high_nll`:
      means on the test split, the low ones on the lines between members;
    - `error_rise`, `nll_rise`: high less low, with `_low` and `_high`; `shows`: "shown" where the error is higher at
      high rates by its interval, "the opposite" where it is lower, else "not shown";
    - `distance_first`, `distance_last`: of the first and the last member from where the cycles began, with `_low` and
      `_high`; `reason`: why the rise of the error has no interval.
    """
    rows = labelled_trajectories(trajectories, by)
    records = []
    for key, part in groups(rows, [*by, "label"]):
        looked = [_cycles(run) for _, run in part.sort_values("iteration").groupby("trajectory_id")]
        cycles = pd.concat(looked)
        means = cycles.groupby("seed", as_index=False).mean()
        means = means.assign(error_rise=means["high_error"] - means["low_error"])
        means = means.assign(nll_rise=means["high_nll"] - means["low_nll"])
        error = over_units(means["error_rise"], means["seed"], level)
        ends = part[part["member"].notna()].sort_values("iteration").groupby("trajectory_id")
        distances = {f"distance_{end}": getattr(ends, end)() for end in ("first", "last")}
        records.append(
            {
                **dict(zip(by, key, strict=False)),
                "label": part["label"].iloc[0],
                **{name: part[name].iloc[0] for name in TRAJECTORY_SETTING},
                "seeds": len(means),
                "compared": len(cycles),
                **{name: float(means[name].mean()) for name in _CONTRASTED},
                **mean_columns(means, ("error_rise", "nll_rise"), "seed", level),
                "shows": "shown" if error.low > 0 else "the opposite" if error.high < 0 else "not shown",
                **{
                    column: value
                    for name, found in distances.items()
                    for column, value in over_units(found["distance"], found["seed"], level).columns(name).items()
                },
                "reason": error.reason if len(means) else "no look between two members",
            }
        )
    intervals = [f"{name}{end}" for name in ("error_rise", "nll_rise") for end in ("", "_low", "_high")]
    far = [f"distance_{name}{end}" for name in ("first", "last") for end in ("", "_low", "_high")]
    columns = [
        *by,
        "label",
        *TRAJECTORY_SETTING,
        "seeds",
        "compared",
        *_CONTRASTED,
        *intervals,
        "shows",
        *far,
        "reason",
    ]
    return pd.DataFrame(records, columns=columns)


def labelled_trajectories(trajectories: pd.DataFrame, by: Sequence[str] = ("problem",)) -> pd.DataFrame:
    """The table of trajectories with `until` and `label`: of the settings what differs within the group of `by`.

    Raises RequestError for a column that is not there.
    """
    check_columns(trajectories, [*by, *_PLACED, "test_error", "test_nll", "distance"], "trajectories")
    trajectories = trajectories.reset_index(drop=True)
    numbers = {c: trajectories[c].astype(float) for c in (*TRAJECTORY_SETTING[1:-1], "member", "epoch", "lr")}
    rows = trajectories.assign(**numbers)
    rows = rows.assign(until=rows.groupby("trajectory_id")["epoch"].transform("max"))
    if rows.empty:
        return rows.assign(label=pd.Series(dtype=object))
    return pd.concat([part.assign(label=_labels(part)) for _, part in groups(rows, by)])


_CONTRASTED = ("low_lr", "high_lr", "low_error", "high_error", "low_nll", "high_nll")


def _cycles(run: pd.DataFrame) -> pd.DataFrame:
    """Of one trajectory, in order: between each two members the look of the highest rate, and the line between them."""
    taken = np.flatnonzero(run["member"].notna())
    i, lr, error, nll = (run[c].to_numpy(dtype=float) for c in ("iteration", "lr", "test_error", "test_nll"))
    seed = run["seed"].iloc[0]
    rows = []
    for a, b in pairwise(taken):
        if b == a + 1:
            continue
        top = a + 1 + int(lr[a + 1 : b].argmax())
        part = (i[top] - i[a]) / (i[b] - i[a])
        lines = [(1 - part) * values[a] + part * values[b] for values in (lr, error, nll)]
        rows.append((seed, lines[0], lr[top], lines[1], error[top], lines[2], nll[top]))
    return pd.DataFrame(rows, columns=["seed", *_CONTRASTED]).astype(dict.fromkeys(_CONTRASTED, float))


def _labels(rows: pd.DataFrame) -> pd.Series:
    """The rate in words, and what differs between settings of one rate."""
    labels = pd.Series("", index=rows.index, dtype=object)
    words = {"start": "start {:g}", "lr1": "lr1 {:g}", "lr2": "lr2 {:g}", "cycle": "cycle {:g}"}
    words |= {"cycles": "{:g} cycles", "until": "until epoch {:.4g}"}
    for rate, part in rows.groupby("rate"):
        others = [c for c in words if c != "until"]
        varying = [c for c in others if part[c].nunique(dropna=False) > 1]
        if (part.groupby(others, dropna=False)["until"].nunique() > 1).any():
            varying.append("until")
        found = [
            ", ".join([str(rate), *(words[c].format(setting[c]) for c in varying if pd.notna(setting[c]))])
            for setting in part[[*words]].to_dict("records")
        ]
        labels.loc[part.index] = pd.Series(found, index=part.index, dtype=object)
    return labels
