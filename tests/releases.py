"""What the release of the tests' servers can do: 18, or the one that ``ETL_TEST_POSTGRES`` names."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from etl.source import ranges
from servers.programs import default_bin


@cache
def release_of(programs: Path) -> int:
    """The major version of the PostgreSQL that is in a folder."""
    said = subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    return int(re.findall(r"\d+", said)[0])


def release() -> int:
    """The major version of the tests' servers."""
    return release_of(default_bin())


def fast_copy() -> str:
    """The option of CREATE DATABASE that makes a small one in a tenth of a second; releases before 15 have no other."""
    return "STRATEGY wal_log" if release() >= 15 else ""


def cuts_tables() -> bool:
    """Whether big tables come in page ranges; from releases before 14, which read all pages for each, they do not."""
    return release() >= ranges.OLDEST


def tells_recovery() -> bool:
    """Whether a server tells each session if it is a standby (in_hot_standby); releases before 14 have to be asked."""
    return release() >= 14


def detaches_concurrently() -> bool:
    """Whether ALTER TABLE ... DETACH PARTITION may be CONCURRENTLY; in releases before 14 it may not."""
    return release() >= 14


def clusters_partitioned() -> bool:
    """Whether CLUSTER takes a partitioned table; in releases before 15 it takes its partitions only."""
    return release() >= 15


def equals_nulls() -> bool:
    """Whether a unique index may have NULLS NOT DISTINCT; in releases before 15 it may not."""
    return release() >= 15


def invokes_views() -> bool:
    """Whether a view may have security_invoker; in releases before 15 it may not."""
    return release() >= 15


def filters_publications() -> bool:
    """Whether a publication may have a WHERE and a list of columns; in releases before 15 it may not."""
    return release() >= 15
