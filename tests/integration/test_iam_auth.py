"""IAM database authentication: a separate token for each connection, and never without TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import cloud
from tests.harness import Databases, Done, Etl
from tests.rds import SECRET_KEY, Rds

WITH_ROLE = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_REGION": cloud.REGION,
    "ETL_OPERATIONAL_AUTH": "iam",
    "ETL_REPORTING_AUTH": "iam",
}


def _run(databases: Databases, folder: Path, **variables: str) -> tuple[Done, int]:
    """Runs between two databases with IAM authentication; returns the result and the number of accepted connections."""
    databases.operational.execute("CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 100) AS i")
    (folder / "source").mkdir()
    (folder / "target").mkdir()
    with (
        Rds(databases.operational, folder / "source").running() as source,
        Rds(databases.reporting, folder / "target").running() as target,
    ):
        urls = {"ETL_OPERATIONAL_URL": source.url, "ETL_REPORTING_URL": target.url}
        done = Etl(urls | WITH_ROLE)("run", TABLES="orders", **variables)
        tokens = source.tokens + target.tokens
        assert not any(token.partition("X-Amz-Signature=")[2] in done.stdout + done.stderr for token in tokens)
        return done, len(tokens)


@pytest.mark.superuser("signs in as the servers' superuser")
def test_each_connection_signs_in_with_a_token(databases: Databases, tmp_path: Path) -> None:
    """On both sides, through asyncpg and through libpq; the table arrives, and no token appears in the output."""
    done, connections = _run(databases, tmp_path)
    assert (done.status, done.stderr) == (0, "")
    assert databases.reporting.value("SELECT count(*) FROM orders") == 100
    assert connections >= 4  # the snapshot's holder and a reader, the control session and a writer


def test_a_token_that_the_database_refuses_is_bad_configuration(databases: Databases, tmp_path: Path) -> None:
    """One line, exit 2."""
    done, connections = _run(databases, tmp_path, AWS_SECRET_ACCESS_KEY="another")
    (line,) = done.stderr.splitlines()
    assert "a token with a wrong signature" in line
    assert (done.status, connections) == (2, 0)


@pytest.mark.parametrize(
    ("missing", "says"),
    [("AWS_ACCESS_KEY_ID", "Unable to locate credentials"), ("AWS_REGION", "You must specify a region")],
)
def test_without_a_role_or_a_region_it_says_so(databases: Databases, tmp_path: Path, missing: str, says: str) -> None:
    """One line with the remedy, exit 2."""
    done, _ = _run(databases, tmp_path, **{missing: "", "AWS_CONFIG_FILE": "/dev/null"})
    (line,) = done.stderr.splitlines()
    assert says in line
    assert "give the task a role that may rds-db:connect, and set AWS_REGION" in line
    assert done.status == 2
