"""scikit-learn's embedded digits: 1797 images of 8 x 8 pixels, as flat features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mcdist.problems.data.dataset import Source, Split

__all__ = ["digits"]


def digits(folder: Path | None = None, download: bool = False) -> Source:
    """The digits, [1797, 64] float32 with raw values 0 .. 16, ten classes; embedded: no argument is used."""
    from sklearn.datasets import load_digits  # takes seconds to import

    inputs, targets = load_digits(return_X_y=True)
    return Source(
        name="digits",
        key="digits",
        train=Split(inputs.astype(np.float32), targets.astype(np.int64)),
        test=None,
        n_classes=10,
        divisor=16.0,
        mean=(0.0,),
        std=(1.0,),
        note="scikit-learn's load_digits, 64 features with raw values 0 .. 16.",
    )
