"""The problems of the benchmark: the digits, and images of noise, of which speed is all that is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from mcdist.problems.classification import Classification
from mcdist.problems.data import Dataset, load_dataset
from mcdist.problems.data.dataset import Split
from mcdist.problems.models import build_model

__all__ = ["digits_mlp", "image_problem", "model_of"]

_MLP: Mapping[str, Any] = {"hidden": [64, 64]}


def digits_mlp(device: str = "cpu", *, batch_norm: bool = False) -> Classification:
    """The problem of `jobs/digits.yaml`: a perceptron 64-64-64-10 on scikit-learn's digits."""
    data = load_dataset("digits")
    return Classification(lambda: model_of("mlp", data, **_MLP, batch_norm=batch_norm), data, device=device)


def image_problem(
    model: str, *, device: str = "cpu", train: int = 1280, test: int = 128, size: int = 32, **options: Any
) -> Classification:
    """A network on images [3, size, size] of noise, ten classes. options: of the problem, `args` of the model."""
    draw = np.random.default_rng(0)

    def split(n: int) -> Split:
        return Split(draw.integers(0, 256, (n, 3, size, size), dtype=np.uint8), draw.integers(0, 10, n))

    data = Dataset("noise", split(train), None, split(test), 10, 255.0, (0.5,) * 3, (0.25,) * 3, "noise in bytes")
    args = options.pop("args", {})
    return Classification(lambda: model_of(model, data, **args), data, device=device, **options)


def model_of(name: str, data: Dataset, **args: Any) -> nn.Module:
    """A built-in model for a data set."""
    torch.manual_seed(0)
    return build_model(name, args, data.input_shape, data.n_classes)
