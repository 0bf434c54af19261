"""Importing etl does not change the importing program: only the entry points change state of the whole process."""

from __future__ import annotations

import json
import subprocess
import sys

from etl.settings import config

LOOK = """
import importlib, json, logging, pkgutil, signal, sys, warnings
import asyncpg, asyncpg.protocol, psycopg, structlog

def look():
    root = logging.getLogger()
    return {
        "asyncpg": repr(asyncpg.protocol.Protocol),
        "handlers": repr(root.handlers),
        "level": root.level,
        "structlog": repr(structlog.get_config()) + repr(structlog.is_configured()),
        "context": repr(structlog.contextvars.get_contextvars()),
        "signals": [repr(signal.getsignal(one)) for one in (signal.SIGTERM, signal.SIGINT)],
        "hooks": repr((sys.excepthook, sys.stdout, sys.stderr)),
    }

before = look()
import etl
names = [one.name for one in pkgutil.walk_packages(etl.__path__, "etl.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"before": before, "after": look(), "modules": len(names)}))
"""


def test_importing_every_module_changes_nothing_of_the_process() -> None:
    """asyncpg's protocol class, logging, structlog and signal handlers stay as they were."""
    done = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True)
    seen = json.loads(done.stdout)
    assert seen["modules"] > 60
    assert seen["after"] == seen["before"]


def test_settings_of_two_runs_in_one_process_redact_each_its_own() -> None:
    """The password of one tenant is not a secret of the other, and etl forgets neither."""
    first, second = (
        config.load({"ETL_REPORTING_URL": f"postgresql://u:{password}@h/d"}, ["reporting"], lambda _: {}).settings
        for password in ("swordfish", "hunter22")
    )
    said = "swordfish and hunter22"
    assert (first.redact(said), second.redact(said)) == ("*** and hunter22", "swordfish and ***")
