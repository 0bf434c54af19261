"""The list of all commands: each with its name, the settings that it needs, its input, its function and its answer.

``cli`` makes the command line from this list, ``functions`` the Lambdas, and ``docs.commands`` writes docs/commands.md.
A command's function imports its modules when it is called, so that ``etl --help`` and a cold Lambda start at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import structlog

from etl.commands import answers, inputs
from etl.commands.command import Call, Command, Form
from etl.model.errors import CheckFailed, ConfigurationError, EtlError, LoadFailed, TablesDiffer
from etl.model.record import Batch, Finished
from etl.model.status import RunStatus
from etl.model.wording import counted
from etl.settings.config import Shown

if TYPE_CHECKING:
    from etl.commands.plan import Plan

SOURCE, TARGET = "operational", "reporting"


async def _init(call: Call[inputs.InitInput]) -> answers.InitAnswer:
    from etl.commands.init import init

    return await init(call.found, call.asked.output, force=call.asked.force)


def _show_init(written: answers.InitAnswer) -> None:
    from etl.report.console import print_init

    print_init(written)


async def _run(call: Call[inputs.RunInput]) -> Finished:
    from etl.commands.run import run

    settings = call.settings
    if call.asked.only_failed:
        from etl.commands.failed import only_failed

        narrowed = await only_failed(settings)
        if narrowed is None:
            return Finished(settings.run_id, RunStatus.PUBLISHED, (), 0.0)
        settings = narrowed
    return await run(settings, call.progress)


def _has_after(call: Call[Any]) -> bool:
    """Whether a command is to follow the publish: not in an ``etl`` that such a command has started, without an end."""
    if call.settings.after_publish is None:
        return False
    from etl.commands.after import RUN

    return RUN not in call.environment


def _refuse_after(call: Call[Any]) -> None:
    if _has_after(call):
        from etl.commands.after import refuse_missing

        refuse_missing(call.settings.after_publish or ())


async def _after_run(call: Call[inputs.RunInput], finished: Finished) -> None:
    if finished.status == RunStatus.PUBLISHED and finished.loads:
        await _after(call)


async def _after_publish(call: Call[inputs.PublishInput], _: answers.PublishAnswer) -> None:
    await _after(call)


async def _after(call: Call[Any]) -> None:
    if _has_after(call):
        from etl.commands.after import after_publish

        await after_publish(call.settings, call.environment)


def _show_run(finished: Finished) -> None:
    from etl.report.console import print_finished

    print_finished(finished)


async def _plan(call: Call[inputs.PlanInput]) -> Plan:
    from etl.commands import plan, saved_plan

    shards, settings = call.asked.shards, call.settings
    if isinstance(shards, int):
        made = await plan.plan(settings, shards)
    else:
        made = await plan.given(settings, inputs.selections(shards))
    if call.asked.save or call.is_function:
        await saved_plan.save(settings, made.tables)
    return made


def _also_plan(asked: inputs.PlanInput) -> Iterable[str]:
    if isinstance(asked.shards, int):
        yield "tables"
    if asked.save:
        yield "run_id"


def _show_plan(plan: Plan) -> None:
    from etl.report.console import print_plan

    print_plan(plan)


async def _snapshot(call: Call[inputs.OfTables]) -> answers.SnapshotAnswer:
    from etl.commands.holder import hold

    return await hold(call.settings)


async def _publish(call: Call[inputs.PublishInput]) -> answers.PublishAnswer:
    from etl.commands.deferred import publish_run

    done = await publish_run(call.settings, once=call.is_function, anyway=call.asked.passing)
    figures = done.tables, round(done.seconds, 3), done.attempts, round(done.blocked_ms, 1)
    return answers.PublishAnswer(call.settings.run_id, *figures)


async def _abort(call: Call[inputs.AbortInput]) -> answers.AbortAnswer:
    from etl.commands.abort import abort

    done = await abort(call.settings, call.asked.error or "aborted", by_machine=call.is_function)
    if not call.is_function and done.status not in {None, RunStatus.PUBLISHED}:
        structlog.get_logger().info("run.aborted", tables=len(done.dropped))
    return answers.AbortAnswer(done.run_id, done.status, len(done.dropped))


def _judge_abort(done: answers.AbortAnswer) -> None:
    if done.status is None:
        raise ConfigurationError(f"run {done.run_id} is not in the ledger; `etl history` lists the runs there are")
    if done.status == RunStatus.PUBLISHED:
        raise EtlError(f"run {done.run_id} is published already; there is nothing to give up")


async def _verify(call: Call[inputs.OfTables]) -> list[answers.Comparison]:
    from etl.commands.verify import verify

    return await verify(call.settings)


def _show_verify(comparisons: list[answers.Comparison]) -> None:
    from etl.report.console import print_comparisons

    print_comparisons(comparisons)


def _judge_verify(comparisons: list[answers.Comparison]) -> None:
    if differing := [f"{table.table} ({table.difference})" for table in comparisons if table.difference]:
        verb = "differs" if len(differing) == 1 else "differ"
        tables = counted(len(comparisons), "table")
        raise TablesDiffer(
            f"{len(differing)} of {tables} {verb}: {', '.join(differing)}; run again, or see what changed"
        )


async def _check(call: Call[inputs.OfTables]) -> list[answers.Finding]:
    from etl.commands.check import check

    return await check(call.settings, whole=not call.asked.tables)


def _show_check(findings: list[answers.Finding]) -> None:
    from etl.report.console import print_findings

    print_findings(findings)


def _judge_check(findings: list[answers.Finding]) -> None:
    if obstacles := [finding.subject for finding in findings if finding.obstacle]:
        number = f"{counted(len(obstacles), 'thing')} {'stands' if len(obstacles) == 1 else 'stand'}"
        where = ", ".join(dict.fromkeys(obstacles))
        raise CheckFailed(f"{number} in a run's way: {where}; the lines that are not ready say what to do")


async def _retire(call: Call[inputs.RetireInput]) -> answers.RetireAnswer:
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


def _show_retire(retired: answers.RetireAnswer) -> None:
    from etl.report.console import print_retired

    print_retired(retired)


async def _history(call: Call[inputs.HistoryInput]) -> list[answers.HistoryRun]:
    from etl.commands.history import history, of_table

    asked, run_id = call.asked, call.asked.run_id
    if not asked.is_one and asked.table is not None:
        return await of_table(call.settings, asked.table, asked.limit, last_good=asked.last_good)
    runs = await history(call.settings, asked.limit, run_id, last_good=asked.last_good)
    if run_id is not None and not runs:
        raise ConfigurationError(f"run {run_id} is not in the ledger; `etl history` lists the runs there are")
    return runs


def _show_history(runs: list[answers.HistoryRun]) -> None:
    from etl.report.past import print_history

    print_history(runs)


async def _print_history(call: Call[inputs.HistoryInput]) -> list[answers.HistoryRun]:
    from etl.report.past import print_nights

    runs = await _history(call)
    (_show_history if call.asked.table is None else print_nights)(runs)
    return runs


async def _watch(call: Call[inputs.WatchInput]) -> answers.Watched:
    from etl.commands.watch import look

    return await look(call.settings, call.asked.run_id)


async def _follow(call: Call[inputs.WatchInput]) -> answers.Watched:
    from etl.commands.watch import follow
    from etl.report.watching import print_watched

    return await print_watched(follow(call.settings, call.asked.run_id))


def _judge_watch(seen: answers.Watched) -> None:
    if seen.status not in {RunStatus.RUNNING, RunStatus.PUBLISHED}:
        raise EtlError(f"run {seen.run_id} is {seen.status}: {seen.error or 'no process of it is there any more'}")


async def _report(call: Call[inputs.OfRun]) -> answers.Report:
    from etl.commands.report import report

    return await report(call.settings)


def _judge_report(report: answers.Report) -> None:
    if report.started_at is None:  # a Lambda's caller has this answer instead, with the status failed
        raise ConfigurationError(f"run {report.run_id} is not in the ledger; `etl history` lists the runs there are")


def _show_report(report: answers.Report) -> None:
    from etl.report.console import print_report

    print_report(report)


async def _settings(call: Call[inputs.OfTables]) -> list[Shown]:
    return call.found.shown()


def _show_settings(shown: list[Shown]) -> None:
    from etl.report.console import print_settings

    print_settings(shown)


async def _copy_batch(call: Call[inputs.BatchInput]) -> Batch:
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


COMMANDS: tuple[Command[Any, Any], ...] = (
    Command(
        "init",
        "Write nightly-etl.toml from what is found in the source: tables, keys, sizes, masks for personal data.",
        (SOURCE,),
        inputs.InitInput,
        _init,
        json=Form(answers.InitAnswer),
        show=_show_init,
    ),
    Command(
        "run",
        "Copy the tables of TABLES, all or none.",
        (SOURCE, TARGET, "plan"),
        inputs.RunInput,
        _run,
        json=Form(answers.RunAnswer, answers.RunAnswer.of),
        show=_show_run,
        has_bars=True,
        after=_after_run,
        refuse=_refuse_after,
    ),
    Command(
        "plan",
        "Divide the tables of TABLES into shards, by the seconds that they took last; print the shards.",
        (SOURCE, TARGET),
        inputs.PlanInput,
        _plan,
        json=Form(answers.PlanAnswer, lambda plan: plan.in_full()),
        answer=Form(answers.PlanInBrief, lambda plan: plan.in_brief()),
        show=_show_plan,
        also=_also_plan,
        is_json_in_pipes=True,
    ),
    Command(
        "snapshot",
        "Hold one snapshot of the source open for ETL_RUN_ID, until all tables of TABLES are staged.",
        (SOURCE, TARGET, "plan", "run_id"),
        inputs.OfTables,
        _snapshot,
        json=Form(answers.SnapshotAnswer),
    ),
    Command(
        "publish",
        "Publish the tables that RUN_ID (or ETL_RUN_ID) staged with ETL_PUBLISH=defer, or before it was stopped.",
        (TARGET, "run_id"),
        inputs.PublishInput,
        _publish,
        json=Form(answers.PublishAnswer),
        answer=Form(answers.PublishAnswer),
        after=_after_publish,
        refuse=_refuse_after,
    ),
    Command(
        "abort",
        "End RUN_ID (or ETL_RUN_ID) as failed and drop its staging tables; live tables stay as they are.",
        (TARGET, "run_id"),
        inputs.AbortInput,
        _abort,
        json=Form(answers.AbortAnswer),
        answer=Form(answers.AbortAnswer),
        judge=_judge_abort,
    ),
    Command(
        "verify",
        "Compare rows and checksums of every table of TABLES on both sides; exit with 1 if a table differs.",
        (SOURCE, TARGET, "tables"),
        inputs.OfTables,
        _verify,
        json=Form(list[answers.Comparison]),
        show=_show_verify,
        judge=_judge_verify,
    ),
    Command(
        "check",
        "Say what a run would do and what would stop it; change nothing.",
        (SOURCE, TARGET, "tables"),
        inputs.OfTables,
        _check,
        json=Form(list[answers.Finding]),
        show=_show_check,
        judge=_judge_check,
    ),
    Command(
        "retire",
        "Drop the live table TABLE, which has left TABLES; or mark it with --keep.",
        (SOURCE, TARGET, "tables"),
        inputs.RetireInput,
        _retire,
        json=Form(answers.RetireAnswer),
        show=_show_retire,
    ),
    Command(
        "history",
        "Show the last runs, or RUN_ID, with their loads.",
        (TARGET,),
        inputs.HistoryInput,
        _history,
        json=Form(list[answers.HistoryRun]),
        show=_show_history,
        follow=_print_history,
    ),
    Command(
        "watch",
        "Show how far RUN_ID is, from any terminal: what is done, running and waiting, and when it will have finished.",
        (TARGET,),
        inputs.WatchInput,
        _watch,
        json=Form(answers.Watched),
        judge=_judge_watch,
        follow=_follow,
    ),
    Command(
        "report",
        "Show how RUN_ID (or ETL_RUN_ID) ended: its figures, its slowest tables, its failed tables.",
        (TARGET, "run_id"),
        inputs.OfRun,
        _report,
        json=Form(answers.Report),
        answer=Form(answers.Report),
        show=_show_report,
        judge=_judge_report,
    ),
    Command(
        "settings",
        "Show every setting, its value, and where the value comes from; secrets are starred.",
        (),
        inputs.OfTables,
        _settings,
        json=Form(list[Shown]),
        show=_show_settings,
    ),
    Command(
        "copy-batch",
        "Copy the next batch of a table, within the time that the function has left.",
        (SOURCE, TARGET),
        inputs.BatchInput,
        _copy_batch,
        answer=Form(Batch),
    ),
)
"""All commands, in the order in which a night uses them."""
