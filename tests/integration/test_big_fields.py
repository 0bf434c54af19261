"""Fields of 200 MB."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.harness import Databases, Etl
from tests.situations import peak_of

SIZE = 200_000_000
MIB = 1 << 20

# The hash covers all bytes, so that the test need not transfer them.
DIGEST = "SELECT id, octet_length(v), md5(v::{}) FROM big ORDER BY id"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        # every byte in bytea; in text, characters of two bytes, so that some are cut by the pieces of the stream
        ("bytea", f"decode(repeat('00ff5c0a0d', {SIZE // 5}), 'hex')"),
        ("text", f"repeat('é', {SIZE // 2})"),
    ],
)
def test_a_field_of_200_mb_arrives(databases: Databases, etl: Etl, kind: str, value: str) -> None:
    """Byte for byte, and etl holds the field at most twice: in its pieces, and in the driver's copy."""
    databases.operational.execute(
        f"CREATE TABLE big (id int, v {kind}); ALTER TABLE big ALTER v SET STORAGE EXTERNAL;"
        f"INSERT INTO big VALUES (1, {value}), (2, NULL)"
    )
    with replace(etl, fresh=True).started("run", TABLES="big", ETL_VERIFY="checksum") as process:
        peak = peak_of(process)
        assert process.returncode == 0, process.communicate()
    digest = DIGEST.format(kind)
    assert databases.reporting.rows(digest) == databases.operational.rows(digest)
    print(f"peak RSS {peak / MIB:.0f} MiB for a {kind} of {SIZE / MIB:.0f} MiB")
    assert SIZE < peak < 3 * SIZE
