"""What the figures of curvature, planes, spectra and densities show, read back from the artists."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from mcdist.analysis import (
    control_summary,
    curvature_profile,
    plot_curvature,
    plot_density,
    plot_plane,
    plot_spectrum,
)
from mcdist.analysis.plots.style import KIND_COLOURS
from mcdist.errors import RequestError

from ..frames import frame, sweep_rows
from ..measured import S, bump, curvature_rows, density_rows, plane_rows, spectrum_rows, with_measures

ROWS = sweep_rows(seeds=range(4))
ENDS = ROWS["endpoints"]


@pytest.fixture(scope="module")
def tables():
    return {name: frame(name, part) for name, part in with_measures(ROWS, {"bezier": 1.0, "chain": 0.5}).items()}


@pytest.fixture
def ax():
    return Figure().subplots()


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def test_curvature_has_a_line_and_a_band_per_kind_and_the_controls_beside_it(tables, ax):
    plot_curvature(tables["curvature"], tables["paths"], "fisher_trace", ax)
    drawn = lines(ax)
    assert {name: line.get_color() for name, line in drawn.items()} == {k: KIND_COLOURS[k] for k in ("bezier", "chain")}
    expected = curvature_profile(tables["curvature"], tables["paths"], "fisher_trace").query("kind == 'bezier'")
    np.testing.assert_allclose(drawn["bezier"].get_ydata(), expected["estimate"].to_numpy(float))
    np.testing.assert_allclose(drawn["bezier"].get_xdata(), S)
    marks = [bars[0] for bars in ax.containers]
    assert sorted(float(mark.get_ydata()[0]) for mark in marks) == pytest.approx([1.1, 1.1, 1.2, 1.2])
    assert all(mark.get_xdata()[0] < 0 or mark.get_xdata()[0] > 1 for mark in marks)
    assert len(control_summary(tables["curvature"], tables["paths"], "fisher_trace")) == len(marks)
    assert (ax.get_ylabel(), ax.get_yscale()) == ("Fisher trace", "linear")


def test_curvature_that_spans_much_has_a_logarithmic_scale(ax):
    paths = ROWS["paths"][1::3]
    rows = [row for path in paths for row in curvature_rows(path, value=bump(20.0), controls=None)]
    plot_curvature(frame("curvature", rows), frame("paths", paths), "fisher_trace", ax, axis="t")
    assert (ax.get_yscale(), ax.get_xlabel(), ax.get_legend()) == ("log", "t", None)


def test_curvature_of_one_pair_has_no_band(tables, ax):
    one = tables["paths"].query("kind == 'bezier'").head(1)
    plot_curvature(tables["curvature"], one, "lambda_max", ax)
    assert list(lines(ax)) == ["bezier"]
    bands = [band for band in ax.collections if isinstance(band, PolyCollection)]
    assert [len(path.vertices) for band in bands for path in band.get_paths()] == []


def test_the_spectrum_is_the_mean_of_each_eigenvalue(tables, ax):
    paths = ROWS["paths"][1::3]
    spectra = frame("spectra", [row for path in paths for row in spectrum_rows(path)])
    plot_spectrum(spectra, frame("paths", paths), "hessian", ax)
    drawn = [line.get_ydata() for line in ax.get_lines()]
    np.testing.assert_allclose(drawn, [bump(1.0)(S) / 2**k for k in range(4)])
    assert list(lines(ax)) == ["eigenvalue 1", "eigenvalue 4"]
    with pytest.raises(RequestError, match="unknown operator 'hesian'; did you mean 'hessian'"):
        plot_spectrum(spectra, frame("paths", paths), "hesian", ax)


def test_the_spectrum_of_paths_that_have_none(ax):
    plot_spectrum(frame("spectra", spectrum_rows(ROWS["paths"][1])), frame("paths", ROWS["paths"][:1]), "hessian", ax)
    assert not ax.get_lines()


def test_the_density_at_the_ends_and_in_the_middle(ax):
    path = ROWS["paths"][1]
    rows = density_rows(path, (0.0, 0.45, 0.8, 1.0))
    rows += [row | {"role": "control"} for row in density_rows(path, (0.0,))]
    plot_density(frame("spectral_densities", rows), path["path_id"], "hessian", ax)
    assert list(lines(ax)) == ["end a", "middle, s = 0.45", "end b", "control a"]
    assert ax.get_yscale() == "log"
    curve = lines(ax)["end a"]
    np.testing.assert_allclose(curve.get_ydata(), np.exp(-(curve.get_xdata() ** 2)))


def plane(path=None, **changes):
    rows, marks = plane_rows(*ENDS[:2], None if path else ENDS[2], path)
    return frame("planes", [row | changes for row in rows]), frame("plane_marks", marks), rows[0]["plane_id"]


@pytest.mark.parametrize("metric", ["train_loss", "test_error"])
def test_a_plane_has_its_points_its_path_and_levels_by_logarithm(ax, metric):
    planes, marks, name = plane(ROWS["paths"][1])
    plot_plane(planes, marks, name, metric, ax)
    (path,) = ax.get_lines()
    assert (path.get_linestyle(), len(path.get_xdata())) == ("-", 11)
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c"]
    filled, dots = ax.collections
    np.testing.assert_allclose(dots.get_offsets(), [(0, 0), (4, 0), (2, 3)])
    steps = np.diff(np.log(filled.levels))
    np.testing.assert_allclose(steps, steps[0])
    values = planes[metric].astype(float)
    assert filled.levels[-1] == pytest.approx(values.max())
    assert filled.levels[0] == pytest.approx(max(values.min(), values.max() / 1000))
    assert ax.get_aspect() == 1


def test_a_path_outside_the_plane_is_dashed(ax):
    planes, marks, name = plane(ROWS["paths"][1])
    plot_plane(planes, marks.assign(distance=0.5), name, "train_loss", ax)
    assert ax.get_lines()[0].get_linestyle() == "--"


@pytest.mark.parametrize("value", [np.nan, 0.0, -1.0, 0.3])
def test_a_plane_without_contrast_still_has_its_points(ax, value):
    planes, marks, name = plane(train_loss=value)
    plot_plane(planes, marks, name, "train_loss", ax)
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c"]
    assert not ax.get_lines()
    ax.figure.canvas.draw()


def test_values_that_are_not_finite_leave_holes(ax):
    planes, marks, name = plane()
    planes.loc[3, "train_loss"] = np.inf
    planes = planes.drop(index=5)
    plot_plane(planes, marks, name, "train_loss", ax)
    ax.figure.canvas.draw()
    assert ax.collections[0].levels[-1] == pytest.approx(planes.drop(index=3)["train_loss"].max())


def test_a_plane_that_is_not_there_is_refused(ax):
    planes, marks, _ = plane()
    with pytest.raises(RequestError, match="planes: unknown plane_id 'plane'"):
        plot_plane(planes, marks, "plane", "train_loss", ax)
    with pytest.raises(RequestError, match="planes: unknown column 'train_los'; did you mean 'train_loss'"):
        plot_plane(planes, marks, planes["plane_id"][0], "train_los", ax)
