"""Studies of ensembles of a second or two: a small perceptron on some of the digits, ten steps an epoch."""

from __future__ import annotations

from typing import Any

from support.sweeps import PLAIN

SPACE = {"lr1": {"log": [0.05, 0.3]}, "lr2": {"log": [0.001, 0.02]}}
"""What a population may change."""


def ensemble_study(**changes: Any) -> dict[str, Any]:
    """Four settings, two networks each, on validation data; no final run."""
    study: dict[str, Any] = {
        "name": "tuned",
        "problem": {
            "data": {"name": "digits", "train_size": 200, "validation": 0.2},
            "model": {"name": "mlp", "args": {"hidden": [16]}},
        },
        "endpoints": {"seeds": [100, 101], "train": {"epochs": 5, "lr": 0.1, "batch_size": 20}},
        "ensemble": {"method": "fge", "lr2": 0.01, "cycle": 0.8},
        "space": {"lr1": {"grid": [0.1, 0.3]}, "start": {"grid": [2, 3]}},
        "search": {"method": "grid"},
        "resources": {"pack": 3, **PLAIN},
    }
    return study | changes


def population(**changes: Any) -> dict[str, Any]:
    """Four trials whose rates change after every member."""
    fixed = {"method": "fge", "start": 2, "cycle": 0.8}
    return ensemble_study(name="bred", ensemble=fixed, space=SPACE, search={"method": "pbt", "trials": 4}) | changes
