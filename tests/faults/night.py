"""A night between two servers of its own with a breaker before each, and the checks after a fault."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import psutil

from servers.postgres import FAST, Server
from tests.faults.breaker import Breaker, Link, Moment
from tests.harness import Database, Databases, Done, Etl
from tests.situations import ended, until

TABLES = "orders,items"

FULL = '[defaults]\nload = "auto"\nfull_every = "1 nights"\n'
"""Each night copies all rows, and is a base of the next night, which may copy changes."""

WAYS = {
    "swap": FULL,
    "in place": f'{FULL}publish = "in-place"\n',
    "mixture": f'{FULL}[orders]\npublish = "in-place"\n',
    "changes": '[defaults]\nload = "auto"\nfull_every = "never"\n',
}
"""The ways of loading and publishing, as options: swap both tables, merge both in place, swap items, which refers to
orders, or merge the changes of both."""

ORDERS = """
CREATE TABLE orders (id int PRIMARY KEY, night int NOT NULL, note text, replaces int, CHECK (night > 0));
CREATE INDEX by_night ON orders (night, id);
"""

ITEMS = "CREATE TABLE items (id int PRIMARY KEY, night int NOT NULL, note text);"

WRITES = """
DELETE FROM orders;
DELETE FROM items;
INSERT INTO orders SELECT i, {night}, repeat('x', 90), CASE WHEN i >= 50 THEN i - i % 50 + ({night} + 1) % 50 END
  FROM generate_series(1, 3999) AS i WHERE i % 50 <> {night} % 50;
INSERT INTO items SELECT id, night, repeat('y', 90) FROM orders;
"""
"""The rows of a night: each row differs from that of the night before, 80 rows of both tables go, and 80 come.

An item refers to the order of its number, and an order to one that stays.
"""

SOME = "BETWEEN 3000 AND 3799"

CHANGES = f"""
DELETE FROM orders WHERE id {SOME};
DELETE FROM items WHERE id {SOME};
INSERT INTO orders SELECT i, {{night}}, repeat('x', 150), i - i % 50 + ({{night}} + 1) % 50
  FROM generate_series(3000, 3799) AS i WHERE i % 50 <> {{night}} % 50;
INSERT INTO items SELECT id, night, repeat('y', 150) FROM orders WHERE id {SOME};
"""
"""The same of a fifth of the rows: they are few enough for a delta, and enough for a COPY that can be stopped."""

KEYS = """
ALTER TABLE items ADD CONSTRAINT of_order FOREIGN KEY (id) REFERENCES orders ON DELETE CASCADE;
ALTER TABLE orders ADD CONSTRAINT replaced FOREIGN KEY (replaces) REFERENCES orders;
"""
"""The reporting side's foreign keys."""

VIEWS = {
    "report": "SELECT o.night, count(*) FROM orders AS o JOIN items AS i USING (id) GROUP BY 1",
    "totals": "SELECT night, count(*), count(replaces) AS replacing FROM orders GROUP BY 1",
}
"""The reporting side's view and its materialized view."""

ADDED = f"{KEYS} CREATE VIEW report AS {VIEWS['report']}; CREATE MATERIALIZED VIEW totals AS {VIEWS['totals']}"

SETTINGS = FAST | {"shared_buffers": "32MB", "max_connections": "30", "superuser_reserved_connections": "0"}


