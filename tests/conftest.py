"""Settings that hold for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None)  # machines that run tests are busy
settings.load_profile("deterministic")

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # what is small is no faster with more, and waits for them where others work
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.pop("RAY_ADDRESS", None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled programs go where nobody else looks, those of subprocesses too: a user's own are left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCDIST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def repository() -> Path:
    """The folder with jobs/, tests/ and the rest."""
    return Path(__file__).resolve().parent.parent
