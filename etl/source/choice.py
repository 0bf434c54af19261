"""The relations of the source that a command is about.

Every command takes them from here, so that each refuses a name in TABLES, or a section of the options, that matches no
relation: a mask in a misspelt section would hide nothing.
"""

from __future__ import annotations

from etl.model.errors import ConfigurationError
from etl.model.name import Planned, Relation
from etl.model.selection import Selection
from etl.sessions.postgres import Source
from etl.settings.options import Options
from etl.source import catalog


async def relations(source: Source, options: Options, selection: Selection | None = None) -> list[Relation]:
    """Lists every relation of the source, including those that other shards copy.

    Raises ConfigurationError for each element of TABLES, and each section of the options, that matches no relation.
    """
    found = await catalog.relations(source)
    if unknown := [*(selection.unknown(found) if selection else ()), *options.unknown(found)]:
        raise ConfigurationError(unknown)
    return found


async def choose(source: Source, options: Options, selection: Selection) -> tuple[Planned, ...]:
    """The relations that TABLES names, each with its live table.

    Raises ConfigurationError, too, where two would arrive under one name.
    """
    return options.planned(selection.resolve(await relations(source, options, selection)))
