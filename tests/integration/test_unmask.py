"""A column that was masked last night does not arrive unmasked by mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Databases, Done, Etl
from tests.lambda_runtime import FunctionError, function
from tests.situations import ledger

Run = Callable[..., Done]

CLEAR = "roberta@cleartext.example"

PEOPLE = f"""
    CREATE TABLE people (id int PRIMARY KEY, email text, phone text);
    INSERT INTO people VALUES (1, '{CLEAR}', '0151');
    CREATE TABLE other AS SELECT 1 AS id;
"""

MASKED = '[people.mask]\nemail = "constant:masked"\nphone = "null"\n'

NOW = 'would now arrive in clear; mend the mask, or say in its options that this is meant: unmask = ["email", "phone"]'
SAID = f"etl: public.people: email, phone arrived masked the last time, and {NOW}\n"


@pytest.fixture
def run(etl: Etl, databases: Databases, tmp_path: Path) -> Run:
    """Runs ``etl`` on ``people`` with an options file, after a night on which its columns were masked."""
    databases.operational.execute(PEOPLE)
    file = tmp_path / "options.toml"

    def start(options: str | None, *arguments: str, **variables: str) -> Done:
        file.write_text(options or "")
        given = {} if options is None else {"ETL_OPTIONS_FILE": str(file)}
        return etl(*(arguments or ("run",)), **{"TABLES": "people"} | given | variables)

    assert start(MASKED, ETL_RUN_ID="first").status == 0
    return start


def emails(databases: Databases, table: str = "people") -> list[str]:
    return [email for (email,) in databases.reporting.rows(f"SELECT email FROM {table}")]


LOST = {
    "the options file": None,
    "the section": "",
    "the section, for one of another table": '[other]\nwhere = "true"',
    "the pattern, now narrower": MASKED.replace("[people.mask]", '["o*".mask]')
    .replace("email", "id")
    .split("phone")[0],
    "the masks of a later section": MASKED + '["*"]\nmask = { email = "none", phone = "none" }',
    "the masks, where columns name them": '[people]\ncolumns = ["email", "phone"]',
    "the masks, as the live table is renamed": '[people]\nrename = "reporting.persons"',
}


@pytest.mark.parametrize("lost", LOST)
def test_a_column_that_was_masked_does_not_arrive_in_clear(databases: Databases, run: Run, lost: str) -> None:
    """For each way to lose a mask: no row is read, live tables stay, and the error says how to unmask on purpose."""
    done = run(LOST[lost], ETL_RUN_ID="tonight")
    assert (done.status, done.stderr) == (2, SAID)
    assert "table.loaded" not in done.stdout
    assert emails(databases) == ["masked"]
    assert databases.staging_tables() == []
    assert ledger(databases.reporting) == ("failed", SAID.removeprefix("etl: ").rstrip())


BEFORE = {"check": ("check",), "plan": ("plan", "--shards", "2"), "snapshot": ("snapshot",)}


@pytest.mark.parametrize("command", BEFORE)
def test_what_a_run_would_refuse_is_told_before_it(databases: Databases, run: Run, command: str) -> None:
    """By check and plan, which change nothing, and by snapshot, which ends the run for the shards that wait for it."""
    done = run(None, *BEFORE[command], ETL_RUN_ID="tonight")
    assert (done.status, done.stderr) == (2, SAID)
    tonight = databases.reporting.rows("SELECT status FROM etl.runs WHERE run_id = 'tonight'")
    assert tonight == ([("failed",)] if command == "snapshot" else [])


def test_a_shard_refuses_too(databases: Databases, run: Run) -> None:
    """Also a shard that has other options than the holder."""
    shard = {"ETL_RUN_ID": "tonight", "ETL_SNAPSHOT": "run", "ETL_PUBLISH": "defer", "ETL_SHARD": "0"}
    databases.reporting.execute(
        "INSERT INTO etl.runs (run_id, status, started_at, snapshot_id, snapshot_at)"
        " VALUES ('tonight', 'running', now(), '00000003-0000001B-1', now());"
        "INSERT INTO etl.loads (run_id, table_name, schema_name, relation_name, status)"
        " VALUES ('tonight', 'public.people', 'public', 'people', 'loading')"
    )
    done = run("", **shard)
    assert (done.status, done.stderr) == (2, SAID)


def test_unmask_says_that_it_is_meant_and_may_go_after_a_night(databases: Databases, run: Run) -> None:
    """A mask none alone does not say so; afterwards the column is as any other, in the ledger too."""
    unmasked = MASKED.replace('"null"', '"none"').replace('"constant:masked"', '"none"')
    assert run(unmasked).stderr == SAID
    one = run(f'[people]\nunmask = ["email"]\n{unmasked}')
    assert one.stderr == SAID.replace("email, phone", "phone").replace('"email", "phone"', '"phone"')
    options = f'[people]\nunmask = ["email", "phone"]\n{unmasked}'
    for text in (options, options, unmasked, None):
        assert run(text).stderr == ""
    assert emails(databases) == [CLEAR]
    masked = databases.reporting.rows("SELECT masked FROM etl.loads ORDER BY published_at NULLS FIRST")
    assert [one for (one,) in masked if one is not None] == [["email", "phone"], [], [], [], []]


def test_a_column_that_stayed_away_in_between_is_still_known(databases: Databases, run: Run) -> None:
    """Nights without the column, for whatever reason, do not make etl forget its mask."""
    for _ in range(2):
        assert run('[people]\nexclude = ["email", "phone"]').stderr == ""
    assert run('[people]\ncolumns = ["id", "email"]').stderr == (
        SAID.replace("email, phone", "email").replace('"email", "phone"', '"email"')
    )
    assert run(None).stderr == SAID


def test_another_source_of_the_live_table_is_held_to_its_masks(databases: Databases, run: Run) -> None:
    """A table that was renamed in the source, and arrives where the old one did."""
    databases.operational.execute("ALTER TABLE people RENAME TO persons")
    renamed = '[persons]\nrename = "people"\n'
    done = run(renamed, TABLES="persons")
    assert (done.status, done.stderr) == (2, SAID.replace("public.people", "public.persons"))
    assert run(renamed + 'unmask = ["email", "phone"]', TABLES="persons").stderr == ""
    assert run(renamed, TABLES="persons").stderr == ""
    assert emails(databases) == [CLEAR]


def test_a_view_of_the_table_s_name_is_held_to_its_masks(databases: Databases, run: Run) -> None:
    """It goes by its name, as the options do."""
    databases.operational.execute("ALTER TABLE people RENAME TO hidden; CREATE VIEW people AS SELECT * FROM hidden")
    assert run("").stderr == SAID


def test_what_a_run_failed_to_publish_counts_for_nothing(databases: Databases, run: Run) -> None:
    """Neither a mask nor an unmask of a failed run."""
    meant = '[people]\nunmask = ["email", "phone"]'
    assert run(meant, ETL_PUBLISH="defer", ETL_RUN_ID="tonight").status == 0
    assert run(None, "abort", "tonight").status == 0
    assert run(None).stderr == SAID


def test_what_an_older_version_wrote_does_not_say_and_is_passed_over(databases: Databases, run: Run) -> None:
    """A night of its own between ours makes nothing forgotten; of a ledger that is all its own nothing is known."""
    databases.reporting.execute(
        "INSERT INTO etl.loads (run_id, table_name, schema_name, relation_name, status, published_at)"
        " VALUES ('old', 'public.people', 'public', 'people', 'published', now())"
    )
    assert run(None).stderr == SAID
    databases.reporting.execute("ALTER TABLE etl.loads DROP COLUMN masked")
    assert run(None, "check").status == 0
    assert run(None).stderr == ""


def test_batches_are_held_to_masks_too(databases: Databases, etl: Etl, tmp_path: Path) -> None:
    """To those of a batch as to those of a run; with unmask they go on in clear."""
    databases.operational.execute(PEOPLE + "INSERT INTO people SELECT n, 'x' || n FROM generate_series(2, 9) n")
    (tmp_path / "options.toml").write_text(MASKED)

    def copied(options: str) -> Any:
        (tmp_path / "options.toml").write_text(options)
        return copy.invoke({"table": "people", "limit": 1})

    with function(
        "etl.functions.copy_batch", databases.environment | {"ETL_OPTIONS_FILE": str(tmp_path / "options.toml")}
    ) as copy:
        assert copied(MASKED)["last_id"] == 1
        with pytest.raises(FunctionError) as caught:
            copied("")
        assert f"etl: {caught.value}\n" == SAID
        assert copied('[people]\nunmask = ["email", "phone"]')["last_id"] == 2
        assert copied("")["last_id"] == 3
        assert etl("run", TABLES="people").stderr == ""
        assert copied(MASKED)["last_id"] == 4
        with pytest.raises(FunctionError):
            copied("")
    assert etl("run", TABLES="people").stderr == SAID


def test_a_run_that_an_older_version_staged_is_published_or_aborted(databases: Databases, run: Run) -> None:
    """etl first adds the ledger's missing columns."""
    for command in ("publish", "abort"):
        assert run(MASKED, ETL_PUBLISH="defer", ETL_RUN_ID=command).status == 0
        databases.reporting.execute("ALTER TABLE etl.loads DROP COLUMN masked")
        assert run(MASKED, command, command).stderr == ""


def test_another_job_that_copies_the_table_in_clear_takes_no_mask_from_the_first(
    run: Run, databases: Databases
) -> None:
    """The last masks of the live table itself count, whatever else happened to its source."""
    assert run('[people]\nrename = "open.people"\nmask = { email = "null", phone = "null" }').status == 0
    assert run('[people]\nrename = "safe.people"\nunmask = ["email", "phone"]').status == 0
    slipped = run('[people]\nrename = "open.people"')
    assert slipped.status == 2
    assert "email, phone arrived masked the last time" in slipped.stderr
    assert emails(databases, "open.people") == [None]
