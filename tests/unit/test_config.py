"""Settings: where each comes from, which source wins, and how errors in them are reported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from etl.model.errors import ConfigurationError
from etl.model.name import Relation
from etl.model.selection import Selection
from etl.settings import config
from etl.settings.declarations import declared
from etl.settings.settings import Settings, new_run_id

ALL = ("operational", "reporting", "tables")

MINIMUM = {
    "TABLES": "orders",
    "ETL_OPERATIONAL_URL": "postgresql://etl@one/shop",
    "ETL_REPORTING_URL": "postgresql://etl@two/reports",
}


def loaded(
    environment: Mapping[str, str],
    store: Mapping[str, str] | None = None,
    needs: tuple[str, ...] = ALL,
    given: Mapping[str, str] | None = None,
) -> tuple[Settings, list[str]]:
    """The result of ``config.load``; ``store`` has the parameters under /etl in the Parameter Store."""

    def read(path: str) -> Mapping[str, str]:
        assert path == "/etl"
        assert store is not None
        return store

    found = config.load(environment, needs, read, given=given)
    return found.settings, list(found.warnings)


def problems(environment: Mapping[str, str], store: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(environment, store)
    return caught.value.problems


def test_defaults_are_those_of_the_contract() -> None:
    """By default: 4 jobs, one publish a run, a snapshot of its own, rows verified, JSON at level info."""
    settings, warnings = loaded(MINIMUM)
    said = settings.model_dump(include={"jobs", "publish", "snapshot", "verify", "log_format", "log_level"})
    assert list(said.values()) == [4, "run", "own", "rows", "json", "info"]
    assert settings.selection == Selection.parse("orders")
    assert warnings == []


def test_environment_beats_store_beats_default() -> None:
    """This holds for each setting separately."""
    store = {"tables": "customers", "jobs": "8", "verify": "none", "operational/url": "postgresql://etl@three/shop"}
    settings, _ = loaded(MINIMUM | {"ETL_PARAMETER_PATH": "/etl/", "ETL_JOBS": "2"}, store)
    assert (settings.jobs, settings.verify, settings.publish) == (2, "none", "run")
    assert settings.selection == Selection.parse("orders")
    assert settings.source.parameters["host"] == "one"


def test_the_store_is_not_asked_without_a_path() -> None:
    """Without a path, boto3 is not imported and the network not used."""
    settings, _ = loaded(MINIMUM | {"ETL_PARAMETER_PATH": ""})
    assert settings.jobs == 4


def test_a_variable_that_is_empty_is_not_set() -> None:
    """Compose files and task definitions set variables to the empty string when they have no value."""
    settings, _ = loaded(MINIMUM | {"ETL_PARAMETER_PATH": "/etl", "ETL_JOBS": ""}, {"jobs": "8"})
    assert settings.jobs == 8


def test_an_empty_list_of_tables_is_not_the_store_s() -> None:
    """The list was probably lost by mistake; to copy the store's tables instead would be a guess."""
    (problem,) = problems(MINIMUM | {"ETL_PARAMETER_PATH": "/etl", "TABLES": ""}, {"tables": "*"})
    assert problem.startswith("TABLES names no table; ")


def test_the_newline_at_a_value_s_end_is_not_part_of_it() -> None:
    """Files and shells add a newline; but a password keeps it."""
    store = {"operational/url": "postgresql://etl@one/shop\n", "jobs": "8\n", "operational/password": " x\n"}
    settings, _ = loaded({"ETL_PARAMETER_PATH": "/etl", "TABLES": "a", "ETL_REPORTING_URL": "postgresql:///x"}, store)
    assert (settings.source.parameters["dbname"], settings.jobs, settings.source.password) == ("shop", 8, " x\n")


def test_a_part_beats_the_url_that_stands_beside_it() -> None:
    """In the environment and in the store, so that a password can be kept apart from the URL."""
    store = {"operational/url": "postgresql://etl:old@one/shop", "operational/password": "new"}
    environment = {"ETL_PARAMETER_PATH": "/etl", "TABLES": "a", "ETL_REPORTING_URL": MINIMUM["ETL_REPORTING_URL"]}
    settings, _ = loaded(environment | {"ETL_REPORTING_PASSWORD": "p", "ETL_REPORTING_HOST": "local"}, store)
    assert (settings.source.password, settings.source.parameters["host"]) == ("new", "one")
    assert (settings.target.password, settings.target.parameters["host"]) == ("p", "local")


