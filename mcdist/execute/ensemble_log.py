"""The trials of a study of ensembles, as its driver keeps them: what was begun, how it ended, which is best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from mcdist.execute.driver import Summary
from mcdist.execute.ensemble_trials import Ended
from mcdist.execute.study_log import words_of
from mcdist.spec.ensemble_study import EnsembleStudySpec
from mcdist.spec.load_ensemble_study import dump_ensemble_study
from mcdist.spec.study import Setting
from mcdist.store import Store

__all__ = ["EnsembleLog", "Tried"]

_NOTES = ("A study: what its trials have in common, what is searched, and the settings that were begun, in order.",)


@dataclass
class Tried:
    """A trial that was begun, the `number`-th (from 1)."""

    number: int
    setting: Setting
    ended: Ended | None = None


class EnsembleLog:
    """Is told of trials as they begin and end. Once it is open, the store holds all of it at any moment; before,
    nothing is written or said.

    starts: ids of the tasks that trials start from. total: how many trials there are to be.
    """

    def __init__(self, study: EnsembleStudySpec, store: Store, starts: Sequence[str], total: int, out: TextIO) -> None:
        self._study, self._store, self._starts, self._out = study, store, starts, out
        self._open, self._held = False, list[str]()
        self.total = total
        self.trials: dict[str, Tried] = {}

    def open(self) -> None:
        """From here on trials are recorded; StoreError where nothing can be written."""
        self._store.check_writable()
        self._open = True
        self._write()
        held, self._held = self._held, []
        for line in held:
            self.say(line)

    def _write(self) -> None:
        """Record the study, with the settings that were begun and the tasks that it asked for."""
        if self._open:
            ids = [*self._starts, *(one.ended.id for one in self.trials.values() if one.ended is not None)]
            text = dump_ensemble_study(self._study, [one.setting for one in self.trials.values()], _NOTES)
            self._store.write_sweep(self._study.name, text, list(dict.fromkeys(ids)))

    def begin(self, name: str, setting: Setting) -> None:
        """A trial begins, or goes on. name: what tells it from the others."""
        if name not in self.trials:
            self.trials[name] = Tried(len(self.trials) + 1, setting)
            self._write()

    def end(self, name: str, ended: Ended, seconds: float | None, setting: Setting | None = None) -> None:
        """A trial ended. seconds: that it took, None where nothing had to be done; setting: at its end, where that is
        not what it began with. Told once more of the same, it says nothing.
        """
        trial = self.trials[name]
        if trial.ended is not None and trial.ended.id == ended.id and trial.ended.state == ended.state:
            return
        trial.ended, trial.setting = ended, setting or trial.setting
        self._write()
        took = "shared" if seconds is None else f"{seconds:.1f} s"
        self.say(f"trial {trial.number}/{self.total}: {words_of(trial.setting)} · {_result(ended)} · {took}")

    def known(self, name: str, setting: Setting, ended: Ended) -> None:
        """A trial that an earlier run of the study ended: nothing is said."""
        self.trials[name] = Tried(len(self.trials) + 1, setting, ended)

    def again(self, settings: Sequence[Setting]) -> list[Setting]:
        """Trials are begun again from what the store has: a population anew, others with the settings that were begun
        first. settings: those that were to be tried.
        """
        if self._study.search.method == "pbt":
            self.trials.clear()
        begun = [one.setting for one in self.trials.values()]
        return begun if self._study.search.method == "optuna" else list(settings)

    def say(self, line: str) -> None:
        """One line that stays."""
        if self._open:
            print(f"{self._study.name}: {line}", file=self._out, flush=True)
        else:
            self._held.append(line)

    def count(self, state: str) -> int:
        """How many trials are done (complete), stopped or failed."""
        return sum(one.ended is not None and one.ended.state == state for one in self.trials.values())

    @property
    def winner(self) -> Tried | None:
        """The trial of the lowest validation nll, of those that are complete; of equal ones the first."""
        done = [one for one in self.trials.values() if one.ended is not None and one.ended.complete]
        return min(done, key=lambda one: one.ended.val_nll if one.ended else 0.0, default=None)

    def conclude(self) -> None:
        """Say which trial is best, and how many were stopped."""
        best = self.winner
        stopped = self.count("stopped")
        counts = f"{self.count('done')} of {self.total} trials complete, {stopped} stopped early"
        self.say(counts + (f", {self.count('failed')} failed" if self.count("failed") else ""))
        if best is None or best.ended is None:
            self.say("no trial is complete: there is no winner")
        else:
            self.say(f"the best is trial {best.number}: {words_of(best.setting)} · val nll {best.ended.val_nll:.4g}")

    def summary(self) -> Summary:
        """Trials by state, and the ids of those that failed."""
        ended = [one.ended for one in self.trials.values() if one.ended is not None]
        failed = [one.id for one in ended if one.state == "failed"]
        return Summary(Counter(one.state for one in ended), failed, what="trials")


def _result(ended: Ended) -> str:
    if ended.failed is not None:
        return f"failed: {ended.failed}"
    last, taken = ended.cycles[-1], len(ended.cycles)
    found = f"val nll {last['val_nll']:.4g}, error {last['val_error']:.3g}"
    spent = f"{taken} members, {last['epochs_used']:.4g} epochs"
    return f"{found} · {spent} · {'complete' if ended.complete else f'stopped after {taken} of {ended.planned} cycles'}"
