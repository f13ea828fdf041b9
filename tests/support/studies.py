"""A small sweep with curves to start from, and studies over them of a second or two."""

from __future__ import annotations

from typing import Any

from support.sweeps import PLAIN, small_sweep


def curves(**changes: Any) -> dict[str, Any]:
    """Three end points, two of three pairs, a line and a curve each."""
    sweep = small_sweep(
        name="curves",
        endpoints={"seeds": 3, "train": {"epochs": 2, "lr": 0.1, "batch_size": 32}},
        pairs="chain",
        measure={"profile": []},
    )
    return sweep | changes


def small_study(**changes: Any) -> dict[str, Any]:
    """Four settings on the two curves, four runs on each; some arrive, some do not."""
    study: dict[str, Any] = {
        "name": "noise",
        "sweep": "curves",
        "kinds": ["bezier"],
        "relaxation": {
            "starts": [0.12, 0.88],
            "time": 3,
            "replicas": 2,
            "margin": 0.1,
            "samples": 50,
            "project": 5,
            "segments": 8,
        },
        "space": {"lr": {"grid": [0.2, 0.8]}, "batch_size": {"grid": [2, 16]}},
        "search": {"method": "grid"},
        "resources": {"pack": 2, **PLAIN},
    }
    return study | changes


def adaptive_study(**changes: Any) -> dict[str, Any]:
    """Six trials, one at a time, each after those before it."""
    return (
        small_study(
            name="adaptive",
            space={"lr": {"log": [0.1, 1.0]}, "batch_size": {"choice": [2, 16]}},
            search={"method": "optuna", "trials": 6, "startup": 2, "concurrent": 1, "seed": 3},
        )
        | changes
    )
