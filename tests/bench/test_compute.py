"""The compute suites on a tiny scale: that their contenders do the work, not how fast."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mcdist.bench import plain
from mcdist.bench.problems import digits_mlp, image_problem, model_of
from mcdist.bench.row import Row
from mcdist.bench.stepping import Stepping
from mcdist.bench.suites import curve_step, gpu, pack, profile
from mcdist.execute.compilation import Compiler
from mcdist.execute.programs import Programs
from mcdist.problems.data import load_dataset

TINY = {"channels": [4], "convs": 1, "hidden": [4]}


def assert_measured(row: Row, contenders: set[str]) -> None:
    assert row.status == "measured"
    assert row.value is not None
    assert row.value > 0
    assert contenders <= {number.name for number in row.numbers}


def test_a_curve_step_is_compared_with_a_plain_one() -> None:
    assert_measured(curve_step.step_row("tiny", "resnet20", 1, 1, size=8, batch=4), {"Bezier step", "plain SGD step"})


@pytest.mark.parametrize("curves", [False, True])
def test_a_pack_is_compared_with_networks_one_by_one(curves: bool) -> None:
    assert_measured(pack.pack_row("tiny", curves, 1, 1.0, k=2, steps=2), {"plain", "packed"})


def test_both_ways_of_a_profile_find_the_same_numbers() -> None:
    """What is timed against each other is the same: losses and errors at the inner positions, BatchNorm and all."""
    line = profile.Line(digits_mlp(batch_norm=True), 5)
    line.loop_with(digits_mlp(batch_norm=True).module.module)
    assert torch.allclose(line.measured(), line.by_loop(1000)[1:-1], rtol=1e-4, atol=1e-5)


def test_a_convnets_profile_is_compared_with_its_forward_passes() -> None:
    row = profile.convnet_row(1, 3, train=16, test=8, args=TINY)
    assert_measured(row, {"loop", "mcdist", "floor", "forward passes alone / mcdist"})


def test_the_suite_for_gpus_runs_on_any_device() -> None:
    small = image_problem("convnet", size=8, train=32, test=8, args=TINY)
    assert_measured(gpu.pack_row("tiny", small, 4, 2, 2, 1, 1.0), {"plain", "stack"})
    assert_measured(gpu.alone_row("tiny", small, 4, 2, 1), {"plain", "mcdist", "matrix rate, float32", "of it"})


def test_steps_go_on_from_epoch_to_epoch_and_lower_the_loss() -> None:
    problem = digits_mlp()
    stepping = Stepping(problem, 2, 256, lr=0.1)
    before = problem.evaluate(stepping.points())["train_loss"]
    stepping.run(30)  # of five full minibatches an epoch
    assert (problem.evaluate(stepping.points())["train_loss"] < before).all()


def test_the_plain_network_learns_too() -> None:
    x, y = digits_mlp().data_of("train")
    model = model_of("mlp", load_dataset("digits"), hidden=[64, 64])
    before = torch.nn.functional.cross_entropy(model(x), y)
    plain.PlainNetwork(model, 0.1).train(plain.sgd_batches(x, y, 256, 30))
    assert torch.nn.functional.cross_entropy(model(x), y) < before


@pytest.mark.long
def test_the_compiled_profile_is_compared_too(tmp_path: Path) -> None:
    programs = Programs(Compiler(tmp_path))
    row = profile.mlp_row(1, 4, programs)
    assert_measured(row, {"loop", "mcdist", "mcdist, compiled"})
    assert list(tmp_path.glob("*.pt2")), "something was compiled"
