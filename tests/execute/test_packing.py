"""The choices of a sweep: made once, kept in the store, and what the spec says counts more."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from spec.examples import GOOD

from mcdist.execute.choice import Choice, Wishes
from mcdist.execute.executor import Ended, Executor, Lost
from mcdist.execute.job import Job
from mcdist.execute.packing import choices
from mcdist.execute.trials import Tuning
from mcdist.execute.tuning import by_rule
from mcdist.plan import Plan, groups, make_plan
from mcdist.spec import load_spec
from mcdist.spec.tasks import TASK_SPECS
from mcdist.store import Store, open_store
from mcdist.tasks.work import Way

OPEN = Wishes("auto", "auto", "auto", "auto")


def planned(*changes: str) -> Plan:
    """Four end points, six lines, six curves, twelve profiles: shapes of 4, 6, 6 and 12 tasks."""
    return make_plan(load_spec(yaml.safe_load(GOOD), changes))


class Tuner(Executor):
    """An executor that chooses what it is told to, and notes what it is asked."""

    def __init__(self, chosen: Choice | Mapping[str, Choice] | None = None) -> None:
        self.chosen = chosen if chosen is not None else Choice(3, Way(compiled=True), {"seconds_alone": 1.5})
        self.asked: list[Tuning] = []

    def start(self, store: str, todo: Mapping[str, int]) -> int:
        return 1

    def tune(self, tunings: Sequence[Tuning]) -> list[Choice]:
        self.asked += tunings
        return [self.chosen if isinstance(self.chosen, Choice) else self.chosen[t.shape] for t in tunings]

    def workers(self, kind: str) -> int:
        return 1

    def free(self, ready: int, crew: int = 0) -> bool:
        return False

    def submit(self, job: Job) -> None: ...

    def wait(self, timeout_s: float) -> list[Ended | Lost]:
        return []

    def close(self) -> None: ...


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store", create=True)


def chosen(
    plan: Plan, store: Store, workers: Tuner | None, wishes: Wishes = OPEN, todo: Sequence[str] | None = None
) -> list[Choice]:
    """In the order of the plan's shapes."""
    found = choices(plan, wishes, store, plan.tasks if todo is None else todo, workers)
    assert found.keys() == groups(plan).keys()
    return [found[shape] for shape in groups(plan)]


def test_every_open_shape_is_tuned_once_with_its_tasks(store: Store) -> None:
    plan, workers = planned(), Tuner()
    chosen(plan, store, workers)
    assert [(t.shape, t.kind, t.tasks) for t in workers.asked] == [
        (shape, tasks[0].kind, len(tasks)) for shape, tasks in groups(plan).items()
    ]
    for tuning, tasks in zip(workers.asked, groups(plan).values(), strict=True):
        model = TASK_SPECS[tuning.kind]
        assert [model.model_validate_json(s) for s in tuning.specs] == [task.blueprint.spec for task in tasks]
        assert tuning.wishes == OPEN


def test_a_trial_is_given_no_more_specifications_than_the_largest_pack_has(store: Store) -> None:
    workers = Tuner()
    chosen(planned("endpoints.seeds=700", "pairs=none"), store, workers)
    (tuning,) = workers.asked
    assert (tuning.tasks, len(tuning.specs)) == (700, 512)


def test_what_was_chosen_is_read_back_by_every_later_run(store: Store, tmp_path: Path) -> None:
    """Another process, another executor, other workers, nobody at all: the choice is the store's."""
    plan, first = planned(), Tuner(Choice(3, Way(compiled=True), {"seconds_alone": 1.5}))
    made = chosen(plan, store, first)
    later = Tuner(Choice(1))
    for workers in (later, None):
        again = chosen(planned("resources.workers=7"), open_store(tmp_path / "store"), workers)
        assert again == made
    assert later.asked == []


class Late(Tuner):
    """By the time it has tried, another driver has chosen."""

    def __init__(self, store: Store, others: Choice, own: Choice) -> None:
        super().__init__(own)
        self._store, self._others = store, others

    def tune(self, tunings: Sequence[Tuning]) -> list[Choice]:
        for tuning in tunings:
            self._store.write_choice(tuning.shape, self._others.record())
        return super().tune(tunings)


def test_of_two_drivers_the_first_ones_choice_holds(store: Store) -> None:
    others = Choice(2, Way(compiled=True))
    assert chosen(planned(), store, Late(store, others, Choice(1))) == [others] * 4


def test_what_the_spec_says_counts_more_than_another_drivers_choice(store: Store) -> None:
    late = Late(store, Choice(2, Way(compiled=True)), Choice(5))
    assert chosen(planned(), store, late, Wishes(5, "off", "auto", "auto")) == [Choice(5)] * 4


