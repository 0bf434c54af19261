"""What pg_dump says of a database's objects: a comparison of catalogs that shares nothing with the product's own."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

from tests.harness import Database

SQL = Path(__file__).parent / "sql"


def script(name: str) -> str:
    """Gives the text of one of the tests' SQL files."""
    return (SQL / name).read_text(encoding="utf-8")


def schema_of(database: Database, *options: str) -> list[str]:
    """Gives the DDL of all but this tool's own schemas, its lines sorted: the order of grants means nothing."""
    # a dump of 18 and later holds two lines with a new random key each time: \restrict and \unrestrict
    command = [str(database.server.bin / "pg_dump"), "--schema-only", "--exclude-schema=etl*", *options, database.url]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = (line for line in dump.splitlines() if line and not line.startswith(("--", "\\")))
    return sorted(re.sub(r",$", "", line) for line in lines)


def difference(before: list[str], after: list[str]) -> list[str]:
    """Gives the lines that went (-) and came (+), without their indentation."""
    gone, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
    return [f"- {line.strip()}" for line in gone.elements()] + [f"+ {line.strip()}" for line in come.elements()]
