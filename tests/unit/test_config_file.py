"""nightly-etl.toml: where it is found, what it may say, how its mistakes are told, and what wins over it."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.commands.draft import Found as FoundTable
from etl.commands.draft import Side, draft, toml
from etl.model.catalog import Column, SourceTable
from etl.model.errors import ConfigurationError
from etl.model.mask import Mask
from etl.model.name import Relation
from etl.model.selection import Selection
from etl.sessions.url import DatabaseUrl
from etl.settings import config, file
from etl.settings.found import Found
from etl.settings.hidden import hidden
from etl.settings.options import Options
from tests.unit.test_toml import PIECES

ALL = ("operational", "reporting", "tables")

WHOLE = """
tables = ["orders", "sales.*", "!sales.tmp"]
jobs = 8
verify = "checksum"
[operational]
url = "postgresql://reader@one/shop"
password = { environment = "SHOP_PASSWORD" }
[reporting]
url = { environment = "REPORTS" }
[options.defaults]
on_new_column = "fail"
[options."sales.*"]
exclude = ["raw"]
"""

ENVIRONMENT = {"SHOP_PASSWORD": "pa55word", "REPORTS": "postgresql://loader:other@two/reports"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(
    text: str,
    environment: Mapping[str, str] = ENVIRONMENT,
    needs: tuple[str, ...] = ALL,
    store: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> Found:
    """The settings that a nightly-etl.toml of this text gives; ``store`` has the Parameter Store's parameters."""
    Path("nightly-etl.toml").write_text(text)
    name = file.found(environment, None)
    parameters = store or {}
    read = file.read(name, environment, needs, parameters.__getitem__)
    return config.load(
        environment,
        needs,
        lambda path: {name.removeprefix(f"{path}/"): value for name, value in parameters.items()},
        given=given,
        file=read,
    )


def problems(text: str, environment: Mapping[str, str] = ENVIRONMENT, needs: tuple[str, ...] = ()) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(text, environment, needs)
    return caught.value.problems


def shown(found: Found) -> dict[str, tuple[str | None, str]]:
    """Each setting's value and source, as ``etl settings`` shows them."""
    return {one.setting: (one.value, one.source) for one in found.shown()}


@pytest.mark.usefixtures("folder")
def test_one_file_has_all_that_a_run_needs() -> None:
    """Tables, settings, both databases and the options of tables; passwords come from the environment."""
    settings = loaded(WHOLE).settings
    assert settings.selection == Selection.parse("orders,sales.*,!sales.tmp")
    assert (settings.jobs, settings.verify) == (8, "checksum")
    assert (settings.source.password, settings.target.password) == ("pa55word", "other")
    assert settings.options.of(Relation("sales", "invoice")).exclude == ["raw"]
    assert settings.options.of(Relation("public", "orders")).on_new_column == "fail"


@pytest.mark.usefixtures("folder")
def test_settings_says_that_a_value_comes_from_the_file() -> None:
    """With the key, so that a person finds the line; what came by reference is no secret's leak."""
    found = shown(loaded(WHOLE, ENVIRONMENT | {"ETL_JOBS": "2"}, given={"tables": "a"}))
    assert found["ETL_CONFIG"] == ("nightly-etl.toml", "the current folder")
    assert found["TABLES"] == ("a", "command line")
    assert found["ETL_JOBS"] == ("2", "environment")
    assert found["ETL_VERIFY"] == ("checksum", "nightly-etl.toml: verify")
    assert found["ETL_OPERATIONAL_PASSWORD"] == ("***", "nightly-etl.toml: operational.password")
    assert found["ETL_OPTIONS_FILE"] == ("2 sections of [options]", "nightly-etl.toml: options")


