"""The SQL that servers are sent is ASCII, so that a database of any encoding takes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FILES = [*sorted((ROOT / "etl" / "sql").rglob("*.sql")), *sorted((ROOT / "docs").glob("*.sql"))]

STATEMENT = re.compile(r"\b(SELECT|SET|CREATE|ALTER|DROP|COPY|INSERT|UPDATE|DELETE|LOCK|COMMENT|WHERE|FROM|CAST)\b")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_sql_file_is_ascii(file: Path) -> None:
    """Its comments too: the server reads them, and one letter that its encoding lacks fails the whole statement."""
    assert file.read_bytes().isascii()


def statements(file: Path) -> Iterator[str]:
    """Gives the literals of a module that look like SQL, its docstrings apart."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode()
            if STATEMENT.search(text):
                yield text


def test_sql_within_python_is_ascii() -> None:
    """As the files are."""
    found = [text for file in sorted((ROOT / "etl").rglob("*.py")) for text in statements(file)]
    assert len(found) > 50
    assert [text for text in found if not text.isascii()] == []
