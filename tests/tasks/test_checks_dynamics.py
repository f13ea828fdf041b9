"""Noisy dynamics that cannot be are refused where they are, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command_line import Command

from mcdist.errors import RequestError
from mcdist.spec import load_spec
from mcdist.spec.yaml_source import write_yaml
from mcdist.tasks.problems import prepare

SGD = {"epochs": 2, "lr": 0.1}
LINE: dict[str, Any] = {"kind": "linear"}
CURVE: dict[str, Any] = {"kind": "bezier", "train": SGD}
VALLEY: dict[str, Any] = {"kind": "valley", "stiff": 3}
DIGITS: dict[str, Any] = {"data": {"name": "digits", "train_size": 100}, "model": "mlp"}
DROPOUT: dict[str, Any] = DIGITS | {"model": "support.models:Forgetful"}
WALK: dict[str, Any] = {"lr": 0.1, "samples": 100, "starts": 3}
RUN = WALK | {"time": 5.0}
HOT = {"noise": "isotropic", "temperature": 0.1}


def sweep(problem: Any = DIGITS, paths: Any = (LINE, CURVE), drift: Any = (), relaxations: Any = ()) -> dict[str, Any]:
    return {
        "name": "s",
        "problem": problem,
        "endpoints": {"seeds": 3, "train": SGD},
        "paths": list(paths),
        "measure": {"drift": list(drift)},
        "relaxations": list(relaxations),
    }


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sixty images, as a data file."""
    file, draw = tmp_path_factory.mktemp("images") / "images.npz", np.random.default_rng(0)
    arrays = {"x_train": draw.random((60, 1, 6, 6), dtype=np.float32), "y_train": draw.integers(0, 3, 60)}
    np.savez(file, **arrays)
    return f"npz:{file}"


NO_EXAMPLES = "needs training examples; a valley is a function of the weights alone, and has none"
OF_BOTH: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a kind that is not in the sweep": (
        {},
        {"kinds": ["beziers"]},
        "kinds: unknown path kind 'beziers'; did you mean 'bezier'? allowed: bezier, linear",
    ),
    "a kind that exists elsewhere": ({}, {"kinds": ["chain"]}, "kinds: unknown path kind 'chain'; allowed: bezier, "),
    "no paths": ({"paths": []}, {}, "there are no paths: say at least one under paths"),
    "repaired lines alone": ({"paths": [LINE | {"repair": True}]}, {}, "every path that is meant is a repaired line"),
    "repaired lines meant": (
        {"paths": [CURVE, LINE | {"repair": True}]},
        {"kinds": ["linear"]},
        "every path that is meant is a repaired line (repair: true), whose networks are not the points of a line",
    ),
    "more than a batch has": ({}, {"batch_size": 101}, "batch_size: 101 is more than the 100 training examples"),
    "more than a batch has that isotropic noise stands for": (
        {},
        {"batch_size": 101, "noise": "isotropic"},
        "batch_size: 101 is more than the 100 training examples",
    ),
    "more samples than there are": ({}, {"samples": 101}, "samples: 101 are more than the 100 training examples"),
    "the samples that are usual": ({}, {"samples": 1000}, "samples: 1000 are more than the 100 training examples"),
    "minibatches of a valley": (
        {"problem": VALLEY},
        {},
        f"noise: minibatch {NO_EXAMPLES}; say noise: isotropic and a temperature",
    ),
    "isotropic noise of no temperature in a valley": (
        {"problem": VALLEY},
        {"noise": "isotropic"},
        f"temperature: is missing: one that stands for minibatches {NO_EXAMPLES}; say which",
    ),
    "one problem of two": (
        {"problem": [DIGITS, VALLEY]},
        {},
        f"problem.1: noise: minibatch {NO_EXAMPLES}",
    ),
    "one data set of two": (
        {"problem": [DIGITS, DIGITS | {"data": {"name": "digits", "train_size": 50}}]},
        {},
        "problem.1: samples: 100 are more than the 50 training examples",
    ),
}
DRAWS = "follows the gradient of all training examples, without any noise; the model support.models:Forgetful draws"
RANDOM: dict[str, tuple[dict[str, Any], str]] = {
    "a drift": ({"drift": [WALK]}, f"measure.drift.0: the noise-free twin of a drift {DRAWS}"),
    "full batches": ({"relaxations": [RUN | {"noise": "none"}]}, f"relaxations.0: noise: none {DRAWS}"),
    "isotropic noise": ({"relaxations": [RUN, RUN | HOT]}, f"relaxations.1: noise: isotropic {DRAWS}"),
}


def refused(said: dict[str, Any]) -> str:
    with pytest.raises(RequestError) as caught:
        prepare(load_spec(said), "s.yaml")
    return str(caught.value)


@pytest.mark.parametrize("case", OF_BOTH)
def test_what_the_sweep_does_not_have(case: str) -> None:
    about, how, reason = OF_BOTH[case]
    drifts = sweep(**about, drift=[WALK | {"seed": 1} | HOT, WALK | how] if about == {} else [WALK | how])
    place = f"s.yaml: measure.drift.{len(drifts['measure']['drift']) - 1}: "
    assert refused(drifts).startswith(place + reason)
    assert refused(sweep(**about, relaxations=[RUN | how])).startswith(f"s.yaml: relaxations.0: {reason}")


