"""Advisory locks: a run of version 0.1.0 and one of this version exclude each other, because the keys are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.model.name import TargetName
from etl.sessions import advisory
from etl.sessions.advisory import Locks
from etl.sessions.postgres import connect_target
from etl.sessions.url import DatabaseUrl
from tests.harness import Databases

ROOT = Path(__file__).parents[2]

HOSTILE = ("Größe", 'a "quoted" b')
AS_BEFORE = {
    "run": (advisory.of_runs(["tonight"]), "'nightly-etl run ' || 'tonight'"),
    "snapshot": (advisory.of_snapshot("tonight"), "'nightly-etl snapshot ' || 'tonight'"),
    "table": (
        advisory.of_tables([TargetName("etl_staging_public", "orders")]),
        "format('nightly-etl table %I.%I', 'etl_staging_public', 'orders')",
    ),
    "hostile table": (
        advisory.of_tables([TargetName(*HOSTILE)]),
        """format('nightly-etl table %I.%I', 'Größe', 'a "quoted" b')""",
    ),
    "schemas": (Locks("schemas", [None]), "'nightly-etl schemas'"),
}
"""The locks of each kind, and the text from which version 0.1.0 computed the key."""


@pytest.mark.parametrize("kind", AS_BEFORE)
async def test_a_key_is_that_of_version_0_1_0(databases: Databases, kind: str) -> None:
    """If one version holds a lock, another version cannot take it."""
    locks, text = AS_BEFORE[kind]
    target = await connect_target(DatabaseUrl.parse(databases.reporting.url), "test")
    try:
        with databases.reporting.connect() as other:
            other.execute(f"SELECT pg_advisory_lock(hashtextextended({text}, 0))")
            (tried,) = await advisory.take(target, locks)
            assert (tried.is_got, await advisory.is_taken(target, locks)) == (False, True)
            held = await advisory.holder(target, tried)
            assert held is not None
            assert held.pid == other.info.backend_pid
            other.execute("SELECT pg_advisory_unlock_all()")
        assert [one.is_got for one in await advisory.take(target, locks)] == [True]
    finally:
        await target.close()


def test_one_file_spells_the_keys() -> None:
    """A second definition could differ one day, and then the lock would exclude nobody."""
    files = [*(ROOT / "etl").rglob("*.sql"), *(ROOT / "etl").rglob("*.py")]
    spelt = [file.name for file in files if "hashtextextended" in (text := file.read_text()) and "nightly-etl" in text]
    assert spelt == ["lock_keys.sql"]
