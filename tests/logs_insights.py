"""Logs Insights for tests: a grammar of the documented commands, and what a query asks of the log's lines.

No engine can be had that runs this syntax: moto knows ``fields``, ``sort`` and ``limit`` of whole messages, and drops
the rest without a word. Only what our queries use is here; everything else is refused. The syntax:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from lark import Lark, Token, Tree

BUILT_IN = frozenset({"@timestamp", "@message"})
"""Fields that CloudWatch adds to each line."""

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


def parsed(query: str) -> Tree[Token]:
    """A query's commands. Raises lark's UnexpectedInput for what is no query."""
    return _parser().parse(query)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="earley", maybe_placeholders=False)


def unknown(query: str, lines: Iterable[str]) -> set[str]:
    """Names what a query asks for and no line has: a field, or a field's value.

    A field must be on a line of one of the events that the query selects, and so must each value that it is compared
    with. Lines that are not JSON have no fields, as in CloudWatch.
    """
    tree = parsed(query)
    values = set(_values(tree))
    events = {value for field, value in values if field == "event"}
    rows = [row for row in map(_row, lines) if row.get("event") in events]
    written = BUILT_IN.union(*rows)
    missing = {field for field in _fields(tree) if field not in written}
    return missing | {f"{field} {value}" for field, value in values if all(row.get(field) != value for row in rows)}


def _row(line: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
    return row


def _fields(tree: Tree[Token]) -> set[str]:
    """The fields that a query reads from lines, or sorts by; not those that it makes itself."""
    made = {str(column.children[1]) for column in tree.find_data("column") if len(column.children) == 2}
    read = {str(field.children[0]) for field in tree.find_data("field")}
    return (read | {str(order.children[0]) for order in tree.find_data("order")}) - made


def _values(tree: Tree[Token]) -> Iterator[tuple[str, str]]:
    """The texts that a query compares fields with, each with its field."""
    for comparison in (*tree.find_data("compared"), *tree.find_data("among")):
        field, *rest = comparison.children
        if isinstance(field, Tree) and field.data == "field":
            for part in rest:
                if isinstance(part, Tree):
                    yield from (
                        (str(field.children[0]), str(one.children[0])[1:-1]) for one in part.find_data("string")
                    )
