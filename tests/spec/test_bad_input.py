"""What a user is told about a sweep that is wrong: where, what was got, what is allowed, the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcdist.errors import RequestError
from mcdist.spec import load_spec
from spec.examples import GOOD, SWEEP_KEYS, complaint, edited

ENDPOINT_TRAIN = "train: {epochs: 2, lr: 0.1}"
TRAIN_KEYS = "batch_size, betas, epochs, eps, lr, momentum, nesterov, optimizer, precision, schedule, weight_decay"
NO_GRID = (
    "no grid is possible here; allowed in: problem, endpoints, paths, measure.profile, measure.curvature, "
    "measure.plane, measure.drift, relaxations, ensembles"
)


CASES = {
    # unknown keys, at each level
    "top": (
        "pairs: all",
        "pears: all",
        f"s.yaml:8: pears: unknown key 'pears'; did you mean 'pairs'? allowed: {SWEEP_KEYS}",
    ),
    "in problem": (
        "data: digits",
        "data: digits\n  losss: x",
        "s.yaml:4: problem.losss: unknown key 'losss'; did you mean 'loss'? "
        "allowed: data, dtype, eval_batch, kind, loss, model, statistics_size, weight_decay",
    ),
    "in data": (
        "data: digits",
        "data: {name: digits, fold: 1}",
        "s.yaml:3: problem.data.fold: unknown key 'fold'; allowed: augment, crop_pad, digest, download, name, root, "
        "split_seed, test, test_size, train_size, validation",
    ),
    "in train": (
        ENDPOINT_TRAIN,
        "train: {epochs: 2, lr: 0.1, learning_rate: 1}",
        f"s.yaml:7: endpoints.train.learning_rate: unknown key 'learning_rate'; allowed: {TRAIN_KEYS}",
    ),
    "in a list": (
        "kind: bezier",
        "kind: bezier\n    bend: 2",
        "s.yaml:12: paths.1.bend: unknown key 'bend'; did you mean 'bends'? "
        "allowed: align, bends, draws, ends, eps, keep, kind, neb, objective, repair, seed, train",
    ),
    "in measure": (
        "points: 11",
        "point: 11",
        "s.yaml:14: measure.profile.point: unknown key 'point'; did you mean 'points'? allowed: points",
    ),
    "in pairs": (
        "pairs: all",
        "pairs: {random: 2, sead: 1}",
        "s.yaml:8: pairs.sead: unknown key 'sead'; did you mean 'seed'? allowed: kind, pairs, random, seed",
    ),
    # missing
    "no name": ("name: test\n", "", "s.yaml:1: name: is missing"),
    "no seeds": ("  seeds: 4\n", "", "s.yaml:5: endpoints.seeds: is missing"),
    "nothing": ("data: digits", "data:", "s.yaml:3: problem.data: must be a name or a mapping; got null"),
    # types
    "text for number": (
        "lr: 0.2",
        "lr: fast",
        "s.yaml:12: paths.1.train.lr: must be a number; got 'fast'",
    ),
    "quoted number": ("lr: 0.2", "lr: '1'", "s.yaml:12: paths.1.train.lr: must be a number; got '1'"),
    "bool for int": (
        "epochs: 3",
        "epochs: true",
        "s.yaml:12: paths.1.train.epochs: must be an integer; got true",
    ),
    "half for int": (
        "epochs: 3",
        "epochs: 2.5",
        "s.yaml:12: paths.1.train.epochs: must be an integer; got 2.5",
    ),
    "number for text": ("name: test", "name: 5", "s.yaml:1: name: must be text; got 5"),
    "number for bool": (
        "lr: 0.2",
        "lr: 0.2, nesterov: 1",
        "s.yaml:12: paths.1.train.nesterov: must be true or false; got 1",
    ),
    "number for mapping": (
        ENDPOINT_TRAIN,
        "train: 5",
        "s.yaml:7: endpoints.train: must be a mapping; got 5",
    ),
    "name for section": (
        "paths:\n  - kind: linear\n  - kind: bezier\n    train: {epochs: 3, lr: 0.2}\n",
        "paths: linear\n",
        "s.yaml:9: paths: must be a mapping; got 'linear'",
    ),
    "odd name": (
        "name: test",
        "name: a b",
        "s.yaml:1: name: must be made of letters, digits, '.', '_', '-', a letter or digit first; got 'a b'",
    ),
    # bounds
    "negative": ("lr: 0.2", "lr: -0.2", "s.yaml:12: paths.1.train.lr: must be greater than 0; got -0.2"),
    "nan": ("lr: 0.2", "lr: .nan", "s.yaml:12: paths.1.train.lr: must be a finite number; got nan"),
    "inf": ("lr: 0.2", "lr: 1e999", "s.yaml:12: paths.1.train.lr: must be a finite number; got inf"),
    "inf in arguments": (
        "hidden: [8]",
        "hidden: [.inf]",
        "s.yaml:4: problem.model.args: must be finite numbers, text, true, false, null, lists and mappings; "
        'got {"hidden": [Infinity]}',
    ),
    "betas": (
        "lr: 0.2",
        "lr: 0.2, optimizer: adam, betas: [0.9, 1.5]",
        "s.yaml:12: paths.1.train.betas: must be two numbers in [0, 1); got [0.9, 1.5]",
    ),
    "three betas": (
        "lr: 0.2",
        "lr: 0.2, optimizer: adam, betas: [0, 0, 0]",
        "s.yaml:12: paths.1.train.betas: must have no more than 2 entries; got [0, 0, 0]",
    ),
    "workers": (
        "pairs: all",
        "resources: {workers: 0}",
        "s.yaml:8: resources.workers: must be auto or at least 1; got 0",
    ),
    "pack": (
        "pairs: all",
        "resources: {pack: many}",
        "s.yaml:8: resources.pack: must be an integer or 'auto'; got 'many'",
    ),
    "gpus": (
        "pairs: all",
        "resources: {gpus: 1.5}",
        "s.yaml:8: resources.gpus: must be auto, 0, a share of one GPU, or a whole number of them; got 1.5",
    ),
    # seeds
    "no seeds at all": (
        "seeds: 4",
        "seeds: []",
        "s.yaml:6: endpoints.seeds: must be a number of seeds, or a list of them that is not empty; got []",
    ),
    "zero seeds": (
        "seeds: 4",
        "seeds: 0",
        "s.yaml:6: endpoints.seeds: must be a number of seeds from 1 to 1000000, or a list of seeds; got 0",
    ),
    "a seed for their number": (
        "seeds: 4",
        "seeds: 20240101",
        "s.yaml:6: endpoints.seeds: must be a number of seeds from 1 to 1000000, or a list of seeds; got 20240101",
    ),
    "seed twice": ("seeds: 4", "seeds: [1, 2, 1]", "s.yaml:6: endpoints.seeds.2: the seed 1 is here twice"),
    "negative seed": (
        "seeds: 4",
        "seeds: [1, -2]",
        "s.yaml:6: endpoints.seeds.1: must be greater than or equal to 0; got -2",
    ),
    "bool seed": (
        "seeds: 4",
        "seeds: [1, true]",
        "s.yaml:6: endpoints.seeds.1: must be an integer; got true",
    ),
    # pairs
    "pairs": (
        "pairs: all",
        "pairs: al",
        "s.yaml:8: pairs: must be all, chain, none, {random: n}, or a list of pairs [i, j]; got 'al'",
    ),
    "out of range": (
        "pairs: all",
        "pairs:\n  - [0, 1]\n  - [1, 4]",
        "s.yaml:10: pairs.1: [1, 4] is out of range: there are 4 end points, positions 0 to 3",
    ),
    "negative position": (
        "pairs: all",
        "pairs: [[0, -1]]",
        "s.yaml:8: pairs.0: [0, -1] is out of range: there are 4 end points, positions 0 to 3",
    ),
    "pair twice": (
        "pairs: all",
        "pairs: [[0, 1], [1, 0]]",
        "s.yaml:8: pairs.1: the pair [1, 0] is here twice, in this order or the other",
    ),
    "pair of one": (
        "pairs: all",
        "pairs: [[2, 2]]",
        "s.yaml:8: pairs.0: must be two different end points; got [2, 2]",
    ),
    "triple": (
        "pairs: all",
        "pairs: [[0, 1, 2]]",
        "s.yaml:8: pairs.0: must be a pair [i, j] of positions; got [0, 1, 2]",
    ),
    "pair of names": ("pairs: all", "pairs: [[0, x]]", "s.yaml:8: pairs.0.1: must be an integer; got 'x'"),
    "no pairs": (
        "pairs: all",
        "pairs: []",
        "s.yaml:8: pairs: must have at least one pair; for no pairs at all, write pairs: none",
    ),
    "too many pairs": (
        "pairs: all",
        "pairs: {random: 7}",
        "s.yaml:8: pairs.random: 7 different pairs are more than the 6 that 4 end points have",
    ),
    "two forms of pairs": (
        "pairs: all",
        "pairs: {kind: chain, random: 2}",
        "s.yaml:8: pairs.random: pairs of kind 'chain' have no random",
    ),
    # one of several names, and options that belong to another
    "schedule": (
        "lr: 0.2",
        "lr: 0.2, schedule: cosin",
        "s.yaml:12: paths.1.train.schedule: must be 'constant', 'cosine', 'step' or 'piecewise'; got 'cosin' "
        "(did you mean 'cosine'?)",
    ),
    "optimizer": (
        "lr: 0.2",
        "lr: 0.2, optimizer: adamm",
        "s.yaml:12: paths.1.train.optimizer: must be 'sgd', 'adam' or 'adamw'; got 'adamm' (did you mean 'adam'?)",
    ),
    "option of another schedule": (
        "lr: 0.2",
        "lr: 0.2, schedule: {kind: step, floor: 0.1}",
        "s.yaml:12: paths.1.train.schedule.floor: schedule 'step' has no 'floor'; it has milestones, gamma",
    ),
    "milestones": (
        "lr: 0.2",
        "lr: 0.2, schedule: {kind: step, milestones: [0.7, 0.2]}",
        "s.yaml:12: paths.1.train.schedule.milestones: must be fractions of the training, in (0, 1), increasing; "
        "got [0.7, 0.2]",
    ),
    "momentum for adam": (
        "lr: 0.2",
        "lr: 0.2, optimizer: adam, momentum: 0.9",
        "s.yaml:12: paths.1.train.momentum: optimizer 'adam' has no momentum; it is for sgd",
    ),
    "eps for sgd": (
        "lr: 0.2",
        "lr: 0.2, eps: 1e-3",
        "s.yaml:12: paths.1.train.eps: optimizer 'sgd' has no eps; it is for adam and adamw",
    ),
    "nesterov without momentum": (
        "lr: 0.2",
        "lr: 0.2, nesterov: true, momentum: 0",
        "s.yaml:12: paths.1.train.nesterov: nesterov needs a momentum above 0",
    ),
    "padding without crop": (
        "data: digits",
        "data: {name: digits, crop_pad: 2}",
        "s.yaml:3: problem.data.crop_pad: augment 'none' does not crop; crop_pad is for augment: crop_flip",
    ),
    "digest of no file": (
        "data: digits",
        f"data: {{name: digits, digest: {'0f' * 32}}}",
        "s.yaml:3: problem.data.digest: 'digits' is no npz:FILE; such a file alone has a digest",
    ),
    "digest": (
        "data: digits",
        "data: {name: npz:a.npz, digest: abc}",
        "s.yaml:3: problem.data.digest: must be a SHA-256, 64 hexadecimal digits in lower case; got 'abc'",
    ),
    "loss": (
        "data: digits",
        "data: digits\n  loss: hinge",
        "s.yaml:4: problem.loss: must be cross_entropy or package.module:loss; got 'hinge'",
    ),
    # grids
    "empty grid": (
        "lr: 0.2",
        "lr: {grid: []}",
        "s.yaml:12: paths.1.train.lr: a grid is a list that is not empty; got []",
    ),
    "grid of one": (
        "lr: 0.2",
        "lr: {grid: 0.2}",
        "s.yaml:12: paths.1.train.lr: a grid is a list that is not empty; got 0.2",
    ),
    "grid with company": (
        "lr: 0.2",
        "lr: {grid: [1, 2], of: 3}",
        "s.yaml:12: paths.1.train.lr: a grid stands alone, but there is 'of' beside it",
    ),
    "value twice": (
        "lr: 0.2",
        "lr: {grid: [1, 2, 1]}",
        "s.yaml:12: paths.1.train.lr: 1 is in the grid twice",
    ),
    "grid of pairs": (
        "pairs: all",
        "pairs: {grid: [all, chain]}",
        f"s.yaml:8: pairs: {NO_GRID}",
    ),
    "grid in resources": (
        "pairs: all",
        "resources: {pack: {grid: [1, 2]}}",
        f"s.yaml:8: resources.pack: {NO_GRID}",
    ),
    "same path twice": (
        "- kind: linear",
        "- kind: linear\n  - {kind: linear, bends: 1}",
        "s.yaml:11: paths.1: comes to the same as a setting before it",
    ),
    "same setting twice": (
        "lr: 0.2",
        "lr: 0.2, momentum: {grid: [null, 0.9]}",
        "s.yaml:11: paths.1: comes to the same as a setting before it",
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), CASES.values(), ids=CASES)
def test_message(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert complaint(tmp_path, edited(old, new)) == said


def test_a_wrong_value_of_a_grid_is_named_where_the_user_wrote_it_and_once(tmp_path: Path) -> None:
    grid = "train:\n    epochs: {grid: [1, 2]}\n    lr:\n      grid:\n        - 0.1\n        - -0.1"
    said = complaint(tmp_path, edited(ENDPOINT_TRAIN, grid))
    assert said == "s.yaml:12: endpoints.train.lr.grid.1: must be greater than 0; got -0.1"


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = edited("lr: 0.2", "lr: 0").replace("seeds: 4", "seeds: many").replace("name: test", "nam: test")
    assert complaint(tmp_path, text).splitlines() == [
        "s.yaml:1: name: is missing",
        "s.yaml:6: endpoints.seeds: must be a number of seeds, or a list of them that is not empty; got 'many'",
        "s.yaml:12: paths.1.train.lr: must be greater than 0; got 0",
        f"s.yaml:1: nam: unknown key 'nam'; did you mean 'name'? allowed: {SWEEP_KEYS}",
    ]


def test_a_flood_of_errors_is_cut(tmp_path: Path) -> None:
    said = complaint(tmp_path, edited("seeds: 4", f"seeds: {[-1 - i for i in range(50)]}")).splitlines()
    assert len(said) == 21
    assert said[-1] == "and 30 more"


FILES = {
    "empty": ("", "s.yaml: the file is empty"),
    "comments alone": ("# nothing\n", "s.yaml: the file is empty"),
    "list": ("- a\n- b\n", 's.yaml:1: a sweep is a mapping (name: ..., problem: ...); got ["a", "b"]'),
    "text": ("# x\nsweep", "s.yaml:2: a sweep is a mapping (name: ..., problem: ...); got 'sweep'"),
    "key twice": ("a: 1\nb:\n  c: 1\n  c: 2\n", "s.yaml:4: the key 'c' is here twice, first in line 3"),
    "open bracket": (
        "a: [1\nb: 2",
        "s.yaml:2: not YAML: while parsing a flow sequence, expected ',' or ']', but got ':'",
    ),
    "tab": (
        "a:\n\tb: 1",
        "s.yaml:2: not YAML: while scanning for the next token, found character '\\t' that cannot start any token",
    ),
    "two documents": (
        "a: 1\n---\nb: 2",
        "s.yaml:2: not YAML: expected a single document in the stream, but found another document",
    ),
    "bytes": (
        "a: !!binary aGVs",
        "s.yaml: b'hel' is no number, text, true, false, null, list or mapping",
    ),
    "within itself": (
        "a: &a [*a]",
        "s.yaml: not YAML that can be read: something is within itself, or nested too deeply",
    ),
}


@pytest.mark.parametrize(("text", "said"), FILES.values(), ids=FILES)
def test_file_that_is_no_sweep(tmp_path: Path, text: str, said: str) -> None:
    assert complaint(tmp_path, text) == said


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none\.yaml: there is no such file$"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(RequestError, match="cannot be read as text"):
        load_spec(tmp_path)


CHANGES = {
    "no sign": ("lr", "must be key=value, such as endpoints.train.epochs=2"),
    "no key": ("=3", "must be key=value, such as endpoints.train.epochs=2"),
    "empty key": ("a..b=3", "must be key=value, such as endpoints.train.epochs=2"),
    "no such position": ("paths.2.kind=x", "paths is a list of 2: give a position from 0 in place of '2'"),
    "name for position": ("paths.x.kind=x", "paths is a list of 2: give a position from 0 in place of 'x'"),
    "odd digit": ("paths.²=1", "paths is a list of 2: give a position from 0 in place of '²'"),
    "into a value": (
        "measure.profile.points.x=1",
        "measure.profile.points is 11 and has no 'x' in it; set measure.profile.points as a whole",
    ),
    "not YAML": (
        "pairs=[[0, 1]",
        "not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
    ),
    "wrong value": ("endpoints.train.lr=-1", "endpoints.train.lr: must be greater than 0; got -1"),
    "wrong in a grid": (
        "endpoints.train.lr={grid: [1, -1]}",
        "endpoints.train.lr.grid.1: must be greater than 0; got -1",
    ),
    "wrong inside": ("endpoints.train={epochs: 1, lr: 0}", "endpoints.train.lr: must be greater than 0; got 0"),
    "nothing": ("name=", "name: must be text; got null"),
    "unknown key": (
        "endpoints.train.lrr=1",
        f"endpoints.train.lrr: unknown key 'lrr'; did you mean 'lr'? allowed: {TRAIN_KEYS}",
    ),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_wrong_change_is_named_in_place_of_a_line(tmp_path: Path, change: str, said: str) -> None:
    assert complaint(tmp_path, GOOD, change) == f"--set {change}: {said}"


def test_mapping_in_place_of_a_file() -> None:
    with pytest.raises(RequestError, match=r"^spec: problem: is missing\nspec: endpoints: is missing$"):
        load_spec({"name": "x"})
    with pytest.raises(RequestError, match=r"^spec: \{1\} is no number, text, true"):
        load_spec({"name": {1}})
    with pytest.raises(RequestError, match=r"^spec: not plain data: keys must be"):
        load_spec({("name", 1): 2})