@pytest.mark.usefixtures("folder")
def test_the_order_is_environment_file_store() -> None:
    """The path of the parameters may stand in the file; each setting is decided by itself."""
    store = {
        "/etl/jobs": "3",
        "/etl/verify": "none",
        "/etl/readers": "statement",
        "/etl/reporting/url": "postgresql://l@x/y",
    }
    text = 'parameter_path = "/etl"\njobs = 8\nverify = "rows"\n[operational]\nurl = "postgresql://r@one/shop"\n'
    settings = loaded(text, {"ETL_JOBS": "2"}, ("operational", "reporting"), store).settings
    assert (settings.jobs, settings.verify, settings.readers) == (2, "rows", "statement")
    assert settings.target.parameters["host"] == "x"


@pytest.mark.usefixtures("folder")
def test_a_part_of_the_file_does_not_beat_the_environment_s_url() -> None:
    """It only fills in what the URL lacks, as a part in Parameter Store does; and the other way round it wins."""
    text = '[operational]\nhost = "file"\nuser = "file"\n'
    url = {"ETL_OPERATIONAL_URL": "postgresql://environment/shop"}
    parameters = loaded(text, url, ("operational",)).settings.source.parameters
    assert (parameters["host"], parameters["user"]) == ("environment", "file")
    text = '[operational]\nurl = "postgresql://file/shop"\n'
    assert loaded(text, {"ETL_OPERATIONAL_HOST": "e"}, ("operational",)).settings.source.parameters["host"] == "e"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("reference", ['{ parameter = "/prod/password" }', '{ file = "secret" }'])
def test_a_secret_of_the_file_does_not_go_to_a_host_of_the_environment(reference: str) -> None:
    """The environment's URL may lead to another server; the password is not even read, and the log says so."""
    Path("secret").write_text("of production")
    text = f'[reporting]\nurl = "postgresql://l@file/r"\npassword = {reference}\n'
    store = {"/prod/password": "of production"}
    url = {"ETL_REPORTING_URL": "postgresql://l@environment/r"}
    found = loaded(text, url, ("reporting",), store)
    assert found.settings.target.password is None
    assert found.warnings == (
        "nightly-etl.toml: reporting.password is not read, because ETL_REPORTING_URL is in the environment, and may"
        " lead to another server; set ETL_REPORTING_PASSWORD, or write reporting.url = { environment ="
        ' "ETL_REPORTING_URL" } in the file',
    )
    for more in ({"ETL_REPORTING_PASSWORD": "mine"}, {"ETL_REPORTING_URL": "postgresql://l:mine@environment/r"}):
        found = loaded(text, url | more, ("reporting",), store)
        assert (found.settings.target.password, found.warnings) == ("mine", ())
    assert loaded(text, url, (), store).warnings == (), "the command does not use the database"
    (warning,) = loaded(text, {"ETL_REPORTING_HOST": "environment"}, ("reporting",), store).warnings
    assert "ETL_REPORTING_HOST is in the environment" in warning


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("reference", ['{ parameter = "/prod/password" }', '{ file = "secret" }'])
@pytest.mark.parametrize("part", ["url", "host"])
def test_a_file_that_takes_the_host_from_a_variable_sends_its_secret_there(reference: str, part: str) -> None:
    """Whoever writes so means it; a container often has its URL in a variable, and its password in a file."""
    Path("secret").write_text("of the file")
    variable = f"ETL_REPORTING_{part.upper()}"
    text = f'[reporting]\n{part} = {{ environment = "{variable}" }}\nuser = "l"\npassword = {reference}\n'
    environment = {variable: {"url": "postgresql://there/r", "host": "there"}[part], "ETL_REPORTING_DBNAME": "r"}
    found = loaded(text, environment, ("reporting",), {"/prod/password": "of the file"})
    assert (found.settings.target.parameters["host"], found.settings.target.password) == ("there", "of the file")
    assert found.warnings == ()


