"""Disclosure: refuses columns that were masked in the last publish and would now arrive in clear.

The ledger records which columns were masked. The options cannot tell: a mask may be lost with its section, with the
whole file, or by a narrower pattern.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from etl.model.errors import ConfigurationError
from etl.model.name import Planned, Relation, TargetName
from etl.model.table import Table
from etl.sessions.postgres import Source, Target
from etl.sessions.query import target_query
from etl.settings.options import Options
from etl.source import catalog

Masked = Mapping[Relation, frozenset[str]]


async def refuse(target: Target, tables: Sequence[Table], options: Options, job: str | None) -> list[Table]:
    """Raises ConfigurationError naming each masked column that would arrive in clear and that no ``unmask`` names.

    With a ``job``, what other jobs have masked of tables of the same names does not count. Returns the tables, each
    with the masked columns that it leaves out now, so that the ledger keeps recording them.
    """
    before = await _before(target, {table.source: table.live for table in tables}, job)
    if problems := [problem for table in tables for problem in _problems(table, before, options)]:
        raise ConfigurationError(problems)
    return [_remembering(table, before, options) if table.source in before else table for table in tables]


async def foresee(source: Source, target: Target, chosen: Sequence[Planned], options: Options, job: str | None) -> None:
    """Raises what ``refuse`` would raise in a run of the chosen relations; reads only those that had masks."""
    before = await _before(target, {one.source: one.live for one in chosen}, job)
    if had_masks := [one.source for one in chosen if one.source in before]:
        await refuse(target, options.apply(await catalog.tables(source, had_masks)), options, job)


def _problems(table: Table, before: Masked, options: Options) -> Iterator[str]:
    clear = {column.name for column in table.columns} - {*table.masked, *(options.of(table.source).unmask or [])}
    if shown := sorted(before.get(table.source, frozenset()) & clear):
        yield (
            f"{table}: {', '.join(shown)} arrived masked the last time, and would now arrive in clear; mend the mask,"
            f" or say in its options that this is meant: unmask = {json.dumps(shown, ensure_ascii=False)}"
        )


def _remembering(table: Table, before: Masked, options: Options) -> Table:
    arriving = {column.name for column in table.columns}
    withheld = before[table.source] - arriving - {*(options.of(table.source).unmask or [])}
    return replace(table, withheld=tuple(sorted(withheld)))


async def _before(target: Target, live: Mapping[Relation, TargetName], job: str | None) -> Masked:
    """The columns that were masked in the last publish of each table; takes the live table of each source table."""
    by_label = {str(relation): relation for relation in live}
    wanted = {
        "names": list(by_label),
        "schemas": [one.schema for one in live.values()],
        "relations": [one.name for one in live.values()],
        "job": job or "",
    }
    cursor = await target.execute(target_query("last_masked"), wanted)
    return {by_label[row["table_name"]]: frozenset(row["masked"]) for row in await cursor.fetchall()}
