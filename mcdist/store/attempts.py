"""Asking a file system again: what a store's disk or server refuses for a moment, and what it refuses for good."""

from __future__ import annotations

import asyncio
import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

from mcdist.errors import StoreError

__all__ = ["PAUSES_S", "attempt", "is_passing"]

PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts, times a random number from 0.5 to 1.5: a thousand workers must not come back all at once.
Object stores' own clients have tried several times before they raise."""

_PASSING = {
    getattr(errno, name)
    for name in (
        *("EAGAIN", "EBUSY", "EINTR", "EIO", "ESTALE", "ETIMEDOUT", "EREMOTEIO", "EPIPE"),
        *("ECONNRESET", "ECONNREFUSED", "ECONNABORTED", "ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH"),
    )
    if hasattr(errno, name)
}
_PASSING_NAMES = {
    "HTTPClientError",
    "ConnectionError",
    "IncompleteRead",
    "ResponseParserError",
    "ClientConnectionError",
}
"""Classes of the libraries below (botocore, aiohttp), named because none of them need be installed."""

T = TypeVar("T")


def is_passing(error: Exception) -> bool:
    """Whether the same call may well succeed a little later: a connection, a time-out, a server that is too busy."""
    if isinstance(error, (ConnectionError, TimeoutError, asyncio.TimeoutError)):
        return True
    if isinstance(error, OSError):
        return error.errno in _PASSING
    return bool(_PASSING_NAMES & {kind.__name__ for kind in type(error).__mro__})


def attempt(action: str, where: str, call: Callable[[], T], *, missing_too: bool = False) -> T:
    """The result of a call, which is made up to five times where it fails for reasons that pass.

    Raises StoreError ("cannot `action` `where`: reason") once there is no hope; FileNotFoundError is left as it is
    unless `missing_too`.
    """
    for pause in (*PAUSES_S, None):
        try:
            return call()
        except StoreError:
            raise
        except FileNotFoundError as error:
            if not missing_too:
                raise
            raise StoreError(f"cannot {action} {where}: {_reason(error)}") from error
        except Exception as error:  # each back end has errors of its own
            if pause is None or not is_passing(error):
                tried = f" (tried {len(PAUSES_S) + 1} times)" if is_passing(error) else ""
                raise StoreError(f"cannot {action} {where}: {_reason(error)}{tried}") from error
        time.sleep(pause * random.uniform(0.5, 1.5))
    raise AssertionError("the last attempt returns or raises")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"{type(error).__name__}: {error}"
