"""The tables that the benchmarks copy, created by SQL in the source. Each statement takes ``{rows}``."""

from __future__ import annotations

from dataclasses import dataclass

from servers.postgres import Server

DATABASE = "bench"
"""The name of the database on either server."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table, or many: the statements that create them, and the number of rows (or of tables) for the statements."""

    statements: str
    rows: int

    def made(self, scale: float) -> str:
        """The statements for this part of the rows."""
        return self.statements.format(rows=max(1, round(self.rows * scale)))


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a database's schema ``public``: rows and indexes of each table, and each column's type."""

    rows: dict[str, int]
    indexes: dict[str, int]
    types: dict[str, str]


LINEITEM = """
CREATE TABLE lineitem AS
SELECT i / 4 AS l_orderkey,
       (i * 7919) % 200000 AS l_partkey,
       (i * 104729) % 10000 AS l_suppkey,
       (i % 4 + 1)::int AS l_linenumber,
       (i % 50 + 1)::numeric(15, 2) AS l_quantity,
       (900 + (i * 31) % 104050 / 100.0)::numeric(15, 2) AS l_extendedprice,
       (i % 11 / 100.0)::numeric(15, 2) AS l_discount,
       (i % 9 / 100.0)::numeric(15, 2) AS l_tax,
       substr('ANR', (i % 3 + 1)::int, 1)::char(1) AS l_returnflag,
       substr('OF', (i % 2 + 1)::int, 1)::char(1) AS l_linestatus,
       date '1992-01-02' + (i % 2526)::int AS l_shipdate,
       date '1992-01-31' + (i % 2466)::int AS l_commitdate,
       date '1992-01-04' + (i % 2554)::int AS l_receiptdate,
       (ARRAY['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[i % 4 + 1]::char(25) AS l_shipinstruct,
       (ARRAY['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'])[i % 7 + 1]::char(10) AS l_shipmode,
       substr('carefully final deposits sleep furiously across the quickly ironic', (i % 25 + 1)::int,
              (i % 33 + 10)::int)::varchar(44) AS l_comment
  FROM generate_series(1, {rows}::bigint) i;
"""
"""TPC-H's widest and longest table, with values of its kinds and lengths; 217 bytes a row in binary COPY."""

LINEITEM_INDEXES = """
ALTER TABLE lineitem ADD PRIMARY KEY (l_orderkey, l_linenumber);
CREATE INDEX ON lineitem (l_shipdate);
CREATE INDEX ON lineitem (l_partkey, l_suppkey);
"""

ACCOUNTS = """
CREATE TABLE accounts AS
SELECT i::int AS aid, (i / 100000 + 1)::int AS bid, (i * 7919 % 10000 - 5000)::int AS abalance,
       ''::char(84) AS filler
  FROM generate_series(1, {rows}::bigint) i;
ALTER TABLE accounts ADD PRIMARY KEY (aid);
"""
"""pgbench_accounts: a narrow table, so that a client's cost a row weighs most."""

EVENTS = """
CREATE TABLE events AS
SELECT i AS id, timestamptz '2026-01-01 00:00+00' + i * interval '1 second' AS at,
       jsonb_build_object('user', i * 7919 % 50000, 'kind', (ARRAY['view', 'click', 'buy'])[i % 3 + 1],
                          'page', '/shop/' || md5(i::text), 'tags', jsonb_build_array('a' || i % 7, 'b' || i % 11),
                          'device', jsonb_build_object('os', 'os' || i % 5, 'width', 320 + i % 1600)) AS body
  FROM generate_series(1, {rows}::bigint) i;
ALTER TABLE events ADD PRIMARY KEY (id);
CREATE INDEX ON events (at);
"""
"""Events as web shops keep them, in jsonb."""

_DATED = """
ALTER TABLE {name} ADD updated_at timestamptz;
ALTER TABLE {name} ALTER updated_at SET NOT NULL,
  ALTER updated_at TYPE timestamptz USING timestamptz '2026-01-01 00:00+00' + {key} * interval '1 second';
"""

_CHANGE = """
UPDATE {name} SET {change}, updated_at = {now} WHERE {key} > (SELECT max({key}) * (1 - 0.6 * {share}) FROM {name})
    OR ({key}::bigint * 7919 + {{night}}) % 10000 < {share} * 3000;
DELETE FROM {name} WHERE ({key}::bigint * 31 + {{night}}) % 1000 = 7;
INSERT INTO {name} SELECT {fresh}, {now} FROM {name}, (SELECT max({key}) AS last FROM {name}) m
 WHERE {key} <= last * 0.1 * {share};
"""

_NOW = "timestamptz '2030-01-01 00:00+00' + {{night}} * interval '1 day' + {key} * interval '1 microsecond'"
"""When a day changes a row: rows of one day differ, and both servers give a row the same time."""

_FRESH_LINEITEM = (
    "l_orderkey + last + 1, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax,"
    " l_returnflag, l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode, l_comment"
)

_CHANGED = {
    "lineitem": ("l_orderkey", "l_comment = 'night {night}'", _FRESH_LINEITEM),
    "accounts": ("aid", "abalance = {night}", "aid + last + 1, bid, abalance, filler"),
    "events": ("id", "at = at + interval '1 minute'", "id + last + 1, at, body"),
}
"""The key of each table of the job, the column that a day changes, and the columns of a new row."""


def dated(name: str) -> str:
    """The statements that give a table of the job the column ``updated_at``, which each day's changes maintain."""
    return _DATED.format(name=name, key=_CHANGED[name][0])


def changes(share: float, *names: str) -> str:
    """The statements of a day, which take ``{night}``: so large a share of the rows of these tables changes.

    Of the changed rows, six tenths are recent, three old ones at random, one new. One row in a thousand is deleted.
    Each changed or new row has the time of its change in ``updated_at``.
    """
    statements = []
    for name in names:
        key, change, fresh = _CHANGED[name]
        now = _NOW.format(key=key)
        statements.append(_CHANGE.format(name=name, key=key, change=change, fresh=fresh, share=share, now=now))
    return "".join(statements)


TOAST = """
CREATE TABLE documents (id bigint PRIMARY KEY, title text, body text, scan bytea);
INSERT INTO documents
SELECT i, 'document ' || i, repeat(md5(i::text) || ' the same words again and again, ', 250),
       decode((SELECT string_agg(md5(i || '-' || part), '') FROM generate_series(1, 250) part), 'hex')
  FROM generate_series(1, {rows}::bigint) i;
"""
"""16 kB of text that compresses and 4 kB of bytes that do not, both out of line."""

_KINDS = (
    ("int", "(i * {n} % 100000)::int"),
    ("numeric(12, 2)", "(i * {n} % 1000000 / 100.0)::numeric(12, 2)"),
    ("text", "'value ' || i % {n}"),
    ("timestamptz", "timestamptz '2026-01-01 00:00+00' + i % {n} * interval '1 minute'"),
    ("boolean", "nullif(i % {n}, 0) IS NOT NULL"),
    ("double precision", "CASE WHEN i % 3 > 0 THEN i / {n}::float8 END"),
)

WIDE = (
    "CREATE TABLE wide AS SELECT i AS id, "
    + ", ".join(
        f"({_KINDS[n % len(_KINDS)][1].format(n=n + 2)})::{_KINDS[n % len(_KINDS)][0]} AS c{n}" for n in range(199)
    )
    + " FROM generate_series(1, {rows}::bigint) i; ALTER TABLE wide ADD PRIMARY KEY (id);"
)
"""200 columns, a sixth of each kind."""

TINY = """
DO $$ BEGIN
  FOR i IN 1..{rows} LOOP
    EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, name text, at timestamptz DEFAULT now())', i);
    EXECUTE format('INSERT INTO t%s SELECT g, ''name '' || g FROM generate_series(1, 10) g', i);
  END LOOP;
END $$;
"""
"""``{rows}`` tables of ten rows, with a primary key each."""


def make(source: Server, tables: tuple[Table, ...], scale: float) -> Contents:
    """Creates the source's database, vacuums and analyzes it; returns its contents."""
    source.psql(f"DROP DATABASE IF EXISTS {DATABASE}")
    source.psql(f"CREATE DATABASE {DATABASE}")
    for table in tables:
        source.psql(table.made(scale), DATABASE)
    source.psql("VACUUM (FREEZE, ANALYZE)", DATABASE)
    return contents(source)


def contents(server: Server) -> Contents:
    """Reads the contents of a database: it counts rows, and lists valid indexes."""
    names = server.psql(
        "SELECT format('%I', relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " ORDER BY 1",
        DATABASE,
    ).splitlines()
    counts = server.psql("".join(f"SELECT count(*) FROM {name};\n" for name in names), DATABASE).splitlines()
    return Contents(
        dict(zip(names, map(int, counts), strict=True)),
        {name: int(number) for name, number in _pairs(server, _INDEXES)},
        dict(_pairs(server, _TYPES)),
    )


_INDEXES = """
SELECT format('%I', c.relname), count(i.indexrelid) FILTER (WHERE i.indisvalid)
  FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid
 WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY 1
"""

_TYPES = """
SELECT format('%I.%I', c.relname, a.attname), format_type(a.atttypid, a.atttypmod)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
"""


def _pairs(server: Server, query: str) -> list[tuple[str, str]]:
    lines = server.psql(query, DATABASE).splitlines()
    return [(line.rpartition("|")[0], line.rpartition("|")[2]) for line in lines]


def size(server: Server) -> int:
    """The size of the tables in bytes, with TOAST and without indexes."""
    query = "SELECT sum(pg_table_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    return int(server.psql(query, DATABASE))
