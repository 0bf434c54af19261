"""The faults of a table's options that only the source's catalog shows. Pure policy."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from etl.model import mask as masks
from etl.model.catalog import SourceTable
from etl.model.shape import TableOptions
from etl.model.wording import did_you_mean, meant


def faults(table: SourceTable, options: TableOptions) -> Iterator[str]:
    """The faults of a table's options, one line each.

    The options name a column that the table does not have; a column's type cannot have its mask; a column that cannot
    be copied is neither excluded nor masked; or the options leave the table without any column.
    """
    columns = {column.name: column for column in table.columns}
    for key in ("columns", "exclude", "mask", "unmask"):
        for name in getattr(options, key) or []:
            if name not in columns:
                yield f"options of {table}: {key} names {name!r}, which is no column of it{_remedy(name, columns)}"
    yield from _misspelt_order(table, options, columns)
    for name, mask in options.masked.items():
        if name in columns and (fault := masks.fault(mask, columns[name].type, columns)):
            yield f"options of {table}: mask.{name} {fault}"
    yield from (
        f"options of {table}: unmask names {name!r}, which has a mask; take it out of one of them"
        for name in options.unmask or []
        if name in options.masked
    )
    yield from _uncopiable(table, options)
    all_known = columns.keys() >= options.classified
    if columns and all_known and not any(map(options.takes, table.columns)) and not options.unclassified(table):
        yield f"options of {table}: no column is left of it; name one in columns, or take one out of exclude"


def _remedy(name: str, columns: Collection[str]) -> str:
    return did_you_mean(name, columns) or f"; its columns are {', '.join(columns)}"


_IDENTIFIER = re.compile(
    r'\s*(?:"(?P<quoted>[^"]+)"|(?P<bare>[^\W\d]\w*))(?:\s+(?:asc|desc|nulls|first|last))*\s*', re.IGNORECASE
)


def _misspelt_order(table: SourceTable, options: TableOptions, columns: Collection[str]) -> Iterator[str]:
    """A line for each ``order_by`` that is only a name, and nearly a column's; the source proves all others."""
    for expression in options.order_by or []:
        found = _IDENTIFIER.fullmatch(expression)
        name = (found["quoted"] or found["bare"].lower()) if found else ""
        if name and name not in columns and name != table.source.name and meant(name, columns):
            yield f"options of {table}: order_by names {name!r}, which is no column of it{_remedy(name, columns)}"


def _uncopiable(table: SourceTable, options: TableOptions) -> Iterator[str]:
    for column in table.columns:
        if column.names_objects and options.takes(column) and column.name not in options.masked:
            yield (
                f"{table}: column {column.name} of type {column.type} holds numbers of the source's own objects, which"
                f' mean others in the target; exclude it, or mask it with "sql:{column.name}::text" to have its text'
            )
