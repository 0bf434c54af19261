"""The peers: this tool as its users start it, other tools with their best documented settings, and the limit.

A peer is a bash script. It gets ``$SOURCE`` and ``$TARGET`` (URLs), ``$NAMES`` (the tables, one a line), ``$WORK`` (an
empty folder), ``$CLIENTS`` (benchmarks/clients) and a PATH that begins with the programs installed for it and then the
servers' own programs. The target database is empty when the script starts. If a tool copies only rows, the script
creates the tables by ``pg_dump``, because a user of that tool would do so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.tools import Debian, Install, Pypi, ours, postgres

ATOMIC, SNAPSHOT, ANALYZE = "no atomic publish", "no snapshot over tables", "no ANALYZE"
INDEXES, TYPES = "no indexes", "types change"
CURSOR = "needs a column `updated_at` that each change maintains"
_ROWS_ALONE = (INDEXES, SNAPSHOT, ATOMIC, ANALYZE)


def _nothing(_output: str) -> dict[str, float]:
    return {}


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool that copies a database: how it is installed and started, and which work of ``etl run`` it omits."""

    name: str
    install: Install
    script: str
    lacks: tuple[str, ...] = ()
    indexes: bool = True  # it copies indexes, and a copy without them counts as failed
    incremental: bool = False  # it copies by a cursor: rows that it misses are counted, and are no failure
    before: str = ""  # a preparation that is not measured
    parts: Callable[[str], dict[str, float]] = _nothing  # the seconds of its steps, parsed from its output


def _etl_parts(output: str) -> dict[str, float]:
    events = [json.loads(line) for line in output.splitlines()]
    return {"publish": sum(event["seconds"] for event in events if event["event"] == "run.published")}


def _printed_parts(output: str) -> dict[str, float]:
    said: dict[str, float] = json.loads(output)
    return {part: seconds for part, seconds in said.items() if part != "faults"}


_ETL = 'export TABLES="public.*" ETL_OPERATIONAL_URL=$SOURCE ETL_REPORTING_URL=$TARGET\nexec python -m etl run'

_WHOLE = f"export ETL_LOAD=full\n{_ETL}"

_LIMIT_OF_A_NIGHT = """
count() { psql -XAtq "$SOURCE" -c "SELECT count(*) FROM $1"; }
export -f count
xargs -P 2 -I {} bash -euo pipefail -c 'count "{}"' <<< "$NAMES"
psql -Xq -v ON_ERROR_STOP=1 --single-transaction "$TARGET" -c "${CHANGE:-SELECT}"
"""

_DEFINITIONS = 'pg_dump --section=pre-data "$SOURCE" | psql -Xq -v ON_ERROR_STOP=1 "$TARGET"\n'
_INDEXES = 'pg_dump --section=post-data "$SOURCE" | psql -Xq -v ON_ERROR_STOP=1 "$TARGET"\n'

_PSQL = """
copy() {
  psql -Xq "$SOURCE" -c "COPY $1 TO STDOUT (FORMAT binary)" |
    psql -Xq "$TARGET" --single-transaction -c "TRUNCATE $1" -c "COPY $1 FROM STDIN (FORMAT binary, FREEZE)"
}
export -f copy
xargs -P 2 -I {} bash -euo pipefail -c 'copy "{}"' <<< "$NAMES"
"""

_COPIED = _DEFINITIONS + _PSQL + _INDEXES + 'psql -Xq "$TARGET" -c ANALYZE\n'

_FOREIGN = """
psql -Xq -v ON_ERROR_STOP=1 "$TARGET" <<SQL
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
  OPTIONS (host '127.0.0.1', port '$SOURCE_PORT', dbname '$DATABASE', fetch_size '50000');
CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'postgres', password_required 'false');
CREATE SCHEMA far;
IMPORT FOREIGN SCHEMA public FROM SERVER far INTO far;
SQL
copy() { psql -Xq "$TARGET" -c "INSERT INTO public.$1 SELECT * FROM far.$1"; }
export -f copy
xargs -P 2 -I {} bash -euo pipefail -c 'copy "{}"' <<< "$NAMES"
"""

_PGCOPYDB = """
pgcopydb clone --source "$SOURCE" --target "$TARGET" --dir "$WORK/pgcopydb" --table-jobs 2 --index-jobs 2 \
  --split-tables-larger-than 200MB --no-owner --skip-large-objects
"""

_SLING_RUN = """
export SLING_HOME_DIR=$WORK SLING_THREADS=2 SLING_DISABLE_TELEMETRY=true
export FAR="$SOURCE" NEAR="$TARGET"
case $FAR in *\\?*) ;; *) FAR="$FAR?sslmode=disable" NEAR="$NEAR?sslmode=disable" ;; esac
sling=$(python -c 'import sling_linux_amd64 as s, pathlib; print(pathlib.Path(s.__path__[0], "bin/sling-linux-amd64"))')
"$sling" run -r "$WORK/replication.yaml"
"""

_SLING = (
    """
export SLING_DIRECT_INSERT=true
cat > "$WORK/replication.yaml" <<YAML
source: FAR
target: NEAR
defaults: {mode: full-refresh, object: 'public.{stream_table}', target_options: {use_bulk: true, direct_insert: true}}
streams: {'public.*': }
YAML
"""
    + _SLING_RUN
)

