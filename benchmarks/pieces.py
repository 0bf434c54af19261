"""The cost of the stream's memory: ``python -m benchmarks.pieces`` prints the figures of ``stream.keep_buffers``."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from statistics import median

from benchmarks.data import LINEITEM
from benchmarks.rounds import SETTINGS
from servers.postgres import Server

ROUNDS = 15
ROWS = 1_000_000
MEMORY = ("kept", "as glibc does")


def main() -> None:
    """Copies a million rows in turns with and without it; prints the least and the median of each."""
    seen: dict[str, list[dict[str, float]]] = {memory: [] for memory in MEMORY}
    with ExitStack() as stack:
        source, target = (_filled(stack) for _ in range(2))
        for number in range(ROUNDS):
            for memory in MEMORY if number % 2 else reversed(MEMORY):
                seen[memory].append(_copied(source, target, memory))
    for memory, copies in seen.items():
        cpu, faults = ([one[what] for one in copies] for what in ("cpu", "faults"))
        print(f"{memory}: CPU {min(cpu):.3f} s, median {median(cpu):.3f}; page faults, median {median(faults):,.0f}")


def _filled(stack: ExitStack) -> Server:
    server = Server.start(settings=SETTINGS)
    stack.callback(server.remove)
    server.psql(LINEITEM.format(rows=ROWS))
    server.psql("VACUUM (FREEZE, ANALYZE) lineitem")
    return server


def _copied(source: Server, target: Server, memory: str) -> dict[str, float]:
    target.psql("CHECKPOINT")
    command = [sys.executable, "-m", "benchmarks.bare", source.url(), target.url(), "lineitem", memory]
    spent: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return spent


if __name__ == "__main__":
    main()
