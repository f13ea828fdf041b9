"""The report of ensembles as a reader sees it: whole, unfinished, of several sweeps, and beside other sections."""

import json
import re

import numpy as np
import pytest

from mcdist.analysis import ensemble_comparison, ensemble_summary, write_report
from mcdist.analysis.report import ensemble_figures, figures, noise_figures
from mcdist.analysis.report.pictures import Picture
from mcdist.store import open_store

from ..ensembled import ensemble_sweep, ensembles, frames, tasks_of, trajectory, trial_rows
from ..frames import endpoint, sweep_rows, task
from ..moved import trial_rows as relaxation_rows
from .test_report import Page, put


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store", create=True)


def page_of(store, tmp_path, sweep=None):
    return Page(write_report(store, tmp_path / "r.html", sweep).read_text(encoding="utf-8"))


def trials(stopped=None, **columns):
    """Eight trials at growing rates; the third is the best."""
    settings = [{"lr1": lr} for lr in (0.01, 0.02, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)]
    nll = [0.5, 0.45, 0.3, 0.35, 0.6, 0.7, 0.8, 0.9]
    rows, cycles = trial_rows(settings, nll, {} if stopped is None else stopped, **columns)
    tables = {"trials": rows, "trial_cycles": cycles}
    return tables | {"tasks": tasks_of(tables)}


def final(effect, seeds=range(5)):
    """The winner's setting, the published one and independent ensembles."""
    effects = {"independent": 0.0, "fge": -0.01}
    rows, members = ensembles(("independent", "fge"), seeds, (1, 2), effects=effects, noise=1e-3)
    more, others = ensembles(("fge",), seeds, (1, 2), effects={"fge": effect}, noise=1e-3, lr1=0.1, start=12)
    tables = {"ensembles": rows + more, "ensemble_members": members + others}
    return tables | {"tasks": tasks_of(tables)}


@pytest.fixture(autouse=True)
def unpainted(monkeypatch, request):
    """Figures are made but not painted, which takes longest, where a test does not ask for the paint."""
    if "page" not in request.fixturenames and "painted" not in request.fixturenames:
        for module in (ensemble_figures, figures, noise_figures):
            monkeypatch.setattr(module, "picture", lambda figure, alt: Picture("data:,", alt))


@pytest.fixture
def painted():
    """Asks for figures as readers see them."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of a whole sweep of four methods at three budgets."""
    folder = tmp_path_factory.mktemp("whole")
    store = open_store(folder / "store", create=True)
    put(store, "both", ensemble_sweep(methods=("independent", "snapshot", "fge", "swa")))
    return page_of(store, folder)


class TestSection:
    def test_it_has_scores_gains_comparison_cycles_and_figures(self, page):
        assert {
            "Ensembles",
            "Scores on the test split",
            "Members and what the ensemble gains",
            "Against independent at equal budget",
            "Error against budget",
            "As members are added",
            "Along the cycles",
            "Rate, error and distance: triangle",
            "Published accuracies of ensembles",
        } <= set(page.headings)
        assert len(page.images) == 3
        assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.images)

    def test_the_scores_are_those_of_the_summary(self, page):
        rows = page.table("Epochs used", "Brier")
        table = ensemble_summary(
            frames("ensembles", ensemble_sweep(methods=("independent", "snapshot", "fge", "swa"))["ensembles"])
        )
        assert len(rows) == 1 + len(table) == 13
        row, mine = rows[8], table[(table["method"] == "fge") & (table["budget"] == 2)].iloc[0]
        assert row[1] == "2 B"
        assert row[5].startswith(f"{mine['test_error']:.3f}")
        assert f"[{mine['test_error_low']:.3f}," in row[5]
        assert row[4] == "39of 40"
        assert rows[7][0] == "fgeruns of B epochs, start 16, lr1 0.05, lr2 0.01, cycle 2"

    def test_words_say_what_the_intervals_show(self, page):
        rows = page.table("Pairs", "Difference in error [95\u00a0%]")
        table = ensemble_comparison(
            frames("ensembles", ensemble_sweep(methods=("independent", "snapshot", "fge", "swa"))["ensembles"])
        )
        shown = table[table["metric"] == "test_error"]["shows"].tolist()
        assert [row[4] for row in rows[1:]] == shown
        assert "worse" in shown
        assert "not shown: it holds 0, which is no evidence that" in page.text

    def test_it_says_how_numbers_are_made(self, page):
        for words in (
            "softmax probabilities are averaged (not logits)",
            "BatchNorm",
            "re-estimated",
            "Student's over seeds",
        ):
            assert words in page.text

    def test_there_is_no_word_of_paths(self, page):
        assert "Paths" not in page.headings
        assert "Trials" not in page.headings
        assert "barrier" not in page.text

    def test_published_numbers_have_nothing_beside_them(self, page):
        rows = page.table("1 B", "2 B", "3 B")
        assert rows[1][1:] == [
            "CIFAR-100, VGG-16",
            "independent",
            "72.5not measured",
            "74.8not measured",
            "75.6not measured",
        ]
        assert len(rows) == 7


