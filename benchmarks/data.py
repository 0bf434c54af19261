"""The tables that are copied: made in SQL, in the source, without indexes."""

from __future__ import annotations

from demo.embedded import Server

LINEITEM = """
CREATE TABLE {name} AS
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
  FROM generate_series(1, {rows}::bigint) i
"""
"""TPC-H's widest and longest table, with values of its kinds and lengths."""

ACCOUNTS = """
CREATE TABLE {name} AS
SELECT i::int AS aid, (i / 100000 + 1)::int AS bid, (i * 7919 % 10000 - 5000)::int AS abalance,
       ''::char(84) AS filler
  FROM generate_series(1, {rows}::bigint) i
"""
"""pgbench_accounts: a narrow table, so that a client's cost a row weighs most."""

TINY = """
DO $$ BEGIN
  FOR i IN 1..{count} LOOP
    EXECUTE format('CREATE TABLE tiny.t%s (id int PRIMARY KEY, name text, at timestamptz DEFAULT now())', i);
    EXECUTE format('INSERT INTO tiny.t%s SELECT g, ''name '' || g FROM generate_series(1, 10) g', i);
  END LOOP;
END $$
"""


def make(source: Server, statement: str, name: str, rows: int) -> int:
    """Makes a table; gives the bytes of its rows as they lie in the heap."""
    source.psql(statement.format(name=name, rows=rows))
    source.psql(f"VACUUM (FREEZE, ANALYZE) {name}")
    return int(source.psql(f"SELECT pg_table_size('{name}')"))


def make_tiny(source: Server, count: int) -> None:
    """Makes tables of ten rows, with a primary key each."""
    source.psql("CREATE SCHEMA tiny")
    source.psql(TINY.format(count=count))
    source.psql("VACUUM (FREEZE, ANALYZE)")
