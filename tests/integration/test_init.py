"""``etl init`` writes a configuration file from what it finds in the source, and a run works with that file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.harness import CANARY, Databases, Etl

SHOP = """
    CREATE TABLE customers (
        id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, "phoneNumber" varchar(20), date_of_birth date,
        shipping_address text, password_hash text, last_login_ip inet, city text, total numeric
    );
    INSERT INTO customers VALUES
        (1, 'Ada', 'ada@example.com', '+49 30 1234567', '1815-12-10', 'Street 1', 'x', '10.0.0.1', 'London', 3);
    CREATE SCHEMA sales;
    CREATE TABLE sales.invoice (number text, name text); INSERT INTO sales.invoice VALUES ('1', 'bolt');
    CREATE TABLE "odd, ""name"" \x7f" (id int)
"""

PROPOSED = {
    "name": "fake-name",
    "email": "fake-email",
    "phoneNumber": "keep-last-4",
    "date_of_birth": "date-shift:30",
    "shipping_address": "null",
    "password_hash": "null",
    "last_login_ip": "null",
}


@pytest.fixture
def shop(databases: Databases) -> Databases:
    """A source with personal data, a table without a key, and one with an odd name."""
    databases.operational.execute(SHOP)
    return databases


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without_marks(text: str) -> str:
    """The file after somebody has taken the # away before each proposed mask."""
    before, heading, proposals = text.partition("# All masks: ")
    return before + heading + re.sub(r"^# ([\[\w\"].*)$", r"\1", proposals, flags=re.MULTILINE)


def test_the_file_has_what_the_source_has(shop: Databases, etl: Etl, folder: Path) -> None:
    """Tables with their sizes and keys, both databases without a password; and nothing is masked yet."""
    done = etl("init")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == (
        "nightly-etl.toml: 3 tables\n"
        "7 columns look like personal data: read the masks that the file proposes at its end\n"
        "next: etl check\n"
    )
    text = (folder / "nightly-etl.toml").read_text()
    document = tomllib.loads(text)
    assert document["tables"] == ["customers", '"odd, ""name"" \x7f"', "sales.invoice"]
    assert document.keys() == {"tables", "operational", "reporting"}
    assert re.search(r'"customers",  # about [01] rows, 0.0 MB; key: id$', text, re.MULTILINE)
    assert re.search(r'"sales.invoice",  # .*; no primary key, so a night with changes may copy it whole\n', text)


def test_a_run_needs_nothing_but_the_file(shop: Databases, etl: Etl, folder: Path) -> None:
    """With the environment empty, in the folder of the file, and from elsewhere with ``--config``."""
    assert etl("init").status == 0
    alone = Etl()
    assert alone("run").status == 0
    assert shop.reporting.value("SELECT count(*) FROM customers") == 1
    done = alone("check", "--config", str(folder / "nightly-etl.toml"), "customers")
    assert (done.status, done.stderr) == (0, "")
    assert "public.customers: " in done.stdout
    assert "sales.invoice" not in done.stdout


def test_the_proposed_masks_are_valid(shop: Databases, etl: Etl, folder: Path) -> None:
    """Once their # is taken away, a run masks these columns, and the unique index of the e-mails is still there."""
    assert etl("init").status == 0
    file = folder / "nightly-etl.toml"
    file.write_text(without_marks(file.read_text()))
    assert tomllib.loads(file.read_text())["options"]["customers"]["mask"] == PROPOSED
    done = Etl({"ETL_MASK_KEY": "0123456789abcdef"})("run")
    assert (done.status, done.stderr) == (0, "")
    ((name, email, phone, address),) = shop.reporting.rows(
        'SELECT name, email, "phoneNumber", shipping_address FROM customers'
    )
    assert name != "Ada"
    assert email.endswith("@example.com")
    assert email != "ada@example.com"
    assert (phone[-4:], address) == ("4567", None)
    assert shop.reporting.value("SELECT count(*) FROM pg_index WHERE indrelid = 'customers'::regclass") == 2


