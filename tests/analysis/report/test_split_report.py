"""The report of networks that were split: energetic barriers that vanish early, curvature that persists."""

import numpy as np
import pytest

from mcdist.analysis import write_report
from mcdist.analysis.report.claims import NOT_SHOWN, OPPOSITE, SHOWN
from mcdist.analysis.report.split import split_section
from mcdist.analysis.report.sweep import MEASURED, SweepTables
from mcdist.store import open_store

from ..frames import T, endpoint, frame, path_rows, task
from .test_report import Page, put

EPOCHS = (0, 1, 2, 4, 8)


def split(seeds=5, energy=1.5, curvature=5.0, epochs=EPOCHS):
    """Two branches of each parent at each epoch k: both instabilities fall as exp(-k / theirs)."""
    rng = np.random.default_rng(0)
    rows = {"endpoints": [], "paths": [], "path_points": [], "barriers": [], "curvature": []}
    for seed in range(seeds):
        for k in epochs:
            a, b = (
                endpoint("digits", seed, rng, parent_id=f"parent-{seed}", spawn_epoch=k, branch=n)
                | {"task_id": f"d{seed}-{k}-{n}", "endpoint_id": f"d{seed}-{k}-{n}"}
                for n in range(2)
            )
            own = float(np.exp(0.1 * rng.normal()))
            path, points, barriers = path_rows("linear", a, b, 20 * own * np.exp(-k / energy))
            rows["endpoints"] += [a, b]
            rows["paths"].append(path)
            rows["path_points"] += points
            rows["barriers"] += [row for row in barriers if row["metric"] == "train_error"]
            rise = 3 * own * np.exp(-k / curvature)
            about = {"task_id": f"c{seed}-{k}", "path_id": path["path_id"], "role": "path"} | {
                "measure": "fisher_trace",
                "problem": "digits",
            }
            rows["curvature"] += [
                about | {"t": t, "s": t, "value": 1 + rise * 4 * t * (1 - t), "subset_seed": 0, "weight_decay": 0.0}
                for t in T
            ]
    names = dict.fromkeys(row["task_id"] for part in rows.values() for row in part)
    return rows | {"tasks": [task(name, "any") for name in names]}


def section(rows):
    names = ("tasks", "endpoints", "paths", "path_points", "barriers", *MEASURED)
    held = {name: frame(name, rows.get(name, [])).infer_objects() for name in names}
    return split_section(SweepTables("store", ["split"], {}, 0, **held))


def verdicts(**options):
    return {row["claim"]: row["verdict"] for row in section(split(**options))["later"]}


CLAIM = "Fisher trace after train error"


def test_curvature_that_persists_is_shown_and_the_opposite_is_said():
    assert verdicts() == {CLAIM: SHOWN}
    assert verdicts(energy=5.0, curvature=0.5, epochs=(0, 1, 2, 4, 8, 16, 19)) == {CLAIM: OPPOSITE}
    assert verdicts(seeds=3) == {CLAIM: NOT_SHOWN}


def test_an_onset_beyond_the_epochs_is_a_range():
    onsets = {row["measure"]: row for row in section(split())["onsets"]}
    early, late = onsets["Train error"], onsets["Fisher trace"]
    assert 1 < float(early["onset"][0]) < 8
    assert late["onset"][0] == "8.00 to 20.0"
    assert late["note"].startswith("not below at the last epoch")
    assert (early["what"], late["what"]) == ("energetic", "entropic")


def test_without_split_networks_there_is_no_section():
    rows = split()
    rows["endpoints"] = [row | {"spawn_epoch": None, "parent_id": None} for row in rows["endpoints"]]
    assert section(rows) is None
    assert section({}) is None


@pytest.mark.parametrize("missing", ["curvature", "barriers"])
def test_one_kind_alone_is_not_compared(missing):
    found = section(split() | {missing: []})
    assert found["later"] == []
    assert len(found["onsets"]) == 1


def test_without_lines_nothing_is_shown():
    assert section(split() | {"paths": []})["onsets"] == []


def test_the_page(tmp_path):
    store = open_store(tmp_path / "store", create=True)
    put(store, "split", split(epochs=(0, 4)))
    page = Page(write_report(store, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Networks that were split" in page.headings
    assert "Does curvature persist longer?" in page.headings
    assert len(page.table("Split at epoch")) == 1 + 2 * 2
    assert any("epoch of splitting" in image["alt"] for image in page.images)
