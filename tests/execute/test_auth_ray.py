"""A Ray that asks for a token: with it, without it, with a wrong one. Real heads on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.loopback import Head, head
from support.sweeps import small_sweep

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

TOKEN, OTHER = "0" * 63 + "1", "0" * 63 + "2"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Head]:
    with head(environment={"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}) as found:
        yield found


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps(small_sweep(pairs="none", paths=[], measure={"profile": []})))
    return path


def run(guarded: Head, spec: Path, address: str, **token: str) -> tuple[int, str]:
    """`mcdist run` as another user of the machine, whose home is empty and who has this of a token."""
    bare: dict[str, str | None] = {"RAY_AUTH_MODE": None, "RAY_AUTH_TOKEN": None, "HOME": str(spec.parent)}
    line = ["python", "-m", "mcdist", "run", str(spec), "--store", str(spec.parent / "store"), "--address", address]
    return guarded.command(*line, **bare | token)


def test_with_the_token(guarded: Head, spec: Path) -> None:
    code, output = run(guarded, spec, guarded.address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN)
    assert code == 0, output
    assert "all 4 tasks done" in output


def test_with_the_token_in_a_file(guarded: Head, spec: Path) -> None:
    """Where Ray looks for it by itself, as `ray get-auth-token --generate` leaves it."""
    (spec.parent / ".ray").mkdir()
    (spec.parent / ".ray" / "auth_token").write_text(TOKEN)
    code, output = run(guarded, spec, guarded.address, RAY_AUTH_MODE="token")
    assert code == 0, output


@pytest.mark.parametrize(
    ("token", "what"),
    [
        ({}, "it asks for a token, and RAY_AUTH_MODE is not set here"),
        ({"RAY_AUTH_MODE": "disabled"}, "it asks for a token, and RAY_AUTH_MODE is disabled here"),
        ({"RAY_AUTH_MODE": "token"}, "RAY_AUTH_MODE is token, and there is no token in {home}/.ray/auth_token"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": OTHER}, "the token in RAY_AUTH_TOKEN is not the cluster's"),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/no"},
            "RAY_AUTH_MODE is token, and there is no token in /no",
        ),
    ],
)
def test_without_or_with_a_wrong_one_the_fix_is_named(
    token: dict[str, str], what: str, guarded: Head, spec: Path
) -> None:
    code, output = run(guarded, spec, guarded.address, **token)
    home = str(spec.parent)
    assert code == 2, output
    [line] = [line for line in output.splitlines() if "error" in line]
    assert line.startswith(
        f"error: cannot connect to Ray at {guarded.address}: {what.format(home=home)}. Set RAY_AUTH_MODE=token"
    )
    assert "ray get-auth-token --generate" in line
    assert "Traceback" not in output
    assert sorted(p.name for p in spec.parent.iterdir()) == [spec.name]  # nothing written


def test_the_ports_of_the_dashboard_and_of_jobs(guarded: Head, spec: Path) -> None:
    """Ray itself tries for minutes to attach there."""
    for address, fix in ((guarded.jobs.removeprefix("http://"), "(6379)"), (guarded.jobs, "ray job submit")):
        code, output = run(guarded, spec, address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN)
        assert code == 2, output
        assert fix in output
    assert sorted(p.name for p in spec.parent.iterdir()) == [spec.name]


@pytest.mark.parametrize(
    ("token", "what"),
    [
        ({}, "Unauthorized: Missing authentication token"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": OTHER}, "Forbidden: Invalid authentication token"),
    ],
)
def test_what_ray_job_submit_says(token: dict[str, str], what: str, guarded: Head, tmp_path: Path) -> None:
    bare: dict[str, str | None] = {"RAY_AUTH_MODE": None, "RAY_AUTH_TOKEN": None, "HOME": str(tmp_path)}
    code, output = guarded.job("submit", "--", "true", **bare | token)
    assert code == 1
    assert what in output
    assert "ray get-auth-token --generate" in output