_SLING_KEYS = """
cat > "$WORK/replication.yaml" <<YAML
source: FAR
target: NEAR
defaults:
  {mode: incremental, update_key: updated_at, object: 'public.{stream_table}', target_options: {use_bulk: true}}
streams:
YAML
psql -XAtq "$SOURCE" >> "$WORK/replication.yaml" <<SQL
SELECT format('  public.%s: {primary_key: [%s]}', i.indrelid::regclass,
              string_agg(attname, ', ' ORDER BY array_position(i.indkey::int2[], attnum)))
  FROM pg_index i JOIN pg_attribute ON attrelid = i.indrelid AND attnum = ANY (i.indkey)
 WHERE i.indisprimary AND i.indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
 GROUP BY i.indrelid
SQL
"""

_DLT = (
    "dlt[postgres,sql_database]==1.31.0",
    "connectorx==0.4.6",
    "pyarrow==26.0.1",
    "sqlalchemy==2.1.9",
    "psycopg[binary]==3.3.9",
)

_SLING_WHEEL = ("sling-linux-amd64==1.4.11",)

ETL = Peer("etl run", ours, _ETL, parts=_etl_parts)

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        ETL,
        Peer("etl run, again", ours, _WHOLE, before=_ETL, parts=_etl_parts),
        Peer("etl run, changes", ours, _ETL, before=_ETL, parts=_etl_parts),
        Peer(
            "limit of a night",
            ours,
            _LIMIT_OF_A_NIGHT,
            ("no copy: the source counts its rows, and the target is told what to change", ATOMIC, SNAPSHOT),
            before=_ETL,
        ),
        Peer(
            "limit",
            ours,
            'exec python -m benchmarks.limit "$SOURCE" "$TARGET" "$WORK" <<< "$NAMES"',
            ("no client: the servers read and write files", ATOMIC, SNAPSHOT, ANALYZE),
            before=_DEFINITIONS,
            parts=_printed_parts,
        ),
        Peer(
            "psql | psql",
            postgres,
            _COPIED,
            (ATOMIC, SNAPSHOT),
        ),
        Peer("psql | psql, rows alone", postgres, _PSQL, _ROWS_ALONE, indexes=False, before=_DEFINITIONS),
        Peer(
            "the stream alone",
            ours,
            'exec python -m benchmarks.bare "$SOURCE" "$TARGET" "$NAMES"',
            _ROWS_ALONE,
            indexes=False,
            before=_DEFINITIONS,
            parts=_printed_parts,
        ),
        Peer(
            "plain psycopg",
            ours,
            'exec python -m benchmarks.plain "$SOURCE" "$TARGET" "$NAMES"',
            _ROWS_ALONE,
            indexes=False,
            before=_DEFINITIONS,
        ),
        Peer(
            "pg_dump | psql",
            postgres,
            'pg_dump "$SOURCE" | psql -Xq -v ON_ERROR_STOP=1 --single-transaction "$TARGET" > /dev/null',
            ("one stream", ATOMIC + " over live tables", ANALYZE),
        ),
        Peer(
            "pg_dump -Fd -j2, pg_restore -j2",
            postgres,
            'pg_dump -Fd -j2 --compress=0 -f "$WORK/dump" "$SOURCE"\npg_restore -j2 -d "$TARGET" "$WORK/dump"',
            ("all rows to disk first", ATOMIC, ANALYZE),
        ),
        Peer("pgcopydb", Debian(("pgcopydb", "libpq5", "libgc1")), _PGCOPYDB, (ATOMIC,)),
        Peer(
            "sling",
            Pypi(_SLING_WHEEL),
            _SLING,
            (INDEXES, TYPES, SNAPSHOT, ATOMIC, ANALYZE),
            indexes=False,
        ),
        Peer(
            "sling, incremental",
            Pypi(_SLING_WHEEL),
            _SLING_RUN,
            (CURSOR, SNAPSHOT, ATOMIC, ANALYZE),
            incremental=True,
            before=_COPIED + _SLING_KEYS,
        ),
        Peer(
            "dlt",
            Pypi(_DLT),
            'exec python "$CLIENTS/dlt_copy.py"',
            (INDEXES, TYPES, SNAPSHOT, ATOMIC, ANALYZE),
            indexes=False,
        ),
        Peer(
            "dlt, incremental",
            Pypi(_DLT),
            'exec python "$CLIENTS/dlt_changes.py"',
            (CURSOR, SNAPSHOT, ATOMIC, ANALYZE),
            incremental=True,
            before=_COPIED + 'python "$CLIENTS/dlt_changes.py"',  # dlt's own tables, and its first cursor
        ),
        Peer(
            "connectorx → COPY",
            Pypi(("connectorx==0.4.6", "pyarrow==26.0.1", "psycopg[binary]==3.3.9")),
            _DEFINITIONS + 'python "$CLIENTS/connectorx_copy.py"\n' + _INDEXES,
            (SNAPSHOT, ATOMIC, ANALYZE),
        ),
        Peer(
            "ADBC → ADBC",
            Pypi(("adbc-driver-postgresql==1.13.0", "pyarrow==26.0.1")),
            'exec python "$CLIENTS/adbc_copy.py"',
            (INDEXES, TYPES, SNAPSHOT, ATOMIC, ANALYZE),
            indexes=False,
        ),
        Peer(
            "postgres_fdw",
            postgres,
            _DEFINITIONS + _FOREIGN + _INDEXES + 'psql -Xq "$TARGET" -c ANALYZE',
            (SNAPSHOT, ATOMIC, "needs an extension and a way from target to source"),
        ),
        Peer(
            "pg-bulk-ingest",
            Pypi(("pg-bulk-ingest==0.1.3", "psycopg[binary]==3.3.9", "psycopg2-binary==2.9.13", "sqlalchemy==2.1.9")),
            'exec python "$CLIENTS/bulk_ingest.py"',
            (SNAPSHOT, "each table published by itself", ANALYZE),
        ),
    )
}
