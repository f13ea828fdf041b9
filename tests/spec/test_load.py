"""Reading and writing sweeps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdist.spec import SweepSpec, dump_spec, load_spec
from mcdist.spec.paths import CycleSpec, NebSpec
from mcdist.spec.yaml_source import parse_yaml, write_yaml
from spec.examples import FULL, GOOD, reordered, sweeps


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SweepSpec]:
    """A sweep from YAML text, by way of a file."""
    file = tmp_path_factory.mktemp("load") / "s.yaml"

    def from_text(text: str) -> SweepSpec:
        file.write_text(text, encoding="utf-8")
        return load_spec(file)

    return from_text


def changed(*changes: str) -> SweepSpec:
    return load_spec(yaml.safe_load(GOOD), changes)


def test_short_forms_are_what_they_stand_for() -> None:
    spec = changed("problem.model=mlp", "endpoints.seeds=3", "endpoints.train.schedule=cosine")
    assert spec == changed(
        "problem.model={name: mlp, args: {}}",
        "problem.data={name: digits}",
        "endpoints.seeds=[0, 1, 2]",
        "endpoints.train.schedule={kind: cosine}",
    )


def test_an_alignment_is_named_by_its_method() -> None:
    assert changed("paths.0.align=weights") == changed("paths.0.align={method: weights}")
    assert changed("paths.0.align=weights", "paths.0.align.restarts=3").paths[0].align.restarts == 3
    assert changed("paths.0.align=none") == changed()


def test_an_autoneb_has_the_published_schedule_if_no_other_is_said() -> None:
    path = {"kind": "autoneb"}
    (spec,) = load_spec({**yaml.safe_load(GOOD), "paths": path}).paths
    assert spec.neb == NebSpec(cycles="long")
    assert load_spec({**yaml.safe_load(GOOD), "paths": {**path, "neb": None}}).paths == (spec,)
    assert changed().paths[1].neb is None


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("all", "{kind: all}"),
        ("none", "{kind: none}"),
        ("{random: 3}", "{kind: random, random: 3, seed: 0}"),
        ("[[0, 1], [3, 2]]", "{kind: list, pairs: [[0, 1], [3, 2]]}"),
    ],
)
def test_forms_of_pairs(short: str, full: str) -> None:
    assert changed(f"pairs={short}").pairs == changed(f"pairs={full}").pairs


@pytest.mark.parametrize(
    ("left_out", "written"),
    [
        ("endpoints.train.momentum=null", "endpoints.train.momentum=0.9"),
        ("endpoints.train.schedule=step", "endpoints.train.schedule={kind: step, milestones: [0.5, 0.75], gamma: 0.1}"),
        ("endpoints.train.schedule=piecewise", "endpoints.train.schedule={kind: piecewise, floor: 0.01}"),
    ],
)
def test_defaults_that_depend_on_another_field_are_filled_in(left_out: str, written: str) -> None:
    assert changed(left_out) == changed(written)


def test_what_yaml_1_1_gets_wrong_is_as_written() -> None:
    data = parse_yaml("a: 1e-3\nb: 2024-13-45\nc: '1e3'\nd: -2E+5", "f").data
    assert data == {"a": 0.001, "b": "2024-13-45", "c": "1e3", "d": -2e5}


def test_values_of_notebooks() -> None:
    data = yaml.safe_load(GOOD)
    data["store"] = Path("results")
    data["endpoints"]["seeds"] = np.arange(4)
    data["endpoints"]["train"]["lr"] = np.float64(0.1)
    data["endpoints"]["train"]["epochs"] = np.int64(2)
    data["problem"]["model"]["args"]["hidden"] = (8,)
    assert load_spec(data) == changed("store=results")


def test_the_mapping_given_is_left_as_it_is() -> None:
    data = yaml.safe_load(GOOD)
    before = copy.deepcopy(data)
    load_spec(data, ["endpoints.train.lr=9", "problem.data.validation=0.5"])
    assert data == before


def test_a_change_of_one_place_leaves_what_it_was_aliased_to(load: Callable[[str], SweepSpec], tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD.replace("train: {epochs: 2", "train: &t {epochs: 2").replace("{epochs: 3, lr: 0.2}", "*t"))
    spec = load_spec(file, ["paths.1.train.lr=7"])
    assert spec.paths[1].train is not None
    assert (spec.paths[1].train.lr, spec.endpoints[0].train.lr) == (7.0, 0.1)


def test_changes_make_what_is_missing_on_their_way() -> None:
    spec = changed("resources.pack=3", "problem.data.validation=0.5", "problem.model.args.hidden=[4]")
    assert (spec.resources.pack, spec.problem[0].data.validation) == (3, 0.5)
    assert spec.problem[0].model.args == {"hidden": [4]}
    no_values_yet = {**yaml.safe_load(GOOD), "resources": None}
    assert load_spec(no_values_yet, ["resources.pack=3"]).resources.pack == 3


def test_changes_come_one_after_the_other() -> None:
    spec = changed("endpoints.train.lr={grid: [1, 2]}", "endpoints.train.lr.grid.1=5")
    assert [group.train.lr for group in spec.endpoints] == [1.0, 5.0]


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("name",), "other"),
        (("endpoints", "train", "lr"), 1e-3),
        (("endpoints", "seeds"), [3, 1]),
        (("problem", "model", "args", "hidden"), [4, 4]),
        (("paths", 1, "train", "schedule"), {"kind": "step"}),
        (("pairs",), {"random": 2}),
        (("measure", "profile"), {"points": {"grid": [5, 7]}}),
    ],
)
def test_set_is_the_same_as_editing_the_file(keys: tuple[str | int, ...], value: object) -> None:
    data: Any = yaml.safe_load(GOOD)
    at = data
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    assert changed(f"{'.'.join(map(str, keys))}={yaml.safe_dump(value, default_flow_style=True)}") == load_spec(data)


@settings(max_examples=40)
@given(sweeps())
def test_what_is_written_is_read_back(load: Callable[[str], SweepSpec], data: dict[str, Any]) -> None:
    spec = load_spec(data)
    text = dump_spec(spec, ["what\nwas run"])
    assert text.startswith("# what\n# was run\n")
    assert load(text) == spec
    assert dump_spec(load(text), ["what", "was run"]) == text


def test_a_sweep_with_everything_is_read_back(load: Callable[[str], SweepSpec]) -> None:
    spec = load(FULL)
    text = dump_spec(spec)
    assert load(text) == spec
    assert dump_spec(load(text)) == text
    (_, aligned, bezier, activations, _, listed) = spec.paths
    assert (aligned.align.method, bezier.align.seed, activations.align.samples) == ("weights", 3, 50)
    assert bezier.align.structure == {"groups": {"hidden": [["0.weight", 0], ["2.weight", 1]]}}
    assert listed.neb is not None
    assert listed.neb.cycles == (CycleSpec(steps=50, lr=0.1), CycleSpec(steps=20, lr=0.01))
    assert spec.tours == ((0, 2, 1), (3, 1, 0, 2))
    assert [c.labels for c in spec.measure.curvature] == ["data", "data", "sampled"]
    assert [p.through for p in spec.measure.plane] == [(), ((0, 1, 2), (1, 2, 3))]


@settings(max_examples=40)
@given(sweeps())
def test_a_file_and_a_mapping_say_the_same(load: Callable[[str], SweepSpec], data: dict[str, Any]) -> None:
    assert load(write_yaml(data)) == load_spec(data)


@settings(max_examples=40)
@given(sweeps())
def test_the_order_of_keys_does_not_matter(data: dict[str, Any]) -> None:
    assert load_spec(reordered(data)) == load_spec(data)


@settings(max_examples=40)
@given(sweeps(), st.data())
def test_one_setting_or_a_list_of_one(data: dict[str, Any], choose: st.DataObject) -> None:
    section = choose.draw(st.sampled_from(["problem", "endpoints"]))
    assert load_spec({**data, section: [data[section]]}) == load_spec(data)


def test_specs_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        changed().name = "other"
