"""The main job on real data: `jobs/digits.yaml` on Ray, of five of its eight networks, from the file to the report."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import mcdist
from mcdist.analysis import barrier_ratio, barrier_summary, write_report
from mcdist.store import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LOSSES = ("train_loss", "test_loss")
SEEDS, PAIRS = 5, 10


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    uri = tmp_path_factory.mktemp("digits") / "store"
    jobs = Path(__file__).resolve().parent.parent / "jobs"
    fewer = [f"endpoints.seeds={SEEDS}"]
    summary = mcdist.run(jobs / "digits.yaml", store=str(uri), changes=fewer, out=io.StringIO())
    assert summary.exit_code == 0
    return mcdist.open_store(uri)


def splits() -> dict[str, tuple[Tensor, Tensor]]:
    """The data as the README says: pixels / 16; a permutation by name, its first fifth for testing."""
    from mcdist.problems.data import load_dataset

    data, raw = load_dataset("digits"), load_digits()
    parts = {"train": data.train, "test": data.test}
    assert sum(len(part.targets) for part in parts.values()) == len(raw.target) == 1797
    return {n: (torch.tensor(p.inputs / 16.0).float(), torch.tensor(p.targets)) for n, p in parts.items()}


def plain_losses(state: dict[str, Tensor]) -> dict[str, float]:
    """Losses of a plain torch module with these weights: no mcdist in it."""
    layers = [nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    module = nn.Sequential(*layers)
    module.load_state_dict(state)
    with torch.no_grad():
        return {f"{n}_loss": nn.functional.cross_entropy(module(x), y).item() for n, (x, y) in splits().items()}


def test_rows(store: Store) -> None:
    assert len(store.table("endpoints")) == SEEDS
    assert len(store.table("paths")) == 2 * PAIRS
    assert len(store.table("path_points")) == 2 * PAIRS * 61
    assert len(store.table("barriers")) == 2 * PAIRS * 4
    assert len(store.table("history")) == SEEDS * 80 + PAIRS * 200
    assert store.table("tasks")["status"].eq("done").all()


def test_end_points_are_solutions(store: Store) -> None:
    endpoints = store.table("endpoints")
    assert endpoints["train_error"].max() <= 0.001
    assert endpoints["test_error"].max() < 0.05


def test_curves_avoid_the_barrier_of_the_line(store: Store) -> None:
    """The published claim (Garipov et al. 2018), with an interval over end points."""
    barriers = store.table("barriers")
    train = barriers[barriers["metric"] == "train_loss"]
    median = train.groupby("kind")["barrier_linear"].median()
    assert median["linear"] >= 5 * median["bezier"]
    ratio = barrier_ratio(barriers, {"kind": "linear"}, {"kind": "bezier"}, metric="train_loss").iloc[0]
    assert ratio["ratio_low"] > 5
    summary = barrier_summary(barriers, by=["kind", "metric"])
    without = summary[summary["low"].isna()]  # no pair has any barrier in train error: nothing to resample
    assert without[["kind", "metric"]].values.tolist() == [["bezier", "train_error"]]
    summary = summary.drop(without.index)
    assert (summary["low"] <= summary["estimate"]).all()
    assert (summary["estimate"] <= summary["high"]).all()


def test_stored_weights_in_plain_torch_give_the_tabled_losses_at_every_t(store: Store) -> None:
    """Float32 over 1438 examples, in another order of sums: 1e-5 nats."""
    endpoints = store.table("endpoints")
    for row in endpoints.itertuples():
        plain = plain_losses(store.weights(str(row.endpoint_id)))
        assert [plain[m] for m in LOSSES] == pytest.approx([getattr(row, m) for m in LOSSES], abs=1e-5)

    points, paths = store.table("path_points"), store.table("paths")
    for path in paths.groupby("kind").head(2).itertuples():
        weights, n = store.weights(str(path.path_id)), int(path.n_points)
        names = [key.removeprefix("point_0.") for key in weights if key.startswith("point_0.")]
        for row in points[points["path_id"] == path.path_id].itertuples():
            u, t = 1.0 - float(row.t), float(row.t)
            c = [u, t] if n == 2 else [u * u, 2 * u * t, t * t]  # the line; the quadratic Bezier
            state = {name: sum(c[j] * weights[f"point_{j}.{name}"] for j in range(n)) for name in names}
            plain = plain_losses(state)
            assert [plain[m] for m in LOSSES] == pytest.approx([getattr(row, m) for m in LOSSES], abs=1e-5)


def test_ends_of_every_path_are_the_end_points(store: Store) -> None:
    ends = store.table("endpoints").set_index("endpoint_id")
    barriers = store.table("barriers")
    for metric in ("train_loss", "train_error", "test_loss", "test_error"):
        rows = barriers[barriers["metric"] == metric]
        for end in ("a", "b"):
            expected = ends.loc[rows[f"endpoint_{end}"], metric]
            np.testing.assert_allclose(rows[f"value_{end}"], expected, atol=1e-6)


def test_run_again_trains_nothing_and_needs_no_ray(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.table("tasks")
    monkeypatch.setattr("mcdist.execute.sweep._executor", lambda *_: pytest.fail("an executor was started"))
    spec = store.sweep_spec("digits")
    summary = mcdist.run(_loaded(spec), store=store.uri, out=io.StringIO())
    assert summary.counts == {"done": SEEDS + 4 * PAIRS}
    pd.testing.assert_frame_equal(store.table("tasks"), before)


def _loaded(text: str) -> dict[str, object]:
    """The resolved spec in the store is a spec like any other, of the same tasks."""
    import yaml

    data: dict[str, object] = yaml.safe_load(text)
    return data


def test_report(store: Store, tmp_path: Path) -> None:
    page = write_report(store, tmp_path / "report.html").read_text()
    for text in ("digits", "bezier", "linear", "data:image", f"{PAIRS} pairs"):
        assert text in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