@pytest.mark.usefixtures("folder")
def test_a_variable_that_the_file_names_goes_with_a_url_of_the_environment() -> None:
    """Both are the environment's."""
    text = '[reporting]\nurl = "postgresql://l@file/r"\npassword = { environment = "REPORTS_PASSWORD" }\n'
    environment = {"ETL_REPORTING_URL": "postgresql://l@environment/r", "REPORTS_PASSWORD": "mine"}
    found = loaded(text, environment, ("reporting",))
    assert (found.settings.target.password, found.warnings) == ("mine", ())


@pytest.mark.usefixtures("folder")
def test_a_value_may_stand_in_a_parameter_or_a_file() -> None:
    """Docker's and Kubernetes' secrets are files; the newline at the end is none of the password's."""
    Path("secret").write_text("from a file\n")
    text = (
        '[operational]\nurl = "postgresql://r@one/shop"\npassword = { file = "secret" }\n'
        '[reporting]\nurl = { parameter = "/elsewhere/url" }\n'
    )
    settings = loaded(text, {}, ("operational", "reporting"), {"/elsewhere/url": "postgresql://l@two/r"}).settings
    assert (settings.source.password, settings.target.parameters["host"]) == ("from a file", "two")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("jbos = 8", "jbos is no setting; did you mean jobs?"),
        ('ETL_VERIFY = "rows"', "ETL_VERIFY is no setting; did you mean verify?"),
        ('operational_url = "x"', "operational_url is no setting; did you mean operational.url?"),
        ("wombat = 1", "wombat is no setting; `etl settings` lists them"),
        ('option = "x"', "option is no setting; did you mean [options.…]?"),
        (
            "[operational]\njobs = 1",
            "operational.jobs is no setting; jobs stands above the first [section] of the file",
        ),
        ("[operational]\nurll = 'x'", "operational.urll is no setting; did you mean operational.url?"),
        ("run_id = 'x'", "run_id is not for a file, because each process has its own; set ETL_RUN_ID"),
        ("jobs = true", "jobs is neither a whole number nor a text in quotes"),
        ("tables = [1]", "tables is neither a list of names nor a text in quotes"),
        ("operational = 'x'", 'operational is no section; write [operational], and below it url = "postgresql://…"'),
        (
            "options = 'x.toml'",
            "options is no section; write [options.orders], and below it the options of the table orders",
        ),
        (
            "[operational]\nurl = { env = 'X' }",
            "operational.url is no reference; write one of"
            ' { environment = "VARIABLE" }, { parameter = "/NAME" }, { file = "NAME" }',
        ),
        ("jobs = { environment = 'NONE' }", "jobs names the variable NONE, which is not set; set it"),
        ("jobs = { file = 'none' }", "jobs names the file 'none', which cannot be read: No such file or directory"),
        ("jobs = 0", "jobs is '0'; write a whole number from 1 to 64"),
        ("tables = []", "tables names no table; write names such as orders,sales.invoice or a pattern such as *"),
        ('after_publish = "dbt \'build"', "after_publish cannot be split into words: no closing quotation; …"),
        (
            'after_publish = "dbt build && notify"',
            "after_publish has & outside quotes, which only a shell understands, and none is started; write"
            " sh -c 'dbt build && …', or put the word in quotes",
        ),
        ('after_publish = "dbt build --target $TARGET"', "after_publish has $ outside quotes, …"),
        (
            'after_publish = "TOKEN=5ecret dbt build"',
            "after_publish begins with the variable TOKEN=, which only a shell sets; set the variable beside it, and"
            " begin with the program",
        ),
        ("jobs = 4.5", "jobs is neither a whole number nor a text in quotes"),
        ('jobs = { file = "a\\u0000b" }', r"jobs names the file 'a\x00b', which cannot be read: embedded null byte"),
        ("[options.orders]\nwhere = ''", "options [orders] where is empty, and would let every row through; …"),
    ],
)
def test_a_mistake_is_told_with_file_key_and_remedy(text: str, problem: str) -> None:
    """One line each; an unknown key is an error, because a setting that does nothing is worse."""
    (said,) = problems(text)
    start = f"nightly-etl.toml: {problem}"
    assert said == start or (start.endswith("…") and said.startswith(start[:-1]))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "command", ["sh -c 'a && b | c > $d'", 'sh -c "echo $ETL_PUBLISHED_RUN; date"', r"dbt build \&", "dbt run -s '1+*'"]
)
def test_what_stands_in_quotes_is_the_programs(command: str) -> None:
    """A shell that the command itself starts understands all that a shell understands."""
    given = {"ETL_AFTER_PUBLISH": command}
    assert loaded("", given, ()).settings.after_publish == tuple(shlex.split(command))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@[::1]:5432/shop",
        "postgresql://u@[fe80::1%25eth0]/shop",
        "postgresql://u:5ecret@one,two:5433/shop?sslmode=require",
        "postgresql://u@%2Frun%2Fpostgresql/shop",
        "postgresql://u%40x@one/a%2Fb?options=-c%20x%3Dy",
    ],
)
def test_the_url_that_init_writes_is_the_one_it_was_given(url: str) -> None:
    """But for the password. An IPv6 address keeps its brackets."""
    given = DatabaseUrl.parse(url)
    text = draft([], [Side("operational", given, None, tokens=False)], None)
    written = DatabaseUrl.parse(tomllib.loads(text)["operational"]["url"])
    assert written.parameters == {key: value for key, value in given.parameters.items() if key != "password"}


