"""The stream step alone, without snapshot, ledger and publish: SOURCE TARGET TABLE ['as glibc does'].

With the last argument, glibc frees memory in its default way, without ``stream.keep_buffers``.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

from psycopg import sql

from etl.sessions import protocol
from etl.sessions.postgres import close_source, connect_source, connect_target
from etl.sessions.url import DatabaseUrl
from etl.settings.options import Options
from etl.source import catalog, stream


async def main(source_url: str, target_url: str, name: str, memory: str = "kept") -> None:
    """Copies one table of the schema public; prints the stream's seconds, CPU seconds and page faults."""
    protocol.exchange()  # as the entry points do
    if memory == "kept":
        stream.keep_buffers()
    source = await connect_source(DatabaseUrl.parse(source_url, {}), "bench")
    target = await connect_target(DatabaseUrl.parse(target_url, {}), "bench")
    relations = [one for one in await catalog.relations(source) if one.schema == "public" and one.name == name]
    (table,) = Options().apply(await catalog.tables(source, relations))
    into = sql.Identifier("public", name)
    async with target.transaction():
        await target.execute(sql.SQL("TRUNCATE {}").format(into))
        faults = _faults()
        before, began = time.process_time(), time.perf_counter()
        await stream.copy(source, target, table, into, lambda _: None)
    wall = time.perf_counter() - began
    cpu = time.process_time() - before
    faults = _faults() - faults
    await target.close()
    await close_source(source)
    print(json.dumps({"wall": wall, "cpu": cpu, "faults": faults}))


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
