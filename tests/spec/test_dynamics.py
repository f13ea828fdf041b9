"""Noisy dynamics, problems of several kinds, end points with a common beginning: what they say, and what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mcdist.spec import DriftSpec, ProblemSpec, RelaxationSpec, ValleySpec, dump_spec, load_spec
from spec.examples import FULL, GOOD, SPAWNED, complaint, edited

DRIFT_KEYS = (
    "batch_size, kinds, lr, momentum, noise, replicas, samples, sampling, seed, segments, starts, steps, temperature, "
    "weight_decay"
)
RELAXATION_KEYS = (
    "batch_size, betas, buffers, eps, kinds, lr, margin, momentum, nesterov, noise, optimizer, project, replicas, "
    "samples, sampling, seed, segments, starts, stop, temperature, time, trace, weight_decay"
)
BOTH = {
    "starts: [0.5, 1.0]": "starts.1: must be inside the path, in (0, 1); got 1",
    "starts: [-0.1]": "starts.0: must be inside the path, in (0, 1); got -0.1",
    "starts: [0]": "starts.0: must be inside the path, in (0, 1); got 0",
    "starts: [0.5, 0.2, 0.5]": "starts.2: the start 0.5 is here twice",
    "starts: 0": "starts: must be a number of starts from 1 to 10000, or a list of positions s; got 0",
    "starts: 0.5": "starts: must be a number of starts, or a list of positions s that is not empty; got 0.5",
    "starts: []": "starts: must be a number of starts, or a list of positions s that is not empty; got []",
    "starts: true": "starts: must be a number of starts, or a list of positions s that is not empty; got true",
    "starts: [x]": "starts.0: must be a number; got 'x'",
    "noise: gauss": "noise: must be 'minibatch', 'isotropic' or 'none'; got 'gauss'",
    "batch_size: 0": "batch_size: must be greater than or equal to 1; got 0",
    "noise: isotropic, temperature: -0.1": "temperature: must be greater than or equal to 0; got -0.1",
    "temperature: 0.1": "temperature: noise 'minibatch' has no temperature of its own; it is for isotropic",
    "noise: isotropic, sampling: independent": "sampling: noise 'isotropic' draws no minibatches; sampling is for "
    "minibatch",
    "momentum: 1": "momentum: must be less than 1; got 1",
    "replicas: 0": "replicas: must be greater than or equal to 1; got 0",
    "segments: 0": "segments: must be greater than or equal to 1; got 0",
    "samples: 1": "samples: must be greater than or equal to 2; got 1",
    "weight_decay: -1": "weight_decay: must be greater than or equal to 0; got -1",
    "seed: -1": "seed: must be greater than or equal to 0; got -1",
}
DRIFT = {
    "lr: 0.1, noise: none": "noise: is what noise adds: its noise-free twin is run in any case; got none",
    "lr: 0.1, replicas: 1": "replicas: must be at least 2: the standard error is over replicas",
    "lr: 0.1, steps: 0": "steps: must be a number of steps from 1, or an increasing list of them; got 0",
    "lr: 0.1, steps: []": "steps: must be a number of steps from 1, or an increasing list of them; got []",
    "lr: 0.1, steps: [10, 5]": "steps: must be a number of steps from 1, or an increasing list of them; got [10, 5]",
    "lr: 0.1, steps: [5, 5]": "steps: must be a number of steps from 1, or an increasing list of them; got [5, 5]",
    "starts: 3": "lr: is missing",
    "lr: {grid: [0.1, 0]}": "lr.grid.1: must be greater than 0; got 0",
    "lr: 0.1, project: 5": f"project: unknown key 'project'; allowed: {DRIFT_KEYS}",
}
RELAXATION = {
    "project: 0": "project: must be greater than or equal to 1; got 0",
    "project: {grid: [1, 0]}": "project.grid.1: must be greater than or equal to 1; got 0",
    "project: null, buffers: keep": "buffers: nothing is projected (project: null), so buffers stay as they are",
    "buffers: kept": "buffers: must be 'keep', 'zero' or 'project'; got 'kept' (did you mean 'keep'?)",
    "noise: none, batch_size: 4": "batch_size: noise 'none' takes all examples at each step, and has no batch_size",
    "noise: none, replicas: 4": "replicas: noise 'none' gives the same run again and again: replicas must be 1",
    "noise: isotropic, optimizer: adam": "noise: isotropic noise of a temperature is for sgd: other optimizers "
    "rescale it",
    "optimizer: adam, nesterov: true": "nesterov: optimizer 'adam' has no nesterov; it is for sgd",
    "optimizer: adam, momentum: 0.5": "momentum: optimizer 'adam' has no momentum; it is for sgd",
    "eps: 0.1": "eps: optimizer 'sgd' has no eps; it is for adam and adamw",
    "optimizer: adam, betas: [0.9, 1.0]": "betas: must be two numbers in [0, 1); got [0.9, 1.0]",
    "nesterov: true": "nesterov: nesterov needs a momentum above 0",
    "margin: 0.3": "starts: 0.25 has arrived before it started: margin is 0.3",
    "margin: 0.5": "margin: must be less than 0.5; got 0.5",
    "trace: 1": "trace: must be greater than or equal to 2; got 1",
    "steps: 5": f"steps: unknown key 'steps'; did you mean 'eps'? allowed: {RELAXATION_KEYS}",
}
SPAWN = {
    "spawn: [2]": "spawn.0: must be epochs from 0 to 1, before the last; got 2",
    "spawn: [0, -1]": "spawn.1: must be epochs from 0 to 1, before the last; got -1",
    "spawn: [0, 1, 0]": "spawn.2: the epoch 0 is here twice",
    "spawn: [0.5]": "spawn.0: must be an integer; got 0.5",
    "spawn: 1": "spawn: must be a list; got 1",
    "branches: 3": "branches: nothing is split without spawn: [epochs, ...]",
}
KINDS = "'classification', 'valley', 'rochetnet' or 'affine_maximizer'"
VALLEY_KEYS = "dtype, energy, kind, middle, stiff, stiffness, wall"
PROBLEM = {
    "{kind: vally}": f"kind: must be {KINDS}; got 'vally' (did you mean 'valley'?)",
    "{kind: 5}": f"kind: must be {KINDS}; got 5",
    "{kind: valley, stif: 4}": f"stif: unknown key 'stif'; did you mean 'stiff'? allowed: {VALLEY_KEYS}",
    "{kind: valley, data: digits}": f"data: unknown key 'data'; allowed: {VALLEY_KEYS}",
    "{stiff: 4, data: digits, model: mlp}": "stiff: unknown key 'stiff'; allowed: data, dtype, eval_batch, kind, "
    "loss, model, statistics_size, weight_decay",
    "{kind: valley, stiff: 0}": "stiff: must be greater than or equal to 1; got 0",
    "{kind: valley, stiff: 2.5}": "stiff: must be an integer; got 2.5",
    "{kind: valley, middle: 0}": "middle: must be greater than 0; got 0",
    "{kind: valley, wall: {grid: [1, -1]}}": "wall.grid.1: must be greater than 0; got -1",
    "{kind: valley, energy: .inf}": "energy: must be a finite number; got inf",
    "{kind: valley, dtype: half}": "dtype: must be 'float32' or 'float64'; got 'half'",
    "{data: digits, model: mlp, weight_decay: -1}": "weight_decay: must be greater than or equal to 0; got -1",
}
MEASURE, PROBLEM_TEXT = "measure:\n", "  data: digits\n  model: {name: mlp, args: {hidden: [8]}}\n"


@pytest.mark.parametrize("text", BOTH)
def test_what_drifts_and_relaxations_have_in_common(tmp_path: Path, text: str) -> None:
    said = {"lr": "0.1", "time": "5"}
    drift = edited("{points: 11}", f"{{points: 11}}\n  drift: {{lr: {said['lr']}, {text}}}")
    assert complaint(tmp_path, drift) == f"s.yaml:15: measure.drift.{BOTH[text]}"
    starts = "" if text.startswith("starts") else "starts: 3, "
    relaxation = edited(MEASURE, f"relaxations: {{lr: 0.1, time: 5, {starts}{text}}}\n{MEASURE}")
    assert complaint(tmp_path, relaxation) == f"s.yaml:13: relaxations.{BOTH[text]}"


@pytest.mark.parametrize("text", DRIFT)
def test_drift(tmp_path: Path, text: str) -> None:
    wrong = edited("{points: 11}", f"{{points: 11}}\n  drift: {{{text}}}")
    assert complaint(tmp_path, wrong) == f"s.yaml:15: measure.drift.{DRIFT[text]}"


@pytest.mark.parametrize("text", RELAXATION)
def test_relaxation(tmp_path: Path, text: str) -> None:
    wrong = edited(MEASURE, f"relaxations: {{lr: 0.1, time: 5, starts: 3, {text}}}\n{MEASURE}")
    assert complaint(tmp_path, wrong) == f"s.yaml:13: relaxations.{RELAXATION[text]}"


def test_a_start_that_has_arrived_is_named_in_its_list(tmp_path: Path) -> None:
    wrong = edited(MEASURE, f"relaxations: {{lr: 0.1, time: 5, starts: [0.5, 0.04]}}\n{MEASURE}")
    assert complaint(tmp_path, wrong) == (
        "s.yaml:13: relaxations.starts.1: 0.04 has arrived before it started: margin is 0.05"
    )


@pytest.mark.parametrize("missing", ["time", "starts", "lr"])
def test_what_a_relaxation_must_say(tmp_path: Path, missing: str) -> None:
    said = {name: value for name, value in {"lr": 0.1, "time": 5, "starts": 3}.items() if name != missing}
    wrong = edited(MEASURE, f"relaxations:\n  - {said}\n{MEASURE}")
    assert complaint(tmp_path, wrong) == f"s.yaml:14: relaxations.0.{missing}: is missing"


def test_of_several_the_wrong_one_is_named(tmp_path: Path) -> None:
    good = "{lr: 0.1, time: 5, starts: 3}"
    wrong = edited(MEASURE, f"relaxations:\n  - {good}\n  - {good}\n{MEASURE}")
    assert complaint(tmp_path, wrong) == "s.yaml:15: relaxations.1: comes to the same as a setting before it"


@pytest.mark.parametrize("text", SPAWN)
def test_spawn(tmp_path: Path, text: str) -> None:
    assert (
        complaint(tmp_path, edited("  seeds: 4\n", f"  seeds: 4\n  {text}\n")) == f"s.yaml:7: endpoints.{SPAWN[text]}"
    )


def test_pairs_are_among_the_branches(tmp_path: Path) -> None:
    split = edited("  seeds: 4\n", "  seeds: 4\n  spawn: [0, 1]\n").replace("pairs: all", "pairs: [[0, 2]]")
    assert complaint(tmp_path, split) == (
        "s.yaml:9: pairs.0: [0, 2] is out of range: there are 2 end points, positions 0 to 1"
    )


@pytest.mark.parametrize("text", PROBLEM)
def test_problem(tmp_path: Path, text: str) -> None:
    wrong = edited(f"problem:\n{PROBLEM_TEXT}", f"problem: {text}\n")
    assert complaint(tmp_path, wrong) == f"s.yaml:2: problem.{PROBLEM[text]}"


def test_a_valley_and_a_classification_beside_each_other() -> None:
    spec = load_spec(yaml.safe_load(SPAWNED))
    flat, pulled, digits = spec.problem
    assert isinstance(flat, ValleySpec)
    assert isinstance(pulled, ValleySpec)
    assert isinstance(digits, ProblemSpec)
    assert (flat.stiff, flat.energy, pulled.energy) == (4, 0.0, -0.5)
    assert (flat.weight_decay, digits.kind, digits.weight_decay) == (0.0, "classification", 0.002)
    (setting,) = spec.endpoints
    assert (setting.spawn, setting.branches, setting.connectable) == ((0, 1, 5), 3, 3)


def test_what_is_not_said_is_filled_in() -> None:
    """A number of starts is so many evenly spaced ones; batch size and replicas are as the noise has them."""
    spec = load_spec(yaml.safe_load(FULL))
    assert [(d.lr, d.batch_size, d.replicas) for d in spec.measure.drift] == [
        (0.1, 2, 48),
        (0.1, 8, 48),
        (0.3, 2, 48),
        (0.3, 8, 48),
        (0.1, 16, 32),
    ]
    assert [d.steps for d in spec.measure.drift[3:]] == [(100,), (10, 100)]
    by_steps, control, adam = spec.relaxations[:3], spec.relaxations[3], spec.relaxations[4]
    assert [r.project for r in by_steps] == [1, 15, None]
    assert by_steps[0].starts == pytest.approx([i / 10 for i in range(1, 10)])
    assert (control.batch_size, control.replicas, by_steps[0].batch_size, by_steps[0].replicas) == (None, 1, 16, 8)
    assert (adam.starts, adam.betas, adam.stop) == ((0.25, 0.5, 0.75), (0.8, 0.99), False)


@pytest.mark.parametrize("text", [FULL, SPAWNED])
def test_they_are_read_back_as_they_were(text: str) -> None:
    spec = load_spec(yaml.safe_load(text))
    dumped = dump_spec(spec)
    assert load_spec(yaml.safe_load(dumped)) == spec
    assert dump_spec(load_spec(yaml.safe_load(dumped))) == dumped


def relaxation(**said: Any) -> RelaxationSpec:
    return RelaxationSpec.model_validate({"lr": 0.1, "time": 5.0, "starts": 3} | said)


def test_the_time_of_a_relaxation_is_counted_at_the_effective_rate() -> None:
    assert relaxation().steps == 50
    assert relaxation(momentum=0.9).speed == pytest.approx(1.0)
    assert relaxation(momentum=0.9).steps == 5
    assert relaxation(time=5.01).steps == 51
    assert relaxation(time=1e-9).steps == 1
    assert DriftSpec(lr=0.2, momentum=0.5).speed == pytest.approx(0.4)


def test_the_sweep_that_all_this_is_tried_on_is_right() -> None:
    assert load_spec(yaml.safe_load(GOOD)).measure.drift == ()
    assert load_spec(yaml.safe_load(GOOD)).relaxations == ()
