"""Runs functions as AWS Lambda does: the real ``awslambdaric`` gets its events over HTTP from a Runtime API made here.

The API is AWS's (Lambda Developer Guide, "Using the Lambda runtime API"): GET …/invocation/next waits for an event.
POST …/invocation/ID/response and …/error send the answer. POST …/init/error says that the handler cannot be loaded.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import IO, Any

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:"


class FunctionError(Exception):
    """A function's answer was an error; ``type`` and the message are as Step Functions would see them."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(answer.get("errorMessage"))
        self.type = answer.get("errorType")
        self.answer = dict(answer)


@dataclass(slots=True)
class _Invocation:
    """One event, and its answer as soon as it has arrived."""

    request_id: str
    event: bytes
    deadline_ms: int
    answered: threading.Event = field(default_factory=threading.Event)
    answer: Any = None
    is_error: bool = False


@dataclass(slots=True)
class Function:
    """A running function. Its process lives from invocation to invocation, as a warm Lambda does."""

    handler: str
    seconds: float
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    events: queue.Queue[_Invocation | None]
    pending: dict[str, _Invocation]
    init_errors: list[Any]
    _numbers: Iterator[int] = field(default_factory=count)

    def invoke(self, event: object, seconds: float | None = None) -> Any:
        """Invokes the function. Raises FunctionError if it answers with an error, TimeoutError if it takes too long."""
        allowed = self.seconds if seconds is None else seconds
        deadline = time.time() + allowed
        request_id = f"00000000-0000-4000-8000-{next(self._numbers):012}"
        invocation = _Invocation(request_id, json.dumps(event).encode(), int(deadline * 1000))
        self.pending[request_id] = invocation
        self.events.put(invocation)
        while not invocation.answered.wait(0.05):
            if self.process.poll() is not None:
                raise FunctionError(self.init_errors[-1] if self.init_errors else {"errorType": "Runtime.ExitError"})
            if time.time() > deadline:
                self.process.kill()
                raise TimeoutError(f"{self.handler}: task timed out after {allowed:g} s")
        if invocation.is_error:
            raise FunctionError(invocation.answer)
        return invocation.answer

    @property
    def log(self) -> str:
        """All output of the function, as CloudWatch Logs would have it."""
        self.output.seek(0)
        return self.output.read().decode()


@contextmanager
def function(
    handler: str,
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    python: Sequence[str] = (sys.executable,),
    seconds: float = 60,
) -> Iterator[Function]:
    """Runs a handler (``module.function``) for as long as the block lasts, with exactly this environment.

    Takes the folder with the function's code (LAMBDA_TASK_ROOT; by default this repository), the interpreter, and the
    timeout of an invocation.
    """
    events: queue.Queue[_Invocation | None] = queue.Queue()
    pending: dict[str, _Invocation] = {}
    init_errors: list[Any] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _api(handler, events, pending, init_errors))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = folder or Path.cwd()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*python, "-m", "awslambdaric", handler],
            env=_variables(handler, server.server_port, root) | dict(environment),
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Function(handler, seconds, process, output, events, pending, init_errors)
        finally:
            process.kill()
            process.wait()
            events.put(None)  # ends the thread that waits for the next event
            server.shutdown()
            server.server_close()


def _variables(handler: str, port: int, root: Path) -> dict[str, str]:
    """The environment variables that Lambda sets for every function."""
    name = handler.rpartition(".")[2]
    return {
        "PATH": os.environ["PATH"],
        "TZ": ":UTC",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "_HANDLER": handler,
        "LAMBDA_TASK_ROOT": str(root),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _api(
    handler: str, events: queue.Queue[_Invocation | None], pending: dict[str, _Invocation], init_errors: list[Any]
) -> type[BaseHTTPRequestHandler]:
    class RuntimeApi(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            invocation = events.get()
            if invocation is None:
                return self._answer(410, b"")
            headers = {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": ARN + handler.rpartition(".")[2],
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000",
            }
            return self._answer(200, invocation.event, headers)

        def do_POST(self) -> None:
            answer = json.loads(_body(self) or b"null")
            *_, request_id, what = self.path.split("/")
            if request_id == "init":
                init_errors.append(answer)
            else:
                invocation = pending.pop(request_id)
                invocation.answer, invocation.is_error = answer, what == "error"
                invocation.answered.set()
            self._answer(202, b"{}")

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # the process was killed, or it ended after its last answer
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    return RuntimeApi


def _body(request: BaseHTTPRequestHandler) -> bytes:
    """Reads a request's body, which the client sends in chunks if it is long."""
    if "Content-Length" in request.headers:
        return request.rfile.read(int(request.headers["Content-Length"]))
    body = b""
    while size := int(request.rfile.readline(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body
