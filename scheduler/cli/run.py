"""Runs the command line; turns what may go wrong into lines and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import traceback

import click
from botocore.exceptions import BotoCoreError, ClientError

from .aws import explained
from .problem import Failure, Problem
from .program import PROGRAM, program


def status(*, debug: bool) -> tuple[int, *tuple[str, ...]]:
    """The exit status, and the lines that standard error is to have."""
    asked: dict[str, str] = {}
    try:
        done = program.main(prog_name=PROGRAM, standalone_mode=False, obj=asked)
        return (done if isinstance(done, int) else 0,)
    except click.ClickException as error:
        error.show()
        return (2,)
    except (click.Abort, KeyboardInterrupt):
        return (128 + signal.SIGINT,)
    except BrokenPipeError:  # the reader of a pipe, such as head, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return (1,)
    except Exception as error:
        if debug:
            traceback.print_exc()
        problem = _problem(error, asked.get("table"))
        return (problem.status, *problem.lines)


def _problem(error: Exception, table: str | None) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, ClientError | BotoCoreError):
        return explained(error, table)
    what = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Failure(f"internal error: {what}; run again with --debug and report it")
