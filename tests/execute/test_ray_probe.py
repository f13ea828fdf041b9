"""What is said where no Ray listens or the token is not the cluster's, against a server that answers as Ray's does."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
import pytest

from mcdist.errors import RequestError
from mcdist.execute import ray_probe
from mcdist.execute.ray_probe import check_address

Answer = Callable[[grpc.ServicerContext], bytes]
FIX = (
    "RAY_AUTH_MODE=token",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "~/.ray/auth_token",
    "ray get-auth-token --generate",
)


class Health(grpc.GenericRpcHandler):
    """The health check of Ray's GCS, answered by `answer`; no other call is known."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method != "/ray.rpc.NodeInfoGcsService/CheckAlive":
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._answer(context))


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Start a server; its host:port."""
    servers = []

    def start(answer: Answer) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers([Health(answer)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None)


@pytest.fixture
def no_token(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def refuse(context: grpc.ServicerContext) -> bytes:
    """As the GCS does: Unauthenticated, InvalidAuthToken."""
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken: Authentication token is missing or incorrect")
    raise AssertionError


def refusal(address: str) -> str:
    with pytest.raises(RequestError) as caught:
        check_address(address)
    return str(caught.value)


def test_a_ray_that_answers(serve: Callable[[Answer], str]) -> None:
    check_address(serve(lambda context: b""))


@pytest.mark.parametrize("address", ["auto", "nonsense", "local"])
def test_what_is_no_host_and_port_is_left_to_ray(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({}, "it asks for a token, and RAY_AUTH_MODE is not set here"),
        ({"RAY_AUTH_MODE": "disabled"}, "it asks for a token, and RAY_AUTH_MODE is disabled here"),
        ({"RAY_AUTH_TOKEN": "a1"}, "it asks for a token, and RAY_AUTH_MODE is not set here"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a1"}, "the token in RAY_AUTH_TOKEN is not the cluster's"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/a/b"}, "the token in /a/b is not the cluster's"),
        ({"RAY_AUTH_MODE": "token", "HOME": "/h"}, "the token in /h/.ray/auth_token is not the cluster's"),
    ],
)
def test_a_refused_token_says_which_and_the_fix(
    environment: dict[str, str], what: str, serve: Callable[[Answer], str], no_token: pytest.MonkeyPatch
) -> None:
    address = serve(refuse)
    for name, value in environment.items():
        no_token.setenv(name, value)
    message = refusal(address)
    assert message.startswith(f"cannot connect to Ray at {address}: {what}. ")
    assert all(fix in message for fix in FIX)
    assert "\n" not in message
    assert "a1" not in message.replace(address, "")  # a token is a secret


def test_nothing_listens() -> None:
    with socket.socket() as taken:  # bound, and not listening: nobody else can be there
        taken.bind(("127.0.0.1", 0))
        for scheme in ("", "ray://"):
            address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
            began = time.monotonic()
            assert refusal(address).startswith(f"cannot connect to Ray at {address}: ")
            assert "Connection refused" in refusal(address)
            assert time.monotonic() - began < 5.0


def test_a_server_that_never_answers(serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(context: grpc.ServicerContext) -> bytes:
        over.wait(10.0)
        return b""

    monkeypatch.setattr(ray_probe, "_PATIENCE_S", 0.2)
    assert "no answer within 0.2 s" in refusal(serve(hang))
    over.set()


def test_the_port_of_the_dashboard() -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        message = refusal(f"127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert "a web server answers there; programs attach at the port of `ray start --head` (6379)" in message


def test_the_address_of_jobs() -> None:
    message = refusal("http://127.0.0.1:8265")
    assert "ray job submit --address http://127.0.0.1:8265" in message
    assert "--address 10.0.0.1:6379" in message
