"""Compares databases by pg_dump, independently of the product's own catalog queries."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

from tests.harness import Database

SQL = Path(__file__).parent / "sql"


def script(name: str) -> str:
    """The text of one of the tests' SQL files."""
    return (SQL / name).read_text(encoding="utf-8")


def schema_of(database: Database, *options: str) -> list[str]:
    """The DDL of a database without etl's own schemas, as sorted lines, because the order of grants has no meaning."""
    # pg_dump 18 and later writes two lines with a random key in each dump: \restrict and \unrestrict
    command = [str(database.server.bin / "pg_dump"), "--schema-only", "--exclude-schema=etl*", *options, database.url]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = (line for line in dump.splitlines() if line and not line.startswith(("--", "\\")))
    return sorted(re.sub(r",$", "", line) for line in lines)


def difference(before: list[str], after: list[str]) -> list[str]:
    """The lines that were removed (-) and added (+), without their indentation."""
    gone, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
    return [f"- {line.strip()}" for line in gone.elements()] + [f"+ {line.strip()}" for line in come.elements()]
