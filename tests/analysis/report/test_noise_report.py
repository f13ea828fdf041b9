"""The report's sections of noisy dynamics: numbers as the functions give them, and claims that may fail."""

import numpy as np
import pandas as pd
import pytest

from mcdist.analysis import (
    crossover,
    crossover_summary,
    drift_points,
    drift_summary,
    entropy_profiles,
    families,
    relaxation_fit,
    relaxation_runs,
    write_report,
)
from mcdist.analysis.report.claims import NOT_SHOWN, OPPOSITE, SHOWN, drift_claims, verdict
from mcdist.analysis.report.noise import noise_of, noise_rows
from mcdist.analysis.report.studies import studies
from mcdist.analysis.report.sweep import MEASURED, SweepTables
from mcdist.analysis.report.text import interval, parts
from mcdist.store import open_store

from ..frames import frame, sweep_rows
from ..moved import with_noise
from .test_report import Page, put

VARIANTS = (("linear", False, {}), ("bezier", False, {}))


def sweep(seeds=range(6), variants=VARIANTS[1:], **drift):
    rows = sweep_rows(seeds=seeds, variants=variants)
    rows["barriers"] = [row for row in rows["barriers"] if row["metric"] == "train_loss"]
    for row in rows["path_points"]:
        row["l2_norm"] = 2.0
    return with_noise(rows, **drift)


def tables_of(rows):
    names = ("tasks", "endpoints", "paths", "path_points", "barriers", *MEASURED)
    held = {name: frame(name, rows.get(name, [])).infer_objects() for name in names}
    return SweepTables("store", ["noise"], {}, 0, **held)


def write(folder, rows):
    store = open_store(folder / "store", create=True)
    put(store, "noise", rows)
    page = Page(write_report(store, folder / "r.html").read_text(encoding="utf-8"))
    page.claims = {row[0]: row[2] for row in page.table("Claim", "Numbers")[1:]}
    return page


@pytest.fixture(scope="module")
def rows():
    return sweep()


@pytest.fixture(scope="module")
def tables(rows):
    return {name: frame(name, part).infer_objects() for name, part in rows.items()}


@pytest.fixture(scope="module")
def page(tmp_path_factory, rows):
    return write(tmp_path_factory.mktemp("noise"), rows)


def test_there_is_a_section_and_a_figure_for_everything(page):
    for heading in (
        "Noise: what is claimed",
        "Mean drift by paired replicas",
        "Drift against arclength",
        "Drift against temperature",
        "Relaxation to the ends",
        "Position against effective time",
        "Relaxation time against temperature",
        "Free energy",
        "Free energy against arclength",
        "Crossover temperatures",
        "Predicted and measured drift",
        "Trials",
        "Relaxation time of the trials",
    ):
        assert heading in page.headings
    assert all(len(image["alt"]) > 20 for image in page.images)


def test_the_drifts_are_those_of_the_summary(page, tables):
    table = page.table("Opposed signs")
    found = drift_summary(drift_points(tables["drifts"], tables["paths"]), families=families(tables["endpoints"]))
    assert [row[1] for row in table[1:]] == ["lr 0.1, B 4", "lr 0.1, B 16", "lr 0.1, B 64"]
    for row, (_, expected) in zip(table[1:], found.iterrows(), strict=True):
        assert row[3] == "60 of 60"
        assert row[4].startswith(f"{100 * expected['outward']:.0f} %")
        assert row[5] == "".join(parts(*(expected[f"drift_noise{end}"] for end in ("", "_low", "_high"))))


def test_relaxations_with_their_controls(page, tables):
    table = page.table("At the nearer end")
    settings = [row[1] for row in table[1:]]
    assert "lr 0.1, B 32, isotropic" in settings
    full = table[1 + settings.index("lr 0.1, full batches")]
    assert full[3] == "0 of 45"
    assert full[5] == "> 200"
    controls = page.table("Against")
    assert {row[1] for row in controls[1:]} == {"full batches", "isotropic noise"}
    fits = page.table("of lr", "of B")
    mine = next(row for row in fits if row[1] == "minibatch")
    runs = relaxation_runs(tables["relaxations"], tables["paths"])
    expected = relaxation_fit(runs, n_boot=2, families=families(tables["endpoints"]))
    expected = expected[expected["noise"] == "minibatch"].iloc[0]
    assert float(mine[3].split()[0]) == pytest.approx(expected["exponent"], abs=0.01)


def test_crossover_temperatures(page, tables):
    table = page.table("Loss pulls inward")
    profiles = entropy_profiles(tables["curvature"], tables["path_points"], tables["paths"])
    found = crossover_summary(crossover(profiles), families=families(tables["endpoints"])).set_index("measure")
    mine = next(row for row in table if row[1] == "Log-determinant of the Hessian")
    assert mine[7].startswith(interval(found.loc["log_det", "t_star"], np.nan, np.nan))


