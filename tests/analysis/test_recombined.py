"""Ensembles put together anew from kept predictions."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from support.sweeps import small_sweep

import mcdist
from mcdist.analysis import recombine
from mcdist.errors import RequestError
from mcdist.store import PackResult, Store, open_store

from .frames import task

EXACT = 1e-12  # the same float32 probabilities, in float64


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two independent ensembles of two networks each, whose predictions were kept, and one whose were not."""
    uri = str(tmp_path_factory.mktemp("recombined") / "store")
    data = {"name": "digits", "train_size": 200, "validation": 0.2}
    model = {"name": "mlp", "args": {"hidden": [16]}}
    spec = small_sweep(
        problem={"data": data, "model": model},
        pairs=[[0, 1]],
        paths=[{"kind": "linear"}],
        ensembles=[{"method": "independent", "budgets": 2, "predictions": True}, {"method": "independent"}],
    )
    assert mcdist.run(spec, store=uri, executor="serial", out=io.StringIO()).exit_code == 0
    return open_store(uri)


def ensembles(store: Store) -> pd.DataFrame:
    """Those of budget 2, by id."""
    rows = store.table("ensembles").query("budget == 2").sort_values("seed")
    return rows.set_index("ensemble_id")


@pytest.mark.parametrize("split", ["val", "test"])
def test_all_members_make_the_stored_ensemble(run: Store, split: str) -> None:
    for ensemble_id, row in ensembles(run).iterrows():
        found = recombine(run, {str(ensemble_id): None}, split)
        same = [name for name in found.index if split in name or split == "test" or name == "size"]
        assert found[same].to_dict() == row[same].to_dict()
        assert len(same) == (10 if split == "test" else 3)
        for members in (str(ensemble_id), [str(ensemble_id)], {str(ensemble_id): [0, 1]}):
            pd.testing.assert_series_equal(recombine(run, members, split), found)


def test_the_first_members_are_the_running_ensemble(run: Store) -> None:
    members = run.table("ensemble_members")
    for ensemble_id in ensembles(run).index:
        (first,) = members[(members["ensemble_id"] == ensemble_id) & (members["member"] == 0)].to_dict("records")
        found = recombine(run, {ensemble_id: [0]})
        assert (found["test_error"], found["test_nll"]) == (first["running_test_error"], first["running_test_nll"])
        assert np.isnan(found["disagreement"])


def test_two_ensembles_are_joined(run: Store) -> None:
    """Three of four networks: by plain numpy."""
    one, two = ensembles(run).index
    kept = [run.weights(i) for i in (one, two)]
    p = np.concatenate([k["val.probabilities"].numpy().astype(np.float64) for k in kept])[[0, 1, 3]]
    p /= p.sum(2, keepdims=True)
    y = kept[0]["val.targets"].numpy()
    found = recombine(run, {one: None, two: [1]}, "val")
    votes, mean = p.argmax(2), p.mean(0)
    expected = {
        "size": 3,
        "val_error": (mean.argmax(1) != y).mean(),
        "val_nll": -np.log(mean[np.arange(len(y)), y]).mean(),
        "brier": ((mean - np.eye(10)[y]) ** 2).sum(1).mean(),
        "disagreement": np.mean([(votes[i] != votes[j]).mean() for i, j in ((0, 1), (0, 2), (1, 2))]),
        "mean_member_error": (votes != y).mean(),
        "best_member_error": (votes != y).mean(1).min(),
        "oracle_error": (votes != y).all(0).mean(),
    }
    assert found[list(expected)].to_dict() == pytest.approx(expected, abs=EXACT)


def test_members_are_chosen_as_rows(run: Store) -> None:
    members = run.table("ensemble_members")
    one, two = ensembles(run).index
    best = members[members["ensemble_id"].isin([one, two])].nsmallest(3, "val_nll")
    chosen = {i: sorted(part["member"]) for i, part in best.groupby("ensemble_id")}
    found = recombine(run, best)
    assert found["size"] == 3
    assert found.to_dict() == pytest.approx(recombine(run, chosen).to_dict(), abs=EXACT)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """By hand: `a` and `b` of the same two examples, `other` of other ones, `more` of three, `wide` with a class more;
    an end point.
    """
    store = open_store(tmp_path_factory.mktemp("by-hand") / "store", create=True)
    p = torch.tensor([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]]])
    y = torch.tensor([0, 1])
    kept = {"a": (p, y), "b": (p.flip(0), y), "other": (p, 1 - y), "more": (p[:, [0, 1, 1]], y[[0, 1, 1]])}
    kept["wide"] = (torch.cat([p / 2, p[..., :1] / 2 + p[..., 1:] / 2], dim=-1), y)
    tensors: dict[str, Any] = {
        name: {"test.probabilities": own, "test.targets": right} for name, (own, right) in kept.items()
    }
    tensors["end"] = {"0.weight": torch.zeros(2)}
    tasks = [task(name, "sweep") for name in (*tensors, "forgetful")]
    rows = {"ensembles": [{"task_id": name, "ensemble_id": name} for name in (*kept, "forgetful")]}
    store.commit(PackResult("pack", tasks, rows, tensors))
    return store


@pytest.mark.parametrize(
    ("members", "split", "said"),
    [
        ({}, "test", "members: there must be at least one"),
        ({"a": []}, "test", "members of 'a': there must be at least one"),
        ({"a": [2]}, "test", "the ensemble 'a' has the members 0 to 1; got 2"),
        ({"a": [-1]}, "test", "has the members 0 to 1; got -1"),
        ({"a": [1, 1]}, "test", "one of them is there twice"),
        ("aa", "test", "unknown ensemble 'aa'; did you mean 'a'. allowed: a, b, forgetful, more, other, wide"),
        ("end", "test", "the task 'end' is no ensemble"),
        ("forgetful", "test", "no predictions of the ensemble 'forgetful' were kept: .* 'predictions: true'"),
        ("a", "val", "unknown split 'val'; allowed: test"),
        (["a", "other"], "test", "'a' and 'other' are not of the same test data"),
        (["a", "b", "more"], "test", "'a' and 'more' are not of the same test data"),
        (["a", "wide"], "test", "'a' and 'wide' are not of the same test data"),
        (pd.DataFrame({"ensemble_id": ["a"]}), "test", "members: unknown column 'member'"),
    ],
)
def test_what_cannot_be_put_together(store: Store, members: Any, split: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        recombine(store, members, split)


def test_a_store_without_ensembles(tmp_path: Any) -> None:
    with pytest.raises(RequestError, match="unknown ensemble 'a'; allowed: none yet"):
        recombine(open_store(tmp_path / "store", create=True), "a")


def test_known_members(store: Store) -> None:
    """a0 and b1 are the same network, a1 and b0 too."""
    assert recombine(store, {"a": [0], "b": [1]})["disagreement"] == 0
    assert recombine(store, {"a": [0], "b": [0]})["disagreement"] == 0.5
    assert recombine(store, ["a", "b"])["size"] == 4
    assert recombine(store, {"a": [1]})["test_error"] == 0.5
