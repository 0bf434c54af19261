"""``etl run --only-failed``: of the tables of TABLES, those whose last load was not published.

They are copied from a snapshot of their own, and so show another instant than the tables that stay: the promise of one
instant holds again from the next whole run on.
"""

from __future__ import annotations

from dataclasses import replace

from etl.commands import control
from etl.ledger import book, ledger
from etl.logs.log import get_logger
from etl.model.errors import ConfigurationError
from etl.model.selection import Selection, tables_text
from etl.settings.settings import Settings
from etl.source import choice
from etl.target import guard

log = get_logger()


async def only_failed(settings: Settings) -> Settings | None:
    """The settings of a run of these tables alone; None if there are none, so that there is nothing to run.

    Raises ConfigurationError for a process that is one of several of its run.
    """
    if settings.plan == "run" or settings.snapshot == "run" or settings.shard is not None:
        raise ConfigurationError(
            "--only-failed is for a run of one process, and ETL_PLAN, ETL_SNAPSHOT or ETL_SHARD makes this one of"
            " several; leave it out, and start a new run"
        )
    async with control.beside_source(settings) as (held, source):
        await guard.refuse_same_database(source, held.session, settings.source, settings.target)
        chosen = [str(table.source) for table in await choice.choose(source, settings.options, settings.selection)]
        left = chosen
        if await book.exists(held.session):
            left = await ledger.not_published_last(held.session, chosen, settings.job)
    log.info("run.only_failed", tables=len(left), others=len(chosen) - len(left))
    if not left:
        return None
    selection = replace(Selection.parse(tables_text(left)), origin="--only-failed")
    return settings.model_copy(update={"tables": selection})