def test_published_numbers_stand_beside_the_same_network(store, tmp_path):
    tables = ensemble_sweep()
    tables["endpoints"] = [row | {"dataset": "cifar100", "model": "vgg16"} for row in tables["endpoints"]]
    put(store, "both", tables)
    rows = page_of(store, tmp_path).table("1 B", "2 B", "3 B")
    assert re.fullmatch(r"74\.6here fge: 8\d\.\d \[8\d\.\d, 8\d\.\d\]", rows[2][3])
    assert rows[3][3] == "78.4not measured"


def test_an_unfinished_sweep_says_what_is_missing(store, tmp_path):
    """Of FGE one seed is done, of independent ensembles five; the rest waits."""
    tables = ensemble_sweep(budgets=(1,))
    tables["ensembles"] = [r for r in tables["ensembles"] if r["method"] == "independent" or r["seed"] == 0]
    kept = {r["ensemble_id"] for r in tables["ensembles"]}
    tables["ensemble_members"] = [r for r in tables["ensemble_members"] if r["ensemble_id"] in kept]
    tables["tasks"] = tasks_of({k: v for k, v in tables.items() if k != "tasks"})
    put(store, "both", tables, extra=["to-do"])
    page = page_of(store, tmp_path)
    assert "1 not finished" in page.text
    rows = page.table("Pairs", "Difference in error [95\u00a0%]")
    assert rows[1][2:5:2] == ["1", "not shown"]
    assert rows[1][-1] == "too few seeds: 1 independent, 4 needed; 4 seeds with one of the two alone"


def test_trajectories_before_any_ensemble(store, tmp_path):
    rng = np.random.default_rng(0)
    tables = {"trajectories": [look for seed in range(3) for look in trajectory(seed, rng)]}
    put(store, "begun", tables | {"tasks": tasks_of(tables)}, extra=["to-do"])
    page = page_of(store, tmp_path)
    assert "The data do not show any finished ensemble yet." in page.text
    assert "Along the cycles" in page.headings
    assert len(page.images) == 1


def test_a_sweep_that_has_only_begun(store, tmp_path):
    put(store, "begun", {"tasks": [task("a-trunk", "trunk")]}, extra=["to-do"])
    assert "Ensembles" not in page_of(store, tmp_path).headings


def test_one_method_alone_has_nothing_to_be_compared_with(store, tmp_path):
    put(store, "one", ensemble_sweep(methods=("fge",), budgets=(1,)))
    assert "The data do not show two methods at one budget" in page_of(store, tmp_path).text