def test_a_file_that_is_there_is_overwritten_only_by_force(shop: Databases, etl: Etl, folder: Path) -> None:
    """The refusal comes before any connection, and says what to write."""
    file = folder / "nightly-etl.toml"
    file.write_text("# mine\n")
    done = etl("init")
    assert (done.status, done.stderr) == (
        2,
        "etl: nightly-etl.toml exists already, and would be overwritten; write --force if it may, or --output with"
        " another name\n",
    )
    assert file.read_text() == "# mine\n"
    assert etl("init", "--force").status == 0
    assert tomllib.loads(file.read_text())["tables"]
    assert [one.name for one in folder.iterdir()] == ["nightly-etl.toml"]


@pytest.mark.parametrize("output", [".", "", "folder"])
def test_a_folder_is_no_file(shop: Databases, etl: Etl, folder: Path, output: str) -> None:
    """Not even by force; nothing is left of the attempt."""
    (folder / "folder").mkdir()
    done = etl("init", "--force", "--output", output)
    assert (done.status, done.stderr) == (
        2,
        f"etl: {output or '.'} cannot be written: Is a directory; write --output with another name, or --output - to"
        " print it\n",
    )
    assert [one.name for one in folder.iterdir()] == ["folder"]
    assert shop.reporting.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


def test_one_is_said_as_one(databases: Databases, etl: Etl, folder: Path) -> None:
    """One table, one column; the next command names a file that is not the usual one."""
    databases.operational.execute("CREATE TABLE users (id int, email text)")
    done = etl("init", "--output", "shop.toml")
    assert done.stdout == (
        "shop.toml: 1 table\n"
        "1 column looks like personal data: read the masks that the file proposes at its end\n"
        "next: etl check --config shop.toml\n"
    )
    assert (folder / "shop.toml").exists()


def test_a_read_only_container_prints_the_file(shop: Databases, etl: Etl, folder: Path) -> None:
    """``etl init --output - > nightly-etl.toml``: standard output has the file and nothing else."""
    done = etl("init", "--output", "-", "sales.*")
    assert (done.status, done.stderr) == (0, "")
    assert tomllib.loads(done.stdout)["tables"] == ["sales.invoice"]
    assert list(folder.iterdir()) == []


def test_no_password_is_written(shop: Databases, etl: Etl, folder: Path) -> None:
    """The URL's other parts and options are."""
    url = shop.operational.url.replace("postgres@", f"postgres:{quote(CANARY, safe='')}@")
    done = etl("init", ETL_OPERATIONAL_URL=f"{url}?application_name=shop&sslmode=prefer")
    assert (done.status, done.stderr) == (0, "")
    text = (folder / "nightly-etl.toml").read_text()
    assert CANARY not in text
    assert quote(CANARY, safe="") not in text
    written = tomllib.loads(text)["operational"]["url"]
    assert written == f"{shop.operational.url}?application_name=shop&sslmode=prefer"


def test_a_table_that_the_role_may_not_read_is_named_as_such(shop: Databases, etl: Etl, folder: Path) -> None:
    """It stands in a comment, so that the file works; the remedy stands beside it."""
    name = f"reader_of_{shop.operational.name}"
    shop.operational.execute(
        f"CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA public, sales TO {name};"
        f"GRANT SELECT ON customers TO {name}; REVOKE ALL ON sales.invoice FROM PUBLIC"
    )
    try:
        done = etl("init", ETL_OPERATIONAL_URL=shop.operational.server.url(shop.operational.name, name))
        assert (done.status, done.stderr) == (0, "")
        text = (folder / "nightly-etl.toml").read_text()
        assert tomllib.loads(text)["tables"] == ["customers"]
        assert re.search(
            r'# "sales.invoice",  # .*; the source\'s role may not read it; GRANT SELECT to it$', text, re.MULTILINE
        )
    finally:
        shop.operational.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
