"""Whether the SQL of a table's options gives the same for a row that has not changed.

It does if its result depends on the row alone: on columns, constants, and functions of PostgreSQL's own that are
immutable. PostgreSQL's parser knows which functions, operators and casts an expression means. It tells them as a tree
of nodes, with ``debug_print_parse``, which every role may set, also on a standby. Nothing is executed or written, but
the server's log gets the tree, too. Its form is no promise of PostgreSQL's: what is not known here is not pure.
"""

# docs/how-deltas-work.md

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import asyncpg
from psycopg import sql

from etl.model import limits
from etl.model.catalog import MaskedColumn
from etl.model.table import Table
from etl.model.transient import is_transient
from etl.sessions.postgres import Source
from etl.sessions.query import source_query, text

_PRINTING = (
    f"SET LOCAL lock_timeout = '{limits.DELTA_LOCK_TIMEOUT}';"
    " SET LOCAL debug_print_parse = on; SET LOCAL debug_pretty_print = off; SET LOCAL client_min_messages = log"
)
"""The parser locks the table. A session that waits to alter it may wait for the snapshot's holder, and that for us."""

_FRAME = "QUERY RANGETBLENTRY RTE RTEPERMISSIONINFO ALIAS FROMEXPR RANGETBLREF TARGETENTRY SORTGROUPCLAUSE"
_OF_ROWS = (
    "VAR CONST FUNCEXPR OPEXPR DISTINCTEXPR NULLIFEXPR SCALARARRAYOPEXPR BOOLEXPR RELABELTYPE COERCEVIAIO CASEEXPR CASE"
    " CASEWHEN WHEN CASETESTEXPR COALESCEEXPR COALESCE MINMAXEXPR MINMAX NULLTEST BOOLEANTEST ARRAYEXPR ARRAY"
    " SUBSCRIPTINGREF COLLATEEXPR COLLATE"
)
PLAIN = frozenset(f"{_FRAME} {_OF_ROWS}".split())
"""The nodes that an expression of a row's values may have; PostgreSQL 16 has renamed some."""

_WORDS = {
    "SUBLINK": "a subquery",
    "AGGREF": "an aggregate",
    "WINDOWFUNC": "a window function",
    "SQLVALUEFUNCTION": "the time or the role",
}

_EMPTY = "limitCount limitOffset distinctClause groupClause groupingSets havingQual windowClause setOperations rowMarks"
_ONLY_ROWS = re.compile(rf":(?:{'|'.join(_EMPTY.split())}|cteList|tablesample) (?!<>)|:hasTargetSRFs (?!false)")
"""What makes other rows of a table's rows than WHERE does."""

_NODE = re.compile(r"(?:^|[ (])\{([A-Z]+)")
"""A brace within a name has a backslash before it."""

_SYSTEM_COLUMN = re.compile(r":varattno (?![1-9])")
_FUNCTION = re.compile(r":(?:funcid|aggfnoid|winfnoid) ([0-9]+)")
_OPERATOR = re.compile(r":(?:opno|eqop|sortop) ([0-9]+)")
_TYPE = re.compile(r":[a-z_]*type(?:[iI]d)? ([0-9]+)")
_PRINTED = re.compile(r"\{COERCEVIAIO :arg \{.*?:[a-z_]*type(?:[iI]d)? ([0-9]+)")
_READ = re.compile(r":resulttype ([0-9]+) :resultcollid [0-9]+ :coerceformat")
_COLLATION = re.compile(r":(?:[a-z]*collid|collOid) ([0-9]+)")


@dataclass(frozen=True, slots=True)
class Judged:
    """What the options' SQL of a table depends on: ``impure`` if on more than the row, in words; and as a text."""

    impure: str | None = None
    facts: str = ""


async def judge(source: Source, table: Table) -> Judged:
    """Judges the SQL of a table's options; an option says that it is ``pure`` if that cannot be seen."""
    trees = [await _tree(source, select) for select in _selects(table)]
    for tree in trees:
        if tree is not None and _ONLY_ROWS.search(tree):
            return Judged("has more than a condition, values and an order")
    values = trees[0]
    if values is None:
        return Judged(None if table.pure else "cannot be followed, because the source does not tell its parse tree")
    row = await source.fetchrow(source_query("called"), *called(values))
    assert row is not None
    impure = None if table.pure else odd(values) or row["impure"]
    return Judged(impure, values + row["facts"])


def _selects(table: Table) -> Iterator[sql.Composable]:
    """The SELECT of the values that the options' SQL computes, and the one that is sorted, if one is."""
    masks = [one.expression for one in table.columns if isinstance(one, MaskedColumn) and one.is_sql]
    yield table.select(sql.SQL(", ").join(masks or [sql.NULL]))
    if table.order_by:
        # a column's name alone means the mask's value
        names = sql.SQL(", ").join(sql.SQL("NULL AS {}").format(sql.Identifier(one.name)) for one in table.columns)
        yield table.select(names) + sql.SQL(f" ORDER BY {', '.join(table.order_by)}")


async def _tree(source: Source, select: sql.Composable) -> str | None:
    """The parse tree of a SELECT; None if the server does not tell it, or the table is locked."""
    told: list[str] = []

    def listen(_: object, message: asyncpg.PostgresLogMessage) -> None:
        told.append(" ".join((getattr(message, "detail", None) or "").split()))  # the server breaks its lines

    trial = source.transaction()  # within the caller's, a savepoint
    await trial.start()
    source.add_log_listener(listen)
    try:
        await source.execute(_PRINTING)
        await source.prepare(text(select))
    except asyncpg.LockNotAvailableError:
        return None
    except asyncpg.PostgresError as error:
        if is_transient(error):
            raise
        return None
    finally:
        source.remove_log_listener(listen)
        await trial.rollback()
    return next((tree for tree in told if tree.startswith("{QUERY :commandType 1 ")), None)


def odd(tree: str, plain: Collection[str] = PLAIN) -> str | None:
    """Why a parse tree is not one of columns, constants and calls, or other ``plain`` nodes; None if it is."""
    for name in _NODE.findall(tree):
        if name not in plain:
            return f"has {_WORDS.get(name, f'an expression ({name}) that is not followed')}"
    return "has a system column, or the row as a whole" if _SYSTEM_COLUMN.search(tree) else None


def called(tree: str) -> list[list[int]]:
    """The oids of ``called.sql``, in its order."""
    read = _READ.findall(tree) if "{COERCEVIAIO " in tree else []
    parts = (_FUNCTION.findall(tree), _OPERATOR.findall(tree), _PRINTED.findall(tree), read)
    return [[int(oid) for oid in {*part}] for part in (*parts, _TYPE.findall(tree), _COLLATION.findall(tree))]
