"""How a sweep is parted, and what groups of paths and end points are called."""

import pandas as pd
import pytest

from mcdist.analysis.report.endpoints import label_endpoints, trained_on
from mcdist.analysis.report.measures import in_order, name_measures
from mcdist.analysis.report.studies import studies
from mcdist.analysis.report.sweep import MEASURED, SweepTables

from ..frames import frame, sweep_rows
from ..measured import curvature_rows, cycle_rows, plane_rows


def sweep(rows):
    names = ("tasks", "endpoints", "paths", "path_points", "barriers", *MEASURED)
    return SweepTables("store", ["first"], {}, 0, **{name: frame(name, rows.get(name, [])) for name in names})


def groups(rows):
    (study,) = studies(sweep(rows))
    return study.paths["path"].cat.categories.tolist()


def test_groups_are_told_apart_by_alignment_repair_and_objective():
    variants = [
        ("linear", False, {}),
        ("linear", True, {"alignment": "weights"}),
        ("linear", True, {"alignment": "activations"}),
        ("linear", True, {"alignment": "weights", "repair": True}),
        ("bezier", False, {"objective": "uniform"}),
        ("bezier", False, {"objective": "arclength"}),
    ]
    assert groups(sweep_rows(seeds=range(2), variants=variants)) == [
        "linear",
        "linear, aligned by activations",
        "linear, aligned by weights",
        "linear, aligned by weights, repair",
        "bezier, objective arclength",
        "bezier, objective uniform",
    ]


def test_the_points_of_an_autoneb_are_an_outcome_and_its_steps_a_setting():
    rows = sweep_rows(seeds=range(3), variants=[("chain", False, {})])
    for number, path in enumerate(rows["paths"]):
        path.update(kind="autoneb", n_points=5 + number)
    assert groups(rows) == ["autoneb"]
    rows["path_cycles"] = [row for i, path in enumerate(rows["paths"]) for row in cycle_rows(path, [1.0] * (1 + i % 2))]
    assert groups(rows) == ["autoneb, steps 100", "autoneb, steps 200"]


def test_tours_are_groups_of_their_own_after_the_pairs():
    rows = sweep_rows(seeds=range(4), variants=[("linear", False, {}), ("bezier", False, {})])
    for path in rows["paths"][:2]:
        path.update(via=["digits-3"], n_points=5)
    (study,) = studies(sweep(rows))
    assert study.paths["path"].cat.categories.tolist() == ["linear", "linear, via 1", "bezier", "bezier, via 1"]
    assert study.group == ("path", "via")
    assert study.variants["stops"].tolist() == [0, 1, 0, 1]
    assert study.barriers["path"].notna().all()


def test_what_lies_in_no_path_is_in_the_study_of_its_end_points():
    rows = sweep_rows(seeds=range(3))
    others = sweep_rows("letters", seeds=range(3))
    plane, marks = plane_rows(*others["endpoints"])
    rows["endpoints"] += others["endpoints"]
    alone = {"task_id": "c", "role": "endpoint", "endpoint_id": "digits-0", "measure": "lambda_max", "value": 1.0}
    rows |= {"planes": plane, "plane_marks": marks, "curvature": [alone, *curvature_rows(rows["paths"][0])]}
    digits, letters = studies(sweep(rows))
    assert (digits.label, letters.label) == ("digits", "letters")
    assert (len(digits.curvature), len(digits.planes), len(digits.plane_marks)) == (12, 0, 0)
    assert (len(letters.paths), len(letters.planes), len(letters.plane_marks)) == (0, len(plane), 3)
    assert len(letters.endpoints) == 3


def test_an_end_point_that_was_trained_on_is_called_so():
    rows = sweep_rows(seeds=range(2))["endpoints"]
    control = rows[0] | {"endpoint_id": "control", "parent_id": "digits-0", "lr": 0.01}
    branch = rows[1] | {"endpoint_id": "branch", "parent_id": "digits-1", "spawn_epoch": 3}
    orphan = control | {"endpoint_id": "orphan", "parent_id": "elsewhere"}
    table = frame("endpoints", [*rows, control, branch, orphan])
    assert trained_on(table).tolist() == [False, False, True, False, True]
    assert label_endpoints(table).tolist() == [
        "digits",
        "digits",
        "digits, trained on",
        "digits, spawn epoch 3",
        "digits, trained on",
    ]


def test_controls_are_told_apart_by_how_they_were_trained():
    (first, second) = sweep_rows(seeds=range(2))["endpoints"]
    second["lr"] = 0.3
    controls = [first | {"endpoint_id": f"c{epochs}", "parent_id": "digits-0", "epochs": epochs} for epochs in (5, 7)]
    assert label_endpoints(frame("endpoints", [first, second, *controls])).tolist() == [
        "digits, lr 0.1",
        "digits, lr 0.3",
        "digits, lr 0.1, trained on, epochs 5",
        "digits, lr 0.1, trained on, epochs 7",
    ]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"label_mode": "sampled"}, "Fisher trace, sampled labels"),
        ({"n_samples": 50}, "Fisher trace, 50 examples"),
        ({"weight_decay": 0.5}, "Fisher trace, weight decay 0.5"),
        ({"subset_seed": 1}, "Fisher trace"),
    ],
)
def test_measures_are_named_by_the_settings_that_vary(change, name):
    path = sweep_rows(seeds=range(2))["paths"][0]
    plain = curvature_rows(path, label_mode="data")
    rows = frame("curvature", plain + curvature_rows(path, label_mode="data", **{}) + [r | change for r in plain])
    names = name_measures(rows)
    assert names.iloc[-1] == name
    other = curvature_rows(path, "lambda_max")
    assert set(name_measures(frame("curvature", other))) == {"largest Hessian eigenvalue"}


def test_the_first_measures_come_first():
    rows = pd.DataFrame({"measure": ["log_det", "lambda_max", "fisher_trace", "unheard_of"]})
    names = rows["measure"]
    assert in_order(rows, names) == ["fisher_trace", "lambda_max", "log_det", "unheard_of"]
