"""``etl init``: writes a configuration file from what it finds in the source. It reads no rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etl.commands import draft
from etl.commands.answers import InitAnswer
from etl.commands.draft import Found, Side
from etl.commands.output import STANDARD_OUTPUT, write
from etl.model.errors import ConfigurationError
from etl.model.selection import Selection
from etl.sessions.postgres import Source, source_session
from etl.sessions.query import source_query
from etl.settings.declarations import SIDES
from etl.settings.found import Found as FoundSettings
from etl.settings.found import Origin
from etl.settings.options import Options
from etl.source import catalog, choice
from etl.target import guard

_ALL = Selection.parse("*.*")


async def init(found: FoundSettings, output: str, *, force: bool) -> InitAnswer:
    """Writes the file; raises ConfigurationError if it is there already, unless ``force``, or cannot be written."""
    file = Path(output)
    if not force:
        _refuse_to_overwrite(file, output)
    settings = found.settings
    async with source_session(settings.source, guard.application("init")) as source:
        tables = await _tables(source, settings.tables or _ALL)
    path = found.given.get("path")
    text = draft.draft(tables, [_side(found, side) for side in SIDES], path.text if path else None)
    write(output, text)
    readable = sum(not one.unreadable for one in tables)
    return InitAnswer(output, readable, sum(map(len, draft.masked(tables).values())))


def _refuse_to_overwrite(file: Path, output: str) -> None:
    if output != STANDARD_OUTPUT and file.exists():
        raise ConfigurationError(
            f"{output} exists already, and would be overwritten; write --force if it may, or --output with another name"
        )


async def _tables(source: Source, selection: Selection) -> list[Found]:
    planned = await choice.choose(source, Options(), selection)
    oids = [table.source.oid for table in planned]
    rights = {row["oid"]: dict(row) for row in await source.fetch(source_query("source_privileges"), oids)}
    described = await catalog.tables(source, [table.source for table in planned])
    return [Found(table, _unreadable(rights[table.source.oid])) for table in described]


def _unreadable(rights: dict[str, Any]) -> str | None:
    if not rights["may_use_schema"]:
        return "the source's role may not use its schema; GRANT USAGE ON SCHEMA to it"
    return None if rights["may_select"] else "the source's role may not read it; GRANT SELECT to it"


def _side(found: FoundSettings, side: str) -> Side:
    url = found.settings.operational if side == "operational" else found.settings.reporting
    given = found.given.get(f"{side}/url") or found.given.get(f"{side}/host")
    is_stored = given is not None and given.origin == Origin.STORE
    return Side(side, url, given.where if given and is_stored else None, url is not None and url.mint_token is not None)
