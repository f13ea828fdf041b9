"""The trials of a study, as its driver keeps them: what was begun, what was found, what comes next."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

import numpy as np

from mcdist.execute.driver import Summary
from mcdist.execute.study_search import Tried, next_setting
from mcdist.execute.study_trial import Found, Outcome, Work, found_in
from mcdist.science.steepness import steepness
from mcdist.spec.dynamics import RelaxationSpec
from mcdist.spec.load_study import dump_study
from mcdist.spec.ranges import Scalar
from mcdist.spec.study import Setting, StudySpec
from mcdist.store import Store

__all__ = ["Begun", "StudyLog", "words_of"]

_NOTES = ("A study: what its trials have in common, what is searched, and the settings that were begun, in order.",)


@dataclass
class Begun:
    """A trial that was begun, the `number`-th (from 1). id: of the task that sums it up; tasks: ids of all it asks
    for. state: waiting, running, done or failed.
    """

    number: int
    setting: Setting
    relaxation: RelaxationSpec
    tasks: list[str]
    found: Found | None = None
    state: str = "waiting"

    @property
    def id(self) -> str:
        """Of the task that sums it up."""
        return self.tasks[-1]


class StudyLog:
    """Says which trial is to be done next, and is told how it ended. Once it is open, the store holds all of it at any
    moment; before, nothing is written or said.

    kept: settings that an earlier run of the study began, in order. Of these, trials that are complete in the store
    are done; the others come first.
    """

    def __init__(self, study: StudySpec, work: Work, store: Store, kept: Sequence[Setting], out: TextIO) -> None:
        self._study, self._work, self._store, self._out = study, work, store, out
        self._open, self._held = False, list[str]()
        self.trials = [self._begun(number, setting) for number, setting in enumerate(kept, 1)]
        found = found_in(store, [trial.id for trial in self.trials])
        for trial in self.trials:
            if trial.id in found:
                trial.found, trial.state = found[trial.id], "done"
        self._waiting = deque(trial for trial in self.trials if trial.state == "waiting")
        self.total = max(len(self.trials), int(min(study.search.trials or study.size, study.size)))

    def _begun(self, number: int, setting: Setting) -> Begun:
        relaxation = self._study.at(setting)
        return Begun(number, setting, relaxation, list(self._work.plan(relaxation).tasks))

    def open(self) -> None:
        """From here on trials are recorded as they are begun; StoreError where nothing can be written."""
        self._store.check_writable()
        self._open = True
        self._write()
        held, self._held = self._held, []
        for line in held:
            self.say(line)

    def _write(self) -> None:
        """Record the study in the store, with the trials that were begun and the tasks that these ask for."""
        if not self._open:
            return
        text = dump_study(self._study, [trial.setting for trial in self.trials], _NOTES)
        tasks = dict.fromkeys(i for trial in self.trials for i in trial.tasks)
        self._store.write_sweep(self._study.name, text, list(tasks))

    def begin(self) -> Begun | None:
        """The next trial to do, recorded before it is done; None where there is none to begin.

        One that is complete in the store already, because another study or a sweep asked for it, is done at that.
        """
        while True:
            trial = self._waiting.popleft() if self._waiting else self._new()
            if trial is None:
                return None
            found = found_in(self._store, [trial.id]).get(trial.id)
            if found is None:
                trial.state = "running"
                return trial
            self.end(trial.number, Outcome(found), None)

    def _new(self) -> Begun | None:
        setting = next_setting(self._study, self._tried())
        if setting is None:
            return None
        trial = self._begun(len(self.trials) + 1, setting)
        self.trials.append(trial)
        self._write()
        return trial

    def again(self, number: int) -> None:
        """A trial did not come to its end, and is to be begun again next."""
        trial = self.trials[number - 1]
        trial.state = "waiting"
        self._waiting.appendleft(trial)

    def end(self, number: int, outcome: Outcome, seconds: float | None) -> None:
        """A trial ended; seconds: that it took, None where nothing had to be done."""
        trial = self.trials[number - 1]
        trial.found, trial.state = outcome.found, "failed" if outcome.found is None else "done"
        for note in outcome.notes:
            self.say(f"note: {note}")
        took = "shared" if seconds is None else f"{seconds:.1f} s"
        self.say(f"trial {number}/{self.total}: {words_of(trial.setting)} · {self._result(trial, outcome)} · {took}")

    def _result(self, trial: Begun, outcome: Outcome) -> str:
        found = outcome.found
        if found is None:
            failed = ", ".join(f"{count} tasks {status}" for status, count in outcome.failed.items())
            return f"failed: {outcome.error or failed}"
        time = f"relaxation time {found.time:.3g}" if found.time is not None else f"time above {found.exposure:.3g}"
        steep = self.steepness()[trial.number - 1]
        told = "" if not math.isfinite(steep) else f" · steepness {steep:.2f}"
        return f"{found.runs} runs, {found.arrived} arrived · {time}{told}"

    def say(self, line: str) -> None:
        """One line that stays."""
        if self._open:
            print(f"{self._study.name}: {line}", file=self._out, flush=True)
        else:
            self._held.append(line)

    def steepness(self) -> list[float]:
        """How steeply the time depends on the noise level at each trial, from all complete ones; NaN for others."""
        known = [trial.found for trial in self.trials]
        levels = [math.nan if f is None or f.t_nominal is None else f.t_nominal for f in known]
        times = [math.nan if f is None else f.exposure if f.time is None else f.time for f in known]
        arrived = [0.0 if f is None else float(f.arrived) for f in known]
        return [float(x) for x in steepness(np.array(levels), np.array(times), np.array(arrived))]

    def _tried(self) -> list[Tried]:
        return [
            Tried(trial.setting, trial.state == "running", steep if math.isfinite(steep) else None)
            for trial, steep in zip(self.trials, self.steepness(), strict=True)
        ]

    def done(self) -> int:
        """How many trials are complete."""
        return sum(trial.state == "done" for trial in self.trials)

    def summary(self) -> Summary:
        """Trials by state, and the ids of those that failed."""
        failed = [trial.id for trial in self.trials if trial.state == "failed"]
        return Summary(Counter(trial.state for trial in self.trials), failed, what="trials")


def words_of(setting: Mapping[str, Scalar]) -> str:
    """A setting in words."""
    return ", ".join(
        f"{name} {value:.4g}" if type(value) is float else f"{name} {value}" for name, value in setting.items()
    )
