"""The list of all commands: each with its name, the settings that it needs, its input, its action and its answer.

``cli`` makes the command line from this list, ``functions`` the Lambdas, and ``docs.commands`` writes docs/commands.md.
"""

from __future__ import annotations

from typing import Any

from etl import actions
from etl.commands import accounts, answers, hooks, inputs, night
from etl.commands.command import Command, Form
from etl.model.record import Batch
from etl.settings.found import Shown

SOURCE, TARGET = "operational", "reporting"

COMMANDS: tuple[Command[Any, Any], ...] = (
    Command(
        "init",
        "Write nightly-etl.toml from what is found in the source: tables, keys, sizes, masks for personal data.",
        (SOURCE,),
        inputs.InitInput,
        actions.init,
        json=Form(answers.InitAnswer),
        show=actions.show_init,
    ),
    Command(
        "run",
        "Copy the tables of TABLES, all or none.",
        (SOURCE, TARGET, "plan"),
        inputs.RunInput,
        actions.run,
        json=Form(answers.RunAnswer, answers.RunAnswer.of),
        show=actions.show_run,
        has_bars=True,
        after=hooks.follow_run,
        refuse=hooks.refuse,
    ),
    Command(
        "plan",
        "Divide the tables of TABLES into shards, by the seconds that they took last; print the shards.",
        (SOURCE, TARGET),
        inputs.PlanInput,
        actions.plan,
        json=Form(answers.PlanAnswer, lambda plan: plan.in_full()),
        answer=Form(answers.PlanInBrief, lambda plan: plan.in_brief()),
        show=actions.show_plan,
        also=actions.also_plan,
        is_json_in_pipes=True,
    ),
    Command(
        "snapshot",
        "Hold one snapshot of the source open for ETL_RUN_ID, until all tables of TABLES are staged.",
        (SOURCE, TARGET, "plan", "run_id"),
        inputs.OfTables,
        actions.snapshot,
        json=Form(answers.SnapshotAnswer),
    ),
    Command(
        "publish",
        "Publish the tables that RUN_ID (or ETL_RUN_ID) staged with ETL_PUBLISH=defer, or before it was stopped.",
        (TARGET, "run_id"),
        inputs.PublishInput,
        actions.publish,
        json=Form(answers.PublishAnswer),
        answer=Form(answers.PublishAnswer),
        after=hooks.follow_publish,
        refuse=hooks.refuse,
    ),
    Command(
        "abort",
        "End RUN_ID (or ETL_RUN_ID) as failed and drop its staging tables; live tables stay as they are.",
        (TARGET, "run_id"),
        inputs.AbortInput,
        actions.abort,
        json=Form(answers.AbortAnswer),
        answer=Form(answers.AbortAnswer),
        judge=actions.judge_abort,
    ),
    Command(
        "verify",
        "Compare rows and checksums of every table of TABLES on both sides; exit with 1 if a table differs.",
        (SOURCE, TARGET, "tables"),
        inputs.OfTables,
        actions.verify,
        json=Form(list[answers.Comparison]),
        show=actions.show_verify,
        judge=actions.judge_verify,
    ),
    Command(
        "check",
        "Say what a run would do and what would stop it; change nothing.",
        (SOURCE, TARGET, "tables"),
        inputs.OfTables,
        actions.check,
        json=Form(list[answers.Finding]),
        show=actions.show_check,
        judge=actions.judge_check,
    ),
    Command(
        "retire",
        "Drop the live table TABLE, which has left TABLES; or mark it with --keep.",
        (SOURCE, TARGET, "tables"),
        inputs.RetireInput,
        actions.retire,
        json=Form(answers.RetireAnswer),
        show=actions.show_retire,
    ),
    Command(
        "history",
        "Show the last runs, or RUN_ID, with their loads.",
        (TARGET,),
        inputs.HistoryInput,
        actions.history,
        json=Form(list[accounts.HistoryRun]),
        show=actions.show_history,
        follow=actions.print_history,
    ),
    Command(
        "watch",
        "Show how far RUN_ID is, from any terminal: what is done, running and waiting, and when it will have finished.",
        (TARGET,),
        inputs.WatchInput,
        actions.watch,
        json=Form(accounts.Watched),
        judge=actions.judge_watch,
        follow=actions.follow,
    ),
    Command(
        "report",
        "Show how RUN_ID ended: its figures, its slowest tables, its failed tables; or write its page.",
        (TARGET,),
        inputs.ReportInput,
        actions.report,
        json=Form(night.FullReport),
        answer=Form(accounts.Report, lambda report: report.brief),
        judge=actions.judge_report,
        follow=actions.print_report,
    ),
    Command(
        "settings",
        "Show every setting, its value, and where the value comes from; secrets are starred.",
        (),
        inputs.OfTables,
        actions.settings,
        json=Form(list[Shown]),
        show=actions.show_settings,
    ),
    Command(
        "copy-batch",
        "Copy the next batch of a table, within the time that the function has left.",
        (SOURCE, TARGET),
        inputs.BatchInput,
        actions.copy_batch,
        answer=Form(Batch),
    ),
)
"""All commands, in the order in which a night uses them."""
