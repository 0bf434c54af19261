"""When ETL_AFTER_PUBLISH is executed: after a run or a publish that has published. ``after`` does it.

What executes it is imported only if it is wanted.
"""

from __future__ import annotations

from typing import Any

from etl.commands import answers, inputs
from etl.commands.command import Call
from etl.model.record import Finished
from etl.model.status import RunStatus


def is_wanted(call: Call[Any]) -> bool:
    """Whether a command is to follow the publish: not in an ``etl`` that such a command has started, without an end."""
    if call.settings.after_publish is None:
        return False
    from etl.commands.after import RUN

    return RUN not in call.environment


def refuse(call: Call[Any]) -> None:
    """Raises ConfigurationError before any work if the program of ETL_AFTER_PUBLISH is missing."""
    if is_wanted(call):
        from etl.commands.after import refuse_missing

        refuse_missing(call.settings.after_publish or ())


async def follow_run(call: Call[inputs.RunInput], finished: Finished) -> None:
    """Executes ETL_AFTER_PUBLISH if this run has published tables."""
    if finished.status == RunStatus.PUBLISHED and finished.loads:
        await _execute(call)


async def follow_publish(call: Call[inputs.PublishInput], _: answers.PublishAnswer) -> None:
    """Executes ETL_AFTER_PUBLISH."""
    await _execute(call)


async def _execute(call: Call[Any]) -> None:
    if is_wanted(call):
        from etl.commands.after import after_publish

        await after_publish(call.settings, call.environment)
