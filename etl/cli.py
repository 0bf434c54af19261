"""The command line: the one place that reads the environment, wires the parts and knows exit statuses."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Coroutine, Mapping
from dataclasses import asdict
from typing import Any, NoReturn, TypeVar

import click
import structlog

from etl import entry
from etl.commands.balance import MOST_SHARDS
from etl.logs import log
from etl.model.errors import EXPECTED, CheckFailed, ConfigurationError, EtlError, TablesDiffer, one_line
from etl.model.status import RunStatus
from etl.settings.settings import Settings

T = TypeVar("T")

PROGRAM = "etl"
DATABASES = ("operational", "reporting")

_HELP = {"help_option_names": ["-h", "--help"]}


class Interrupted(BaseException):
    """A signal asked the process to stop; ``signum`` says which.

    No Exception, as KeyboardInterrupt is none: botocore takes those for a failed request, and tries again.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum


@click.group(context_settings=_HELP)
@click.version_option(package_name="nightly-etl", prog_name="nightly-etl")  # looked up if asked for
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def etl(debug: bool) -> None:
    """Copies tables of an operational PostgreSQL to a reporting PostgreSQL: one snapshot, one publish.

    Settings come from the environment (TABLES, ETL_OPERATIONAL_URL, ETL_REPORTING_URL …) or from AWS
    Parameter Store under ETL_PARAMETER_PATH. Exit status: 0 done, 1 a copy failed, 2 bad configuration.
    """


@etl.command()
def run() -> None:
    """Copy the tables of TABLES, all or none."""
    settings = _settings(*DATABASES, "plan")
    from etl.commands.run import (
        run as do_run,  # here and below: a command imports what it needs, so that it starts at once
    )

    if settings.log_format == "console" and sys.stdout.isatty():
        from etl.report.console import TerminalProgress, print_finished

        with TerminalProgress() as progress:
            finished = _await(do_run(settings, progress))
        print_finished(finished)
    else:
        from etl.loads.progress import Progress

        _await(do_run(settings, Progress()))


@etl.command()
@click.argument("run_id", required=False)
def publish(run_id: str | None) -> None:
    """Make live what RUN_ID (or ETL_RUN_ID) staged with ETL_PUBLISH=defer."""
    settings = _settings("reporting", "run_id", given={"run_id": run_id})
    from etl.commands.deferred import publish_run

    _await(publish_run(settings))


@etl.command()
@click.argument("run_id", required=False)
@click.option("--error", default="aborted", help="The reason, for the ledger.")
def abort(run_id: str | None, error: str) -> None:
    """End RUN_ID (or ETL_RUN_ID) as failed and drop what it staged; live tables stay as they are."""
    settings = _settings("reporting", "run_id", given={"run_id": run_id})
    from etl.commands.abort import abort as do_abort

    aborted = _await(do_abort(settings, error))
    if aborted.status is None:
        raise EtlError(f"run {aborted.run_id} is not in the ledger; `etl history` lists the runs there are")
    if aborted.status == RunStatus.PUBLISHED:
        raise EtlError(f"run {aborted.run_id} is published already; there is nothing to give up")
    structlog.get_logger().info("run.aborted", tables=len(aborted.dropped))


@etl.command()
@click.option("--shards", required=True, type=click.IntRange(1, MOST_SHARDS), help="How many, at most.")
@click.option("--save", is_flag=True, help="Write the plan of ETL_RUN_ID to the ledger, for ETL_PLAN=run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on a terminal too.")
def plan(shards: int, save: bool, as_json: bool) -> None:
    """Balance the tables of TABLES into shards, by what the last nights took; print the fan-out's input."""
    settings = _settings(*DATABASES, "tables", *(["run_id"] if save else []))
    from etl.commands import planned as saved
    from etl.commands.plan import plan as do_plan

    planned = _await(do_plan(settings, shards))
    if save:
        _await(saved.save(settings, planned.tables))
    if as_json or not sys.stdout.isatty():
        _print_json(planned.as_json())
    else:
        from etl.report.console import print_plan

        print_plan(planned)


@etl.command()
def snapshot() -> None:
    """Hold one snapshot of the source open for ETL_RUN_ID, until all tables of TABLES are staged."""
    settings = _settings(*DATABASES, "plan", "run_id")
    from etl.commands.holder import hold

    _await(hold(settings))


