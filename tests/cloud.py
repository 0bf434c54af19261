"""AWS services for the tests: moto's Parameter Store over real HTTP, and a server that answers with AWS's errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3

REGION = "eu-central-1"


def account(endpoint: str) -> dict[str, str]:
    """The environment variables that lead the SDK to an endpoint, with credentials that no file can override."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


def client(service: str, endpoint: str) -> Any:
    """A client of a service at an endpoint."""
    return boto3.Session("test", "test", region_name=REGION).client(service, endpoint_url=endpoint)


def put(endpoint: str, path: str, values: Mapping[str, str]) -> None:
    """Stores values as SecureStrings under a path."""
    client = boto3.Session("test", "test", region_name=REGION).client("ssm", endpoint_url=endpoint)
    for name, value in values.items():
        client.put_parameter(Name=f"{path}/{name}", Value=value, Type="SecureString", Overwrite=True)


Answer = tuple[int, dict[str, object] | str]
"""A status, and a body: JSON or, as a text, XML."""


@dataclass(slots=True)
class Answers:
    """A server's refusals: one answer for each request, the last one repeated; also counts and keeps the requests."""

    url: str
    answers: list[Answer]
    asked: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Of each request, its header Authorization and its body."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> Answer:
        """Returns the next answer."""
        with self.lock:
            self.asked += 1
            return self.answers[min(self.asked, len(self.answers)) - 1]


def refusal(code: str, message: str, status: int = 400) -> tuple[int, dict[str, object]]:
    """An error in the format of AWS's JSON protocol."""
    return status, {"__type": code, "message": message}


def sts_refusal(code: str, message: str, status: int = 403) -> Answer:
    """An error of STS."""
    said = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, f'<ErrorResponse xmlns="{_STS}">{said}<RequestId>1</RequestId></ErrorResponse>'


def s3_refusal(code: str, message: str, status: int) -> Answer:
    """An error of S3."""
    return status, f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>"


def assumed(key: str) -> Answer:
    """The answer of AssumeRole: a session with this access key."""
    made = f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    made += "<Expiration>2126-11-28T02:15:00Z</Expiration>"
    result = f"<AssumeRoleResult><Credentials>{made}</Credentials></AssumeRoleResult>"
    return 200, f'<AssumeRoleResponse xmlns="{_STS}">{result}</AssumeRoleResponse>'


_STS = "https://sts.amazonaws.com/doc/2011-06-15/"


def found(path: str, values: Mapping[str, str]) -> tuple[int, dict[str, object]]:
    """The answer of GetParametersByPath with these values."""
    parameters = [{"Name": f"{path}/{name}", "Type": "SecureString", "Value": text} for name, text in values.items()]
    return 200, {"Parameters": parameters}


@contextmanager
def answering(*answers: Answer) -> Iterator[Answers]:
    """Runs an HTTP server with these answers for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            said.seen.append((self.headers.get("Authorization", ""), asked))
            status, answer = said.next()
            body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/xml" if isinstance(answer, str) else "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST  # noqa: N815 - as the server looks it up

        def log_message(self, *_: object) -> None:
            """Prints nothing, so that the server's log does not mix with the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    said = Answers(f"http://127.0.0.1:{server.server_port}", list(answers))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield said
    finally:
        server.shutdown()
        server.server_close()
