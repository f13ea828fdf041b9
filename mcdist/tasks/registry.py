"""The kinds of tasks."""

from __future__ import annotations

from mcdist.tasks import endpoint, path, pause, profile
from mcdist.tasks.work import Kind

__all__ = ["KINDS"]

KINDS: dict[str, Kind] = {"endpoint": endpoint.KIND, "path": path.KIND, "profile": profile.KIND, "pause": pause.KIND}