@pytest.mark.parametrize(
    ("said", "most", "way"),
    [
        (Wishes(5, "auto", "auto", "auto"), 5, Way(compiled=True, channels_last=True)),
        (Wishes("auto", "off", "auto", "auto"), 2, Way(channels_last=True)),
        (Wishes("auto", "auto", "on", "off"), 2, Way(compiled=True, graphed=True)),
        (Wishes(100, "on", "auto", "auto"), 100, Way(compiled=True, channels_last=True)),
    ],
)
def test_what_the_spec_says_counts_more_than_what_was_chosen(store: Store, said: Wishes, most: int, way: Way) -> None:
    """And leaves the store as it is."""
    before = Choice(2, Way(compiled=True, channels_last=True))
    made = chosen(planned(), store, Tuner(before))
    assert all(c == before for c in made)
    assert all((c.most, c.way) == (most, way) for c in chosen(planned(), store, None, said))
    assert chosen(planned(), store, None) == made


def test_where_nothing_is_open_nothing_is_tried_read_or_kept(store: Store) -> None:
    plan, workers = planned(), Tuner()
    for shape in groups(plan):
        store.write_choice(shape, {"most": "not even a number"})
    said = chosen(plan, store, workers, Wishes(3, "on", "off", "off"))
    assert said == [Choice(3, Way(compiled=True))] * 4
    assert workers.asked == []


def test_nothing_is_kept_where_nothing_is_open(store: Store) -> None:
    chosen(planned(), store, Tuner(), Wishes(3, "off", "off", "off"))
    assert store.choices() == set()


def test_shapes_with_nothing_to_do_are_not_tried(store: Store) -> None:
    plan, workers = planned(), Tuner()
    shapes = groups(plan)
    curves = list(shapes)[2]
    got = chosen(plan, store, workers, todo=[shapes[curves][-1].id])
    assert [t.shape for t in workers.asked] == [curves]
    assert workers.asked[0].tasks == 6, "all of them, not those that are left: the choice is the whole sweep's"
    assert store.choices() == {curves}
    assert got[:2] == [by_rule(OPEN, 4), by_rule(OPEN, 6)]


def test_where_all_is_done_there_is_nobody_to_try_and_nothing_is_kept(store: Store) -> None:
    assert chosen(planned(), store, None, todo=[]) == [by_rule(OPEN, n) for n in (4, 6, 6, 12)]
    assert store.choices() == set()


def test_a_sweep_that_grows_keeps_its_choice(store: Store) -> None:
    """With its packs, and so its bits: what was chosen for 4 end points holds for 400."""
    workers = Tuner(Choice(2))
    before = chosen(planned(), store, workers)
    grown = planned("endpoints.seeds=400", "pairs={random: 50}")
    assert chosen(grown, store, workers) == before
    assert len(workers.asked) == 4


def test_a_sweep_that_is_smaller_leaves_work_for_two_workers(store: Store) -> None:
    """By the store's choice; what the spec says is taken as it is."""
    chosen(planned("endpoints.seeds=400", "pairs={random: 90}"), store, Tuner(Choice(45)))
    assert [c.most for c in chosen(planned(), store, None)] == [2, 3, 3, 6]
    assert [c.most for c in chosen(planned(), store, None, Wishes(45, "auto", "auto", "auto"))] == [45] * 4


def test_a_shape_that_comes_later_is_tried_then(store: Store) -> None:
    workers = Tuner(Choice(2))
    chosen(planned("paths=[{kind: linear}]"), store, workers)
    assert len(workers.asked) == 3
    chosen(planned(), store, workers)
    assert [t.kind for t in workers.asked[3:]] == ["path"]


def test_each_shape_has_its_own_choice(store: Store) -> None:
    plan = planned()
    each = {shape: Choice(1 + n % 2, Way(compiled=n > 2)) for n, shape in enumerate(groups(plan))}
    assert choices(plan, OPEN, store, plan.tasks, Tuner(each)) == each


def test_a_record_of_an_earlier_version_is_read(store: Store, tmp_path: Path) -> None:
    plan = planned()
    for shape in groups(plan):
        (tmp_path / "store" / "packs").mkdir(exist_ok=True)
        (tmp_path / "store" / "packs" / f"{shape}.json").write_text('{"most": 2}')
    workers = Tuner()
    assert chosen(plan, store, workers) == [Choice(2)] * 4
    assert workers.asked == []


def test_the_measurements_are_in_the_store_for_the_curious(store: Store, tmp_path: Path) -> None:
    plan = planned()
    chosen(plan, store, Tuner())
    for shape in groups(plan):
        record: dict[str, Any] = json.loads((tmp_path / "store" / "packs" / f"{shape}.json").read_text())
        assert record["measured"] == {"seconds_alone": 1.5}
        assert (record["most"], record["compiled"]) == (3, True)


@pytest.mark.parametrize(
    ("said", "lines"), [(OPEN, 1), (Wishes(3, "off", "off", "off"), 0)], ids=["open", "nothing open"]
)
def test_it_is_said_that_something_is_tried(store: Store, said: Wishes, lines: int) -> None:
    told: list[str] = []
    say: Callable[[str], None] = told.append
    plan = planned()
    for _ in range(2):  # the second time all is known
        choices(plan, said, store, plan.tasks, Tuner(), say)
    assert len(told) == lines
    assert all("4 shape(s)" in line for line in told)
