"""Figures of a sweep: functions that draw DataFrames on given matplotlib axes and change nothing global."""

from mcdist.analysis.plots.dendrogram import plot_dendrogram
from mcdist.analysis.plots.matrix import plot_barrier_matrix
from mcdist.analysis.plots.profiles import plot_profiles
from mcdist.analysis.plots.strip import plot_barrier_strip

__all__ = ["plot_barrier_matrix", "plot_barrier_strip", "plot_dendrogram", "plot_profiles"]
