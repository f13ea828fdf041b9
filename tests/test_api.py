"""The Python interface."""

from __future__ import annotations

import importlib
import io
from pathlib import Path

import pytest
from support.sweeps import small_sweep

import mcdist


def test_plan_and_run_work_as_often_as_they_are_called(tmp_path: Path) -> None:
    """`mcdist.plan` is a function and a subpackage; importing the latter must not hide the former."""
    sweep, store = small_sweep(paths=[], measure={"profile": []}), str(tmp_path / "store")
    for done in (0, 4, 4):
        (kind,) = mcdist.plan(sweep, store=store)
        assert (kind.kind, kind.tasks, kind.done) == ("endpoint", 4, done)
        assert mcdist.run(sweep, store=store, executor="serial", out=io.StringIO()).exit_code == 0
    importlib.import_module("mcdist.plan.graph")
    assert mcdist.plan(sweep, store=store)[0].todo == 0


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'plna'"):
        mcdist.plna  # noqa: B018