@pytest.mark.parametrize("name", ["orders", "defaults", "a*b", "!x", "a.b", 'q"q', " lead", "x\ny", "a]b", "Ünï", "*"])
def test_a_proposed_mask_is_for_its_table_alone(name: str) -> None:
    """Whatever the table is called: also like a pattern, or like the section of all tables."""
    column = 'odd "email"\n*'
    table = SourceTable(Relation("public", name), columns=(Column(column, "text"),))
    text = draft([FoundTable(table)], [], None)
    proposed = text.partition("# All masks: ")[2].partition("\n")[2]
    document = tomllib.loads(re.sub("^# ?", "", proposed, flags=re.MULTILINE))
    options = Options.read(document["options"])
    assert options.of(table.source).mask == {column: Mask("fake-email")}
    assert not options.of(Relation("public", "other")).mask


@pytest.mark.usefixtures("folder")
def test_a_secret_in_clear_is_refused() -> None:
    """A file is committed, copied and mailed: the remedy names the variable; the secret is not quoted."""
    text = (
        'mask_key = "0123456789abcdef"\n[operational]\nurl = "postgresql://r:5ecret@one/shop"\n'
        '[reporting]\npassword = "5ecret"\n'
    )
    said = problems(text)
    assert [one.split(";")[0] for one in said] == [
        "nightly-etl.toml: mask_key is a secret in clear",
        "nightly-etl.toml: operational.url has a password in clear",
        "nightly-etl.toml: reporting.password is a secret in clear",
    ]
    assert "ETL_OPERATIONAL_PASSWORD" in said[1]
    assert "5ecret" not in "".join(said)


@pytest.mark.usefixtures("folder")
def test_a_database_that_a_command_does_not_use_may_lack_its_variable() -> None:
    """`etl history` runs where the source's password is not known; a run does not."""
    history = loaded(WHOLE, {"REPORTS": ENVIRONMENT["REPORTS"]}, ("reporting",)).settings
    assert history.target.password == "other"
    (problem,) = problems(WHOLE, {"REPORTS": ENVIRONMENT["REPORTS"]}, ALL)
    assert (
        problem == "nightly-etl.toml: operational.password names the variable SHOP_PASSWORD, which is not set; set it"
    )


