"""Ray itself: connecting to it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray
from ray.exceptions import AuthenticationError

from mcdist.errors import RequestError
from mcdist.execute.executor import ExecutorError
from mcdist.execute.memory import ONE_ARENA
from mcdist.execute.ray_probe import check_address, token_help

__all__ = ["connect", "environment"]


def connect(address: str | None) -> bool:
    """Connect to Ray; whether it was started here and is ours to stop. Raises RequestError where none can be had."""
    if ray.is_initialized():
        return False
    address = address or os.environ.get("RAY_ADDRESS")
    there = bool(address) and address != "local"
    if there:
        check_address(str(address))
    try:
        if there:
            ray.init(address=address, log_to_driver=False)
            return False
        # the workers of a Ray of our own inherit this; asked for by a runtime_env they could not be those started ahead
        with environment(ONE_ARENA):
            ray.init(address="local", include_dashboard=False, log_to_driver=False)
    except AuthenticationError as error:
        raise RequestError(f"cannot connect to Ray at {address or 'this machine'}: {token_help(error)}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise RequestError(f"cannot connect to Ray at {address or 'this machine'}: {error}") from error
    except Exception as error:  # Ray raises plain ones when its own processes die while they start
        raise ExecutorError(f"Ray does not start: {error}") from error
    return True


@contextmanager
def environment(more: Mapping[str, str]) -> Iterator[None]:
    """More variables for the processes that are started within; what is set already counts more."""
    added = {name: text for name, text in more.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
