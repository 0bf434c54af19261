"""The command after the publish, where no server is needed: the ledger that cannot be read."""

from __future__ import annotations

import asyncio
import sys

import pytest

from etl.commands.after import after_publish
from etl.model.errors import AfterFailed
from etl.settings import config


def test_a_command_whose_tables_are_not_known_is_told_as_not_started() -> None:
    """The target goes away after the publish: the message says that the run is published, and what is left to do."""
    given = {
        "ETL_REPORTING_URL": "postgresql://loader@127.0.0.1:1/reports",
        "ETL_RUN_ID": "tonight",
        "ETL_AFTER_PUBLISH": f"{sys.executable} -c 'raise SystemExit(3)'",
    }
    settings = config.load(given, ("reporting",), lambda _: {}).settings
    with pytest.raises(AfterFailed) as caught:
        asyncio.run(after_publish(settings, {}))
    said = str(caught.value)
    assert said.startswith(f"run tonight is published, but the command after it, {sys.executable!r} of")
    assert "was not started, because the ledger does not tell the tables: " in said
    assert "nothing listens at 127.0.0.1:1; check" in said
    assert said.endswith("; mend it, and execute the command by hand")
