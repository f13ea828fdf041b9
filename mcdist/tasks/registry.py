"""The kinds of tasks."""

from __future__ import annotations

from mcdist.tasks import endpoint, path, profile
from mcdist.tasks.work import Run

__all__ = ["KINDS"]

KINDS: dict[str, Run] = {"endpoint": endpoint.run, "path": path.run, "profile": profile.run}
