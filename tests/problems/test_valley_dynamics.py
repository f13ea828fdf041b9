"""Noisy dynamics in the toy valley against theory: mean drifts at short times, the stationary density at long ones.

The valley is written down here a second time, in numpy. Noise of one seed is the same at every temperature, so tests of
several temperatures are not independent of each other; those of several starts are.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

import mcdist
from mcdist.analysis.crossovers import crossover
from mcdist.analysis.drifts import drift_points
from mcdist.analysis.free_energy import entropy_profiles
from mcdist.analysis.predicted import predicted_drift
from mcdist.analysis.report import write_report
from mcdist.problems.valley import Valley
from mcdist.science.dynamics.walk import Dynamics, Walk
from mcdist.science.optimizers import Sgd
from mcdist.science.points import Points
from mcdist.science.streams import Stream
from mcdist.store import Store

Floats = NDArray[np.float64]
JOB = Path(__file__).parents[2] / "jobs" / "toy-entropic.yaml"


@dataclass(frozen=True)
class Theory:
    """g, L and what follows, for y in [0, 1] unless said otherwise."""

    n: int
    a: float
    m: float
    e: float
    w: float

    def g(self, y: Floats) -> Floats:
        return self.a + (self.m - self.a) * np.sin(np.pi * np.clip(y, 0, 1)) ** 2

    def floor(self, y: Floats) -> Floats:
        inside = np.clip(y, 0, 1)
        return self.e * np.sin(np.pi * inside) ** 2 + self.w / 2 * (y - inside) ** 2

    def drift(self, y: float, eta: float, T: float, steps: int) -> float:
        """Mean displacement of y that noise adds to a run from (0, y), to first order in T.

        Along the noise-free run y_i, with u = <x_i^2> of each component, v = Var y_i, d = the mean departure from it:

            u <- (1 - eta g)^2 u + 2 T eta,   v <- (1 - eta L'')^2 v + 2 T eta,
            d <- d - eta (L'' d + L''' v / 2 + n g' u / 2).
        """
        u = v = d = 0.0
        for _ in range(steps):
            g, slope = self.g(np.array(y)), (self.m - self.a) * np.pi * math.sin(2 * np.pi * y)
            L1, L2 = self.e * np.pi * math.sin(2 * np.pi * y), self.e * 2 * np.pi**2 * math.cos(2 * np.pi * y)
            L3 = -self.e * 4 * np.pi**3 * math.sin(2 * np.pi * y)
            d -= eta * (L2 * d + L3 * v / 2 + self.n * slope * u / 2)
            u, v = (1 - eta * float(g)) ** 2 * u + 2 * T * eta, (1 - eta * L2) ** 2 * v + 2 * T * eta
            y -= eta * L1
        return d

    def closed_form(self, y: float, eta: float, T: float, steps: int) -> float:
        """The same with a flat floor: y_i stays, and <|x_i|^2> = n 2 T eta (1 - q^i) / (1 - q), q = (1 - eta g)^2."""
        q = (1 - eta * float(self.g(np.array(y)))) ** 2
        squares = self.n * 2 * T * eta * (1 - q ** np.arange(steps)) / (1 - q)
        return -eta / 2 * (self.m - self.a) * np.pi * math.sin(2 * np.pi * y) * float(squares.sum())

    def folded(self, T: float, edges: Floats) -> Floats:
        """P(|s - 1/2| < edge), s = y clipped to [0, 1], of p(y) ~ exp(-L / T) g^(-n / 2) on the whole line."""
        room = 12 * math.sqrt(T / self.w)
        y = np.linspace(-room, 1 + room, 200_001)
        p = np.exp(-(self.floor(y) - min(self.e, 0.0)) / T) * self.g(y) ** (-self.n / 2)
        order = np.argsort(np.abs(np.clip(y, 0, 1) - 0.5), kind="stable")
        reached = np.concatenate([[0.0], np.cumsum(p[order])]) / p.sum()
        return reached[np.searchsorted(np.abs(np.clip(y, 0, 1) - 0.5)[order], edges, side="left")]


def valley(theory: Theory) -> Valley:
    return Valley(theory.n, theory.a, theory.m, theory.e, theory.w)


def walked(theory: Theory, y: Floats, eta: float, T: float, steps: int, seed: int = 0) -> Floats:
    """y after so many steps of walkers that start on the floor, each by its own stream."""
    theta = np.concatenate([np.zeros((len(y), theory.n)), y[:, None]], axis=1)
    how = Dynamics(lr=eta, optimizer=Sgd, noise="isotropic")
    streams = [Stream.of("walker", seed, k) for k in range(len(y))]
    heat = torch.full((len(y),), T, dtype=torch.float64)
    walk = Walk(valley(theory), Points(torch.from_numpy(theta), {}), how, streams, heat)
    walk.advance(steps)
    return walk.points.theta[:, -1].numpy()


STIFF = Theory(8, 40.0, 160.0, 0.0, 100.0)
PULLED = Theory(8, 40.0, 160.0, -0.5, 100.0)


@pytest.mark.parametrize(("y", "steps"), [(0.2, 1), (0.2, 2), (0.35, 60), (0.9, 17)])
def test_the_theory_of_a_flat_floor_is_the_closed_form(y: float, steps: int) -> None:
    assert STIFF.drift(y, 0.003, 0.01, steps) == pytest.approx(STIFF.closed_form(y, 0.003, 0.01, steps), rel=1e-12)
    if steps == 1:
        assert STIFF.drift(y, 0.003, 0.01, steps) == 0.0  # x is 0 at the first step


@pytest.mark.parametrize(("T", "steps"), [(0.001, 100), (0.003, 35), (0.01, 10), (0.03, 4)])
@pytest.mark.parametrize("theory", [STIFF, PULLED], ids=["flat", "pulled"])
def test_mean_drifts_of_walkers(theory: Theory, T: float, steps: int) -> None:
    """1500 walkers from each of eight starts: each mean within 3 standard errors, and the common factor to theory.

    The standard deviation of y is 0.024 (steps so that 2 T t = 6e-4): what is of second order in T, about 4 pi^2 T t of
    the drift, is 1 %, a tenth of the factor's standard error.
    """
    eta, R = 0.003, 1500
    starts = np.array([0.1, 0.15, 0.25, 0.35, 0.65, 0.75, 0.85, 0.9])
    moved = walked(theory, np.repeat(starts, R), eta, T, steps).reshape(len(starts), R) - starts[:, None]
    quiet = walked(theory, starts, eta, 0.0, steps) - starts
    mean, error = moved.mean(1) - quiet, moved.std(1, ddof=1) / R**0.5
    expected = np.array([theory.drift(y, eta, T, steps) for y in starts])
    assert np.abs((mean - expected) / error).max() < 3
    assert_factor_is_1(mean, error, expected, at_most=0.12)


def assert_factor_is_1(mean: Floats, error: Floats, expected: Floats, at_most: float) -> None:
    """The least-squares factor between drifts and theory is 1 within 3 standard errors of `at_most` so much."""
    weight = float((expected**2 / error**2).sum())
    factor, stderr = float((expected * mean / error**2).sum()) / weight, weight**-0.5
    assert stderr < at_most, "too little is seen for the test to mean anything"
    assert abs(factor - 1) < 3 * stderr, f"{factor:.3f} +- {stderr:.3f}"


def test_without_temperature_nothing_moves_on_a_flat_floor() -> None:
    starts = np.linspace(0.05, 0.95, 19)
    assert np.array_equal(walked(STIFF, starts, 0.003, 0.0, 500), starts)


SOFT = {
    "flat": Theory(2, 1.0, 4.0, 0.0, 10.0),
    "pulled to the middle": Theory(2, 1.0, 4.0, -0.2, 10.0),
    "many stiff directions": Theory(8, 1.0, 1.5, 0.1, 10.0),
}


@pytest.mark.parametrize("T", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("name", SOFT)
def test_the_stationary_density_of_walkers(name: str, T: float) -> None:
    """2000 walkers after 4 of time, more than five relaxation times of the slowest even mode (0.72): the distance of
    Kolmogorov below its 3 sigma quantile, 0.04.

    Each walker counts once, where it is at the end, so the effective number is their number. Only |s - 1/2| is looked
    at, and starts are symmetric: how the halves are filled, which takes longest, is even by symmetry. Steps of 0.02
    make the variances of x and of y beyond the walls too great, by eta / 2 times the curvature: in the limit of fast x
    that is a distance of 0.016 at most.
    """
    theory, N = SOFT[name], 2000
    y = walked(theory, np.linspace(0.0, 1.0, N), 0.02, T, 200)
    folded = np.sort(np.abs(np.clip(y, 0, 1) - 0.5))
    folded = folded[folded < 0.5]  # beyond the walls all is one place
    expected, steps = theory.folded(T, folded), np.arange(len(folded) + 1) / N
    distance = max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max())
    assert distance < stats.kstwo.isf(0.0027, N)
    side = float((y > 0.5).mean())
    assert abs(side - 0.5) < 3 * 0.5 / N**0.5


def test_another_density_would_be_seen() -> None:
    """Of the valley with a quarter more stiffness in its middle."""
    theory, N = SOFT["flat"], 2000
    folded = np.sort(np.abs(np.clip(walked(theory, np.linspace(0.0, 1.0, N), 0.02, 0.3, 200), 0, 1) - 0.5))
    other = Theory(3, 1.0, 4.0, 0.0, 10.0).folded(0.3, folded[folded < 0.5])
    assert np.abs(other - np.arange(1, len(other) + 1) / N).max() > stats.kstwo.isf(0.0027, N)


def run(spec: Any, store: Path) -> Store:
    summary = mcdist.run(spec, store=str(store), executor="serial", out=io.StringIO())
    assert not summary.failed
    return mcdist.open_store(str(store))


@pytest.mark.long
def test_a_sweep_of_every_kind_of_task_and_its_report(tmp_path: Path) -> None:
    """What needs no examples, labels or test data is there, the rest is null; the report is written of it."""
    hot = {"lr": 0.01, "noise": "isotropic", "temperature": 0.01, "starts": 3, "replicas": 2}
    spec = {
        "name": "valley",
        "problem": {"kind": "valley", "stiff": 3, "energy": -0.1},
        "endpoints": {"seeds": [0, 5, 1, 2], "train": {"epochs": 40, "lr": 0.01}},
        "pairs": [[0, 2], [1, 3]],
        "paths": [
            {"kind": "linear"},
            {"kind": "bezier", "train": {"epochs": 5, "lr": 0.01}},
            {"kind": "autoneb", "neb": {"pivots": 2, "most": 3, "cycles": [{"steps": 3, "lr": 0.01}]}},
        ],
        "tours": [[0, 2, 1]],
        "measure": {
            "profile": {"points": 5},
            "curvature": [{"points": 3, "measures": ["lambda_max", "log_det"], "controls": True, "kinds": ["bezier"]}],
            "plane": {"points": 3},
            "drift": hot | {"steps": 4},
        },
        "relaxations": hot | {"time": 0.5},
        "resources": {"pack": 4, "compile": "off", "cuda_graphs": "off", "channels_last": "off"},
    }
    store = run(spec, tmp_path / "store")
    tables = {name: store.table(name) for name in ("endpoints", "path_points", "barriers", "planes", "drifts")}
    for name in ("endpoints", "path_points", "planes"):
        assert tables[name]["train_loss"].notna().all()
        for column in ("train_error", "test_loss", "test_error"):
            assert tables[name][column].isna().all(), (name, column)
    assert set(tables["endpoints"]["problem"]) == {"valley, stiff 3, energy -0.1"}
    assert set(tables["barriers"]["metric"]) == {"train_loss"}
    assert (store.table("curvature")["n_samples"] == 1).all()
    assert tables["drifts"]["gradient_noise"].isna().all()
    assert set(store.table("relaxations")["t_measured"]) == {0.01}
    page = write_report(store, tmp_path / "report.html")
    assert "valley, stiff 3, energy -0.1" in page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return run(JOB, tmp_path_factory.mktemp("toy") / "store")


FLAT, BENT = Theory(4, 2.5, 10.0, 0.0, 12.5), Theory(4, 2.5, 10.0, -0.1, 12.5)
ENERGIES = {
    "valley, stiff 4, stiffness 2.5, middle 10, wall 12.5": FLAT,
    "valley, stiff 4, stiffness 2.5, middle 10, energy -0.1, wall 12.5": BENT,
}
PROBLEMS = pytest.mark.parametrize("problem", ENERGIES, ids=["flat", "pulled"])


@pytest.mark.long
def test_ends_of_the_job_are_those_of_the_valley(job: Store) -> None:
    paths = job.table("paths")
    assert len(paths) == 8
    for end, y in (("endpoint_a", 0.0), ("endpoint_b", 1.0)):
        for endpoint in paths[end]:
            weights = job.weights(endpoint)
            assert float(weights["y"]) == y  # a rounding beyond, the curvature would be the wall's
            assert float(weights["x"].abs().max()) < 1e-12
    assert np.allclose(paths["length"], 1.0)


@pytest.mark.long
@PROBLEMS
def test_curvature_and_crossover_of_the_job(job: Store, problem: str) -> None:
    """tr H = n g + L'', ln det = n ln g; T* = 2 |e| / (n ln(m / a))."""
    theory, rows = ENERGIES[problem], job.table("curvature")
    rows = rows[rows["problem"] == problem]
    t = rows["t"].to_numpy()
    g, bend = theory.g(t), theory.e * 2 * np.pi**2 * np.cos(2 * np.pi * t)
    det, trace = ((rows["measure"] == name).to_numpy() for name in ("log_det", "hessian_trace"))
    assert det.sum() == 4 * 21
    assert np.allclose(rows["value"][det], theory.n * np.log(g)[det], atol=1e-6)
    error = 4 * rows["stderr"][trace] + 1e-6
    assert (np.abs(rows["value"][trace] - (theory.n * g + bend)[trace]) < error).all()

    paths = job.table("paths")
    profiles = entropy_profiles(rows[rows["measure"] == "log_det"], job.table("path_points"), paths)
    stars = crossover(profiles)
    assert len(stars) == 4
    assert stars["delta_energy"].to_numpy() == pytest.approx(theory.e, abs=1e-9)
    assert stars["s_star"].to_numpy() == pytest.approx(0.5)
    assert stars["t_star"].to_numpy() == pytest.approx(2 * abs(theory.e) / (4 * math.log(4)), abs=1e-8)


@pytest.mark.long
@PROBLEMS
def test_drifts_of_the_job(job: Store, problem: str) -> None:
    """At every temperature: from each start within 3 standard errors, four pairs together; and the factor to theory.

    Of each temperature the longest run with 2 T t <= 1.2e-3: second order in T is then about 2 % of the drift.
    """
    theory, rows = ENERGIES[problem], job.table("drifts")
    rows = rows[rows["problem"] == problem].assign(sign=lambda d: d["outward"].fillna(1))
    for temperature, own in rows.groupby("t_measured"):
        T = float(str(temperature))
        if T == 0.0:
            assert own["drift_noise"].abs().max() < 1e-15
            continue
        steps = max(n for n in own["steps"].unique() if 2 * T * 0.008 * n <= 1.2e-3 * (1 + 1e-9))
        last = own[own["steps"] == steps]
        last = last.assign(m=last["drift_noise"] * last["sign"], v=last["stderr"] ** 2)
        seen = last.groupby("s").agg(m=("m", "mean"), v=("v", "sum"), pairs=("m", "size"))
        mean, error = seen["m"].to_numpy(), (seen["v"] ** 0.5 / seen["pairs"]).to_numpy()
        expected = np.array([theory.drift(float(s), 0.008, T, int(steps)) for s in seen.index])
        assert np.abs((mean - expected) / error).max() < 3, T
        assert_factor_is_1(mean, error, expected, at_most=0.25)


@pytest.mark.long
@PROBLEMS
def test_full_batch_drifts_of_the_job(job: Store, problem: str) -> None:
    """y <- y - eta L'(y), a plain loop."""
    theory, rows = ENERGIES[problem], job.table("drifts")
    for row in rows[rows["problem"] == problem].itertuples():
        y = float(row.s)
        for _ in range(int(row.steps)):
            y -= 0.008 * theory.e * np.pi * math.sin(2 * np.pi * y)
        sign = 1 if pd.isna(row.outward) else int(row.outward)
        assert row.drift_full_batch == pytest.approx(sign * (y - row.s), abs=1e-12)


@pytest.mark.long
@PROBLEMS
def test_the_stationary_density_of_the_job(job: Store, problem: str) -> None:
    """The share of time in five places of |s - 1/2|, from time 12 on: each within 3 standard errors, and together.

    288 runs are independent, so each counts once, with its share of the time: means over runs, their covariance from
    the scatter between runs, Hotelling's T^2; no correlation in time enters. Even modes settle within 3 of time.
    """
    theory, runs = ENERGIES[problem], job.table("relaxations")
    about = ["task_id", "path_id", "s0", "replica"]
    free = runs[(runs["problem"] == problem) & runs["k_project"].isna() & (runs["noise"] == "isotropic")]
    looks = job.table("relaxation_traces").merge(free[[*about, "temperature"]], on=about)
    assert sorted(free["temperature"].unique()) == [0.0, 0.01, 0.03, 0.1, 0.3]
    edges = np.linspace(0.0, 0.5, 6)
    for temperature, own in looks.groupby("temperature"):
        T = float(str(temperature))
        if T == 0.0:
            if theory.e == 0.0:
                assert (own["s"] - own["s0"]).abs().max() < 1e-12
            continue
        late = own[own["t_eff"] >= 12]
        place = np.minimum(np.searchsorted(edges, (late["s"] - 0.5).abs(), side="right") - 1, 4)
        there = pd.get_dummies(pd.Series(place, index=late.index)).reindex(columns=range(5), fill_value=False)
        shares = there.astype(float).groupby([late[name] for name in about]).mean().to_numpy()
        expected = np.diff(np.append(theory.folded(T, edges[:-1]), 1.0))
        departure, N = shares.mean(0) - expected, len(shares)
        assert N == 288
        often = shares.astype(bool).sum(0) >= 10  # a place that hardly any run has seen gives no standard error
        error = shares.std(0, ddof=1) / N**0.5
        assert (np.abs(departure[often]) < 3 * error[often]).all(), T
        some = np.flatnonzero(often)[:-1]
        d, C = departure[some], np.cov(shares[:, some].T).reshape(len(some), -1) / N
        F = float(d @ np.linalg.solve(C, d)) * (N - len(some)) / ((N - 1) * len(some))
        assert stats.f.sf(F, len(some), N - len(some)) > 0.0027, T


@pytest.mark.long
@PROBLEMS
def test_the_drift_that_curvature_predicts_is_the_one_measured(job: Store, problem: str) -> None:
    tables = {name: job.table(name) for name in ("drifts", "curvature", "path_points", "paths", "spectra")}
    points = drift_points(tables["drifts"], tables["paths"])
    points = points[(points["problem"] == problem) & (points["t_measured"] > 0)]
    points = points[2 * points["t_measured"] * points["t_eff"] <= 1.2e-3 * (1 + 1e-9)]
    points = points[points["drift_full_batch"].abs() < 0.08]  # elsewhere it is no drift at a point
    found = predicted_drift(
        points, tables["curvature"], tables["path_points"], tables["paths"], tables["spectra"], ["log_det"]
    )
    assert (found["modes"] == 5).all()  # as many are followed; the one along the floor is below the log_det's
    assert len(found) >= 100
    assert (found["excess_z"].abs() < 4.2).all()  # of 200 numbers one in a hundred times beyond
    assert abs(float(found["excess_z"].mean())) < 0.5
