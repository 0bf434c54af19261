"""Fields of 200 MB."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness import Databases, Etl

SIZE = 200_000_000
MIB = 1 << 20

# The hash is of all bytes, so that no one has to move them to compare them.
DIGEST = "SELECT id, octet_length(v), md5(v::{}) FROM big ORDER BY id"


def peak_of(process: subprocess.Popen[str]) -> int:
    """Waits for a process; gives the most memory that it ever had, in bytes. Its output must fit in a pipe.

    Read from the kernel's VmHWM while it lives: wait4()'s ru_maxrss is never less than what the parent, which is
    pytest, once had, for exec() takes that over (a child of one that had 700 MB says 700 MB, and be it ``true``).
    """
    peak = 0
    while process.poll() is None:
        # an ended process that nobody has waited for yet has a status, and no memory in it
        if found := re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE):
            peak = max(peak, int(found[1]) * 1024)
        time.sleep(0.02)
    return peak


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        # every byte in bytea; in text, characters of two bytes, so that some are cut by the pieces of the stream
        ("bytea", f"decode(repeat('00ff5c0a0d', {SIZE // 5}), 'hex')"),
        ("text", f"repeat('é', {SIZE // 2})"),
    ],
)
def test_a_field_of_200_mb_arrives(databases: Databases, etl: Etl, kind: str, value: str) -> None:
    """Bit for bit, and etl holds the field twice at most: its pieces, and what the driver makes of them."""
    databases.operational.execute(
        f"CREATE TABLE big (id int, v {kind}); ALTER TABLE big ALTER v SET STORAGE EXTERNAL;"
        f"INSERT INTO big VALUES (1, {value}), (2, NULL)"
    )
    with etl.started("run", TABLES="big", ETL_VERIFY="checksum") as process:
        peak = peak_of(process)
        assert process.returncode == 0, process.communicate()
    digest = DIGEST.format(kind)
    assert databases.reporting.rows(digest) == databases.operational.rows(digest)
    print(f"peak RSS {peak / MIB:.0f} MiB for a {kind} of {SIZE / MIB:.0f} MiB")
    assert SIZE < peak < 3 * SIZE