def test_a_part_from_the_store_does_not_beat_the_environment_s_url() -> None:
    """The part only fills in what the URL lacks."""
    store = {"operational/host": "production", "operational/password": "secret"}
    settings, _ = loaded(MINIMUM | {"ETL_PARAMETER_PATH": "/etl"}, store)
    assert (settings.source.parameters["host"], settings.source.password) == ("one", "secret")


def test_the_command_line_beats_all() -> None:
    """A run id on the command line wins; the error about a bad one says that it stood there."""
    reporting = {"ETL_REPORTING_URL": MINIMUM["ETL_REPORTING_URL"], "ETL_RUN_ID": "a"}
    settings, _ = loaded(reporting, needs=("reporting", "run_id"), given={"run_id": "b"})
    assert settings.run_id == "b"
    with pytest.raises(ConfigurationError, match=r"^RUN_ID on the command line is 'a b'; write 1 to 100 letters"):
        loaded(reporting, needs=("reporting", "run_id"), given={"run_id": "a b"})


def test_all_problems_are_told_at_once() -> None:
    """Each error names its setting, and where the value came from."""
    store = {"verify": "md5", "operational/url": "postgresql://one"}
    environment = {"ETL_PARAMETER_PATH": "/etl", "ETL_JOBS": "0", "ETL_RUN_ID": "a b", "TABLES": "a.b.c"}
    assert [problem.split(";")[0] for problem in problems(environment, store)] == [
        "/etl/operational/url names no database",
        "ETL_REPORTING_URL is not set",
        "TABLES has 'a.b.c', of 3 parts",
        "ETL_RUN_ID is 'a b'",
        "ETL_JOBS is '0'",
        "/etl/verify is 'md5'",
    ]


def test_the_part_at_fault_is_named() -> None:
    """The error names the part, not the URL; a database that no part names counts as not set."""
    assert problems(MINIMUM | {"ETL_REPORTING_PORT": "x"}) == (
        "ETL_REPORTING_PORT has a port that is no number from 1 to 65535; write PostgreSQL's, mostly 5432",
    )
    no_url = {name: value for name, value in MINIMUM.items() if name != "ETL_REPORTING_URL"}
    assert problems(no_url | {"ETL_REPORTING_HOST": "two"}) == (
        "ETL_REPORTING_DBNAME is not set; set it, or reporting.dbname in nightly-etl.toml, or the parameter"
        " reporting/dbname under ETL_PARAMETER_PATH",
    )


@pytest.mark.parametrize("path", ["nightly-etl/prod", "/", "//prod", "/a b", "/prod/*", "arn:aws:ssm:x", "/a" * 16])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    """etl checks the path before it asks the store."""
    assert problems({"ETL_PARAMETER_PATH": path}) == (
        f"ETL_PARAMETER_PATH is {path!r}; write a path such as /nightly-etl/prod",
    )


SLIPS = {
    "ETL_OPTION_FILE": "ETL_OPTIONS_FILE",
    "ETL_OPTIONSFILE": "ETL_OPTIONS_FILE",
    "ETL_OPTIONS": "ETL_OPTIONS_FILE",
    "ELT_OPTIONS_FILE": "ETL_OPTIONS_FILE",
    "etl_options_file": "ETL_OPTIONS_FILE",
    "ETL_MASKKEY": "ETL_MASK_KEY",
    "ETL_REPORTING_ULR": "ETL_REPORTING_URL",
    "ETL_JOBBS": "ETL_JOBS",
    "ETL_SOURCE_URL": "ETL_OPERATIONAL_URL",
    "ETL_TARGET_PASWORD": "ETL_REPORTING_PASSWORD",
    "ETL_PARAMETERS_PATH": "ETL_PARAMETER_PATH",
    "ETL_TABLES": "TABLES",
    "TABLE": "TABLES",
    "TABEL": "TABLES",
    "TABLSE": "TABLES",
    "TABLESS": "TABLES",
}