def test_problems_have_chapters_of_their_own(store, tmp_path):
    other = ensemble_sweep(problem="moons", budgets=(1,))
    for name in ("ensembles", "ensemble_members"):
        other[name] = [
            {k: f"m-{v}" if k in ("task_id", "ensemble_id") else v for k, v in r.items()} for r in other[name]
        ]
    other = {name: other[name] for name in ("ensembles", "ensemble_members")}
    put(store, "both", ensemble_sweep(budgets=(1,)), other | {"tasks": tasks_of(other)})
    page = page_of(store, tmp_path)
    assert {"Ensembles: digits", "Ensembles: moons"} <= set(page.headings)


def test_ways_of_training_have_chapters_of_their_own(store, tmp_path):
    """Ensembles of one method and budget, of networks trained at two rates: their tasks alone tell them apart."""
    parts = []
    for lr in (0.1, 0.3):
        rows, members = ensembles(("independent",), range(5), (1,))
        named = [
            [r | {k: f"{lr}-{r[k]}" for k in ("task_id", "ensemble_id", "run_id") if k in r} for r in part]
            for part in (rows, members)
        ]
        spec = json.dumps({"train": {"lr": lr, "epochs": 20}})
        tasks = [task(name, "endpoint", spec=spec) for name in dict.fromkeys(r["run_id"] for r in named[1])]
        tasks += [task(r["task_id"], "ensemble", inputs=[f"{lr}-digits-{r['seed']}"]) for r in named[0]]
        parts.append({"ensembles": named[0], "ensemble_members": named[1], "tasks": tasks})
    put(store, "grid", *parts)
    page = page_of(store, tmp_path)
    assert {"Ensembles: digits, lr 0.1", "Ensembles: digits, lr 0.3"} <= set(page.headings)


def test_sweeps_that_share_networks_in_other_groups_are_not_independent(store, tmp_path):
    """In the second sweep each ensemble takes a network of another seed of the first."""
    first, others = ensembles(("independent", "swa"), range(4), (1,))
    ends = [endpoint("digits", seed, np.random.default_rng(0)) for seed in range(4)]
    chain = [
        m | {"ensemble_id": r["ensemble_id"], "member": 1, "run_id": f"digits-{(r['seed'] + 1) % 4}"}
        for r, m in zip(first, others, strict=True)
    ]
    tables = {"ensembles": first, "ensemble_members": others + chain, "endpoints": ends}
    put(store, "shared", tables | {"tasks": tasks_of(tables)})
    page = page_of(store, tmp_path)
    for heads in (("Epochs used", "Brier"), ("Pairs", "Difference in error [95\u00a0%]")):
        assert {row[-1] for row in page.table(*heads)[1:]} == {"too few seeds: 1 independent, 4 needed"}


def test_paths_that_only_give_members_have_no_chapter(store, tmp_path):
    tables = ensemble_sweep(methods=("independent", "curve"), budgets=(3,))
    line = sweep_rows(seeds=range(2))["paths"][1]
    tables["paths"] = [line]
    for row in tables["ensemble_members"]:
        row["run_id"] = line["path_id"] if "curve" in row["ensemble_id"] else row["run_id"]
    tables["tasks"] = tasks_of({k: v for k, v in tables.items() if k != "tasks"})
    put(store, "curves", tables)
    page = page_of(store, tmp_path)
    assert "Profiles" not in page.headings
    assert any("curve5 points" in row[0] for row in page.table("Epochs used", "Brier")[1:])


def test_ensembles_stand_beside_paths(store, tmp_path):
    put(store, "paths", sweep_rows(seeds=range(4)), dict(ensemble_sweep(seeds=range(5, 10))))
    page = page_of(store, tmp_path)
    assert {"Profiles", "Ensembles", "Published and measured"} <= set(page.headings)