@dataclass
class Night:
    """Two servers, a breaker before each, and the run that goes through them."""

    databases: Databases
    breakers: dict[str, Breaker]
    options: Path
    number: int = 1
    way: str = "swap"

    @property
    def etl(self) -> Etl:
        """``etl`` with the breakers' URLs."""
        urls = {f"ETL_{side.upper()}_URL": one.url for side, one in self.breakers.items()}
        set_here = {"TABLES": TABLES, "ETL_VERIFY": "checksum", "ETL_JOBS": "2", "ETL_OPTIONS_FILE": str(self.options)}
        set_here |= {"ETL_PUBLISH_WAY": "mixed"} if self.way == "changes" else {}  # however many rows have changed
        return Etl(urls | set_here, fresh=True)

    def publishes(self, way: str) -> None:
        """Chooses how the next runs publish."""
        self.way = way
        self.options.write_text(WAYS[way])

    def database(self, side: str) -> Database:
        """The database of a side, without the breaker."""
        found: Database = getattr(self.databases, side)
        return found

    def passes(self) -> None:
        """Writes the data of another night into the source."""
        self.number += 1
        self.writes()

    def writes(self) -> None:
        """Writes tonight's data into the source."""
        writes = CHANGES if self.way == "changes" else WRITES
        self.databases.operational.execute(writes.format(night=self.number))

    def live(self) -> dict[str, str]:
        """The checksum of each live table and of the views."""
        return {name: _checksum(self.databases.reporting, name) for name in (*TABLES.split(","), *VIEWS)}

    def sourced(self) -> dict[str, str]:
        """The checksums that the live tables and the views must have."""
        tables = {name: _checksum(self.databases.operational, name) for name in TABLES.split(",")}
        return tables | {name: _checksum(self.databases.operational, f"({query})") for name, query in VIEWS.items()}

    def unvalidated(self) -> list[str]:
        """The foreign keys that are gone, are NOT VALID, or wait in the ledger for their validation."""
        return [name for (name,) in self.databases.reporting.rows(_UNVALIDATED)]

    @contextmanager
    def stopped_at(self, moment: Moment, **variables: str) -> Iterator[tuple[subprocess.Popen[str], Link]]:
        """Runs until the moment, at which the breaker holds one connection."""
        one = self.breakers[moment.side]
        one.arm(moment)
        with self.etl.started("run", ETL_RUN_ID=self.run_id, **variables) as process:
            try:
                until(lambda: one.reached.is_set() or process.poll() is not None, f"the stage {moment.name}")
                if process.poll() is not None:
                    raise AssertionError(f"the run ended before {moment.name}: {ended(process)}")
                assert one.held is not None
                yield process, one.held
            finally:
                one.release()

    @property
    def run_id(self) -> str:
        """The run's id, which differs each night."""
        return f"night-{self.number}"

    def pid(self, moment: Moment, link: Link) -> int:
        """The server's process at the other end of a link."""
        query = f"SELECT pid FROM pg_stat_activity WHERE client_port = {link.port}"
        return int(self.database(moment.side).value(query))

    def crash(self, side: str) -> None:
        """Kills all of a server's processes at once, and starts the server again."""
        server = self.database(side).server
        assert server.process is not None
        parent = psutil.Process(server.process.pid)
        family = [parent, *parent.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        server.process.wait()
        psutil.wait_procs(family, timeout=30)  # the shared memory is free when the last of them is gone
        server.restart()

    def loads(self) -> str:
        """The published loads of all nights, by their kind."""
        rows = self.databases.reporting.rows(
            "SELECT coalesce(load, 'full'), count(*) FROM etl.loads WHERE status = 'published' GROUP BY 1 ORDER BY 1"
        )
        return ", ".join(f"{number} {load}" for load, number in rows)

    def ledger(self) -> tuple[str, str | None]:
        """Tonight's status and error."""
        rows = self.databases.reporting.rows(f"SELECT status, error FROM etl.runs WHERE run_id = '{self.run_id}'")
        return rows[0] if rows else ("absent", None)

    def traces(self) -> list[str]:
        """The traces of runs: staging tables, sessions (and with them snapshots), advisory locks."""
        found = self.databases.staging_tables()
        for side in ("operational", "reporting"):
            database = self.database(side)
            found += [f"{side}: {what}" for (what,) in database.rows(_TRACES)]
        return found


_TRACES = """
SELECT format('session %s %s %s', pid, state, left(query, 60)) FROM pg_stat_activity
 WHERE application_name LIKE 'nightly-etl%' AND pid <> pg_backend_pid()
UNION ALL SELECT format('lock %s', l) FROM pg_locks AS l WHERE locktype = 'advisory'
"""

_UNVALIDATED = """
SELECT key FROM unnest('{of_order,replaced}'::text[]) AS key
 WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conname = key AND convalidated
                      AND conrelid IN ('public.orders'::regclass, 'public.items'::regclass))
UNION ALL SELECT format('%s waits', constraint_name) FROM etl.validations
"""


def _checksum(database: Database, name: str) -> str:
    value = database.value(f"SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM {name} AS t")
    return str(value)


@contextmanager
def nights() -> Iterator[Night]:
    """Starts the servers, creates the shop, and copies it once."""
    servers: list[Server] = []
    try:
        for _ in range(2):
            servers.append(Server.start(settings=SETTINGS))  # noqa: PERF401 - those that started must be stopped
        operational, reporting = (Database(server, "postgres") for server in servers)
        operational.execute(ORDERS + ITEMS)
        with (
            Breaker(operational).running() as source,
            Breaker(reporting).running() as target,
            NamedTemporaryFile("w", suffix=".toml") as options,
        ):
            breakers = {"operational": source, "reporting": target}
            night = Night(Databases(operational, reporting), breakers, Path(options.name))
            night.publishes("swap")
            night.writes()
            first = night.etl("run", ETL_RUN_ID=night.run_id)
            assert first.status == 0, first.stderr
            reporting.execute(ADDED)
            yield night
    finally:
        for server in servers:
            server.remove()


def assert_whole(night: Night, done: Done, yesterday: dict[str, str]) -> str:
    """Checks that the live tables all show yesterday or all show today, and that no bug was reported; returns which."""
    live, today = night.live(), night.sourced()
    assert live in (yesterday, today), "a mixture of two nights"
    which = "today" if live == today else "yesterday"
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    return which