@pytest.mark.parametrize("name", SLIPS)
@pytest.mark.parametrize("needs", [ALL, ("reporting",)], ids=["run", "history"])
def test_a_variable_that_is_nearly_a_setting_is_refused(name: str, needs: tuple[str, ...]) -> None:
    """Every command refuses it, even when it is empty: an ignored misspelt setting could leave data unmasked."""
    for text in ("x", ""):
        with pytest.raises(ConfigurationError) as caught:
            loaded(MINIMUM | {name: text}, needs=needs)
        assert caught.value.problems == (f"{name} is no setting; did you mean {SLIPS[name]}?",)


def test_a_number_that_was_meant_for_jobs_is_no_job() -> None:
    """ETL_JOB is a name. A number without a path, where a job's settings are, was meant for ETL_JOBS."""
    assert problems(MINIMUM | {"ETL_JOB": "8"}) == (
        "ETL_JOB is 8, the name of a job, and ETL_PARAMETER_PATH, where a job's settings are, is not set; did you mean"
        " ETL_JOBS?",
    )
    assert loaded(MINIMUM | {"ETL_JOB": "8", "ETL_PARAMETER_PATH": "/etl"}, {})[0].job == "8"
    assert loaded(MINIMUM | {"ETL_JOB": "acme"})[0].job == "acme"


@pytest.mark.parametrize("name", ["", " ", "-acme", "a b", "a/b", "acme.eu", "a" * 64, "größe"])
def test_a_job_s_name_is_short_and_plain(name: str) -> None:
    """It is a part of an execution's name, and a dimension of metrics. An empty variable counts as not set."""
    if name == "":
        assert loaded(MINIMUM | {"ETL_JOB": name})[0].job is None
    else:
        (problem,) = problems(MINIMUM | {"ETL_JOB": name})
        assert "write 1 to 63 letters, digits, _ and -, beginning with a letter or a digit" in problem


@pytest.mark.parametrize("name", ["pages", "nightly-etl-reports-20261128", "my.pages", "a.b", "1" * 63, "1.2.3"])
def test_a_bucket_for_pages_is_named(name: str) -> None:
    """By its name alone."""
    assert loaded(MINIMUM | {"ETL_REPORT_BUCKET": name})[0].report_bucket == name


@pytest.mark.parametrize(
    "name",
    [
        "s3://pages",
        "pages/nights",
        "Pages",
        "my_pages",
        "ab",
        "a" * 64,
        "-pages",
        "pages.",
        "a..b",
        "10.0.0.1",
        "größe",
    ],
)
def test_what_is_no_bucket_s_name_is_refused(name: str) -> None:
    """An address or an ARN, capital letters, an IP address."""
    assert problems(MINIMUM | {"ETL_REPORT_BUCKET": name}) == (
        f"ETL_REPORT_BUCKET is {name!r}; write the bucket's name alone, 3 to 63 lower-case letters, digits, . and -,"
        " such as nightly-etl-reports",
    )


def test_a_dimension_of_jobs_needs_a_job() -> None:
    """CloudWatch refuses a line that names a dimension and has no value for it."""
    dimensions = {"ETL_METRICS_DIMENSIONS": "table, job"}
    said = "ETL_METRICS_DIMENSIONS has job, and ETL_JOB is not set; set it, or take job out"
    assert problems(MINIMUM | dimensions) == (said,)
    assert loaded(MINIMUM | dimensions | {"ETL_JOB": "acme"})[0].metrics_dimensions == {"table": None, "job": None}


