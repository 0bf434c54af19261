"""Errors are one line without data of the user's rows, and only temporary ones are retried."""

from __future__ import annotations

import asyncpg
import psycopg
import pytest

from etl.model import errors
from etl.model.transient import is_transient


def test_every_error_has_an_exit_status() -> None:
    """Exit status 2 for bad configuration, 1 for all other errors."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EtlError)]
    assert {kind.__name__ for kind in kinds if kind.exit_status == 2} == {"ConfigurationError"}
    assert {kind.exit_status for kind in kinds} == {1, 2}


def test_a_message_of_many_lines_becomes_one() -> None:
    """Messages of drivers contain line breaks and tabs."""
    assert errors.one_line(OSError("connection failed:\n\tIs the server\n running?")) == (
        "connection failed: Is the server running?"
    )
    assert errors.one_line(ValueError()) == "ValueError"


def test_a_servers_detail_is_not_quoted() -> None:
    """The DETAIL of a server's error has the row that caused it."""
    error = asyncpg.UniqueViolationError("duplicate key value")
    error.detail, error.hint = "Key (email)=(a@b) already exists.", "Try another."
    assert errors.one_line(error) == "duplicate key value. Try another."


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (errors.ConnectionFailed("x"), True),
        (psycopg.errors.AdminShutdown("x"), True),
        (psycopg.errors.DeadlockDetected("x"), True),
        (psycopg.OperationalError("the connection is lost"), True),
        (asyncpg.SerializationError("conflict with recovery"), True),
        (asyncpg.ConnectionDoesNotExistError("x"), True),
        (ConnectionResetError("x"), True),
        (TimeoutError("x"), True),
        (asyncpg.InterfaceError("wrong argument"), False),
        (psycopg.errors.UniqueViolation("x"), False),
        (psycopg.errors.DiskFull("x"), False),
        (psycopg.errors.QueryCanceled("x"), False),
        (asyncpg.InsufficientPrivilegeError("x"), False),
        (errors.ConfigurationError("x"), False),
        (ValueError("x"), False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error: Exception, transient: bool) -> None:
    """Lost connections, restarts, deadlocks and recovery conflicts are; errors in data or privileges are not."""
    assert is_transient(error) is transient


@pytest.mark.parametrize("quoted", ['"%s"', "„%s“", "»%s«", "«%s»", "« %s »", "“%s”", "「%s」"])
def test_a_value_is_not_quoted_in_any_languages_quotation_marks(quoted: str) -> None:
    """A server writes its messages in the language of lc_messages, with that language's quotation marks."""
    error = asyncpg.InvalidTextRepresentationError(f"ungültige Eingabe: {quoted.replace('%s', 'a@b.example')}")
    assert "a@b" not in errors.one_line(error)


def test_what_libpq_guesses_is_left_out_where_only_the_fact_is_wanted() -> None:
    """libpq writes its guesses on separate lines, in every language."""
    error = psycopg.OperationalError(
        "Server beendete die Verbindung unerwartet\n\tDas heißt wahrscheinlich, dass der Server abnormal beendete.\n"
    )
    assert errors.one_line(error, whole=False) == "Server beendete die Verbindung unerwartet"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            asyncpg.UntranslatableCharacterError(
                'character with byte sequence 0xe2 0x82 0xac in encoding "UTF8" has no equivalent in encoding "LATIN1"'
            ),
            'character with byte sequence … in encoding "UTF8" has no equivalent in encoding "LATIN1"',
        ),
        (
            asyncpg.CharacterNotInRepertoireError('invalid byte sequence for encoding "UTF8": 0xe9'),
            'invalid byte sequence for encoding "UTF8": …',
        ),
    ],
)
def test_a_value_that_cannot_be_converted_is_not_spelt_out(error: Exception, said: str) -> None:
    """The message has the encodings and not the bytes."""
    assert errors.one_line(error) == said


def server_error(state: str, detail: str, place: str) -> Exception:
    """An error as asyncpg reports it."""
    error = asyncpg.PostgresError("no")
    fields = {"sqlstate": state, "detail": detail, "hint": "Try.", "server_source_filename": place}
    for name, value in fields.items():
        setattr(error, name, value)
    return error


@pytest.mark.parametrize(
    ("state", "place", "said"),
    [
        ("2BP01", "dependency.c", "no: Because. Try."),
        ("42501", "user.c", "no: Because. Try."),
        ("0A000", "tablecmds.c", "no: Because. Try."),
        ("22023", "pg_publication.c", "no: Because. Try."),
        ("42501", "pl_exec.c", "no"),
        ("22023", "guc.c", "no. Try."),
        ("22P02", "json.c", "no. Try."),
        ("23502", "execMain.c", "no. Try."),
        ("23503", "ri_triggers.c", "no. Try."),
        ("23505", "nbtinsert.c", "no. Try."),
        ("23514", "execMain.c", "no. Try."),
        ("23P01", "execIndexing.c", "no. Try."),
        ("44000", "execMain.c", "no. Try."),
        ("XX000", "anything.c", "no. Try."),
    ],
)
def test_a_detail_that_names_objects_is_kept(state: str, place: str, said: str) -> None:
    """One that may have rows is not, nor what a function has raised under any SQLSTATE."""
    assert errors.one_line(server_error(state, "Because.", place)) == said