@pytest.mark.parametrize("case", RANDOM)
def test_dropout_where_a_gradient_must_be_without_noise(case: str) -> None:
    said, reason = RANDOM[case]
    assert refused(sweep(DROPOUT, **said)).startswith(f"s.yaml: {reason}")


def test_dropout_where_minibatches_are_noise_anyway() -> None:
    prepare(load_spec(sweep(DROPOUT, relaxations=[RUN])))
    prepare(load_spec(sweep(DROPOUT)))


def test_augmented_data_are_another_objective_for_full_batches(images: str) -> None:
    problem = {"data": {"name": images, "augment": "crop_flip", "crop_pad": 1, "test": 0.2}, "model": "mlp"}
    how = {"lr": 0.1, "samples": 10, "starts": 3}
    reason = "data.augment: crop_flip makes other examples at each step, and so another objective"
    assert refused(sweep(problem, drift=[how])).endswith(reason)
    assert refused(sweep(problem, relaxations=[how | {"time": 1.0, "noise": "none"}])).endswith(reason)
    prepare(load_spec(sweep(problem, relaxations=[how | {"time": 1.0}])))


def test_what_is_right_is_taken() -> None:
    """Numbers of examples are of no matter where no minibatch is; a repaired line may stand beside another path."""
    drift = [WALK, WALK | {"batch_size": 100}, WALK | HOT | {"samples": 1000}, WALK | {"samples": None}]
    relaxations = [RUN, RUN | {"noise": "none", "samples": 1000}, RUN | HOT | {"kinds": ["bezier"]}]
    prepare(load_spec(sweep(paths=[LINE | {"repair": True}, CURVE], drift=drift, relaxations=relaxations)))
    cold = {"noise": "none", "samples": 1000}
    prepare(load_spec(sweep(VALLEY, drift=[WALK | HOT | {"samples": 1000}], relaxations=[RUN | HOT, RUN | cold])))


WRONG_IN_A_VALLEY: dict[str, tuple[dict[str, Any], str]] = {
    "fisher": (
        {"measure": {"curvature": [{"measures": ["lambda_max", "fisher_trace"]}]}},
        "measure.curvature.0: fisher_trace needs the likelihood of labels; a valley is a loss alone; "
        "allowed: density, hessian_trace, lambda_max, log_det, top_k",
    ),
    "what is usual": ({"measure": {"curvature": [{}]}}, "measure.curvature.0: fisher_trace needs the likelihood"),
    "ggn": (
        {"measure": {"curvature": [{"measures": ["ggn_log_det"]}]}},
        "measure.curvature.0: ggn_log_det needs outputs of a network; a valley is a loss alone; allowed: density, ",
    ),
    "noise of gradients": (
        {"measure": {"curvature": [{"measures": ["gradient_noise"]}]}},
        f"measure.curvature.0: gradient_noise {NO_EXAMPLES}; allowed: density, ",
    ),
    "align": (
        {"paths": [LINE, LINE | {"align": "weights"}]},
        "problem: paths.1: align is for networks; a valley has no hidden units",
    ),
    "repair": ({"paths": [LINE | {"repair": True}]}, "problem: paths.0: repair is for networks; a valley has no "),
}


@pytest.mark.parametrize("case", WRONG_IN_A_VALLEY)
def test_what_a_valley_has_not(case: str) -> None:
    said, reason = WRONG_IN_A_VALLEY[case]
    assert refused(sweep(VALLEY) | said).startswith(f"s.yaml: {reason}")


def test_what_a_valley_has() -> None:
    curvature = [{"measures": ["lambda_max", "top_k", "hessian_trace", "log_det", "density"], "samples": 7}]
    prepared = prepare(load_spec(sweep(VALLEY) | {"measure": {"curvature": curvature, "plane": [{"points": 5}]}}))
    (facts,) = prepared.facts
    assert (facts.n_params, facts.train, facts.evaluated, facts.convolutional) == (4, 1, 1, False)
    assert prepared.datasets == {}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (sweep(drift=[WALK | {"batch_size": 101}]), "measure.drift.0: batch_size: 101 is more than the 100 training"),
        (sweep(relaxations=[RUN | {"starts": [1.0]}]), "relaxations.0.starts.0: must be inside the path, in (0, 1)"),
        (sweep(relaxations=[RUN | {"project": 0}]), "relaxations.0.project: must be greater than or equal to 1; got 0"),
        (sweep(drift=[WALK | HOT | {"temperature": -1.0}]), "measure.drift.0.temperature: must be greater than or "),
        (sweep(VALLEY, relaxations=[RUN]), "relaxations.0: noise: minibatch needs training examples"),
        (sweep({"kind": "vally"}), "problem.kind: must be 'classification', 'valley', "),
        (sweep(DROPOUT, drift=[WALK]), "measure.drift.0: the noise-free twin of a drift follows"),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_exit_2_one_message_and_nothing_written(
    mcdist: Command, tmp_path: Path, command: str, said: dict[str, Any], reason: str
) -> None:
    file, store = tmp_path / "s.yaml", tmp_path / "store"
    file.write_text(write_yaml(said))
    how = ["--executor", "serial"] if command == "run" else []
    code, out, err = mcdist(command, file, "--store", store, *how)
    assert code == 2
    assert reason in " ".join(err.split())
    assert "Traceback" not in out + err
    assert not store.exists()
