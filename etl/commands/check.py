"""``etl check``: reports how a run would copy each table, and every obstacle to that. Changes nothing."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import UTC
from typing import TypeVar

from etl.commands import outlook
from etl.commands.answers import Finding
from etl.commands.outlook import Outlook
from etl.ledger import book, ledger
from etl.model import limits
from etl.model.errors import ConfigurationError, EtlError
from etl.model.name import TargetName
from etl.model.status import LoadKind
from etl.model.table import Table
from etl.model.wording import counted
from etl.publish import blockers, obstacles
from etl.sessions import encoding
from etl.sessions.postgres import Source, Target, source_session, target_session
from etl.sessions.query import target_query
from etl.settings.settings import Settings
from etl.source import catalog, choice, privileges, proof
from etl.target import claims, disclosure, guard, live, staging, trust

_C = TypeVar("_C")


async def check(settings: Settings, *, whole: bool = True) -> list[Finding]:
    """Checks both databases, and then each table; returns the findings in this order.

    ``whole`` says that TABLES has all tables, so that others which were published before are left behind.

    Raises ConfigurationError if TABLES or the options name a table or column that does not exist, or if a URL is wrong.
    """
    patience = limits.LIVE_TABLE_LOCK_TIMEOUT
    async with AsyncExitStack() as sessions:
        findings: list[Finding] = []
        wrong: list[str] = []
        source = await _opened(
            sessions, source_session(settings.source, guard.application("check")), "source", findings, wrong
        )
        target = await _opened(
            sessions,
            target_session(settings.target, guard.application("check"), lock_timeout=patience),
            "target",
            findings,
            wrong,
        )
        if wrong:
            raise ConfigurationError([*(finding.text for finding in findings), *wrong])
        findings = [replace(finding, text=settings.redact(finding.text)) for finding in findings]
        if source is not None and target is not None:
            findings += await _both(settings, source, target, whole=whole)
        return findings


async def _opened(
    sessions: AsyncExitStack,
    session: AbstractAsyncContextManager[_C],
    side: str,
    findings: list[Finding],
    wrong: list[str],
) -> _C | None:
    """A session that is closed with the others; None, and a finding or a wrong setting, if it cannot be opened."""
    try:
        return await sessions.enter_async_context(session)
    except ConfigurationError as error:
        wrong += error.problems
        return None
    except EtlError as error:
        findings.append(Finding(side, str(error), obstacle=True))
        return None


async def _both(settings: Settings, source: Source, target: Target, *, whole: bool) -> list[Finding]:
    await guard.refuse_same_database(source, target, settings.source, settings.target)
    versions = await source.fetchval("SHOW server_version"), target.info.parameter_status("server_version")
    encodings = encoding.of_source(source), encoding.of_target(target)
    findings = [
        Finding("source", f"{settings.source}, PostgreSQL {versions[0]}{_encoded(encodings[0])}"),
        Finding("target", f"{settings.target}, PostgreSQL {versions[1]}{_encoded(encodings[1])}"),
    ]
    chosen = await choice.choose(source, settings.options, settings.selection)
    unreadable = await privileges.unreadable(source, [table.source for table in chosen])
    tables = settings.options.apply(await catalog.tables(source, [table.source for table in chosen]))
    if has_ledger := await book.is_current(target):
        await claims.refuse(target, [table.live for table in tables], settings.job)
        tables = await disclosure.refuse(target, tables, settings.options, settings.job)
    await proof.prove(source, tables)
    await trust.refuse_named(source, target, tables)
    found = await obstacles.find(settings, source, target, tables)
    findings += [Finding("target", text, obstacle=True) for text in found.target]
    findings += await _notes(target)
    await staging.refuse_untrusted(target, {table.live.schema for table in tables})
    await guard.refuse_untrusted_tables(target, [table.live for table in tables], has_ledger=has_ledger)
    is_kept = encoding.kept(source, target) is not None
    in_place = {table.live for table in tables if settings.options.of(table.source).publish == "in-place"}
    forecast = await outlook.read(settings, source, target, tables)
    findings += [Finding("target", str(forecast))] if str(forecast) else []
    findings += [
        _table(
            table,
            [*unreadable[table.oid], *_unclassified(table), *found.tables.get(table.live, [])],
            found.live.get(table.live, []),
            forecast.loads.get(table.live),
            is_kept=is_kept,
            is_in_place=table.live in in_place or forecast.merges,
        )
        for table in tables
    ]
    swapped = {one.oid for table, some in found.live.items() if table not in in_place for one in some}
    findings += await _temporary(target, swapped)
    findings += await _waiting(target) if has_ledger else []
    if (
        whole and has_ledger and settings.shard is None and settings.snapshot == "own"
    ):  # a shard's TABLES are some of the run's
        findings += await _left_behind(target, {table.live for table in tables}, settings.job)
    return findings


async def _left_behind(target: Target, live_tables: Collection[TargetName], job: str | None) -> list[Finding]:
    """The live tables that earlier runs have published, and that no table of TABLES has as its live name.

    With a ``job``, those of other jobs do not count.
    """
    cursor = await target.execute(target_query("published"), {"job": job or ""})
    rows = [(TargetName(row["schema"], row["name"]), row["published_at"]) for row in await cursor.fetchall()]
    return [
        Finding(
            str(relation),
            f"is left behind: last published at {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, and no table of TABLES arrives"
            f" as it now; drop it with `etl retire {shlex.quote(str(relation))}`, or mark it with --keep if it is"
            " needed",
        )
        for relation, at in rows
        if relation not in live_tables
    ]


async def _temporary(target: Target, oids: Collection[int]) -> list[Finding]:
    """The temporary objects of other sessions, on these tables and views, for which a publish would wait now."""
    return [
        Finding("target", f"{found} depends on a live table; a publish waits for it until the session ends")
        for found in await blockers.temporary(target, sorted(oids))
    ]


async def _waiting(target: Target) -> list[Finding]:
    """The foreign keys that earlier publishes have added NOT VALID, and that are not validated yet."""
    text = "{} is NOT VALID since run {}, and waits for its validation{}; the next publish tries again"
    return [
        Finding(str(one.live), text.format(one, one.run_id, f" ({one.error})" if one.error else ""))
        for one in await ledger.waiting(target)
        if one.is_needed
    ]


def _encoded(name: str | None) -> str:
    return f", encoding {name}" if name not in {None, encoding.UTF8} else ""


async def _notes(target: Target) -> list[Finding]:
    """What may matter to a run, and need not."""
    cursor = await target.execute(target_query("notes"), {})  # with values, because the text has %%
    return [Finding("target", row["note"]) for row in await cursor.fetchall()]


def _table(
    table: Table,
    problems: Sequence[str],
    together: Sequence[live.Object],
    load: Outlook | None,
    *,
    is_kept: bool,
    is_in_place: bool,
) -> Finding:
    kind, reason = (None, None) if load is None else (load.load.value, load.reason or load.doubt or None)
    if load is not None and load.is_refused:
        problems = [*problems, f'load = "delta" is not possible: {load.reason}']
    if problems:
        return Finding(str(table), "; ".join(problems), obstacle=True, load=kind, reason=reason)
    stays = is_in_place or (load is not None and load.load == LoadKind.DELTA)
    views = [_view(view) for view in together if not view.is_live and not stays]
    what = "its rows are merged into the live table" if stays else "replaces the live table"
    parts = [
        f"{what if together else 'is loaded for the first time'}{_renamed(table)}",
        f"about {counted(table.rows, 'row')}, {table.bytes / 1e6:,.1f} MB, {counted(len(table.columns), 'column')}",
        counted(len(table.indexes) + len(table.constraints), "index or constraint", "indexes and constraints"),
        f"{'binary' if table.is_binary and not is_kept else 'text'} COPY",
    ]
    parts += [f"masks {', '.join(table.masked)}"] if table.masked else []
    parts += [f"puts back {', '.join(views)}"] if views else []
    parts += [str(load)] if load is not None else []
    return Finding(str(table), "; ".join(parts), load=kind, reason=reason)


def _view(view: live.Object) -> str:
    """A view's name, and the reason if it is a materialized view that is filled while its readers wait."""
    return f"{view} (filled within the publish, for {', '.join(view.unproven)})" if view.unproven else str(view)


def _renamed(table: Table) -> str:
    return f" {table.live}" if table.is_renamed else ""


def _unclassified(table: Table) -> Iterable[str]:
    if table.unclassified:
        yield f"on_new_column is fail; name {', '.join(table.unclassified)} in columns, exclude or mask"
