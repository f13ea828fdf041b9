"""Whether a Ray listens at an address and takes our token: Ray itself tries for minutes, and does not say why."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import grpc
from ray._private.grpc_utils import init_grpc_channel
from ray.exceptions import AuthenticationError

from mcdist.errors import RequestError

__all__ = ["check_address", "token_help"]

_PATIENCE_S = 10.0
_CHECK = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_GIVE = (
    "Set RAY_AUTH_MODE=token and give the cluster's token: in RAY_AUTH_TOKEN, or in the file that RAY_AUTH_TOKEN_PATH "
    "names, else ~/.ray/auth_token. `ray get-auth-token` prints it on a machine that has it; "
    "`ray get-auth-token --generate` makes one for a new cluster"
)


def check_address(address: str) -> None:
    """Raise RequestError unless a Ray answers at `address` (host:port of its GCS) and takes the token we have, if any.

    One call of the health check that every Ray serves. What names no host and port ("auto") is left to Ray, and so is
    what a Ray Client server (ray://host:port) answers.
    """
    if address.startswith(("http://", "https://")):
        raise RequestError(
            f"{address} is where Ray takes jobs, not where programs attach. Submit a job there, "
            f"`ray job submit --address {address} --working-dir . -- python -m mcdist run ...`, or name the host and "
            "port of `ray start --head`, as in --address 10.0.0.1:6379 (or RAY_ADDRESS)"
        )
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        if address.startswith("ray://"):
            with socket.create_connection((host, int(port)), timeout=_PATIENCE_S):
                return
        with init_grpc_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            channel.unary_unary(_CHECK)(b"", timeout=_PATIENCE_S)
    except AuthenticationError as error:
        raise RequestError(f"cannot connect to Ray at {address}: {token_help(error)}") from error
    except (grpc.RpcError, OSError) as error:
        raise RequestError(f"cannot connect to Ray at {address}: {_reason(error)}") from error


def _reason(error: grpc.RpcError | OSError) -> str:
    if isinstance(error, OSError):
        return str(error)
    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
        return token_help()
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"no answer within {_PATIENCE_S:g} s"
    if "HTTP/2" in error.details():
        return (
            "a web server answers there; programs attach at the port of `ray start --head` (6379), not the dashboard's"
        )
    return (
        str(error.details()).rpartition(": ")[2].rstrip("]")
    )  # "Connection refused", after who, where and what of gRPC


def token_help(error: AuthenticationError | None = None) -> str:
    """What is wrong with the token that this process has, and how to put it right.

    error: what Ray raised where it found none; without it, the cluster has refused what it was sent.
    """
    mode = os.environ.get("RAY_AUTH_MODE")
    if (mode or "").lower() != "token":
        return f"it asks for a token, and RAY_AUTH_MODE is {mode or 'not set'} here. {_GIVE}"
    if error is not None:
        return f"RAY_AUTH_MODE is token, and there is no token {_source()}. {_GIVE}"
    return f"the token {_source()} is not the cluster's. {_GIVE}"


def _source() -> str:
    """Where Ray has the token from: the first of these that is set."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "in RAY_AUTH_TOKEN"
    return f"in {os.environ.get('RAY_AUTH_TOKEN_PATH') or Path.home() / '.ray' / 'auth_token'}"