class TestStudies:
    def test_a_study_with_its_final_sweep(self, store, tmp_path, painted):
        put(store, "search", trials(stopped={0: 1, 1: 1, 4: 2}))
        put(store, "search-final", final(-0.03))
        page = page_of(store, tmp_path, "search")
        assert "Study of ensembles: search: fge on digits" in page.headings
        assert "Trials" not in page.headings
        assert "This report covers the study search and the sweep that compares what it chose." in page.text
        assert "8 trials, 5 of them complete; the others were stopped early and enter no statistic" in page.text
        assert "start 12, lr1 0.100, lr2 0.0100, cycle 2: validation nll 0.300 [0.272, 0.328]" in page.text
        rows = page.table("Compared", "By error")
        assert [row[0] for row in rows[1:]] == ["tuned less published", "", "independent less published", ""]
        assert [row[5] for row in rows[1:]] == ["tuned is better"] * 2 + ["published is better"] * 2

    @pytest.mark.parametrize(("effect", "word"), [(0.01, "published is better"), (-0.03, "tuned is better")])
    def test_whichever_wins(self, store, tmp_path, effect, word):
        put(store, "search", trials())
        put(store, "search-final", final(effect))
        rows = page_of(store, tmp_path).table("Compared", "By error")
        assert {row[5] for row in rows[1:3]} == {word}

    def test_few_seeds_show_nothing(self, store, tmp_path):
        put(store, "search", trials())
        put(store, "search-final", final(-0.03, range(3)))
        rows = page_of(store, tmp_path).table("Compared", "By error")
        assert {row[5] for row in rows[1:]} == {"not shown"}

    def test_early_stopping_is_told_cycle_by_cycle(self, store, tmp_path):
        put(store, "search", trials(stopped={0: 1, 1: 1, 4: 2}))
        text = page_of(store, tmp_path).text
        assert "2 of the 8 that reached 1 cycle were stopped there." in text
        assert "1 of the 6 that reached 2 cycles were stopped there." in text
        assert "5 of 8 were given all of their epochs." in text
        assert "no ensemble of the final sweep has finished" in text

    def test_stopped_trials_are_in_no_table(self, store, tmp_path):
        put(store, "search", trials(stopped={2: 1}))
        page = page_of(store, tmp_path)
        rows = page.table("Rank", "lr1")
        assert [row[0] for row in rows[1:]] == list("1234567")
        assert "0.100" not in {row[2] for row in rows[1:]}, "the least nll was of a trial that was stopped"
        assert page.table("Setting", "Trials")[1][1] == "7"

    def test_without_a_complete_trial_nothing_is_chosen(self, store, tmp_path):
        put(store, "search", trials(stopped=dict.fromkeys(range(8), 1)))
        page = page_of(store, tmp_path)
        assert "The data do not show a complete trial, so no setting is chosen." in page.text
        assert len(page.images) == 2

    def test_trials_of_both_subjects_are_told_apart(self, store, tmp_path):
        both = trials()
        other = relaxation_rows([0.001, 0.01, 0.1], [None, 50.0, 5.0])
        other = [row | {k: f"r-{row[k]}" for k in ("task_id", "trial_id")} for row in other]
        put(store, "search", both, {"trials": other, "tasks": tasks_of({"trials": other})})
        page = page_of(store, tmp_path)
        assert page.table("Trials of", "Steepest at")[1][2] == "3"
        assert len(page.table("Rank", "lr1")) == 1 + 8

    def test_relaxations_alone_have_no_study_of_ensembles(self, store, tmp_path):
        rows = relaxation_rows([0.001, 0.01, 0.1], [None, 50.0, 5.0])
        put(store, "noise", {"trials": rows, "tasks": tasks_of({"trials": rows})})
        page = page_of(store, tmp_path)
        assert "Trials" in page.headings
        assert not any(heading.startswith("Study of ensembles") for heading in page.headings)

    def test_two_studies_have_sections_of_their_own(self, store, tmp_path):
        second = trials()
        for name in ("trials", "trial_cycles"):
            second[name] = [row | {k: f"b-{row[k]}" for k in ("task_id", "trial_id")} for row in second[name][:6]]
        put(store, "a", trials())
        put(store, "b", second | {"tasks": tasks_of({k: v for k, v in second.items() if k != "tasks"})})
        headings = page_of(store, tmp_path).headings
        assert {"Study of ensembles: a: fge on digits", "Study of ensembles: b: fge on digits"} <= set(headings)
