"""The report as a reader sees it: what it says, for whole, partial and empty sweeps."""

import base64
import re
from html.parser import HTMLParser

import pytest

from mcdist.analysis import barrier_summary, write_report
from mcdist.errors import RequestError
from mcdist.store import PackResult, open_store

from ..frames import PLAIN, frame, sweep_rows, task

TRACEBACK = (
    'Traceback (most recent call last):\n  File "path.py", line 8\nDiverged: at step 120 <script>alert(1)</script>'
)


class Page(HTMLParser):
    """The text, headings, tables (rows of cells) and images of a page; tags must be closed in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, html):
        super().__init__()
        self.text, self.headings, self.images, self.tables, self.open = "", [], [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        if {"h1", "h2", "h3"} & set(self.open):
            self.headings[-1] += data

    @property
    def barriers(self):
        """The first table of barriers."""
        return next(rows for rows in self.tables if {"5 to 95 % of pairs", "Median [95\u00a0%]"} <= set(rows[0]))

    def table(self, *heads):
        """The one table whose header holds these cells."""
        (found,) = [rows for rows in self.tables if set(heads) <= set(rows[0])] or [[]]
        return found


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store", create=True)


def put(store, name, *parts, extra=()):
    """Commit the rows of each part and record the sweep that asked for them (and for the extra ids)."""
    ids = list(extra)
    for number, tables in enumerate(parts):
        rows = {table: rows for table, rows in tables.items() if table != "tasks"}
        store.commit(PackResult(f"pack-{name}-{number}", tables["tasks"], rows))
        ids += [row["task_id"] for row in tables["tasks"]]
    store.write_sweep(name, f"name: {name}\n# resolved <spec>\n", ids)


def one_metric(*args, **options):
    """The rows of a sweep whose barriers were taken of the train loss alone: quick to draw."""
    tables = sweep_rows(*args, **options)
    tables["barriers"] = [row for row in tables["barriers"] if row["metric"] == "train_loss"]
    return tables


def only_tasks(*tasks):
    return {"tasks": list(tasks)}


def report(store, tmp_path, sweep=None):
    return Page(write_report(store, tmp_path / "out" / "report.html", sweep).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The report of a whole sweep of six end points, and the rows in it."""
    folder, tables = tmp_path_factory.mktemp("whole"), sweep_rows()
    store = open_store(folder / "store", create=True)
    put(store, "first", tables)
    return store, write_report(store, folder / "report.html"), tables


def test_a_whole_sweep(whole):
    page = Page(whole[1].read_text(encoding="utf-8"))
    assert page.headings[0] == "first"
    for heading in ("End points", "digits", "Barriers", "Profiles", "All pairs", "Pair by pair: train loss"):
        assert heading in page.headings
    assert "Failures" not in page.headings
    assert "# resolved <spec>" in page.text
    assert "96 done" in page.text
    assert len(page.images) == 4
    assert page.text.count("How to read this.") == 5
    for absent in ("what alignment does", "curvature along these paths", "the loss on any plane"):
        assert f"The data do not show {absent}" in page.text
    ends = page.table("Count")
    assert ends[1][:2] == ["digitsdigits, mlp, 12,345 parameters, 20 epochs", "6"]