def test_slips_are_told_with_all_other_problems() -> None:
    """Both misspelt variables and misspelt parameters, which the error names with their path."""
    store = {"operational/pasword": "x", "table": "y", "log_level": "info", "ETL_VERIFY": "none", "slack/webhook": "z"}
    slips = {"ETL_PARAMETER_PATH": "/etl", "ETL_JOBBS": "3", "ETL_VERIFY": "all", "TABEL": "x"}
    assert problems(MINIMUM | slips, store) == (
        "ETL_VERIFY is 'all'; write one of rows, checksum, none",
        "ETL_JOBBS is no setting; did you mean ETL_JOBS?",
        "TABEL is no setting; did you mean TABLES?",
        "/etl/ETL_VERIFY is no setting; did you mean /etl/verify?",
        "/etl/log_level is no setting; did you mean the variable ETL_LOG_LEVEL?",
        "/etl/operational/pasword is no setting; did you mean /etl/operational/password?",
        "/etl/table is no setting; did you mean /etl/tables?",
    )


def test_other_variables_that_begin_like_ours_are_warned_of() -> None:
    """etl logs their names; variables that the environment of the program sets, or with other prefixes, are ignored."""
    others = ("ETL_COMMAND", "TABLET", "TABLEAU", "STABLE", "TABLE_NAME", "tables", "JOBS", "AWS_REGION")
    _, warnings = loaded(MINIMUM | dict.fromkeys(others, "x") | {"ETL_SLACK": "x", "ETL_HOME": "/"})
    assert warnings == [
        f"{name} is no setting, and does nothing; take it out, or mend its name" for name in ("ETL_HOME", "ETL_SLACK")
    ]


def test_no_setting_is_taken_for_a_slip_of_another() -> None:
    """All settings at once cause no error, and neither do other parameters in the store."""
    rest = {variable: "" for variable in (one.variable for one in declared().values()) if variable not in MINIMUM}
    assert loaded(MINIMUM | rest)[1] == []
    beside = {"slack/webhook": "x", "operational/arn": "x", "a/b": "x", "backup": "x"}
    assert loaded(MINIMUM | {"ETL_PARAMETER_PATH": "/etl"}, beside)[1] == []


def test_a_variable_that_is_not_set_is_looked_for_without_its_prefix() -> None:
    """Other programs have such variables, too, so that it counts only where the right one is missing."""
    without = {name: text for name, text in MINIMUM.items() if name != "ETL_OPERATIONAL_URL"}
    assert problems(without | {"OPERATIONAL_URL": "x"}) == (
        "ETL_OPERATIONAL_URL is not set, but OPERATIONAL_URL is; did you mean ETL_OPERATIONAL_URL?",
    )
    assert loaded(MINIMUM | {"OPERATIONAL_URL": "x"})[1] == []


def test_tables_come_from_a_file(tmp_path: Path) -> None:
    """By a relative path or an absolute one; with a name on each line, or with commas, or as JSON; messages name it."""
    file = tmp_path / "tables.txt"
    for text in ("# shop\norders\n\n sales.invoice,\n", "orders,sales.invoice", '["orders", "sales.invoice"]'):
        file.write_text(text)
        for path in (file, os.path.relpath(file)):
            settings, _ = loaded(MINIMUM | {"TABLES": f"@{path}"})
            assert settings.selection.patterns == Selection.parse("orders,sales.invoice").patterns
            assert settings.selection.origin == f"TABLES ({path})"


def test_a_parameter_names_no_file(tmp_path: Path) -> None:
    """Who writes a job's parameters would have the runner's files shown in an error: its credentials are in one."""
    environment = {name: text for name, text in MINIMUM.items() if name != "TABLES"} | {"ETL_PARAMETER_PATH": "/etl"}
    for file in ("/proc/self/environ", str(tmp_path), ""):
        assert problems(environment, {"tables": f"@{file}"}) == (
            "/etl/tables names a file, which a parameter may not; write the tables' names themselves",
        )


def test_quotes_that_an_env_file_keeps_are_named_with_all_other_problems() -> None:
    """A value is read without them, so that its own problems are told, too; a password or a key may have quotes."""
    assert problems(MINIMUM | {"ETL_JOBS": "'99'", "ETL_PUBLISH": '"run"', "TABLES": "'orders'"}) == (
        "ETL_JOBS is '99', in quotes, which `docker --env-file` keeps; take them out",
        'ETL_PUBLISH is "run", in quotes, which `docker --env-file` keeps; take them out',
        "TABLES stands in quotes, which `docker --env-file` keeps; take them out: orders",
        "ETL_JOBS is '99'; write a whole number from 1 to 64",
    )
    settings, _ = loaded(MINIMUM | {"ETL_REPORTING_PASSWORD": "'x'", "ETL_MASK_KEY": '"0123456789abcdef"'})
    assert settings.target.password == "'x'"


