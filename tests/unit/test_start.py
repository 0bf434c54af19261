"""What a start of ``etl`` imports: nothing heavy that the command does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"sqlalchemy", "boto3", "botocore", "rich", "pygments", "attr", "etl.ledger.tables", "etl.report.console"}
"""SQLAlchemy is for a ledger that has to be created or upgraded, boto3 for AWS, and rich, with the two packages that it
imports, for a terminal. A third of a start's CPU time was SQLAlchemy's, a tenth rich's."""

IMPORT = """
import sys
from etl.__main__ import import_structlog
import_structlog()
import etl.cli, {}
print(*sys.modules)
"""


@pytest.mark.parametrize("command", ["run", "shard", "holder", "deferred", "abort", "plan", "report", "history"])
def test_a_command_imports_nothing_that_it_does_not_need(command: str) -> None:
    """Each night starts many processes, and most of a tiny table's CPU time is their imports."""
    code = IMPORT.format(f"etl.commands.{command}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    imported = set(done.stdout.split())
    assert imported >= {"asyncpg", "psycopg", "structlog.dev", "etl.ledger.book", f"etl.commands.{command}"}
    assert imported.intersection(HEAVY) == set()


def test_a_terminal_still_gets_rich() -> None:
    """structlog was imported without it; the next import of it is the real one."""
    code = IMPORT.format("etl.report.console")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {"rich", "rich.console", "etl.report.console"} <= set(done.stdout.split())
