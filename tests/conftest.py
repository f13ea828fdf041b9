"""Settings that hold for every test."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.command_line import Command

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


@pytest.fixture(scope="module", autouse=True)
def _no_ray_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A Ray that a file leaves behind is stopped, and its name said: the next file would attach to it."""
    yield
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
        warnings.warn(f"{request.node.nodeid} left a Ray running", stacklevel=1)


@pytest.fixture
def repository() -> Path:
    """The folder with jobs/, tests/ and the rest."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def mcdist(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process: exit code, standard output, standard error."""
    from mcdist import cli  # not before the environment above is set, which torch reads when it is imported

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mcdist", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call
