"""The queries in etl/sql are documented, composed correctly, and ASCII, which every encoding contains."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.sessions import query

ROOT = Path(__file__).parents[2]

FILES = [*sorted((ROOT / "etl" / "sql").rglob("*.sql")), *sorted((ROOT / "docs").glob("*.sql"))]

STATEMENT = re.compile(r"\b(SELECT|SET|CREATE|ALTER|DROP|COPY|INSERT|UPDATE|DELETE|LOCK|COMMENT|WHERE|FROM|CAST)\b")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_sql_file_is_ascii(file: Path) -> None:
    """The server reads comments too: one letter that its encoding lacks makes the whole statement fail."""
    assert file.read_bytes().isascii()


def statements(file: Path) -> Iterator[str]:
    """The literals of a module that look like SQL, without docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode()
            if STATEMENT.search(text):
                yield text


def test_sql_within_python_is_ascii() -> None:
    """For the same reason as in the files."""
    found = [text for file in sorted((ROOT / "etl").rglob("*.py")) for text in statements(file)]
    assert len(found) > 50
    assert [text for text in found if not text.isascii()] == []


SQL = ROOT / "etl" / "sql"

LEDGER = SQL / "ledger"
"""The one folder whose files are queries of their own: those on the ledger's rows."""

FOLDERS = [folder for folder in sorted(SQL.iterdir()) if folder.is_dir() and folder != LEDGER]

VARIABLE = re.compile(r":'(\w+)'")


def parted(file: Path) -> tuple[str, str]:
    """The comment at the beginning of a file, without its dashes, and the rest of the file."""
    lines = file.read_text().splitlines()
    count = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(line[3:] for line in lines[:count]), "\n".join(lines[count:])


@pytest.mark.parametrize("file", sorted(SQL.rglob("*.sql")), ids=lambda file: str(file.relative_to(SQL)))
def test_each_query_says_what_it_is_where_it_runs_and_how_to_try_it(file: Path) -> None:
    """The comment at the file's beginning says so, and describes each variable and its value in the command."""
    comment, statement = parted(file)
    assert re.match(r"[A-Z]", comment)
    assert re.search(r"\b(Source|Target)\s+side|\bBoth\s+sides", comment)
    assert re.search(r"Try it[^:]*:\s+(psql|python) (?:.*\\\n)*.*\b" + file.stem, comment)
    used = set(VARIABLE.findall(statement)) | {name for part in sorted(SQL.glob(f"{file.stem}/*.sql"))
                                               for name in VARIABLE.findall(parted(part)[1])}  # fmt: skip
    used -= {part.stem for part in SQL.glob(f"{file.stem}/*.sql")}  # the query itself has what these give each other
    assert set(VARIABLE.findall(comment)) == used
    assert set(re.findall(r"-v (\w+)=", comment)) == used


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_file_of_a_folder_is_a_table_of_the_query_of_that_name(folder: Path) -> None:
    """A query uses each file once, by its own name, or only through other files, which take its oids.

    A file that no query uses would silently do nothing.
    """
    _, head = parted(folder.with_suffix(".sql"))
    read = re.findall(r"(?:FROM|JOIN) (\w+)", head)
    files = [file.stem for file in sorted(folder.glob("*"))]
    taken = {name for file in folder.glob("*") for name in VARIABLE.findall(file.read_text())}
    used = [name for name in read if name in files]
    assert sorted([*used, *(taken.intersection(files) - set(used))]) == files
    composed = query.target_query(folder.name).decode()
    assert composed.startswith("WITH ")
    assert [name for name in files if f"{name} AS (\n" not in composed] == []


def test_no_comment_reaches_a_server() -> None:
    """A comment names variables; a value in their place could end the comment, and the server would run its rest."""
    files = [*sorted(SQL.glob("*.sql")), *sorted(LEDGER.glob("*.sql"))]
    names = [str(file.relative_to(SQL).with_suffix("")) for file in files]
    texts = [query.source_query(name) for name in names]
    assert [text for text in texts if re.search(r"^\s*--", text, re.MULTILINE)] == []
    assert [text for text in texts if re.search(r"--.*\$\d", text)] == []


def test_a_value_cannot_end_a_comment() -> None:
    """etl fills in the inventory's variables, not the server: a name with a newline stays a name."""
    schema = "a\n'; DROP TABLE orders; --"
    bound = query.bound("inventory", {"oids": [1], "schemas": [schema], "names": ["orders"]}).as_string(None)
    assert bound.count("DROP TABLE") == 1
