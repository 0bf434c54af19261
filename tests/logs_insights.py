"""A small Logs Insights for tests: a grammar of the documented commands, applied to lines of JSON.

No available engine runs this syntax: moto supports ``fields``, ``sort`` and ``limit`` on whole messages, and silently
ignores everything else. This module has only the commands that our queries use, and refuses all others.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from lark import Lark, Token, Tree

Row = dict[str, Any]
Expression = Tree[Token] | Token

_GRAMMAR = r"""
start: command ("|" command)*
?command: "filter" or_        -> filter
        | "fields" columns    -> fields
        | "stats" columns ("by" columns)? -> stats
        | "sort" order ("," order)*       -> sort
        | "limit" NUMBER      -> limit
columns: column ("," column)*
column: or_ ("as" NAME)?
order: NAME DIRECTION?
?or_: and_ ("or" and_)*
?and_: not_ ("and" not_)*
?not_: "not" not_ -> negated | comparison
?comparison: sum_ | sum_ COMPARATOR sum_ -> compared | sum_ "in" list -> among
list: "[" literal ("," literal)* "]"
?sum_: product | sum_ SIGN product -> computed
?product: value | product OPERATOR value -> computed
?value: literal | FUNCTION "(" (ALL | or_ ("," or_)*)? ")" -> call | "(" or_ ")" | NAME -> field
?literal: STRING -> string | NUMBER -> number | PERIOD -> period
COMPARATOR: "=" | "!=" | "<=" | ">=" | "<" | ">"
SIGN: "+" | "-"
OPERATOR: "*" | "/"
DIRECTION: "asc" | "desc"
FUNCTION.2: /(avg|bin|count|ispresent|latest|max|min|sum)(?=\()/
ALL.2: "*"
PERIOD.2: /[0-9]+[smhdw]/
NUMBER.1: /[0-9]+(\.[0-9]+)?/
NAME: /@?[A-Za-z_][A-Za-z0-9_.]*/
STRING: /"[^"]*"/
COMMENT: /#[^\n]*/
%import common.WS
%ignore WS
%ignore COMMENT
"""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def run(query: str, lines: Iterable[str]) -> list[Row]:
    """Runs a query over a log's lines; returns rows with the columns that the query shows.

    As in CloudWatch, lines that are not JSON have no fields. Raises lark's UnexpectedInput for an invalid query.
    """
    rows = [_row(line) for line in lines]
    shown: list[str] | None = None
    for command in parsed(query).children:
        assert isinstance(command, Tree)
        rows, names = _apply(command, rows)
        shown = names or shown
    return [{name: row.get(name) for name in shown} if shown else row for row in rows]


def parsed(query: str) -> Tree[Token]:
    """A query's syntax tree. Raises lark's UnexpectedInput."""
    return _parser().parse(query)


def fields(query: str) -> set[str]:
    """The fields of log lines that a query reads, without the fields that the query itself defines."""
    tree = parsed(query)
    made = {str(column.children[1]) for column in tree.find_data("column") if len(column.children) == 2}
    return {str(field.children[0]) for field in tree.find_data("field")} - made


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="earley", maybe_placeholders=False)


def _row(line: str) -> Row:
    row: Row = json.loads(line) if line.startswith("{") else {}
    return {**row, "@message": line, "@timestamp": row.get("timestamp")}


def _apply(command: Tree[Token], rows: list[Row]) -> tuple[list[Row], list[str] | None]:
    """Applies a command; returns the rows, and the columns shown from here on if the command changes them."""
    parts: Sequence[Any] = command.children
    if command.data == "filter":
        return [row for row in rows if _value(parts[0], row) is True], None
    if command.data == "limit":
        return rows[: int(parts[0])], None
    if command.data == "sort":
        return _sorted(rows, parts), None
    names = [_name(column) for columns in reversed(parts) for column in columns.children]
    if command.data == "fields":
        return [row | {_name(each): _value(each.children[0], row) for each in parts[0].children} for row in rows], names
    return _grouped(rows, parts[0].children, parts[1].children if len(parts) > 1 else []), names


def _sorted(rows: list[Row], orders: Sequence[Any]) -> list[Row]:
    for order in reversed(orders):
        name, *direction = map(str, order.children)
        there = [row for row in rows if row.get(name) is not None]
        there.sort(key=lambda row: row[name], reverse=direction != ["asc"])
        rows = [*there, *(row for row in rows if row.get(name) is None)]
    return rows


def _grouped(rows: list[Row], columns: Sequence[Any], keys: Sequence[Any]) -> list[Row]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(_value(key.children[0], row) for key in keys), []).append(row)
    names = [_name(key) for key in keys]
    return [
        dict(zip(names, group, strict=True)) | {_name(each): _aggregate(each.children[0], inside) for each in columns}
        for group, inside in groups.items()
    ]


def _aggregate(call: Tree[Any], rows: list[Row]) -> Any:
    name, argument = str(call.children[0]), call.children[1]
    if isinstance(argument, Token):  # count(*)
        return len(rows)
    ordered = sorted(rows, key=lambda row: row["@timestamp"])
    values = [value for row in ordered if (value := _value(argument, row)) is not None]
    aggregates: Mapping[str, Callable[[list[Any]], Any]] = {
        "avg": lambda given: sum(given) / len(given),
        "count": len,
        "latest": lambda given: given[-1],
        "max": max,
        "min": min,
        "sum": sum,
    }
    return aggregates[name](values) if values or name == "count" else None


def _name(column: Tree[Any]) -> str:
    expression, *alias = column.children
    return str(alias[0]) if alias else str(expression.children[-1])


def _value(expression: Any, row: Row) -> Any:  # noqa: PLR0911 - one line a kind of expression
    parts = expression.children
    match expression.data:
        case "field":
            return row.get(str(parts[0]))
        case "string":
            return str(parts[0])[1:-1]
        case "number":
            return float(parts[0])
        case "or_":
            return any(_value(part, row) is True for part in parts)
        case "and_":
            return all(_value(part, row) is True for part in parts)
        case "negated":
            return _value(parts[0], row) is not True
        case "compared" | "computed":
            return _operated(str(parts[1]), _value(parts[0], row), _value(parts[2], row))
        case "among":
            return _value(parts[0], row) in [_value(part, row) for part in parts[1].children]
        case _:
            return _called(str(parts[0]), parts[1:], row)


def _operated(sign: str, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    return _COMPARE[sign](left, right) if sign in _COMPARE else _COMPUTE[sign](left, right)


def _called(name: str, arguments: Sequence[Any], row: Row) -> Any:
    if name == "ispresent":
        return _value(arguments[0], row) is not None
    assert name == "bin", f"{name}() is for stats"
    period = str(arguments[0].children[0])
    seconds = int(period[:-1]) * _SECONDS[period[-1]]
    at = datetime.fromisoformat(row["@timestamp"]).timestamp()
    return datetime.fromtimestamp(at // seconds * seconds, UTC).isoformat()
