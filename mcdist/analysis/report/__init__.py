"""The HTML report of a sweep."""

from mcdist.analysis.report.write import write_report

__all__ = ["write_report"]
