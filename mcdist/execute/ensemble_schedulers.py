"""What decides which trials of ensembles go on, on Ray Tune: halving at equal epochs, a population at equal members."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler

from mcdist.execute.ensemble_search import setting_of
from mcdist.plan.ensemble_trial import trial_task
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.ranges import RangeSpec
from mcdist.spec.tasks import EnsembleTrialTask
from mcdist.tasks.checks_ensemble_study import members_of
from mcdist.tasks.problem_kinds.kind import Facts

__all__ = ["METRIC", "MODE", "Halving", "domain_of", "scheduler_of", "within"]

METRIC, MODE = "val_nll", "min"

_ROUNDING = 1e-6  # epochs


class Halving(ASHAScheduler):
    """Asynchronous successive halving (Li et al. 2020) at equal epochs: at rungs grace x reduction^k, in epochs from
    the earliest start, one of `reduction` trials goes on.

    A trial is compared at a rung by its first member at or past it, and only where the stretch before that member
    crossed it: one that begins later was no ensemble yet at the rungs before.
    """

    def __init__(self, grace: float, reduction: float, most: float) -> None:
        """most: epochs that are left after the earliest start."""
        super().__init__(
            time_attr="since",
            metric=METRIC,
            mode=MODE,
            max_t=cast(int, most),
            grace_period=cast(int, grace),
            reduction_factor=reduction,
            stop_last_trials=False,  # they end by themselves
        )
        self._grace, self._each = grace, reduction

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """See the class."""
        return str(super().on_trial_result(tune_controller, trial, self._at_rung(result)))

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """See the class."""
        super().on_trial_complete(tune_controller, trial, self._at_rung(result))

    def _at_rung(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """The result where it crossed a rung, else one that says nothing. Sums of epochs may be a rounding short."""
        since, before = result["since"] + _ROUNDING, result["before"] + _ROUNDING
        rungs = itertools.takewhile(lambda at: at <= since, (self._grace * self._each**k for k in itertools.count()))
        return {**result, "since": since} if any(before < at for at in rungs) else {}

    def tell(self, told: Mapping[str, Any]) -> None:
        """What a trial reported that has ended."""
        trial: Any = SimpleNamespace(trial_id=f"ended {told['trial_id']}")
        cycles, begun = json.loads(told["told"])["cycles"], told["epochs_used"] - told["since"]
        self.on_trial_add(cast(Any, None), trial)
        before = told["began"]
        for row in cycles:
            since = row["epochs_used"] - begun
            self.on_trial_result(None, trial, {"before": before, "since": since, METRIC: row["val_nll"]})
            before = since


def scheduler_of(study: EnsembleStudySpec, facts: Facts) -> TrialScheduler | None:
    """What decides which trials go on; None: all do."""
    search = study.search
    if search.method == "pbt":
        return PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=search.interval,
            hyperparam_mutations={
                name: list(given.values) if given.values is not None else domain_of(given, False)
                for name, given in study.space.items()
            },
            custom_explore_fn=partial(within, study),
            log_config=False,
            synch=True,  # all are compared at the same member, whatever the number of workers
            metric=METRIC,
            mode=MODE,
        )
    if search.scheduler == "none":
        return None
    most = study.endpoints.train.epochs - min(study.starts)
    return Halving(min(search.grace or _first_members(study, facts), most), search.reduction, most)


def _first_members(study: EnsembleStudySpec, facts: Facts) -> float:
    """Epochs after the earliest start until every trial that starts then has a member."""
    first, found = min(study.starts), 0.0
    for corner in study.corners():
        spec = trial_task(study, study.at({name: value for name, (value, _) in corner.items()}), 1).blueprint.spec
        assert isinstance(spec, EnsembleTrialTask), "a trial"
        if spec.trajectory.start == first:
            found = max(found, members_of(spec.trajectory, facts)[0] - first)
    return found


def within(study: EnsembleStudySpec, config: dict[str, Any]) -> dict[str, Any]:
    """Rates that a population has changed, back within their bounds, in few digits."""
    return config | setting_of(study, config)


def domain_of(given: RangeSpec, whole: bool) -> Any:
    """A range as Tune has it."""
    if given.values is not None:
        return tune.choice(list(given.values))
    low, high = given.bounds
    if whole:
        return (tune.lograndint if given.log else tune.randint)(int(low), int(high) + 1)
    return (tune.loguniform if given.log else tune.uniform)(low, high)