def test_the_numbers_are_those_of_the_statistics(whole):
    _, path, tables = whole
    row = Page(path.read_text(encoding="utf-8")).barriers[1]
    assert row[:4] == ["train loss", "linear", "15", "6"]
    found = barrier_summary(frame("barriers", tables["barriers"]), statistic="mean")
    found = found.query("kind == 'linear' and metric == 'train_loss'").iloc[0]
    assert row[4] == f"{found['estimate']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def test_the_file_needs_nothing_else(whole):
    html = whole[1].read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|iframe|object)\b|@import|url\(", html)
    assert not re.findall(r"(?:src|href)=\"(?!data:image/svg\+xml;base64,|#)", html)
    for image in Page(html).images:
        assert len(image["alt"]) > 20
        svg = base64.b64decode(image["src"].partition(",")[2])
        assert svg.startswith(b"<?xml")
        assert b"</svg>" in svg


def test_the_same_store_gives_the_same_bytes(whole, tmp_path):
    store, path, _ = whole
    assert write_report(store, tmp_path / "again.html").read_bytes() == path.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["again.html"]


def test_settings_of_one_kind_and_alignment_are_shown_apart(store, tmp_path):
    variants = (
        *PLAIN,
        ("linear", True, {}),
        ("bezier", False, {"lr": 0.01}),
        ("bezier", False, {"lr": 0.1}),
    )
    put(store, "first", one_metric(seeds=range(4), variants=[v for v in variants if v != PLAIN[1]]))
    page = report(store, tmp_path)
    paths = [row[1] for row in page.barriers[1:6]]
    assert paths == ["linear", "linear, aligned", "bezier, lr 0.01", "bezier, lr 0.1", "chain"]


def test_problems_are_chapters_of_their_own(store, tmp_path):
    put(store, "first", one_metric("digits", seeds=range(2)), one_metric("letters", seeds=range(3)))
    page = report(store, tmp_path)
    assert [h for h in page.headings if h in ("digits", "letters")] == ["digits", "letters"]
    assert "too few end points: 3 independent, 4 needed" in page.text


def test_ways_of_training_end_points_are_chapters_of_their_own(store, tmp_path):
    slow, fast = one_metric(seeds=range(2)), one_metric("digits-fast", seeds=range(2))
    for row in fast["endpoints"]:
        row.update(problem="digits", lr=0.3)
    put(store, "first", slow, fast)
    page = report(store, tmp_path)
    assert {"digits, lr 0.1", "digits, lr 0.3"} <= set(page.headings)


def test_sweeps_of_one_store_are_kept_apart(store, tmp_path):
    put(store, "first", one_metric("digits", seeds=range(2)))
    put(store, "second", one_metric("letters", seeds=range(2)))
    alone = report(store, tmp_path, "second")
    assert "letters" in alone.headings
    assert "digits" not in alone.headings
    together = report(store, tmp_path)
    assert {"letters", "digits"} <= set(together.headings)
    assert "covers all 2 sweeps of the store together: first, second" in together.text


def test_an_unknown_sweep_is_refused_with_its_neighbour(store, tmp_path):
    put(store, "first", one_metric(seeds=range(2)))
    with pytest.raises(RequestError, match="unknown sweep 'frist'; did you mean 'first'"):
        write_report(store, tmp_path / "report.html", "frist")
    assert not (tmp_path / "report.html").exists()


def test_failures_alone_make_a_report(store, tmp_path):
    failed = task("abc", "endpoint", "failed", TRACEBACK, error_kind="diverged")
    blocked = task("def", "path", "blocked", "input abc failed")
    put(store, "first", only_tasks(failed, blocked), extra=["waiting"])
    page = report(store, tmp_path)
    assert "1 failed, 1 blocked, 1 not finished" in page.text
    assert "Diverged: at step 120 <script>alert(1)</script>" in page.text
    assert "Traceback (most recent call last)" in page.text
    assert "The data do not show any finished end point." in page.text
    assert "The data do not show any finished path" in page.text
    assert not page.images


def test_end_points_without_paths(store, tmp_path):
    tables = one_metric(seeds=range(1))
    put(store, "first", tables)
    page = report(store, tmp_path)
    assert "The data do not show any finished path" in page.text
    assert page.table("Count")[1][1] == "1"


def test_paths_without_profiles(store, tmp_path):
    tables = one_metric(seeds=range(3))
    tables["path_points"], tables["barriers"] = [], []
    put(store, "first", tables)
    page = report(store, tmp_path)
    assert "no path of this chapter has a measured profile" in page.text
    assert "The data do not show any profile along these paths." in page.text
    assert not page.images


def test_a_store_with_nothing_in_it(store, tmp_path):
    page = report(store, tmp_path)
    assert "The store holds no sweep" in page.text
    assert "No task has finished yet." in page.text


def test_missing_values_are_said(store, tmp_path):
    tables = one_metric(seeds=range(5))
    row = next(row for row in tables["barriers"] if row["kind"] == "linear" and row["metric"] == "train_loss")
    row.update(barrier_linear=float("nan"), max=float("nan"))
    put(store, "first", tables)
    page = report(store, tmp_path)
    assert page.barriers[1][7] == "1 missing"


def test_branches_of_one_parent_are_one_family(store, tmp_path):
    tables = one_metric(seeds=range(6))
    for number, row in enumerate(tables["endpoints"]):
        row.update(parent_id=f"parent-{number // 2}", spawn_epoch=2)
    put(store, "first", tables)
    page = report(store, tmp_path)
    assert page.barriers[1][3] == "63 families"
    assert "too few end points: 3 independent, 4 needed" in page.text


def test_a_folder_that_cannot_be_written_is_refused(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="report: cannot write"):
        write_report(store, tmp_path / "file" / "report.html")
