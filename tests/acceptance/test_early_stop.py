"""SIGTERM before the run has begun."""

from __future__ import annotations

import signal
import socket

from tests.harness import TIMEOUT, Etl


def test_sigterm_while_settings_are_read_ends_with_143() -> None:
    """A Parameter Store that does not answer does not delay the stop.

    As process 1 of a container, etl would ignore a SIGTERM without a handler.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(TIMEOUT)
        store = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        with Etl(store | {"ETL_PARAMETER_PATH": "/nightly-etl/test"}, fresh=True).started("run") as process:
            silent.accept()
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=5)
    assert (process.returncode, stderr) == (143, "etl: stopped by SIGTERM\n")
