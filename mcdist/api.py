"""The Python interface: what the command line does, as functions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from mcdist.execute import ExecutorName, KindOverview, Summary, overview, run_ensemble_study, run_study, run_sweep
from mcdist.spec import EnsembleStudySpec, StudySpec, SweepSpec, load_any_study, load_spec

__all__ = ["plan", "run", "tune"]

Spec = SweepSpec | str | Path | Mapping[str, Any]
"""A loaded sweep, a YAML file, or a mapping of the same form."""

Study = StudySpec | EnsembleStudySpec | str | Path | Mapping[str, Any]
"""A loaded study, of noise or of ensembles, a YAML file, or a mapping of the same form."""


def plan(spec: Spec, *, store: str | None = None, changes: Sequence[str] = ()) -> list[KindOverview]:
    """What a sweep comes to: by kind of task, how many there are, are done, are to do, and at what cost.

    store: URI, in place of the spec's own. changes: `key=value`, applied to a file or mapping. Runs and writes
    nothing. Raises RequestError where the request is wrong.
    """
    return overview(_loaded(spec, changes), store, _name(spec))


def run(
    spec: Spec,
    *,
    store: str | None = None,
    executor: ExecutorName = "ray",
    address: str | None = None,
    changes: Sequence[str] = (),
    out: TextIO | None = None,
) -> Summary:
    """Do what is missing of a sweep.

    store, changes: as for `plan`. executor: "ray" (on the cluster at `address` or $RAY_ADDRESS, else on this machine)
    or "serial". out: where progress is shown, standard error unless given. Raises RequestError, before anything is
    written, where the request is wrong. Failed tasks do not raise: `summary.failed`, `store.table("tasks")`.
    """
    return run_sweep(
        _loaded(spec, changes),
        store_uri=store,
        executor=executor,
        address=address,
        out=out or sys.stderr,
        source=_name(spec),
    )


def tune(
    study: Study,
    *,
    store: str | None = None,
    executor: ExecutorName = "ray",
    address: str | None = None,
    changes: Sequence[str] = (),
    out: TextIO | None = None,
) -> Summary:
    """Do the trials of a study that its store does not have yet: of noise, over the paths of a sweep, or of ensembles,
    and then the sweep that compares the best of these.

    Arguments as for `run`; "serial" does one trial after the other in this process, without Ray. The summary counts
    trials: `store.table("trials")` has their results; of ensembles also those that were stopped early, which are not
    `complete`. Raises RequestError, before anything is written, where the request is wrong.
    """
    loaded = study if isinstance(study, (StudySpec, EnsembleStudySpec)) else load_any_study(study, changes)
    source = str(study) if isinstance(study, (str, Path)) else "study"
    how: dict[str, Any] = {"store_uri": store, "executor": executor, "address": address, "out": out or sys.stderr}
    if isinstance(loaded, EnsembleStudySpec):
        return run_ensemble_study(loaded, source=source, **how)
    return run_study(loaded, source=source, **how)


def _loaded(spec: Spec, changes: Sequence[str]) -> SweepSpec:
    return spec if isinstance(spec, SweepSpec) else load_spec(spec, changes)


def _name(spec: Spec) -> str:
    return str(spec) if isinstance(spec, (str, Path)) else "spec"
