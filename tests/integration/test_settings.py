"""``etl settings`` shows the settings of a command and their sources, and no secret."""

from __future__ import annotations

import json

from tests.harness import Done, Etl

SECRET = "tr0ub4dor&3-tr0ub4dor"
GIVEN = {
    "ETL_OPERATIONAL_URL": f"postgresql://reader:{SECRET.replace('&', '%26')}@shop.example/shop",
    "ETL_REPORTING_URL": "postgresql://writer@reports.example/reports",
    "ETL_REPORTING_PASSWORD": SECRET,
    "ETL_MASK_KEY": SECRET,
    "ETL_JOBS": "8",
    "TABLES": "orders,sales.*",
}


def shown(done: Done) -> dict[str, tuple[str | None, str]]:
    """Each setting's value and where it comes from."""
    assert (done.status, done.stderr) == (0, "")
    return {one["setting"]: (one["value"], one["source"]) for one in json.loads(done.stdout)}


def test_every_setting_is_shown_with_where_it_comes_from() -> None:
    """What is given, and the defaults of the rest; no database is needed."""
    found = shown(Etl(GIVEN)("settings", "--json"))
    assert found["TABLES"] == ("orders,sales.*", "environment")
    assert found["ETL_JOBS"] == ("8", "environment")
    assert found["ETL_PUBLISH_DEADLINE"] == ("600", "default")
    assert found["ETL_SHARD"] == (None, "default")


def test_no_secret_is_shown() -> None:
    """Passwords and keys are starred, as they are and percent-encoded, as JSON and on a terminal."""
    done = Etl(GIVEN)("settings", "--json")
    found = shown(done)
    assert found["ETL_OPERATIONAL_URL"] == ("postgresql://reader:***@shop.example/shop", "environment")
    assert found["ETL_REPORTING_PASSWORD"] == found["ETL_MASK_KEY"] == ("***", "environment")
    for text in (done.stdout, Etl(GIVEN)("settings").stdout):
        assert "tr0ub4dor" not in text


def test_a_setting_that_is_wrong_is_told_as_by_any_command() -> None:
    """Exit status 2, one line that names it."""
    done = Etl({"ETL_JOBS": "many"})("settings")
    assert (done.status, done.stderr) == (2, "etl: ETL_JOBS is 'many'; write a whole number from 1 to 64\n")
