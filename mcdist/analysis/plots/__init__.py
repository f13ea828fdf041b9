"""Figures of a sweep: functions that draw DataFrames on given matplotlib axes and change nothing global."""

from mcdist.analysis.plots.auction_paths import plot_barrier_sizes, plot_reducibility_sizes, plot_revenue
from mcdist.analysis.plots.curvature import plot_curvature
from mcdist.analysis.plots.dendrogram import plot_dendrogram
from mcdist.analysis.plots.drifts import plot_drift, plot_drift_temperature
from mcdist.analysis.plots.ensembles import plot_ensembles, plot_running
from mcdist.analysis.plots.free_energy import plot_crossover, plot_free_energy
from mcdist.analysis.plots.instability import plot_instability
from mcdist.analysis.plots.matrix import plot_barrier_matrix
from mcdist.analysis.plots.menus import plot_menu
from mcdist.analysis.plots.plane import plot_plane
from mcdist.analysis.plots.profiles import plot_profiles
from mcdist.analysis.plots.relaxations import plot_relaxation_times, plot_traces
from mcdist.analysis.plots.spectra import plot_density, plot_spectrum
from mcdist.analysis.plots.strip import plot_barrier_strip
from mcdist.analysis.plots.trajectories import plot_trajectories
from mcdist.analysis.plots.trials import plot_trials
from mcdist.analysis.plots.tuning import plot_parallel, plot_trial_curves

__all__ = [
    "plot_barrier_matrix",
    "plot_barrier_sizes",
    "plot_barrier_strip",
    "plot_crossover",
    "plot_curvature",
    "plot_dendrogram",
    "plot_density",
    "plot_drift",
    "plot_drift_temperature",
    "plot_ensembles",
    "plot_free_energy",
    "plot_instability",
    "plot_menu",
    "plot_parallel",
    "plot_plane",
    "plot_profiles",
    "plot_reducibility_sizes",
    "plot_relaxation_times",
    "plot_revenue",
    "plot_running",
    "plot_spectrum",
    "plot_traces",
    "plot_trajectories",
    "plot_trial_curves",
    "plot_trials",
]
