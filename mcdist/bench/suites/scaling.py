"""What a second worker gains where tasks do not depend on each other: end points of a convolutional network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mcdist.bench.processes import run_python
from mcdist.bench.row import Row, at_least, compared
from mcdist.bench.suite import Skipped, Suite
from mcdist.bench.timing import Contender, interleaved

__all__ = ["SCALING", "rows", "span"]

SEEDS, IMAGES, EPOCHS = 4, 512, 2


def rows(repeats: int) -> Iterator[Row]:
    """Wall time of the tasks alone: from the start of the first to the end of the last, without the start of Ray."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        raise Skipped("two workers need two cores")
    with tempfile.TemporaryDirectory(prefix="mcdist-bench-") as folder:
        spec = Path(folder) / "sweep.yaml"
        write_images(Path(folder) / "images.npz")
        spec.write_text(yaml.safe_dump(sweep_of(Path(folder) / "images.npz")))

        def contender(workers: int) -> Contender:
            return lambda: _train(spec, workers)

        taken = interleaved({"1 worker": contender(1), "2 workers": contender(2)}, repeats)
    yield compared(f"{SEEDS} convnet end points", taken, "1 worker", "2 workers", aim=at_least(1.9))


def write_images(file: Path) -> None:
    """Ten classes of 3 x 32 x 32 images, noise around a colour each."""
    numbers = np.random.default_rng(0)
    labels = np.arange(IMAGES) % 10
    images = numbers.normal(labels[:, None, None, None] / 10, 1.0, (IMAGES, 3, 32, 32)).astype(np.float32)
    np.savez(file, x_train=images, y_train=labels)


def sweep_of(images: Path) -> dict[str, Any]:
    """End points without pairs, one task to a pack."""
    return {
        "name": "scaling",
        "problem": {"data": f"npz:{images}", "model": "convnet"},
        "endpoints": {"seeds": SEEDS, "train": {"epochs": EPOCHS, "lr": 0.01, "batch_size": 32}},
        "pairs": "none",
        "resources": {"pack": 1, "gpus": 0},
    }


def _train(spec: Path, workers: int) -> float:
    from mcdist.store import open_store

    with tempfile.TemporaryDirectory(prefix="mcdist-bench-") as folder:
        store = Path(folder) / "store"
        run_python("-m", "mcdist", "run", spec, "--store", store, "--set", f"resources.workers={workers}")
        return span(open_store(store).table("tasks"))


def span(tasks: pd.DataFrame) -> float:
    """Seconds from the start of the first of these tasks to the end of the last, all in packs of one."""
    ends = tasks["started_at"] + pd.to_timedelta(tasks["wall_s"], unit="s")
    return float((ends.max() - tasks["started_at"].min()).total_seconds())


SCALING = Suite("end points of a convolutional network on Ray: 1 worker / 2 workers", repeats=3, rows=rows)
