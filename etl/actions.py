"""What each command of the catalogue does, what a person sees of the result, and whether the result is a failure.

``NAME`` does the work of a command, ``show_NAME`` prints its result, ``judge_NAME`` raises if it is a failure. Each
imports its modules when it is called, so that ``etl --help`` and a cold Lambda start at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog

from etl.commands import accounts, answers, inputs
from etl.commands.command import Call
from etl.commands.night import FullReport
from etl.model.errors import CheckFailed, ConfigurationError, EtlError, LoadFailed, TablesDiffer, refuse_unknown
from etl.model.record import Batch, Finished
from etl.model.status import RunStatus
from etl.model.wording import counted
from etl.settings.found import Shown

if TYPE_CHECKING:
    from etl.commands.plan import Plan


async def init(call: Call[inputs.InitInput]) -> answers.InitAnswer:
    """Writes the configuration file from what the source has."""
    from etl.commands.init import init

    return await init(call.found, call.asked.output, force=call.asked.force)


def show_init(written: answers.InitAnswer) -> None:
    """Prints which file was written, and what to do next."""
    from etl.report.console import print_init

    print_init(written)


async def run(call: Call[inputs.RunInput]) -> Finished:
    """Copies the tables; with ``--only-failed`` those alone whose last load was not published, if there are any."""
    from etl.commands.run import run

    settings = call.settings
    if call.asked.only_failed:
        from etl.commands.failed import only_failed

        narrowed = await only_failed(settings)
        if narrowed is None:
            return Finished(settings.run_id, RunStatus.PUBLISHED, (), 0.0)
        settings = narrowed
    return await run(settings, call.progress)


def show_run(finished: Finished) -> None:
    """Prints the loads of a run."""
    from etl.report.console import print_finished

    print_finished(finished)


async def plan(call: Call[inputs.PlanInput]) -> Plan:
    """Makes the shards, or takes those that the event has; saves them if that is asked for."""
    from etl.commands import plan, saved_plan

    shards, settings = call.asked.shards, call.settings
    if isinstance(shards, int):
        made = await plan.plan(settings, shards)
    else:
        made = await plan.given(settings, inputs.selections(shards))
    if call.asked.save or call.is_function:
        await saved_plan.save(settings, made.tables)
    return made


def also_plan(asked: inputs.PlanInput) -> Iterable[str]:
    """The further settings that a plan needs: TABLES unless the shards are given, the run if it is saved."""
    if isinstance(asked.shards, int):
        yield "tables"
    if asked.save:
        yield "run_id"


def show_plan(plan: Plan) -> None:
    """Prints the shards."""
    from etl.report.console import print_plan

    print_plan(plan)


async def snapshot(call: Call[inputs.OfTables]) -> answers.SnapshotAnswer:
    """Holds the snapshot of a run that other processes load."""
    from etl.commands.holder import hold

    return await hold(call.settings)


async def publish(call: Call[inputs.PublishInput]) -> answers.PublishAnswer:
    """Publishes a run; a Lambda makes one attempt only, because the state machine repeats it."""
    from etl.commands.deferred import publish_run

    done = await publish_run(call.settings, once=call.is_function, anyway=call.asked.passing)
    figures = done.tables, round(done.seconds, 3), done.attempts, round(done.blocked_ms, 1)
    return answers.PublishAnswer(call.settings.run_id, *figures)


async def abort(call: Call[inputs.AbortInput]) -> answers.AbortAnswer:
    """Ends a run, and drops its staging tables."""
    from etl.commands.abort import abort

    done = await abort(call.settings, call.asked.error or "aborted", by_machine=call.is_function)
    if not call.is_function and done.status not in {None, RunStatus.PUBLISHED}:
        structlog.get_logger().info("run.aborted", tables=len(done.dropped))
    return answers.AbortAnswer(done.run_id, done.status, len(done.dropped))


def judge_abort(done: answers.AbortAnswer) -> None:
    """Raises if there was no run to end."""
    if done.status is None:
        refuse_unknown(done.run_id)
    if done.status == RunStatus.PUBLISHED:
        raise EtlError(f"run {done.run_id} is published already; there is nothing to give up")


async def verify(call: Call[inputs.OfTables]) -> list[answers.Comparison]:
    """Compares both sides."""
    from etl.commands.verify import verify

    return await verify(call.settings)


def show_verify(comparisons: list[answers.Comparison]) -> None:
    """Prints the comparisons."""
    from etl.report.console import print_comparisons

    print_comparisons(comparisons)


def judge_verify(comparisons: list[answers.Comparison]) -> None:
    """Raises TablesDiffer if a table differs."""
    if differing := [f"{table.table} ({table.difference})" for table in comparisons if table.difference]:
        verb = "differs" if len(differing) == 1 else "differ"
        tables = counted(len(comparisons), "table")
        raise TablesDiffer(
            f"{len(differing)} of {tables} {verb}: {', '.join(differing)}; run again, or see what changed"
        )


async def check(call: Call[inputs.OfTables]) -> list[answers.Finding]:
    """Says what a run would do; of the tables that have left TABLES, only if it is asked about all."""
    from etl.commands.check import check

    return await check(call.settings, whole=not call.asked.tables)


def show_check(findings: list[answers.Finding]) -> None:
    """Prints the findings."""
    from etl.report.console import print_findings

    print_findings(findings)


def judge_check(findings: list[answers.Finding]) -> None:
    """Raises CheckFailed if something would stop a run."""
    if obstacles := [finding.subject for finding in findings if finding.obstacle]:
        number = f"{counted(len(obstacles), 'thing')} {'stands' if len(obstacles) == 1 else 'stand'}"
        where = ", ".join(dict.fromkeys(obstacles))
        raise CheckFailed(f"{number} in a run's way: {where}; the lines that are not ready say what to do")


async def retire(call: Call[inputs.RetireInput]) -> answers.RetireAnswer:
    """Drops or marks a live table; asks on a terminal, unless ``--yes`` has answered."""
    from etl.commands.retire import retire
    from etl.report import question

    asked = call.asked
    if not (asked.keep or asked.yes or question.may_ask()):
        raise ConfigurationError(
            f"etl retire drops {asked.table} for good, and there is no terminal to ask on; add --yes to drop it, or"
            " --keep to mark it as one that stays"
        )
    agrees = question.assumed if asked.yes else question.agrees
    return await retire(call.settings, asked.table, agrees, keep=asked.keep)


def show_retire(retired: answers.RetireAnswer) -> None:
    """Prints what was dropped or marked."""
    from etl.report.console import print_retired

    print_retired(retired)


async def history(call: Call[inputs.HistoryInput]) -> list[accounts.HistoryRun]:
    """Reads the last runs, or the last nights of one table."""
    from etl.commands.history import history, of_table

    asked, run_id = call.asked, call.asked.run_id
    if not asked.is_one and asked.table is not None:
        return await of_table(call.settings, asked.table, asked.limit, last_good=asked.last_good)
    runs = await history(call.settings, asked.limit, run_id, last_good=asked.last_good)
    if run_id is not None and not runs:
        refuse_unknown(run_id)
    return runs


def show_history(runs: list[accounts.HistoryRun]) -> None:
    """Prints runs with their loads."""
    from etl.report.past import print_history

    print_history(runs)


async def print_history(call: Call[inputs.HistoryInput]) -> list[accounts.HistoryRun]:
    """Reads the same, and prints runs with their loads, or the nights of one table."""
    from etl.report.past import print_nights

    runs = await history(call)
    (show_history if call.asked.table is None else print_nights)(runs)
    return runs


async def watch(call: Call[inputs.WatchInput]) -> accounts.Watched:
    """Looks once how far a run is."""
    from etl.commands.watch import look

    return await look(call.settings, call.asked.run_id)


async def follow(call: Call[inputs.WatchInput]) -> accounts.Watched:
    """Shows how far a run is until it has ended."""
    from etl.commands.watch import follow
    from etl.report.watching import print_watched

    return await print_watched(follow(call.settings, call.asked.run_id))


def judge_watch(seen: accounts.Watched) -> None:
    """Raises if the run has ended without a publish, or its processes are gone."""
    if seen.status not in {RunStatus.RUNNING, RunStatus.PUBLISHED}:
        raise EtlError(f"run {seen.run_id} is {seen.status}: {seen.error or 'no process of it is there any more'}")


async def report(call: Call[inputs.ReportInput]) -> FullReport:
    """Reads how a run has ended, and writes its page if that is asked for, or if a Lambda has a bucket for it."""
    from etl.commands.report import report

    settings, is_named = call.settings, "run_id" in call.found.given
    read = await report(settings, settings.run_id if is_named else None, with_night=not call.is_function)
    if call.asked.output is not None:
        from etl.commands.output import write
        from etl.report.page.page import render

        write(call.asked.output, render(read))
    if call.is_function and settings.report_bucket is not None and read.started_at is not None:
        from etl.report.bucket import with_page

        return await with_page(settings, read, call.seconds_left())
    return read


def judge_report(report: FullReport) -> None:
    """Raises if there is no such run; a Lambda's caller has the answer instead, with the status failed."""
    if report.started_at is None:
        refuse_unknown(report.run_id)


async def print_report(call: Call[inputs.ReportInput]) -> FullReport:
    """Reads the same, and prints the figures, or which file has the page."""
    from etl.report.console import print_page, print_report

    read = await report(call)
    if call.asked.output is None:
        print_report(read)
    else:
        print_page(call.asked.output, read)
    return read


async def settings(call: Call[inputs.OfTables]) -> list[Shown]:
    """Lists the settings with their origins."""
    return call.found.shown()


def show_settings(shown: list[Shown]) -> None:
    """Prints them."""
    from etl.report.console import print_settings

    print_settings(shown)


async def copy_batch(call: Call[inputs.BatchInput]) -> Batch:
    """Copies a batch; raises LoadFailed if the time that a Lambda has does not suffice."""
    from etl.loads.batches import copy_batch

    asked, seconds = call.asked, call.seconds_left()  # asked for after the imports, which take their time too
    try:
        async with asyncio.timeout(seconds):
            return await copy_batch(call.settings, asked.table, asked.last_id, asked.limit, asked.key, lag=asked.lag)
    except TimeoutError:
        raise LoadFailed(
            f"{asked.table}: {asked.limit} rows after {asked.last_id} take longer than the {seconds:.0f} s that"
            " the function had; lower the limit"
        ) from None
