"""The command after the publish (ETL_AFTER_PUBLISH): for instance ``dbt build``, where no state machine does it.

It is a process of its own, in a session of its own, so that a signal to this process reaches all that it has
started. It has this process's environment, and so none of the secrets that came from Parameter Store or from files.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import perf_counter

from etl.ledger import ledger
from etl.logs.log import get_logger
from etl.model import limits
from etl.model.errors import EXPECTED, AfterFailed, ConfigurationError, told
from etl.model.name import label
from etl.model.selection import tables_text
from etl.model.status import LoadStatus
from etl.sessions.postgres import target_session
from etl.settings.settings import Settings
from etl.target import guard

RUN, TABLES = "ETL_PUBLISHED_RUN", "ETL_PUBLISHED_TABLES"
"""The variables that the command has beside this process's: the run's id, and its live tables as a JSON array."""

_STANDARD_ERROR = 2  # the file descriptor: standard output has the log, or the JSON, and nothing else

log = get_logger()


def refuse_missing(command: Sequence[str]) -> None:
    """Raises ConfigurationError if there is no such program, which is better known before the run than after it."""
    if shutil.which(command[0]) is None:
        raise ConfigurationError(
            f"ETL_AFTER_PUBLISH names the program {command[0]!r}, which is not on the PATH or may not be executed;"
            " install it beside etl, or write its whole path"
        )


async def after_publish(settings: Settings, environment: Mapping[str, str]) -> None:
    """Runs the command to its end, with this environment; raises AfterFailed unless it ends with 0.

    If this task is cancelled, all processes of the command get SIGTERM and, after a while, SIGKILL.
    """
    command = settings.after_publish or ()
    tables = await _tables(settings, command)
    began = perf_counter()
    log.info("after_publish.started", program=command[0])
    process = await _started(settings.run_id, command, environment, tables)
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        await _end(process)
        log.error("after_publish.stopped", error=settings.redact(_stopped(settings.run_id, command)))
        raise
    log.info("after_publish.finished", status=status, seconds=round(perf_counter() - began, 3))
    if status:
        how = f"with exit status {status}" if status > 0 else f"by {_name(-status)}"
        raise AfterFailed(
            f"run {settings.run_id} is published, but the command after it, {command[0]!r} of ETL_AFTER_PUBLISH, ended"
            f" {how}; its output says why"
        )


def _name(signum: int) -> str:
    """A signal's name; of the real-time signals only the first and the last have one."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


def _stopped(run_id: str, command: Sequence[str]) -> str:
    return (
        f"run {run_id} is published, but the command after it, {command[0]!r} of ETL_AFTER_PUBLISH, was stopped by a"
        " signal"
    )


async def _tables(settings: Settings, command: Sequence[str]) -> list[str]:
    """The live tables of the run, as elements of TABLES."""
    try:
        async with target_session(settings.target, guard.application("after publish")) as target:
            loads = await ledger.loads_of(target, [settings.run_id])
    except EXPECTED as error:
        raise AfterFailed(
            f"run {settings.run_id} is published, but the command after it, {command[0]!r} of ETL_AFTER_PUBLISH, was"
            f" not started, because the ledger does not tell the tables: {told(error)}; mend it, and execute the"
            " command by hand"
        ) from error
    return sorted(label(load.live.schema, load.live.name) for load in loads if load.status == LoadStatus.PUBLISHED)


async def _started(
    run_id: str, command: Sequence[str], environment: Mapping[str, str], tables: Sequence[str]
) -> Process:
    variables = dict(environment) | {RUN: run_id}
    # Linux refuses to start a process with a longer variable; `etl history RUN --json` has the tables, too
    if len((text := tables_text(tables)).encode()) < limits.LONGEST_VARIABLE_BYTES:
        variables |= {TABLES: text}
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            env=variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=_STANDARD_ERROR,
            stderr=_STANDARD_ERROR,
            start_new_session=True,
        )
    except OSError as error:
        raise AfterFailed(
            f"run {run_id} is published, but the command after it, {command[0]!r} of ETL_AFTER_PUBLISH, cannot be"
            f" started: {error.strerror}; mend it, and execute it by hand"
        ) from None


async def _end(process: Process) -> None:
    """Ends all processes of the command, also those that would outlive the first of them."""
    _signal(process, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(limits.AFTER_PUBLISH_SECONDS):
            await process.wait()
            while _signal(process, 0):  # noqa: ASYNC110 - no event tells that no process is left
                await asyncio.sleep(limits.AFTER_PUBLISH_PAUSE_SECONDS)
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: Process, signum: int) -> bool:
    """Sends a signal to all processes of the command; returns whether there are any that are ours."""
    if process.returncode is not None:
        with suppress(ChildProcessError):  # the first process of a container inherits those whose parent has ended
            os.waitpid(-process.pid, os.WNOHANG)
    try:
        os.killpg(process.pid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True
