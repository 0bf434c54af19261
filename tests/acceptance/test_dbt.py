"""``dbt source freshness`` with the files of docs/dbt.md, after real nights; ``make test-dbt`` installs dbt for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness import Databases, Etl
from tests.situations import make_shop

DBT = os.environ.get("ETL_TEST_DBT", "")

PAGE = Path(__file__).parents[2] / "docs" / "dbt.md"

pytestmark = pytest.mark.skipif(not DBT, reason="ETL_TEST_DBT names no dbt; `make test-dbt` installs one, from PyPI")

ANALYST = "dbt_analyst"


@pytest.fixture
def shop(databases: Databases, etl: Etl) -> Etl:
    """``etl`` after a night; a role that may read its tables, and nothing else."""
    make_shop(databases)
    databases.reporting.execute(
        f"DROP ROLE IF EXISTS {ANALYST}; CREATE ROLE {ANALYST} LOGIN;"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {ANALYST}"
    )
    assert etl("run", TABLES="orders,customers").status == 0
    return etl


def project(folder: Path, databases: Databases) -> Path:
    """A dbt project with the files that the page has, and no models."""
    (folder / "models").mkdir()
    for name, text in re.findall(
        r"```yaml\n# (models/\w+\.yml)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    ):
        (folder / name).write_text(text, encoding="utf-8")
    about = {"name": "shop", "version": "1.0", "profile": "shop", "model-paths": ["models"]}
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(about), encoding="utf-8")
    server = databases.reporting.server
    output = {
        "type": "postgres", "host": "127.0.0.1", "port": server.port, "user": ANALYST, "password": "none",
        "dbname": databases.reporting.name, "schema": "public", "threads": 1,
    }  # fmt: skip
    profile = {"shop": {"target": "reporting", "outputs": {"reporting": output}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    return folder


def freshness(folder: Path) -> dict[str, dict[str, Any]]:
    """What ``dbt source freshness`` finds of each source, by the last part of its name."""
    (folder / "target" / "sources.json").unlink(missing_ok=True)
    quiet = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_VERSION_CHECK": "false", "DBT_PROFILES_DIR": str(folder)}
    done = subprocess.run(
        [DBT, "source", "freshness"], cwd=folder, env=os.environ | quiet, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    found = folder / "target" / "sources.json"
    assert found.exists(), done.stdout + done.stderr
    results = json.loads(found.read_text())["results"]
    return {one["unique_id"].rpartition(".")[2]: one for one in results}


def test_dbt_tells_as_of_when_each_source_is(databases: Databases, shop: Etl, tmp_path: Path) -> None:
    """A night passes; a table that left TABLES becomes stale, and a table that dbt may not read is an error."""
    folder = project(tmp_path, databases)
    found = freshness(folder)
    assert {name: one["status"] for name, one in found.items()} == {
        "orders": "pass",
        "customers": "pass",
        "orders_as_of": "pass",
    }
    at = databases.reporting.value(
        "SELECT to_char(snapshot_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') FROM etl.runs"
    )
    assert {one["max_loaded_at"][:19] for one in found.values()} == {at}
    databases.reporting.execute("UPDATE etl.runs SET snapshot_at = snapshot_at - interval '3 days'")
    assert shop("run", TABLES="orders").status == 0
    assert {name: one["status"] for name, one in freshness(folder).items()} == {
        "orders": "pass",
        "customers": "error",
        "orders_as_of": "pass",
    }
    databases.reporting.execute(f"REVOKE SELECT ON customers FROM {ANALYST}")
    unread = freshness(folder)["customers"]
    assert (unread["status"], unread["max_loaded_at"][:4]) == ("error", "0001")  # dbt's word for no row
