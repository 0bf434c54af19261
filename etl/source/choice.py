"""Which relations of the source a command is about: the one place that asks what there is.

So no command can forget that a name in TABLES, or a section of the options, which names nothing is a mistake: a mask
whose section is misspelt hides nothing.
"""

from __future__ import annotations

from etl.model.errors import ConfigurationError
from etl.model.name import Planned, Relation
from etl.model.selection import Selection
from etl.sessions.postgres import Source
from etl.settings.options import Options
from etl.source import catalog


async def relations(source: Source, options: Options, selection: Selection | None = None) -> list[Relation]:
    """Lists every relation of the source, those too that other shards copy.

    Raises ConfigurationError for each element of TABLES, and each section of the options, that names none of them.
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
