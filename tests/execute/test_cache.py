"""Things used recently: kept up to a limit, whichever thread asks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from mcdist.execute.cache import Recent


def test_the_values_asked_for_last_are_kept_within_the_limit() -> None:
    made: list[str] = []
    recent: Recent[str] = Recent(5, len)
    for key in ("aa", "bb", "aa", "cc", "aa", "bb"):
        assert recent.get(key, lambda key=key: made.append(key) or key) == key  # type: ignore[misc]
    assert made == ["aa", "bb", "cc", "bb"]


def test_one_value_is_kept_however_large() -> None:
    recent: Recent[str] = Recent(1, len)
    large = recent.get("a", lambda: "large")
    assert recent.get("a", lambda: "another") is large


def test_threads_that_make_the_same_value_get_the_same_one_and_nobody_waits_for_another_key() -> None:
    recent: Recent[object] = Recent(10, lambda _: 1)
    both_make = threading.Barrier(2, timeout=30)

    def make() -> object:
        both_make.wait()
        assert recent.get("other", object) is recent.get("other", object)
        return object()

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: recent.get("key", make), range(2))
    assert one is other
