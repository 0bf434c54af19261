"""PostgreSQL calls the array type of table ``t`` like table ``_t``: both are copied, also at the same time."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import psycopg
import pytest

from etl.model.catalog import Column
from etl.model.name import Relation, TargetName
from etl.model.table import Table
from etl.model.transient import is_transient
from etl.sessions.postgres import target_session
from etl.sessions.url import DatabaseUrl
from etl.target import staging
from tests.harness import Databases, Etl
from tests.situations import until


def test_a_table_beside_the_array_type_of_another_is_told(databases: Databases, etl: Etl) -> None:
    """PostgreSQL calls the array type of ``t`` like the table ``_t``; together in one run, both arrive each night."""
    databases.operational.execute("CREATE TABLE t (id int); CREATE TABLE _t (id int)")
    assert etl("run", TABLES="_t").stderr == ""
    said = "the array type of public.t cannot arrive: the row type of public._t has the name _t in schema public"
    checked, done = etl("check", TABLES="t"), etl("run", TABLES="t")
    assert (checked.status, done.status) == (1, 1)
    assert said in " ".join(checked.stdout.split())
    assert f"{said} of the target; rename one of them, or copy both in each run" in done.stderr
    for _ in ("first night", "second night"):
        assert etl("run", TABLES="t,_t").status == 0


def test_whatever_a_race_for_one_name_raises_is_tried_again(databases: Databases) -> None:
    """Sessions that make and drop such tables at the same time get a dozen different errors from PostgreSQL."""
    databases.reporting.execute("CREATE SCHEMA staging")
    end, made, errors = time.monotonic() + 2, [], []

    def make(name: str, seed: int) -> None:
        pauses = Random(seed)
        with psycopg.connect(databases.reporting.url, autocommit=True) as session:
            while time.monotonic() < end:
                try:
                    session.execute(f"BEGIN; DROP TABLE IF EXISTS staging.{name}; CREATE TABLE staging.{name} (id int)")
                    session.execute(f"SELECT pg_sleep({pauses.choice([0, 0, 0.005])}); COMMIT")
                    session.execute(f"DROP TABLE staging.{name}" if pauses.random() < 0.3 else "SELECT")
                    made.append(name)
                except psycopg.Error as error:
                    errors.append(error)
                    session.execute("ROLLBACK")

    names = ["t", "_t", "__t", "___t", "_t_1"]
    threads = [threading.Thread(target=make, args=(name, seed)) for seed, name in enumerate(names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(made) == set(names)
    assert errors, "there was no race"
    assert [str(error) for error in errors if not is_transient(error)] == []


def test_a_table_waits_until_the_other_is_filled(databases: Databases) -> None:
    """Filling the other may take hours; only a table that an earlier run has left must be free soon."""
    waits_long = (
        "SELECT count(*) = 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted"
        " AND l.locktype = 'transactionid' AND clock_timestamp() - a.query_start > interval '300 ms'"
    )
    table = Table(Relation("public", "_t"), TargetName("public", "_t"), columns=(Column("id", "integer"),))
    databases.reporting.execute("CREATE SCHEMA etl_staging_public; CREATE SCHEMA etl_staginggone_public")

    async def create() -> None:
        url = DatabaseUrl.parse(databases.reporting.url)
        async with target_session(url, "test", lock_timeout="100ms") as target:
            await staging.create(target, table)

    with psycopg.connect(databases.reporting.url) as other, ThreadPoolExecutor() as pool:
        other.execute("CREATE TABLE etl_staging_public.t (id int)")
        created = pool.submit(lambda: asyncio.run(create()))
        until(lambda: databases.reporting.value(waits_long), "the table waits for longer than lock_timeout")
        other.commit()
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            created.result(10)
    assert is_transient(caught.value)
    asyncio.run(create())
    assert databases.staging_tables() == ["etl_staging_public._t", "etl_staging_public.t"]
