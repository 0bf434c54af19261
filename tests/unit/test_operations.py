"""docs/operations.md lists each message that a user can get."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOLE = "…"
LETTERS = 10
"""A template with at most this many letters is no message: the code composes the message from texts elsewhere."""


def messages() -> Iterator[tuple[str, str]]:
    """The place of each error message in the source, and its text with … for the variable parts."""
    for file in sorted((ROOT / "etl").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            said = template(told(node))
            if said is not None and len(re.findall("[a-z]", said)) > LETTERS:
                yield f"{file.name}:{getattr(node, 'lineno', 0)}", said


def told(node: ast.AST) -> ast.expr | None:
    """The argument with which an error is raised, or which is yielded or appended as one of several problems."""
    match node:
        case ast.Raise(exc=ast.Call() as call) if is_made(call):
            return call.args[0]
        case ast.Yield(value=value):
            return value
        case ast.YieldFrom(value=ast.GeneratorExp(elt=value)):
            return value
        case ast.Call(func=ast.Attribute(value=ast.Name(id="problems"), attr="append"), args=[value]):
            return value
    return None


def is_made(call: ast.Call) -> bool:
    """Tells whether an error is made here, of a class, and not by a function, whose arguments are none of the text.

    AttributeError is for Python itself. AssertionError is a mistake in the code: a user is told "internal error".
    """
    name = ast.unparse(call.func).rpartition(".")[2]
    return bool(call.args) and name[:1].isupper() and name not in {"AttributeError", "AssertionError"}


def template(node: ast.expr | None) -> str | None:
    """The text of a literal; None if the message is composed elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
    return None


def entries() -> list[re.Pattern[str]]:
    """The first column of the tables of messages, as patterns; … matches anything."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    first = re.findall(r"^\| (`` .+? ``|`[^|]+?`) \|", text, flags=re.MULTILINE)
    quoted = [one.strip("` ") for one in first]
    return [re.compile(".*".join(map(re.escape, one.split(HOLE))), re.DOTALL) for one in quoted]


def test_each_error_message_has_an_entry_in_the_runbook() -> None:
    """For a message without an entry, add a row with its cause and its remedy."""
    found = list(messages())
    assert len(found) > 50
    known = entries()
    missing = [f"{where}: {said}" for where, said in found if not any(one.search(said) for one in known)]
    assert not missing, "\n".join(["no entry in docs/operations.md:", *missing])


AS_IT_SAYS = re.compile(r"(the same|as (it|that line|the line) says|as they say)")


def rows() -> list[tuple[re.Pattern[str], str, str]]:
    """The rows of the tables of messages: the message as a pattern, its cause, and its remedy.

    What ``etl check`` finds has no cause: the finding says it.
    """
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = []
    for line in re.findall(r"^\| [^|\n]*`.+ \|$", text, flags=re.MULTILINE):
        first, *more = [cell.strip() for cell in line.strip("|").split(" | ")]
        for quoted in re.findall(r"`` .+? ``|`[^`]+`", first):
            pattern = ".*".join(map(re.escape, quoted.strip("` ").split(HOLE)))
            found.append((re.compile(pattern, re.DOTALL), more[0] if len(more) > 1 else "it says", more[-1]))
    return found


def test_each_message_has_all_its_parts() -> None:
    """Its cause and its remedy, in its own words or in its row; where the row says "as it says", the message does."""
    table, lacking = rows(), []
    for where, said in messages():
        known = [(cause, remedy) for pattern, cause, remedy in table if pattern.search(said)]
        has_own = "; " in said or said.endswith(HOLE) or REMEDY.search(said)
        if not any(cause and remedy and (has_own or not AS_IT_SAYS.match(remedy)) for cause, remedy in known):
            lacking.append(f"{where}: {said}")
    assert not lacking, "\n".join(["neither the message nor its row has a remedy:", *lacking])


REMEDY = re.compile(r"\b(write|raise|run again|GRANT|exclude it|name it)\b")


def test_each_entry_of_the_runbook_is_a_message() -> None:
    """The page has no message that the code no longer has."""
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "etl").rglob("*.py"))
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # joins messages of more than one line
    stale = []
    for entry in entries():
        pieces = [piece for piece in re.split(r"\.\*", entry.pattern) if len(piece) > 3]
        if not all(re.search(piece.replace('"', r'\\?"'), code) for piece in pieces):
            stale.append(entry.pattern)
    assert not stale
