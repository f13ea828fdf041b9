"""A real S3 API on this machine: moto's, in memory, which counts what it is asked and fails when told to."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

BUCKET = "mcdist"
_BUSY = b"<?xml version='1.0'?><Error><Code>ServiceUnavailable</Code><Message>please come back later</Message></Error>"

Fault = Callable[[str, str], bool]


class S3:
    """The server; its address, keys and region are in the environment, where every client looks for them.

    requests: method and path of all since `forget`. delay_s: that every answer takes. pause: what a request does, once,
    before it is answered.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self.requests: list[tuple[str, str]] = []
        self.delay_s = 0.0
        self.pause: Callable[[], object] | None = None
        self._fault: Fault = lambda method, path: False
        self._too_late = False
        self._lock = threading.Lock()

    def uri(self, name: str = "store") -> str:
        """A place where nothing is yet."""
        return f"s3://{BUCKET}/{uuid.uuid4().hex}/{name}"

    def forget(self) -> None:
        self.requests.clear()

    @contextmanager
    def failing(self, fault: Fault, *, after: bool = False) -> Iterator[None]:
        """Answer 503, "please come back later", to requests of which `fault(method, path)` says so.

        after: do what they ask for, though.
        """
        self._fault, self._too_late = fault, after
        try:
            yield
        finally:
            self._fault, self._too_late = lambda method, path: False, False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self.requests.append((method, path))
            fails = self._fault(method, path)
            pause, self.pause = self.pause, None
        time.sleep(self.delay_s)
        answer: Iterable[bytes] = []
        if not fails:
            answer = self._application(environ, start_response)
        elif self._too_late:
            self._application(environ, lambda *_: None)
        else:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if pause is not None:
            pause()
        if fails:
            start_response("503 Service Unavailable", [("Content-Length", str(len(_BUSY)))])
            answer = [] if method == "HEAD" else [_BUSY]
        return answer


@contextmanager
def served_s3() -> Iterator[S3]:
    """A server with one empty bucket, for as long as this is entered."""
    import s3fs
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept, as S3 does

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    s3 = S3(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, s3, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")  # of botocore, which waits long in between; s3fs has attempts of its own
        s3fs.S3FileSystem.clear_instance_cache()
        with suppress(FileExistsError):  # what moto holds is the process's, whatever server is in front of it
            s3fs.S3FileSystem().mkdir(BUCKET)
        yield s3
        s3fs.S3FileSystem.clear_instance_cache()
    server.shutdown()
    thread.join()
