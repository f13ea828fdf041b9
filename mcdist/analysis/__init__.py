"""Statistics, figures and the report of a sweep, from the store's tables alone."""

from mcdist.analysis.auction_paths import auction_barriers, barrier_comparison, promise_summary, revenue_barriers
from mcdist.analysis.barriers import barrier_summary
from mcdist.analysis.comparison import published_table
from mcdist.analysis.controls import relaxation_controls, relaxation_pairs
from mcdist.analysis.crossovers import above_crossover, crossover, crossover_summary
from mcdist.analysis.curvature import curvature_ratios
from mcdist.analysis.curvature_summaries import control_summary, curvature_profile, curvature_ratio_summary
from mcdist.analysis.drift_fits import drift_fit
from mcdist.analysis.drifts import drift_points, drift_summary, free_energy_from_drift
from mcdist.analysis.ensemble_comparison import PUBLISHED_SETTING, ensemble_comparison, winner_comparison
from mcdist.analysis.ensembles import ensemble_summary, ensemble_units
from mcdist.analysis.ensembles_published import published_ensembles
from mcdist.analysis.free_energy import entropy_profiles, free_energies
from mcdist.analysis.instability import instabilities, instability_profile
from mcdist.analysis.lengths import path_summary
from mcdist.analysis.menu_trends import barrier_trend, reducibility_trend
from mcdist.analysis.menus import menu_summary
from mcdist.analysis.onsets import instability_onset, onset_difference
from mcdist.analysis.plots import (
    plot_barrier_matrix,
    plot_barrier_sizes,
    plot_barrier_strip,
    plot_crossover,
    plot_curvature,
    plot_dendrogram,
    plot_density,
    plot_drift,
    plot_drift_temperature,
    plot_ensembles,
    plot_free_energy,
    plot_instability,
    plot_menu,
    plot_parallel,
    plot_plane,
    plot_profiles,
    plot_reducibility_sizes,
    plot_relaxation_times,
    plot_revenue,
    plot_running,
    plot_spectrum,
    plot_traces,
    plot_trajectories,
    plot_trial_curves,
    plot_trials,
)
from mcdist.analysis.predicted import predicted_drift, predicted_summary
from mcdist.analysis.profiles import mean_profile
from mcdist.analysis.published import PUBLISHED, PUBLISHED_ENSEMBLES
from mcdist.analysis.ratios import barrier_ratio
from mcdist.analysis.recombined import recombine
from mcdist.analysis.relaxation_fits import relaxation_fit
from mcdist.analysis.relaxations import relaxation_runs, relaxation_summary
from mcdist.analysis.report import write_report
from mcdist.analysis.resampling import families
from mcdist.analysis.saddles import minimax_saddles, saddle_tree
from mcdist.analysis.shares import share_summary
from mcdist.analysis.summaries import pair_summary
from mcdist.analysis.trajectories import low_points, trajectory_summary
from mcdist.analysis.trial_ranking import setting_correlations, stopped_trials, trial_curves, tuned_trials
from mcdist.analysis.trials import steepness, trial_summary, trial_times

__all__ = [
    "PUBLISHED",
    "PUBLISHED_ENSEMBLES",
    "PUBLISHED_SETTING",
    "above_crossover",
    "auction_barriers",
    "barrier_comparison",
    "barrier_ratio",
    "barrier_summary",
    "barrier_trend",
    "control_summary",
    "crossover",
    "crossover_summary",
    "curvature_profile",
    "curvature_ratio_summary",
    "curvature_ratios",
    "drift_fit",
    "drift_points",
    "drift_summary",
    "ensemble_comparison",
    "ensemble_summary",
    "ensemble_units",
    "entropy_profiles",
    "families",
    "free_energies",
    "free_energy_from_drift",
    "instabilities",
    "instability_onset",
    "instability_profile",
    "low_points",
    "mean_profile",
    "menu_summary",
    "minimax_saddles",
    "onset_difference",
    "pair_summary",
    "path_summary",
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
    "predicted_drift",
    "predicted_summary",
    "promise_summary",
    "published_ensembles",
    "published_table",
    "recombine",
    "reducibility_trend",
    "relaxation_controls",
    "relaxation_fit",
    "relaxation_pairs",
    "relaxation_runs",
    "relaxation_summary",
    "revenue_barriers",
    "saddle_tree",
    "setting_correlations",
    "share_summary",
    "steepness",
    "stopped_trials",
    "trajectory_summary",
    "trial_curves",
    "trial_summary",
    "trial_times",
    "tuned_trials",
    "winner_comparison",
    "write_report",
]
