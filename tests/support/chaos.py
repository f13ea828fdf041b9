"""Whatever can be killed is, every other second, as a seed has it, while a sweep is done."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from support.disturbing import assert_not_redone, commits, committed, workers_of

__all__ = ["Chaos"]


class Cluster(Protocol):
    """Nodes that can be added and killed."""

    there: list[Any]
    address: str

    def add(self, cpus: float = 1) -> Any: ...
    def kill(self, node: Any) -> None: ...


class Chaos:
    """A sweep on a cluster of which a worker, a node or the driver is killed every few seconds.

    done: what was done to it, in order.
    """

    def __init__(self, seed: int, sweep: dict[str, Any], folder: Path, nodes: Cluster) -> None:
        self._rng, self._folder, self._nodes = random.Random(seed), folder, nodes
        (folder / "sweep.yaml").write_text(json.dumps(sweep))
        self.store = folder / "store"
        self.done: list[str] = []
        self._deck: list[str] = []
        self._seen: list[pd.Series[Any]] = []
        self._started = 0

    def run(self, pause_s: float, most: int, limit_s: float) -> None:
        """Do the sweep until a driver says that it is done. pause_s: seconds between two blows; most: of them."""
        deadline = time.monotonic() + limit_s
        self._nodes.add(cpus=1)
        self._nodes.add(cpus=1)
        self._start()
        try:
            while not self._ended():
                assert time.monotonic() < deadline, f"not done in {limit_s:g} s; {self.done}; {self.log()}"
                self._wait(self._rng.uniform(0.5, 1.5) * pause_s)
                if len(self.done) < most and not self._ended():
                    self._disturb()
        finally:
            self._driver.kill()
            self._driver.wait()
        for before in self._seen:
            assert_not_redone(self.store, before)

    def log(self) -> str:
        """What the last driver said."""
        return (self._folder / f"driver{self._started}.log").read_text()[-3000:]

    def _start(self) -> None:
        self._started += 1
        line = [sys.executable, "-m", "mcdist", "run", str(self._folder / "sweep.yaml"), "--store", str(self.store)]
        with (self._folder / f"driver{self._started}.log").open("w") as log:
            self._driver = subprocess.Popen(
                [*line, "--address", self._nodes.address], stdout=log, stderr=subprocess.STDOUT, env=os.environ
            )

    def _ended(self) -> bool:
        code = self._driver.poll()
        assert code in (None, 0), f"driver {self._started} ended with {code}; {self.done}; {self.log()}"
        return code == 0

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._driver.poll() is None:
            time.sleep(0.02)

    def _disturb(self) -> None:
        if commits(self.store):
            self._seen.append(committed(self.store))
        if not self._deck:  # each kind of blow comes before any comes again
            self._deck = self._rng.sample(["worker", "worker", "node", "driver", "stop"], k=5)
        workers = self._workers()
        if not workers and (self._deck[-1] == "worker" or self._rng.random() < 0.8):
            return  # a driver takes its time to start; only now and then it is hit before it has workers
        what = self._deck.pop()
        if what == "worker":
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._rng.choice(workers), signal.SIGKILL)
        elif what == "node":
            self._nodes.kill(self._rng.choice(self._nodes.there))
            self._nodes.add(cpus=self._rng.choice([1, 2]))
        else:
            self._driver.send_signal(signal.SIGKILL if what == "driver" else signal.SIGTERM)
            code = self._driver.wait()
            assert code in (-signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM, 0), f"{code}; {self.log()}"
            if code != 0:
                self._start()
        self.done.append(what)

    def _workers(self) -> list[int]:
        """Process ids of the workers, in the order of nodes and of starting."""
        return [pid for node in self._nodes.there for pid in workers_of(node)]
