"""The report of a sweep with everything: alignment, tours, AutoNEB, curvature, spectra, planes."""

import numpy as np
import pytest

from mcdist.analysis import (
    barrier_ratio,
    curvature_ratio_summary,
    curvature_ratios,
    families,
    path_summary,
    saddle_tree,
    write_report,
)
from mcdist.analysis.report.text import interval, ratio
from mcdist.store import open_store

from ..frames import frame, sweep_rows, task
from ..measured import (
    alignment_row,
    curvature_rows,
    cycle_rows,
    density_rows,
    plane_rows,
    spectrum_rows,
    with_measures,
)
from .test_report import Page, put

VARIANTS = (
    ("linear", False, {}),
    ("linear", True, {"alignment": "weights"}),
    ("linear", True, {"alignment": "weights", "repair": True}),
    ("bezier", False, {}),
    ("chain", False, {}),
)


def everything():
    """The rows: chains stand for AutoNEB, one bezier path is a tour, one end point has a control."""
    rows = with_measures(sweep_rows(seeds=range(5), variants=VARIANTS), {"bezier": 1.0, "chain": -0.2})
    rows["barriers"] = [row for row in rows["barriers"] if row["metric"] == "train_loss"]
    autonebs = {path["path_id"] for path in rows["paths"] if path["kind"] == "chain"}
    for row in rows["paths"] + rows["barriers"]:
        row["kind"] = "autoneb" if row["path_id"] in autonebs else row["kind"]
    for number, path in enumerate(rows["paths"]):
        path.update(length=3.0 + 0.1 * number, chord=3.0)
        path["n_points"] = 5 + number % 3 if path["kind"] == "autoneb" else path["n_points"]
    a, b, c = rows["endpoints"][:3]
    beziers = [path for path in rows["paths"] if path["kind"] == "bezier"]
    rows["paths"].append(beziers[0] | {"task_id": "tour", "path_id": "tour", "via": ["digits-4"], "n_points": 5})
    rows["curvature"] += curvature_rows(rows["paths"][-1] | {"path_id": "tour"})
    rows["curvature"] += curvature_rows(beziers[1], layer="fc1")
    rows["curvature"] += [
        {"task_id": "at", "role": "endpoint", "endpoint_id": end["endpoint_id"], "measure": "lambda_max"}
        | {"value": 2.0 + 0.1 * k, "n_samples": 100, "subset_seed": 0, "weight_decay": 0.0}
        for k, end in enumerate(rows["endpoints"])
    ]
    rows["path_cycles"] = [
        row for p in rows["paths"] if p["kind"] == "autoneb" for row in cycle_rows(p, [0.5, 0.2, 0.3])
    ]
    rows["alignments"] = [
        alignment_row(a, end, "weights", 10.0, 5.0 + k) for k, end in enumerate(rows["endpoints"][1:])
    ]
    rows["alignments"].append(alignment_row(b, c, "weights"))
    rows["spectra"] = [row for path in beziers for row in spectrum_rows(path)]
    rows["spectral_densities"] = density_rows(beziers[0])
    for end_c, path in ((c, None), (None, beziers[0])):
        planes, marks = plane_rows(a, b, end_c, path)
        rows.setdefault("planes", []).extend(planes)
        rows.setdefault("plane_marks", []).extend(marks)
    rows["endpoints"].append(a | {"task_id": "control", "endpoint_id": "control", "parent_id": "digits-0", "lr": 0.01})
    held = {row["task_id"] for row in rows["tasks"]}
    rows["tasks"] += [
        task(name, "other")
        for name in dict.fromkeys(row["task_id"] for table in rows.values() for row in table)
        if name not in held
    ]
    return rows


@pytest.fixture(scope="module")
def rows():
    return everything()


