"""Running a plan: driver, executors."""

from mcdist.execute.driver import Summary
from mcdist.execute.ensemble_study import run_ensemble_study
from mcdist.execute.study import run_study
from mcdist.execute.sweep import ExecutorName, KindOverview, overview, run_sweep

__all__ = ["ExecutorName", "KindOverview", "Summary", "overview", "run_ensemble_study", "run_study", "run_sweep"]
