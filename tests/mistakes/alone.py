"""Runs ``etl`` in this process, for mistakes that it tells before it connects to anything."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from etl import cli

GOOD = {
    "TABLES": "orders",
    "ETL_OPERATIONAL_URL": "postgresql://etl@one.example/shop",
    "ETL_REPORTING_URL": "postgresql://etl@two.example/reports",
}
"""Settings in which nothing is wrong. Nothing connects to these hosts: each mistake is told before."""


def run(variables: Mapping[str, str | None], arguments: list[str]) -> tuple[int, str]:
    """Runs ``etl`` with the good settings and a change to them; returns the exit status and standard error."""
    environment = {name: text for name, text in (GOOD | dict(variables)).items() if text is not None}
    said = io.StringIO()
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    status = 0
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", ["etl", *arguments]),
        redirect_stderr(said),
        redirect_stdout(io.StringIO()),
    ):
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, handler)
    return status, said.getvalue()
