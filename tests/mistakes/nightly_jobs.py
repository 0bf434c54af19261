"""Runs ``nightly-jobs`` in this process, for mistakes that it tells before it calls AWS."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from scheduler.cli import main

GOOD = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}
"""Settings in which nothing is wrong, but for the endpoint, at which nobody is."""


def run(variables: Mapping[str, str | None], arguments: list[str]) -> tuple[int, str]:
    """Runs ``nightly-jobs`` with the good settings and a change to them; returns exit status and standard error."""
    status, _, said = outcome(variables, arguments)
    return status, said


def outcome(variables: Mapping[str, str | None], arguments: list[str]) -> tuple[int, str, str]:
    """Likewise; returns exit status, standard output and standard error."""
    environment = {name: text for name, text in (GOOD | dict(variables)).items() if text is not None}
    printed, said, status = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", ["nightly-jobs", *arguments]),
        mock.patch.object(sys, "stdin", io.StringIO()),
        redirect_stderr(said),
        redirect_stdout(printed),
    ):
        try:
            main.main()
        except SystemExit as end:
            status = int(end.code or 0)
    return status, printed.getvalue(), said.getvalue()