def test_options_come_from_a_file_or_from_the_store(tmp_path: Path) -> None:
    """The environment has the name of a file; the parameter has the text itself."""
    file = tmp_path / "options.toml"
    file.write_text('[defaults]\nwhere = "true"\n')
    from_file, _ = loaded(MINIMUM | {"ETL_OPTIONS_FILE": str(file)})
    from_store, _ = loaded(MINIMUM | {"ETL_PARAMETER_PATH": "/etl"}, {"options": file.read_text()})
    assert from_file.options == from_store.options
    assert from_file.options.defaults.where == "true"


def test_secrets_are_known_as_they_are_and_encoded_the_longest_first() -> None:
    """So a secret that contains another one is redacted as a whole."""
    settings, _ = loaded(MINIMUM | {"ETL_OPERATIONAL_PASSWORD": "a/b", "ETL_REPORTING_PASSWORD": "a/b c"})
    assert sorted(settings.secrets) == ["a%2Fb", "a%2Fb%20c", "a/b", "a/b c"]
    assert [len(secret) for secret in settings.secrets] == [9, 5, 5, 3]
    assert settings.redact("a/b c and a%2Fb") == "*** and ***"


def test_settings_never_show_a_password() -> None:
    """Neither str() and repr() nor a dump of the model has it."""
    settings, _ = loaded(MINIMUM | {"ETL_OPERATIONAL_PASSWORD": "s3cr3t"})
    for shown in (str(settings), repr(settings), str(settings.model_dump())):
        assert "s3cr3t" not in shown


def test_settings_are_frozen() -> None:
    """Nothing can change validated settings."""
    settings, _ = loaded(MINIMUM)
    with pytest.raises(ValueError, match="frozen"):
        settings.jobs = 5


def test_made_up_run_ids_differ_and_are_valid() -> None:
    """Two runs that start in one second have different ids."""
    assert new_run_id() != new_run_id()
    assert loaded(MINIMUM | {"ETL_RUN_ID": new_run_id()})


KEYED = '[orders]\nmask = {email = "hmac"}'
KEY = "a key that nobody may see"


def test_masks_that_need_a_key_are_refused_without_one() -> None:
    """Only commands that read the source need the key; the others compute no masks."""
    environment = MINIMUM | {"ETL_PARAMETER_PATH": "/etl"}
    assert problems(environment, {"options": KEYED}) == (
        "/etl/options has masks that need a key; ETL_MASK_KEY is not set; set it, or the parameter mask_key under"
        " ETL_PARAMETER_PATH",
    )
    assert loaded(environment, {"options": KEYED}, ("reporting",))[0].mask_key is None
    assert loaded(environment, {"options": KEYED.replace("hmac", "null")})[0].mask_key is None


def test_a_short_key_is_refused_and_not_quoted() -> None:
    """An attacker could find a short key by trying all values."""
    assert problems(MINIMUM | {"ETL_MASK_KEY": "s3cr3t"}) == (
        "ETL_MASK_KEY is shorter than 16 characters; make one with `openssl rand -hex 32`",
    )


def test_the_mask_key_is_a_secret_as_it_is_and_as_sessions_get_it() -> None:
    """No text of the settings and no log line has it."""
    settings, _ = loaded(MINIMUM | {"ETL_PARAMETER_PATH": "/etl"}, {"options": KEYED, "mask_key": KEY + "\n"})
    session = settings.source.session
    assert len(session) == 2
    assert settings.redact(f"{KEY} {' '.join(session.values())}") == "*** *** ***"
    shown = f"{settings} {settings!r} {settings.model_dump_json()} {settings.source!r}"
    assert not [secret for secret in (KEY, *session.values()) if secret in shown]


