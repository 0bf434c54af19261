"""Which rows of a night a copy has missed: every row of both sides is compared by its hash.

Both servers sum the hashes of buckets of rows by key. Only the rows of buckets that differ leave the servers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from benchmarks.data import DATABASE
from servers.postgres import Server

BUCKET = 32
"""The rows of a bucket, about."""

_KEYS = """
SELECT i.indrelid::regclass, string_agg(quote_ident(attname), ', '), max(reltuples::bigint)
  FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND attnum = ANY (i.indkey)
  JOIN pg_class c ON c.oid = i.indrelid
 WHERE i.indisprimary AND relnamespace = 'public'::regnamespace GROUP BY i.indrelid
"""

_SUMS = "SELECT {bucket}, sum(hash_record_extended(t, 0)) FROM {name} t GROUP BY 1"

_ROWS = "SELECT ROW({key}), hash_record_extended(t, 0) FROM {name} t WHERE {bucket} = ANY ('{{{wanted}}}')"


def kinds(source: Mapping[str, str], target: Mapping[str, str]) -> dict[str, int]:
    """The numbers of rows by the kind of change that the target has missed, given each key's hash of the row."""
    both = source.keys() & target.keys()
    return {
        "deleted": len(target.keys() - both),
        "changed": sum(source[key] != target[key] for key in both),
        "new": len(source.keys() - both),
    }


def differing(source: Mapping[str, str], target: Mapping[str, str]) -> list[str]:
    """The buckets whose sums differ, or that only one side has."""
    return sorted({bucket for bucket, _ in source.items() ^ target.items()})


def told(missed: Mapping[str, int]) -> str:
    """The numbers in words, such as "12 deleted, 3 changed", or "0"."""
    return ", ".join(f"{number:,} {kind}" for kind, number in missed.items() if number) or "0"


def missed(source: Server, target: Server) -> dict[str, int]:
    """The numbers of rows, of all tables, that a copy has missed, by the kind of change."""
    total = Counter(kinds({}, {}))
    for line in source.psql(_KEYS, DATABASE).splitlines():
        name, key, rows = line.split("|")
        total.update(_of_table(source, target, name, key, int(rows)))
    return dict(total)


def _of_table(source: Server, target: Server, name: str, key: str, rows: int) -> dict[str, int]:
    mask = (1 << (max(1, rows // BUCKET) - 1).bit_length()) - 1
    words = {"name": name, "key": key, "bucket": f"(hash_record_extended(ROW({key}), 0) & {mask})"}
    wanted = differing(*_answers((source, target), _SUMS.format(**words)))
    return kinds(*_answers((source, target), _ROWS.format(**words, wanted=",".join(wanted))))


def _answers(servers: tuple[Server, Server], query: str) -> list[dict[str, str]]:
    """The two columns of a query on both servers at once: the second one by the first one."""
    with ThreadPoolExecutor(2) as pool:
        outputs = pool.map(lambda server: server.psql(query, DATABASE), servers)
        return [dict(line.rsplit("|", 1) for line in output.splitlines()) for output in outputs]
