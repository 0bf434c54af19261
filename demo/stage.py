"""The demo's environment: two servers, a shop in one of them, and a Parameter Store with the URLs of both."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from demo import parameters
from servers.postgres import FAST, Server

TABLES = "customers,products,orders,order_lines,payments,events"
PARAMETER_PATH = "/nightly-etl/demo"

_FOLDER = Path(__file__).parent

# The loader's role may read everything in the source, and create schemas and tables in the target.
_OPERATIONAL = "CREATE ROLE nightly_etl LOGIN IN ROLE pg_read_all_data; CREATE DATABASE shop"
_REPORTING = "CREATE ROLE nightly_etl LOGIN; CREATE ROLE analyst LOGIN; CREATE DATABASE reporting OWNER nightly_etl"
# Readers get the privilege once, here; each publish keeps it.
_ANALYSTS = "ALTER DEFAULT PRIVILEGES FOR ROLE nightly_etl IN SCHEMA public GRANT SELECT ON TABLES TO analyst"

# settings for servers that live for half a minute and whose data may be lost
_SETTINGS = FAST | {"wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off"}


@dataclass(frozen=True, slots=True)
class Stage:
    """Both running servers, and the store's URL."""

    operational: Server
    reporting: Server
    store: str

    @classmethod
    def build(cls, stack: ExitStack) -> Stage:
        """Starts everything, with empty databases, and sets this process's environment to the container's.

        The stack stops and deletes all of it.
        """
        _isolate()
        servers = []
        for _ in range(2):
            servers.append(Server.start(settings=_SETTINGS))
            stack.callback(servers[-1].remove)
        operational, reporting = servers
        operational.psql(_OPERATIONAL)
        reporting.psql(_REPORTING)
        reporting.psql(_ANALYSTS, "reporting")
        stage = cls(operational, reporting, stack.enter_context(parameters.parameter_store()))
        os.environ.update(stage.environment)
        return stage

    @property
    def operational_url(self) -> str:
        """The shop's database, with its owner's role."""
        return self.operational.url("shop")

    @property
    def reporting_url(self) -> str:
        """The reporting database, with the readers' role."""
        return self.reporting.url("reporting", "analyst")

    @property
    def environment(self) -> dict[str, str]:
        """The container's environment: the tables, the path of its parameters, and AWS's variables for a task."""
        return {
            "TABLES": TABLES,
            "ETL_PARAMETER_PATH": PARAMETER_PATH,
            "AWS_ENDPOINT_URL": self.store,
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
        }

    def store_urls(self) -> None:
        """Stores both URLs as SecureStrings, as a shop's administrator would."""
        urls = {
            "operational/url": self.operational.url("shop", "nightly_etl"),
            "reporting/url": self.reporting.url("reporting", "nightly_etl"),
        }
        parameters.put(PARAMETER_PATH, urls)

    def fill(self, rows: int) -> None:
        """Creates the shop's data, of about this many rows."""
        self.operational.psql((_FOLDER / "shop.sql").read_text(), "shop", "-v", f"rows={rows}")

    def change(self) -> None:
        """Makes the changes of a new day in the shop."""
        self.operational.psql((_FOLDER / "today.sql").read_text(), "shop")


def _isolate() -> None:
    """Removes variables from the environment that a developer's shell has and a container does not."""
    for name in [name for name in os.environ if name.startswith(("ETL_", "AWS_", "PG", "TABLES"))]:
        del os.environ[name]
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    os.environ.update(nothing | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"})
