"""What a user is told about paths, tours and measures that are wrong: one message each."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcdist.errors import RequestError
from mcdist.spec import load_spec
from spec.examples import FULL, GOOD, complaint, edited

BEZIER = "kind: bezier\n    train: {epochs: 3, lr: 0.2}"
NEB_KEYS = (
    "batch_size, cycles, dense, insert, lr, momentum, most, pivots, precision, refine, scale, threshold, weight_decay"
)
CURVATURE_KEYS = (
    "at, controls, floor, kinds, labels, layers, max_iterations, measures, points, probes, samples, seed, tol, top_k, "
    "weight_decay"
)

# by where it stands: what is written there -> what is said
NEB = {
    "{pivots: 1}": "pivots: must be greater than or equal to 2; got 1",
    "{pivots: 20, most: 10}": "most: 10 pivots at most, but 20 at the beginning",
    "{most: 2}": "most: 2 pivots at most, but 3 at the beginning",
    "{cycles: short, most: 10}": "most: 10 pivots at most, but 15 at the beginning",
    "{cycles: []}": "cycles: must be long, short, or a list of cycles {steps, lr} that is not empty",
    "{cycles: lon}": "cycles: must be 'long' or 'short' or a list; got 'lon' (did you mean 'long'?)",
    "{cycles: {steps: 5, lr: 1}}": "cycles: must be 'long' or 'short' or a list; got {\"steps\": 5, \"lr\": 1}",
    "{cycles: [5]}": "cycles.0: must be a mapping; got 5",
    "{cycles: [{steps: 5, lr: 1}, {steps: 0, lr: 1}]}": "cycles.1.steps: must be greater than or equal to 1; got 0",
    "{cycles: [{steps: 5}]}": "cycles.0.lr: is missing",
    "{cycles: [{steps: 5, lr: 1, step: 1}]}": "cycles.0.step: unknown key 'step'; did you mean 'steps'? "
    "allowed: lr, steps",
    "{cycles: [{steps: 5, lr: 1}], lr: 0.1}": "lr: cycles that are listed have no lr; it is for long and short",
    "{cycles: [{steps: 5, lr: 1}], scale: 2}": "scale: cycles that are listed have no scale; it is for long and short",
    "{scale: 0}": "scale: must be greater than 0; got 0",
    "{threshold: 1}": "threshold: must be less than 1; got 1",
    "{dense: 0}": "dense: must be greater than or equal to 1; got 0",
    "{insert: -1}": "insert: must be greater than or equal to 0; got -1",
    "{momentum: 1}": "momentum: must be less than 1; got 1",
    "{refine: 1}": "refine: must be true or false; got 1",
    "{precision: half}": "precision: must be 'full' or 'bfloat16'; got 'half'",
    "{pivot: 3}": f"pivot: unknown key 'pivot'; did you mean 'pivots'? allowed: {NEB_KEYS}",
}
ALIGN = {
    "weight": ": must be 'none', 'weights' or 'activations'; got 'weight' (did you mean 'weights'?)",
    "{method: activation}": ".method: must be 'none', 'weights' or 'activations'; got 'activation' "
    "(did you mean 'activations'?)",
    "3": ": must be a name or a mapping; got 3",
    "{restarts: 3}": ".restarts: matching by 'none' has no restarts",
    "{structure: {groups: {}}}": ".structure: matching by 'none' has no structure",
    "{method: activations, restarts: 3}": ".restarts: matching by 'activations' has no restarts",
    "{method: activations, seed: 3}": ".seed: matching by 'activations' has no seed",
    "{method: weights, samples: 5}": ".samples: matching by 'weights' has no samples",
    "{method: weights, restarts: 0}": ".restarts: must be greater than or equal to 1; got 0",
    "{method: activations, samples: 1}": ".samples: must be greater than or equal to 2; got 1",
    "{method: weights, structure: [1]}": ".structure: must be a mapping; got [1]",
    "{method: weights, structure: {groups: {a: [[.nan, 0]]}}}": ".structure: must be finite numbers, text, true, "
    'false, null, lists and mappings; got {"groups": {"a": [[NaN, 0]]}}',
    "{method: weights, restart: 3}": ".restart: unknown key 'restart'; did you mean 'restarts'? "
    "allowed: method, restarts, samples, seed, structure",
}
CURVATURE = {
    "{samples: 0}": ".samples: must be greater than or equal to 1; got 0",
    "{points: 2}": ".points: must be greater than or equal to 3; got 2",
    "{probes: 1}": ".probes: must be greater than or equal to 2; got 1",
    "{tol: 0}": ".tol: must be greater than 0; got 0",
    "{floor: 0}": ".floor: must be greater than 0; got 0",
    "{top_k: 0}": ".top_k: must be greater than or equal to 1; got 0",
    "{max_iterations: 1}": ".max_iterations: must be greater than or equal to 2; got 1",
    "{weight_decay: -1}": ".weight_decay: must be greater than or equal to 0; got -1",
    "{measures: []}": ".measures: must have at least one entry; got []",
    "{measures: lambda_max}": ".measures: must be a list; got 'lambda_max'",
    "{measures: [lambda_max, top_k, lambda_max]}": ".measures.2: 'lambda_max' is here twice",
    "{kinds: [bezier, bezier]}": ".kinds.1: 'bezier' is here twice",
    "{at: endpoint}": ".at: must be 'paths' or 'endpoints'; got 'endpoint' (did you mean 'endpoints'?)",
    "{labels: drawn}": ".labels: must be 'data' or 'sampled'; got 'drawn'",
    "{sample: 5}": f".sample: unknown key 'sample'; did you mean 'samples'? allowed: {CURVATURE_KEYS}",
    "[{}, {points: 21}]": ".1: comes to the same as a setting before it",
    "{seed: {grid: [1, -1]}}": ".seed.grid.1: must be greater than or equal to 0; got -1",
}
PLANE = {
    "{through: [[0, 1, 1]]}": ".through.0: [0, 1, 1] has an end point twice: three points on a line span no plane; "
    "give three different ones",
    "{through: [[0, 1, 2], [0, 1, 4]]}": ".through.1: [0, 1, 4] is out of range: there are 4 end points, "
    "positions 0 to 3",
    "{through: [[0, 1, -1]]}": ".through.0: [0, 1, -1] is out of range: there are 4 end points, positions 0 to 3",
    "{through: [[0, 1, 2], [2, 1, 0]]}": ".through.1: the plane through [2, 1, 0] is here twice",
    "{through: [[0, 1]]}": ".through.0: must be three positions [i, j, k] of end points; got [0, 1]",
    "{through: [0, 1, 2]}": ".through.0: must be three positions [i, j, k] of end points; got 0",
    "{through: [[0, 1, x]]}": ".through.0.2: must be an integer; got 'x'",
    "{through: all}": ".through: must be a list; got 'all'",
    "{through: [[0, 1, 2]], kinds: [bezier]}": ".kinds: planes through end points have no kinds; that is for planes of "
    "paths",
    "{through: [[0, 1, 2]], pairs: chain}": ".pairs: planes through end points have no pairs; that is for planes of "
    "paths",
    "{points: 2}": ".points: must be greater than or equal to 3; got 2",
    "{margin: -1}": ".margin: must be greater than or equal to 0; got -1",
    "{pairs: [[0, 9]]}": ".pairs.0: [0, 9] is out of range: there are 4 end points, positions 0 to 3",
    "{pairs: {random: 7}}": ".pairs.random: 7 different pairs are more than the 6 that 4 end points have",
    "{pairs: al}": ".pairs: must be all, chain, none, {random: n}, or a list of pairs [i, j]; got 'al'",
    "{point: 3}": ".point: unknown key 'point'; did you mean 'points'? allowed: kinds, margin, pairs, points, through",
    "[{points: 5}, {points: 5}]": ".1: comes to the same as a setting before it",
}
TOURS = {
    "[[0, 1]]": ".0: must be at least three positions of end points; got [0, 1]",
    "[0, 1, 2]": ".0: must be at least three positions of end points; got 0",
    "[[0, 1, 2], [0, 0, 1]]": ".1: [0, 0, 1] goes from an end point to itself",
    "[[0, 1, 4]]": ".0: [0, 1, 4] is out of range: there are 4 end points, positions 0 to 3",
    "[[0, -1, 2]]": ".0: [0, -1, 2] is out of range: there are 4 end points, positions 0 to 3",
    "[[0, 1, 2], [0, 1, 2]]": ".1: the tour [0, 1, 2] is here twice",
    "[[0, 1, x]]": ".0.2: must be an integer; got 'x'",
    "all": ": must be a list; got 'all'",
    "{grid: [[[0, 1, 2]]]}": ": no grid is possible here; allowed in: problem, endpoints, paths, measure.profile, "
    "measure.curvature, measure.plane, measure.drift, relaxations, ensembles",
}
PATH = {
    "objective: arclen": "objective: must be 'uniform' or 'arclength'; got 'arclen' (did you mean 'arclength'?)",
    "repair: 1": "repair: must be true or false; got 1",
    "neb: {}": "neb: a path of kind 'bezier' has no neb; it is for autoneb",
    "neb: 5": "neb: must be a mapping; got 5",
}


@pytest.mark.parametrize("text", NEB)
def test_neb(tmp_path: Path, text: str) -> None:
    wrong = edited(BEZIER, f"kind: autoneb\n    neb: {text}")
    assert complaint(tmp_path, wrong) == f"s.yaml:12: paths.1.neb.{NEB[text]}"


@pytest.mark.parametrize("text", ALIGN)
def test_align(tmp_path: Path, text: str) -> None:
    wrong = edited("kind: linear", f"kind: linear\n    align: {text}")
    assert complaint(tmp_path, wrong) == f"s.yaml:11: paths.0.align{ALIGN[text]}"


@pytest.mark.parametrize("text", PATH)
def test_path(tmp_path: Path, text: str) -> None:
    assert complaint(tmp_path, edited(BEZIER, f"{BEZIER}\n    {text}")) == f"s.yaml:13: paths.1.{PATH[text]}"


@pytest.mark.parametrize(
    ("section", "text", "said"),
    [
        (section, text, said)
        for section, cases in (("curvature", CURVATURE), ("plane", PLANE))
        for text, said in cases.items()
    ],
)
def test_measure(tmp_path: Path, section: str, text: str, said: str) -> None:
    wrong = edited("{points: 11}", f"{{points: 11}}\n  {section}: {text}")
    assert complaint(tmp_path, wrong) == f"s.yaml:15: measure.{section}{said}"


def test_no_such_measure(tmp_path: Path) -> None:
    assert complaint(tmp_path, edited("profile:", "profil:")) == (
        "s.yaml:14: measure.profil: unknown key 'profil'; did you mean 'profile'? "
        "allowed: curvature, drift, plane, profile"
    )


@pytest.mark.parametrize("text", TOURS)
def test_tours(tmp_path: Path, text: str) -> None:
    assert complaint(tmp_path, edited("pairs: all", f"pairs: all\ntours: {text}")) == f"s.yaml:9: tours{TOURS[text]}"


def test_tours_need_paths_and_say_nothing_of_paths_that_are_wrong(tmp_path: Path) -> None:
    paths = GOOD[GOOD.index("paths:") : GOOD.index("measure:")]
    tours = "tours: [[0, 1, 2]]\n"
    assert complaint(tmp_path, edited(paths, tours)) == (
        "s.yaml:9: tours: a tour needs a kind of path for its legs: say at least one under paths"
    )
    assert (
        complaint(tmp_path, edited(paths, f"paths: {{kind: 5}}\n{tours}"))
        == "s.yaml:9: paths.kind: must be text; got 5"
    )


def test_every_setting_of_end_points_must_have_the_positions() -> None:
    """Also where only one of two settings has too few of them."""
    with pytest.raises(RequestError, match=r"tours\.0: \[0, 2, 1\] is out of range: there are 2 end points"):
        load_spec({**plain(), "tours": [[0, 2, 1]], "endpoints": [settings(3), settings(2, lr=0.5)]})
    measure = {"plane": {"through": [[0, 2, 1]]}}
    with pytest.raises(RequestError, match=r"through\.0: \[0, 2, 1\] is out of range: there are 2 end points"):
        load_spec({**plain(), "measure": measure, "endpoints": [settings(3), settings(2, lr=0.5)]})


def settings(seeds: int, lr: float = 0.1) -> dict[str, object]:
    return {"seeds": seeds, "train": {"epochs": 1, "lr": lr}}


def plain() -> dict[str, object]:
    return {"name": "x", "problem": {"data": "digits", "model": "mlp"}, "paths": {"kind": "linear"}}


def test_the_sweep_that_all_this_is_tried_on_is_right(tmp_path: Path) -> None:
    for text in (GOOD, FULL):
        file = tmp_path / "s.yaml"
        file.write_text(text)
        assert load_spec(file).paths
