"""What is chosen for a shape of tasks, as the store keeps it; and what a user left open."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcdist.execute.choice import Choice, Wishes, wishes_of
from mcdist.spec.resources import ResourcesSpec
from mcdist.tasks.work import Way

SWITCHES = ("auto", "on", "off")

switches = st.sampled_from(SWITCHES)
ways = st.builds(Way, st.booleans(), st.booleans(), st.booleans())
measured = st.dictionaries(
    st.text(max_size=9), st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 512), max_size=4
)


@given(st.builds(Choice, st.integers(1, 512), ways, measured))
def test_a_choice_is_read_back_from_its_record_and_the_record_is_json(choice: Choice) -> None:
    kept = json.loads(json.dumps(choice.record(), allow_nan=False))
    assert Choice.of(kept) == choice


@given(ways)
def test_a_record_says_each_part_of_the_way_by_name(way: Way) -> None:
    record = Choice(3, way).record()
    assert {name: record[name] for name in ("compiled", "graphed", "channels_last")} == {
        "compiled": way.compiled,
        "graphed": way.graphed,
        "channels_last": way.channels_last,
    }


def test_what_an_earlier_version_did_not_write_is_off() -> None:
    assert Choice.of({"most": 16}) == Choice(16, Way(False, False, False), {})


def test_what_a_later_version_may_write_is_passed_over() -> None:
    assert Choice.of({"most": 4, "compiled": True, "folded": True}) == Choice(4, Way(compiled=True))


@pytest.mark.parametrize("open_", range(4))
def test_nothing_is_settled_while_anything_is_open(open_: int) -> None:
    said: list[Any] = [3, "on", "off", "on"]
    said[open_] = "auto"
    assert Wishes(*said).settled() is None


@pytest.mark.parametrize(("compiled", "graphed", "channels_last"), [*itertools.product(("on", "off"), repeat=3)])
def test_what_is_all_said_is_the_choice(compiled: Any, graphed: Any, channels_last: Any) -> None:
    settled = Wishes(3, compiled, graphed, channels_last).settled()
    assert settled == Choice(3, Way(compiled == "on", graphed == "on", channels_last == "on"))


@given(switches, switches, switches, st.integers(1, 99) | st.just("auto"))
def test_wishes_are_the_resources_of_a_spec(compiled: Any, graphed: Any, channels_last: Any, pack: Any) -> None:
    resources = ResourcesSpec(pack=pack, compile=compiled, cuda_graphs=graphed, channels_last=channels_last)
    assert wishes_of(resources) == Wishes(pack, compiled, graphed, channels_last)


def test_where_nothing_is_said_all_is_open() -> None:
    assert wishes_of(ResourcesSpec()) == Wishes("auto", "auto", "auto", "auto")