@pytest.fixture(scope="module")
def page(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("all")
    store = open_store(folder / "store", create=True)
    put(store, "all", rows)
    return Page(write_report(store, folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def related(rows):
    return families(frame("endpoints", rows["endpoints"]))


def row_of(table, *cells):
    (found,) = [row for row in table if list(cells) == [cell for cell in row if cell in cells][: len(cells)]]
    return found


def test_there_is_a_section_and_a_figure_for_everything(page):
    for heading in (
        "Families of paths",
        "Alignment",
        "Cycles of AutoNEB",
        "Curvature along the paths",
        "Curvature against arclength",
        "Leading eigenvalues",
        "Density of eigenvalues",
        "Curvature at end points",
        "Planes",
        "Published and measured",
    ):
        assert heading in page.headings
    assert len(page.images) == 8
    assert all(len(image["alt"]) > 20 for image in page.images)
    assert "50 pairs" not in page.text
    assert "5 end points, 10 pairs, 51 paths, of which 1 lead through several end points." in page.text


def test_the_families_side_by_side(page, rows, related):
    table = page.table("Highest saddle")
    paths = [row[0] for row in table[1:]]
    assert paths == [
        "linear",
        "linear, aligned by weights",
        "linear, aligned by weights, repair",
        "autoneb",
        "bezier",
        "bezier, via 1",
    ]
    autoneb, barriers = row_of(table, "autoneb"), frame("barriers", rows["barriers"])
    lengths = path_summary(frame("paths", rows["paths"]), ("kind", "via"), families=related).set_index("kind")
    assert autoneb[3].replace("[", " [") == ratio(*lengths.loc["autoneb", ["estimate", "low", "high"]])
    assert float(autoneb[6]) == pytest.approx(
        saddle_tree(barriers[barriers["kind"] == "autoneb"])["saddle"].max(), rel=0.01
    )
    assert autoneb[7] == "5 to 7 control points"
    assert row_of(table, "bezier, via 1")[7] == "1 end point on the way"
    assert row_of(table, "linear")[4] == "–"  # noqa: RUF001


def test_what_alignment_does(page, rows, related):
    table = page.table("Barrier of / barrier of")
    assert [row[1] for row in table[1:]] == [
        "linear / linear, aligned by weights",
        "linear / linear, aligned by weights, repair",
        "linear, aligned by weights / linear, aligned by weights, repair",
    ]
    barriers = frame("barriers", rows["barriers"])
    linear = barriers[barriers["kind"] == "linear"]
    repaired = linear["path_id"].str.contains("True-True")
    found = barrier_ratio(
        linear[~repaired], {"aligned": False}, {"aligned": True}, metric="train_loss", families=related
    ).iloc[0]
    assert float(table[1][3].split()[0]) == pytest.approx(found["ratio"], rel=0.01)
    matched = page.table("Matched by")
    assert matched[1][:4] == ["weights", "5", "128 in 2 groups", "94 %"]
    assert matched[1][6].startswith("0.600 [")


def test_the_cycles_of_autoneb(page):
    table = page.table("Cycle", "Pivots")
    assert [row[1] for row in table[1:]] == ["1", "2", "3"]
    assert table[2][:8] == ["", "2", "100", "0.05", "4", "10", "0.200", "10 of 10"]
    assert table[2][8] == "all pairs have the same value"


def test_curvature_against_ends_and_controls(page, rows, related):
    table = page.table("Above both controls")
    assert [row[0] for row in table[1:] if row[0]] == ["Fisher trace", "Largest Hessian eigenvalue"]
    plain = [path for path in rows["paths"] if path["kind"] == "bezier"]
    ratios = curvature_ratios(frame("curvature", rows["curvature"]), frame("paths", plain))
    mine = ratios[ratios["measure"] == "fisher_trace"].assign(what="Fisher trace")
    found = curvature_ratio_summary(mine, ("what", "kind", "via"), families=related).iloc[0]
    row = next(row for row in table if row[1] == "bezier")
    assert row[3].startswith(ratio(found["estimate"], found["low"], found["high"]).replace(" [", "["))
    assert row[3].endswith("each")
    assert row[7:9] == ["100 %[48, 100]"] * 2
    assert next(row for row in table if row[1] == "autoneb")[7:9] == ["0 %[0, 52]"] * 2


def test_layers_and_end_points_by_themselves(page):
    layers = page.table("Layer")
    assert [row[2] for row in layers[1:]] == ["layer fc1", "layer fc1"]
    assert "9 not measured" in layers[1][6]
    ends = page.table("Part", "End points")
    values = 2.0 + 0.1 * np.arange(5)
    assert ends[1][:3] == ["Largest Hessian eigenvalue", "whole network", "5"]
    assert ends[1][3].startswith(interval(values.mean(), np.nan, np.nan))


def test_controls_are_no_end_points_of_their_own(page):
    table = page.table("Problem", "Count")
    assert [row[1] for row in table[1:]] == ["5", "1"]
    assert table[2][0].startswith("digits, trained on")
    assert "no networks of their own" in table[2][0]


def test_published_numbers_beside_the_measured(page):
    table = page.table("Published")
    assert "Nothing in this report was measured on the data and networks of these papers." in page.text
    length = next(row for row in table if row[1].startswith("length"))
    assert length[3].startswith("1.5 to 2.5")
    assert "digits; 10 pairs" in length[4]
    assert any(row[4] == "not measured" for row in table[1:])


def test_planes_without_any_path(tmp_path):
    tables = sweep_rows(seeds=range(3))
    planes, marks = plane_rows(*tables["endpoints"])
    for name in ("paths", "path_points", "barriers"):
        tables[name] = []
    name = planes[0]["task_id"]
    tables |= {"planes": planes, "plane_marks": marks, "tasks": [*tables["tasks"], task(name, "plane")]}
    store = open_store(tmp_path / "store", create=True)
    put(store, "planes", tables)
    page = Page(write_report(store, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert len(page.images) == 1
    assert "no path of this chapter has a measured profile" in page.text
    assert "Published and measured" not in page.headings
