"""Published accuracies of ensembles, and what stands beside them."""

import numpy as np
import pytest

from mcdist.analysis import PUBLISHED_ENSEMBLES, ensemble_summary, published_ensembles

from .ensembled import ensembles, frames
from .frames import endpoint


def ends(**columns):
    return frames("endpoints", [endpoint("digits", seed, np.random.default_rng(0)) | columns for seed in range(6)])


def found(**columns):
    return published_ensembles(frames("ensembles", ensembles()[0]), ends(**columns))


def test_the_numbers_are_those_of_the_paper():
    accuracies = {(e.models, e.method, e.budget): e.accuracy for e in PUBLISHED_ENSEMBLES}
    assert len(accuracies) == len({e.name for e in PUBLISHED_ENSEMBLES}) == 18
    assert accuracies[(("vgg16",), "independent", 1)] == 72.5
    assert accuracies[(("preresnet164",), "fge", 1)] == 80.3
    assert accuracies[(("wide_resnet28x10",), "fge", 3)] == 83.2


@pytest.mark.parametrize("columns", [{}, {"model": "vgg16"}, {"dataset": "cifar100"}, {"dataset": None, "model": None}])
def test_nothing_stands_beside_a_number_of_another_problem(columns):
    table = found(**columns)
    assert set(table["status"]) == {"not measured"}
    assert len(table) == 18


def test_the_same_network_data_method_and_budget_are_set_beside_each_other():
    table = found(dataset="cifar100", model="vgg16")
    measured = table[table["status"] == "measured"]
    assert measured["name"].tolist() == [
        f"garipov-cifar100-vgg16-{m}-{b}" for m in ("independent", "fge") for b in (1, 2, 3)
    ]
    summary = ensemble_summary(frames("ensembles", ensembles()[0])).set_index(["method", "budget"])
    row, mine = measured.iloc[4], summary.loc[("fge", 2)]
    assert (row["published"], row["seeds"]) == (76.1, 6)
    assert row["accuracy"] == pytest.approx(100 - 100 * mine["test_error"])
    assert (row["low"], row["high"]) == (
        pytest.approx(100 - 100 * mine["test_error_high"]),
        pytest.approx(100 - 100 * mine["test_error_low"]),
    )


def test_no_ensembles_are_not_measured():
    table = published_ensembles(frames("ensembles", []), ends())
    assert set(table["status"]) == {"not measured"}