def test_a_file_is_named_by_option_variable_or_the_folder(folder: Path) -> None:
    """In this order; an empty variable counts as not set."""
    assert file.found({}, None) is None
    (folder / "nightly-etl.toml").touch()
    names = [
        file.found({"ETL_CONFIG": "b"}, "a"),
        file.found({"ETL_CONFIG": "b"}, None),
        file.found({"ETL_CONFIG": ""}, None),
    ]
    assert [one.text for one in names if one] == ["a", "b", "nightly-etl.toml"]


@pytest.mark.usefixtures("folder")
def test_a_file_that_cannot_be_read_is_an_error() -> None:
    """Where it was named, also if that was the environment; and what is no TOML, with the line."""
    with pytest.raises(ConfigurationError, match=r"^--config names 'x', which cannot be read: No such file"):
        file.read(file.found({}, "x"), {}, (), str)
    with pytest.raises(ConfigurationError, match=r"^nightly-etl.toml line 1: verify = … has no quotes; write"):
        loaded("verify = rows")
    with pytest.raises(ConfigurationError, match=r"^nightly-etl.toml has brackets within brackets without end; write"):
        loaded(f"tables = {'[' * 100_000}")
    assert loaded("\ufeffjobs = 3", {}, ()).settings.jobs == 3


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("jobs = 1,000", "line 1: jobs = 1,000 has commas in its number; write jobs = 1000"),
        ("jobs = 4\njobs = 5", "line 2: jobs stands on line 1, too; keep one of the two, with all that both say"),
        ("tables:\n  - orders", "line 1: tables: has a colon, as YAML has; write tables = …"),
        ("operational:\n  url: x", "line 1: operational: has a colon, as YAML has; write [operational]"),
        ("tables = orders", 'line 1: tables = … has no quotes; write tables = ["…"]'),
        ('{"tables": ["a"]}', "line 1: is JSON, and the file is TOML; write each setting on a line of its own"),
        ("[options.audit.*]", 'line 1: [options.audit.*] needs quotes around the name; write [options."audit.*"]'),
        ("[options.orders.mask", "line 1: [options.orders.mask has no closing bracket; write [options.orders.mask]"),
        (
            "[options.orders]\nwhere = id > 0",
            'line 2: [options.orders] where = id > 0 has no quotes; write where = "id',
        ),
        ('[operational]\nurl = "postgresql://r:5ecret@one/shop', 'line 2: [operational] url = "… has an opening quote'),
        ("[operational]\npassword = 5ecret", '[operational] password = … has no quotes; write password = "…"'),
        ("[operational]\npassword = 0123456", "line 2: [operational] password = … has no quotes"),
        ('verify = "rows" mask_key = "5ecret"', 'line 1: verify = "…" mask_key = "…" has two options on one line'),
        ('5ecret = "5ecret', 'line 1 is not TOML, "… = \\"…": Unterminated'),
    ],
)
def test_what_is_no_toml_is_told_with_line_and_key_and_without_values(text: str, problem: str) -> None:
    """Any value may have a piece of a password; in the sections of options there is none."""
    (said,) = problems(text)
    assert said.startswith("nightly-etl.toml ")
    assert problem in said
    assert "5ecret" not in said
    assert "0123456" not in said


@given(st.lists(st.sampled_from([*PIECES, "5ecret", "url", "password", "operational", "\n"]), max_size=40).map("".join))
def test_nothing_secret_is_shown_of_what_is_no_toml(text: str) -> None:
    """Whatever stands where, outside the sections of options."""
    assert "5ecret" not in hidden(text)
    assert len(hidden(text).split("\n")) == len(text.split("\n"))


def schema() -> dict[str, Any]:
    """The published JSON Schema."""
    path = Path(__file__).parents[2] / "docs" / "schemas" / "nightly-etl.toml.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_strings_are_written_as_toml() -> None:
    """Every character but those that TOML has no escape for is what it was."""
    import tomllib

    text = "".join(map(chr, range(1, 0x300))) + "\U0001f600"
    assert tomllib.loads(f"x = {toml(text)}") == {"x": text}
