"""Defaults of the built-in models are part of what a task means, but not of its id: none may change silently."""

from __future__ import annotations

import inspect

from mcdist.problems.models import MODELS

DEFAULTS = {
    "convnet": {
        "activation": "relu",
        "batch_norm": False,
        "channels": (64, 128, 256, 256),
        "convs": 2,
        "dropout": 0.0,
        "hidden": (256,),
    },
    "mlp": {"activation": "relu", "batch_norm": False, "dropout": 0.0, "hidden": (64, 64)},
    "vgg16": {"dropout": 0.5},
    "vgg16_bn": {"dropout": 0.5},
    "vgg19": {"dropout": 0.5},
    "vgg19_bn": {"dropout": 0.5},
    "wide_resnet16x4": {"dropout": 0.0},
    "wide_resnet28x10": {"dropout": 0.0},
}


def test_no_default_of_a_model_has_changed() -> None:
    """If this fails, a changed default gives old ids a new meaning: raise `version` of the kinds in spec/tasks.py."""
    found = {
        name: {p.name: p.default for p in inspect.signature(build).parameters.values() if p.kind is p.KEYWORD_ONLY}
        for name, build in MODELS.items()
    }
    assert {name: defaults for name, defaults in found.items() if defaults} == DEFAULTS