def test_sessions_get_a_key_only_where_a_mask_needs_it() -> None:
    """A pooler may refuse settings that it does not know."""
    settings, _ = loaded(MINIMUM | {"ETL_MASK_KEY": KEY})
    assert settings.source.session == {}


def test_tables_that_would_arrive_as_one_are_told_before_the_first_connection() -> None:
    """At least if TABLES names them one by one."""
    environment = MINIMUM | {"TABLES": "orders,old.orders", "ETL_PARAMETER_PATH": "/etl"}
    assert problems(environment, {"options": '["old.*"]\nrename = "public.*"'}) == (
        "/etl/options: public.orders and old.orders would both arrive as public.orders; rename one of them",
    )


CONTRADICTIONS = {
    "a table in place, all by swap": (
        {"ETL_PUBLISH_WAY": "swap"},
        '["sales.*"]\npublish = "in-place"',
        "ETL_PUBLISH_WAY is swap, and the option publish of [sales.*] says otherwise; take one of the two out",
    ),
    "a table by swap, all merged": (
        {"ETL_PUBLISH_WAY": "merge"},
        '[defaults]\npublish = "swap"\n[orders]\npublish = "swap"',
        "ETL_PUBLISH_WAY is merge, and the option publish of [defaults], [orders] says otherwise;"
        " take one of the two out",
    ),
    "a delta is a must, all by swap": (
        {"ETL_PUBLISH_WAY": "swap", "ETL_LOAD": "delta"},
        "",
        "ETL_PUBLISH_WAY is swap, which loads changed tables whole, and load is delta; write auto for one of the two",
    ),
    "a table's delta is a must, all by swap": (
        {"ETL_PUBLISH_WAY": "swap"},
        '[orders]\nload = "delta"',
        "ETL_PUBLISH_WAY is swap, which loads changed tables whole, and load is delta; write auto for one of the two",
    ),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_a_way_for_the_whole_run_that_an_option_does_not_follow_is_refused(what: str) -> None:
    """Otherwise a table would break what the way promises for the run."""
    given, options, said = CONTRADICTIONS[what]
    assert problems(MINIMUM | given | {"ETL_PARAMETER_PATH": "/etl"}, {"options": options}) == (said,)


def test_the_way_merge_publishes_each_table_in_place() -> None:
    """Also one without a section of its own."""
    given = MINIMUM | {"ETL_PUBLISH_WAY": "merge", "ETL_PARAMETER_PATH": "/etl"}
    settings, _ = loaded(given, {"options": '[orders]\nverify = "none"'})
    ways = [settings.options.of(Relation("public", name)).publish for name in ("orders", "others")]
    assert ways == ["in-place", "in-place"]


def test_a_setting_is_declared_once() -> None:
    """A field without a declaration would be silently ignored, and two declarations may not share a name."""
    named = [one.variable for one in declared().values()]
    parameters = [one.parameter for one in declared().values() if one.parameter]
    assert len(set(named)) == len(named)
    assert len(set(parameters)) == len(parameters)
    assert set(Settings.model_fields) <= {name.partition("/")[0] for name in declared()}
    for name, one in declared().items():
        if one.parameter and "/" not in name:
            assert name == one.parameter, "the field and the parameter agree"


def test_what_was_given_is_shown_with_its_place() -> None:
    """The environment wins over the store; `etl settings` names where in the store, and marks defaults."""
    found = config.load(
        MINIMUM | {"ETL_PARAMETER_PATH": "/etl/prod", "ETL_VERIFY": "none"},
        (),
        lambda _path: {"jobs": "8", "verify": "checksum", "mask_key": "0123456789abcdef"},
    )
    shown = {one.setting: (one.value, one.source) for one in found.shown()}
    assert shown["ETL_VERIFY"] == ("none", "environment")
    assert shown["ETL_JOBS"] == ("8", "/etl/prod/jobs")
    assert shown["ETL_MASK_KEY"] == ("***", "/etl/prod/mask_key")
    assert shown["ETL_PARAMETER_PATH"] == ("/etl/prod", "environment")
    assert shown["ETL_PUBLISH"] == ("run", "default")