@etl.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(as_json: bool) -> None:
    """Compare every table of TABLES on both sides, rows and checksums; exit 1 where they differ."""
    settings = _settings(*DATABASES, "tables")
    from etl.commands.verify import verify as do_verify

    comparisons = _await(do_verify(settings))
    if as_json:
        _print_json(
            [
                {
                    "table": one.table,
                    "rows": one.source and one.source.rows,
                    "checksum": one.source and f"{one.source.sum:x}",
                    "difference": one.difference,
                }
                for one in comparisons
            ]
        )
    else:
        from etl.report.console import print_comparisons

        print_comparisons(comparisons)
    if differing := [f"{one.table} ({one.difference})" for one in comparisons if one.difference]:
        raise TablesDiffer(f"{len(differing)} of {len(comparisons)} tables differ: {', '.join(differing)}")


@etl.command()
def check() -> None:
    """Say what a run would do and what stands in its way; change nothing."""
    settings = _settings(*DATABASES, "tables")
    from etl.commands.check import check as do_check
    from etl.report.console import print_findings

    findings = _await(do_check(settings))
    print_findings(findings)
    if obstacles := [one for one in findings if one.obstacle]:
        raise CheckFailed(
            f"{len(obstacles)} things stand in a run's way: {', '.join(one.subject for one in obstacles)}"
        )


@etl.command()
@click.argument("run_id", required=False)
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 10_000), help="How many runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def history(run_id: str | None, limit: int, as_json: bool) -> None:
    """Show the last runs and their loads, or those of RUN_ID."""
    settings = _settings("reporting")
    from etl.commands.history import history as do_history

    runs = _await(do_history(settings, limit, run_id))
    if run_id is not None and not runs:
        raise ConfigurationError(f"run {run_id} is not in the ledger; `etl history` lists the runs there are")
    if as_json:
        _print_json(runs)
    else:
        from etl.report.console import print_history

        print_history(runs)


@etl.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def settings(as_json: bool) -> None:
    """Show every setting, its value, and where that comes from; secrets are starred."""
    shown = entry.found(os.environ, (), on_terminal=sys.stdout.isatty()).shown()
    if as_json:
        _print_json([asdict(one) for one in shown])
    else:
        from etl.report.console import print_settings

        print_settings(shown)


def main() -> NoReturn:
    """Runs the command line and ends the process with its exit status."""
    for signum in (signal.SIGTERM, signal.SIGINT):  # a container's first process ignores SIGTERM unless it asks for it
        signal.signal(signum, _interrupt)
    debug = "--debug" in sys.argv[1:]
    try:
        status = etl.main(prog_name=PROGRAM, standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ConfigurationError as error:
        _tell(*error.problems, debug=debug)
        sys.exit(error.exit_status)
    except EtlError as error:
        _tell(str(error), debug=debug)
        sys.exit(error.exit_status)
    except BrokenPipeError:  # whoever read what we print has seen enough
        sys.exit(1)
    except EXPECTED as error:
        _tell(one_line(error), debug=debug)
        sys.exit(1)
    except Interrupted as stop:
        _tell(f"stopped by {signal.Signals(stop.signum).name}")
        sys.exit(128 + stop.signum)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        what = f"{type(error).__name__}: {one_line(error)}"
        _tell(f"internal error: {what}; run again with --debug and report it", debug=debug)
        sys.exit(1)
    finally:
        log.flush()


def _interrupt(signum: int, _frame: object) -> NoReturn:
    raise Interrupted(signum)


def _tell(*lines: str, debug: bool = False) -> None:
    if debug:
        traceback.print_exc()
    for line in lines:
        log.tell(entry.redact(line))


def _settings(*needs: str, given: Mapping[str, str | None] | None = None) -> Settings:
    named = {name: value for name, value in (given or {}).items() if value is not None}
    return entry.settings(os.environ, needs, named, on_terminal=sys.stdout.isatty())


def _await(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end; SIGTERM and SIGINT cancel it, and it clears up before Interrupted is raised."""
    gc.freeze()  # what has been imported stays: the collector need not go over it
    gc.enable()
    return asyncio.run(_stoppable(work))


async def _stoppable(work: Coroutine[Any, Any, T]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    stopped: list[int] = []

    def stop(signum: int) -> None:
        if not stopped:  # a second signal must not stop the clearing up
            stopped.append(signum)
            task.cancel()

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop, signum)
    try:
        return await task
    except asyncio.CancelledError:
        if stopped:
            raise Interrupted(stopped[0]) from None
        raise


def _print_json(value: object) -> None:
    print(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
