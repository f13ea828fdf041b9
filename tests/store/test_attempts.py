"""A store that fails for a moment is asked again, for a while; one that refuses is not."""

from __future__ import annotations

import errno

import pytest

from mcdist.errors import StoreError
from mcdist.store import attempts
from mcdist.store.attempts import attempt, is_passing


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which took any time."""
    pauses: list[float] = []
    monkeypatch.setattr(attempts.time, "sleep", pauses.append)
    return pauses


class HTTPClientError(Exception):
    """Called as botocore calls it."""


class ReadTimeoutError(HTTPClientError):
    pass


class NoCredentialsError(Exception):
    pass


PASSING = [
    ConnectionResetError("peer"),
    TimeoutError("slow"),
    OSError(errno.EBUSY, "please reduce your request rate"),
    OSError(errno.ESTALE, "stale file handle"),
    ReadTimeoutError("slow"),
]
LASTING = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "quota"),
    OSError(errno.EFBIG, "File too large"),
    PermissionError(errno.EACCES, "Permission denied"),
    OSError(errno.EINVAL, "bad"),
    NoCredentialsError("no keys"),
    ValueError("wrong"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_passes_is_asked_again_ever_later(error: Exception, slept: list[float]) -> None:
    answers = iter([error, error, None])

    def call() -> str:
        if (problem := next(answers)) is not None:
            raise problem
        return "done"

    assert is_passing(error)
    assert attempt("write", "here", call) == "done"
    assert [0.5 <= pause / expected <= 1.5 for pause, expected in zip(slept, (0.5, 1.0), strict=True)] == [True, True]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_does_not_pass_after_all_is_given_up_with_its_reason(error: Exception, slept: list[float]) -> None:
    calls = []

    def call() -> None:
        calls.append(1)
        raise error

    with pytest.raises(StoreError, match=r"^cannot write here: .* \(tried 5 times\)$") as given_up:
        attempt("write", "here", call)
    assert str(error.args[-1]) in str(given_up.value)
    assert (len(calls), len(slept)) == (5, 4)
    assert sum(slept) <= 1.5 * 7.5


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_a_refusal_is_final(error: Exception, slept: list[float]) -> None:
    def call() -> None:
        raise error

    with pytest.raises(StoreError, match=r"^cannot list here: ") as refused:
        attempt("list", "here", call)
    assert str(error.args[-1]) in str(refused.value)
    assert "tried" not in str(refused.value)
    assert slept == []


def test_a_missing_file_is_no_refusal_unless_it_is_to_be_made(slept: list[float]) -> None:
    def call() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file")

    with pytest.raises(FileNotFoundError):
        attempt("read", "here", call)
    with pytest.raises(StoreError, match="cannot write here: No such file"):
        attempt("write", "here", call, missing_too=True)
    assert slept == []
