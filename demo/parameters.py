"""A local Parameter Store: moto's server, a process of its own that speaks the AWS protocol over real HTTP."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import boto3

from servers.port import free_port


@contextmanager
def parameter_store() -> Iterator[str]:
    """Starts the store and yields its URL (for AWS_ENDPOINT_URL); stops it at the block's end. Nothing is kept.

    Raises RuntimeError with its output when it does not listen within 30 seconds.
    """
    port = free_port()
    with tempfile.TemporaryFile("w+") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 30
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    raise RuntimeError(f"the Parameter Store did not come up:\n{output.read()[-2000:]}")
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()  # it keeps everything in memory, so it needs no orderly shutdown
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def put(path: str, secrets: Mapping[str, str]) -> None:
    """Stores values as SecureStrings under a path, in the store that the environment's AWS_* variables name."""
    client = boto3.client("ssm")
    for name, value in secrets.items():
        client.put_parameter(Name=f"{path}/{name}", Value=value, Type="SecureString", Overwrite=True)
