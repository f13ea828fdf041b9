"""Statistics, figures and the report of a sweep, from the store's tables alone."""

from mcdist.analysis.barriers import barrier_summary
from mcdist.analysis.comparison import published_table
from mcdist.analysis.curvature import curvature_ratios
from mcdist.analysis.curvature_summaries import control_summary, curvature_profile, curvature_ratio_summary
from mcdist.analysis.lengths import path_summary
from mcdist.analysis.plots import (
    plot_barrier_matrix,
    plot_barrier_strip,
    plot_curvature,
    plot_dendrogram,
    plot_density,
    plot_plane,
    plot_profiles,
    plot_spectrum,
)
from mcdist.analysis.profiles import mean_profile
from mcdist.analysis.published import PUBLISHED
from mcdist.analysis.ratios import barrier_ratio
from mcdist.analysis.report import write_report
from mcdist.analysis.resampling import families
from mcdist.analysis.saddles import minimax_saddles, saddle_tree
from mcdist.analysis.shares import share_summary
from mcdist.analysis.summaries import pair_summary

__all__ = [
    "PUBLISHED",
    "barrier_ratio",
    "barrier_summary",
    "control_summary",
    "curvature_profile",
    "curvature_ratio_summary",
    "curvature_ratios",
    "families",
    "mean_profile",
    "minimax_saddles",
    "pair_summary",
    "path_summary",
    "plot_barrier_matrix",
    "plot_barrier_strip",
    "plot_curvature",
    "plot_dendrogram",
    "plot_density",
    "plot_plane",
    "plot_profiles",
    "plot_spectrum",
    "published_table",
    "saddle_tree",
    "share_summary",
    "write_report",
]