def test_what_the_data_show_is_said(page):
    assert page.claims["Noise drives outward, to the nearer end"] == SHOWN
    assert page.claims["The loss does not: full batches go inward, or far less"] == SHOWN
    assert page.claims["The hotter, the faster outward"] == SHOWN
    assert page.claims["The hotter, the sooner at an end (minibatch)"] == SHOWN
    assert page.claims["lr and B matter beyond lr / B (minibatch)"] == NOT_SHOWN
    assert page.claims["Minibatches arrive sooner than full batches"] == SHOWN
    assert page.claims["There is an entropic barrier, by the log-determinant of the Hessian"] == SHOWN


def claims(**options):
    """What is claimed of a sweep, without its page."""
    (study,) = studies(tables_of(sweep(**options)))
    return {claim.claim: claim.verdict for claim in noise_rows(study, noise_of(study), {})["claims"]}


def test_what_the_data_contradict_is_said():
    found = claims(factor=-1.0, full=0.01)
    assert found["Noise drives outward, to the nearer end"] == OPPOSITE
    assert found["The loss does not: full batches go inward, or far less"] == NOT_SHOWN
    assert found["The hotter, the faster outward"] == OPPOSITE


def test_few_end_points_show_nothing():
    assert set(claims(seeds=range(3)).values()) == {NOT_SHOWN}


def test_paths_that_nothing_moved_on_have_no_section(tmp_path):
    rows = sweep_rows(seeds=range(2), variants=VARIANTS)
    store = open_store(tmp_path / "store", create=True)
    put(store, "still", rows)
    page = Page(write_report(store, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Noise: what is claimed" not in page.headings
    assert "Trials" not in page.headings


@pytest.mark.parametrize("missing", ["drifts", "relaxations", "relaxation_traces", "curvature", "path_points"])
def test_without_one_of_the_tables_the_rest_is_there(missing):
    (study,) = studies(tables_of({name: part for name, part in sweep(range(4)).items() if name != missing}))
    noise = noise_of(study)
    found = noise_rows(study, noise, {})
    assert {name for name in ("drifts", "relaxations", "crossovers", "controls") if not found[name]} == {
        "drifts": {"drifts"},
        "relaxations": {"relaxations", "controls"},
        "curvature": {"crossovers"},
    }.get(missing, set())


def test_what_is_not_there_is_said(tmp_path):
    rows = sweep(range(2))
    kept = {name: part for name, part in rows.items() if name not in ("relaxations", "curvature", "trials", "barriers")}
    page = write(tmp_path, kept)
    assert "The data do not show relaxations on these paths." in page.text
    assert "so there is no free energy to report" in page.text
    assert set(page.claims.values()) == {NOT_SHOWN}
    assert "too few end points: 2 independent, 4 needed" in page.text


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.1, 0.2, SHOWN), (-0.2, -0.1, OPPOSITE), (-1, 1, NOT_SHOWN), (np.nan, np.nan, NOT_SHOWN)],
)
def test_a_verdict_is_where_the_interval_lies(low, high, said):
    assert verdict(low, high) == said


def settings(*rows):
    """Drift summaries of one path: noise and full-batch drift with intervals of 1 % of the greater."""
    records = [
        {"path": "bezier", "drift_noise": noise, "drift_noise_low": noise - e, "drift_noise_high": noise + e}
        | {"drift_full_batch": full, "drift_full_batch_low": full - e, "drift_full_batch_high": full + e}
        | {"ratio": full / noise, "ratio_low": full / noise - 0.02, "ratio_high": full / noise + 0.02, "local": 9}
        | {"outward": 0.9, "outward_low": 0.5, "outward_high": 1.0, "inward": 0, "opposite": 4, "middle": 0}
        for noise, full, e in rows
    ]
    return pd.DataFrame(records)


@pytest.mark.parametrize(
    ("rows", "noise", "loss"),
    [
        ([(1.0, -0.5, 0.01)], SHOWN, SHOWN),  # opposed
        ([(1.0, 0.02, 0.01)], SHOWN, SHOWN),  # far less
        ([(1.0, 0.5, 0.01)], SHOWN, NOT_SHOWN),
        ([(1.0, 3.0, 0.01)], SHOWN, OPPOSITE),  # the loss drives outward, more than noise
        ([(0.001, 0.5, 0.01)], NOT_SHOWN, OPPOSITE),  # the loss alone drives outward
        ([(1.0, -0.5, 0.01), (0.001, -0.5, 0.01)], SHOWN, SHOWN),  # the cold one shows nothing
        ([(1.0, -0.5, 0.01), (-1.0, -0.5, 0.01)], NOT_SHOWN, SHOWN),  # both directions
    ],
)
def test_energy_against_entropy(rows, noise, loss):
    summary = settings(*rows)
    fits = pd.DataFrame(columns=["path", "temperatures"])
    found = drift_claims(summary, summary.head(1), fits)
    assert [claim.verdict for claim in found] == [noise, loss]
