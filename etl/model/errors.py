"""The errors that a user sees.

The tree::

    EtlError                     exit 1   a copy, or its publish, failed
    ├── ConfigurationError       exit 2   a setting, an option or a table's name is wrong
    ├── ConnectionFailed                  a database cannot be reached, or went away for good
    ├── SnapshotLost                      the session that held the run's snapshot is gone
    ├── TableLocked                       another run is loading the same table
    ├── LedgerInUse                       sessions use the ledger, which needs further columns
    ├── RunEnded                          the run was aborted or failed while this process worked on it
    ├── LoadFailed                        one table's load failed
    │   ├── Unclassified                  the options do not name a column, and on_new_column is fail
    │   ├── IndexUnbuildable              an index that the target cannot build
    │   ├── CheckUnbuildable              a check that the target cannot make
    │   ├── RowsDiffer                    the target has received fewer or more rows than the source has sent
    │   └── ChecksumDiffers               the staged rows and the source's rows have different checksums
    ├── RunFailed                         at least one load of the run failed
    ├── NotAllowed                        the source's role may not read a table
    ├── Obstructed                        the target lacks what a load or the publish would need
    ├── TablesDiffer                      ``etl verify`` found a difference
    ├── CheckFailed                       ``etl check`` found a reason why a run would fail
    ├── NotValidated                      the run is published, but a foreign key could not be validated
    ├── AfterFailed                       the run is published, but the command after the publish failed
    └── PublishFailed                     the staging tables could not become live
        ├── RunStopped                    tables have lost too many rows, or have fewer than ``rows_min``
        ├── CannotCarry                   an attachment of the live table cannot be reattached to the new table
        ├── CannotReplace                 an object on the live table forbids to replace its rows in place
        ├── PublishInDoubt                the connection was lost during the commit
        ├── PublishBlocked                other sessions held the live tables until the deadline
        └── LiveChanged                   other sessions kept changing the live tables or their attachments

Each message is one line, or several problems with a line each: it names the object, the fault and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

import asyncpg
import psycopg

from etl.model.name import TargetName


class EtlError(Exception):
    """An error that a user sees without a traceback.

    ``problems`` holds all problems, one line each, so that the user can correct all of them at once; ``str()`` joins
    them to one line, for the ledger and the log.
    """

    exit_status = 1

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(self.problems))


class ConfigurationError(EtlError):
    """Settings, options or table names that cannot be used, or an id of a run that is not there."""

    exit_status = 2


def refuse_unknown(run_id: str) -> NoReturn:
    """Raises ConfigurationError, because the ledger has no such run."""
    raise ConfigurationError(f"run {run_id} is not in the ledger; `etl history` lists the runs there are")


def refuse_empty(job: str | None) -> NoReturn:
    """Raises ConfigurationError, because the ledger has no run, or none of the job."""
    of_job = f" of job {job}" if job else ""
    raise ConfigurationError(f"the ledger has no run{of_job} yet; start one: `etl run`")


class NotAllowed(EtlError):
    """A role lacks privileges that the work needs; each line has the GRANT to give."""


class ConnectionFailed(EtlError):
    """A database that cannot be reached, or whose connection was lost and could not be opened again."""


class SnapshotLost(EtlError):
    """The session that held the run's snapshot has ended, and the snapshot with it."""


class TableLocked(EtlError):
    """Another run is loading a table that this run is to load."""


class LedgerInUse(EtlError):
    """Other sessions use the tables of the ledger, which an older version has made and this one has to change."""


class RunEnded(EtlError):
    """The run has ended, by ``etl abort`` or otherwise, before or while this process worked on it."""


class LoadFailed(EtlError):
    """One table's load failed."""


class Unclassified(LoadFailed):
    """A table has a column that its options do not name, and ``on_new_column`` is ``fail``."""


class IndexUnbuildable(LoadFailed):
    """An index of the source that the target's version or extensions cannot build."""


class CheckUnbuildable(LoadFailed):
    """A check of the source that the target's version or functions cannot make."""


class RowsDiffer(LoadFailed):
    """The target has received another number of rows than the source has sent."""


class ChecksumDiffers(LoadFailed):
    """The checksum of the staged rows differs from that of the source's rows."""


class RunFailed(EtlError):
    """At least one load failed, so nothing was published."""


class Obstructed(EtlError):
    """The target's catalog shows, before the first load, that a table could not be loaded or published."""


class TablesDiffer(EtlError):
    """Tables of the source and the target do not hold the same rows."""


class CheckFailed(EtlError):
    """``etl check`` found a reason why a run would fail."""


class NotValidated(EtlError):
    """A run is published, but a foreign key of the reporting side could not be validated afterwards."""


class AfterFailed(EtlError):
    """A run is published, but the command of ETL_AFTER_PUBLISH could not be started, or has failed."""


class PublishFailed(EtlError):
    """The staging tables of a run could not become live; the live tables are unchanged."""


class RunStopped(PublishFailed):
    """The gate has stopped the run: a table has lost too many rows, or has fewer than its options say."""


class CannotCarry(PublishFailed):
    """A live table has an attachment that the publish cannot reattach to the new table."""


class CannotReplace(PublishFailed):
    """An object on a live table would do harm if the table's rows were replaced in place, or it forbids that."""


class PublishInDoubt(PublishFailed):
    """The session that published was lost during its commit, and the server has not said whether it committed."""


class PublishBlocked(PublishFailed):
    """Other sessions held the live tables, or an old snapshot, until the deadline.

    ``in_use`` are the tables and views whose locks the publish waited for; ``readers`` is false if readers of these did
    not keep it waiting.
    """

    def __init__(self, text: str, in_use: Sequence[TargetName] = (), *, readers: bool = True) -> None:
        super().__init__(text)
        self.in_use = tuple(in_use)
        self.readers = readers

    def because(self, reasons: Sequence[str]) -> PublishBlocked:
        """This error with the reasons why sessions could not be ended."""
        return PublishBlocked("; ".join([str(self), *reasons]), self.in_use, readers=self.readers)


class LiveChanged(PublishFailed):
    """Another session changed a live table or its attachments after the publish had read them.

    The publish reads them again; only after the deadline does the run fail.
    """


# The DETAIL of these errors names objects of the catalog, settings or processes (evidence: the errdetail() calls of
# PostgreSQL's sources, src/backend). That of other errors may quote rows: "Key (email)=(…) already exists" (23505),
# "Failing row contains (…)" (23502, 23514, 44000), the values of data exceptions (class 22). Codes: PostgreSQL manual,
# Appendix A.
_DETAIL_IS_SAFE = (
    "0A",  # feature_not_supported: "This operation is not supported for views."
    "2B",  # dependent objects or privileges still exist: their names
    "40",  # deadlock, serialization failure, recovery conflict: processes and kinds of locks
    "42",  # access rules, definitions: names and types, or why a role may not
    "53",  # out of memory, disk or connections: sizes
    "54",  # program limits: sizes, and the place of a row (ctid)
    "55",  # object in use or not ready: names and numbers of sessions
)

# cannot add relation to publication: "This operation is not supported for unlogged tables."; otherwise
# invalid_parameter_value may quote any value
_SAFE_PLACES = {("22023", "pg_publication.c")}

# A function may RAISE an error with any SQLSTATE, and with rows in its DETAIL and HINT: PL/pgSQL, PL/Python, PL/Perl
# and PL/Tcl in these files of PostgreSQL's sources
_RAISED_BY_FUNCTION = {"pl_exec.c", "plpy_elog.c", "plperl.c", "pltcl.c"}

# The messages of data exceptions (class 22) quote the value ('invalid input value for enum mood: "sad"'). These three
# do not: invalid_parameter_value (22023) quotes settings and snapshots, character_not_in_repertoire (22021) and
# untranslatable_character (22P05) quote encodings.
_NAMES_NO_VALUE = {"22023", "22021", "22P05"}
# But functions raise it for a row's value, too: 'time zone "…" not recognized' (src/backend/utils/adt in its sources).
_QUOTES_ARGUMENTS = {
    *("array_userfuncs.c", "arrayfuncs.c", "date.c", "datetime.c", "dbsize.c", "encode.c", "float.c", "formatting.c"),
    *(
        "jsonb_gin.c",
        "jsonfuncs.c",
        "json.c",
        "jsonb.c",
        "jsonpath_exec.c",
        "misc.c",
        "numeric.c",
        "quote.c",
        "regexp.c",
    ),
    *("rangetypes.c", "timestamp.c", "tsvector_op.c", "varbit.c", "varlena.c", "xml.c", "bytea.c", "mbutils.c"),
}
# And 22021 and 22P05 spell out a value's bytes.
_BYTES = re.compile(r"0x[0-9a-f]{2}(?: 0x[0-9a-f]{2})*")


# The quotation marks of PostgreSQL's messages, which differ from language to language (src/backend/po in its sources).
_OPENING, _CLOSING = '"“„«»‘‚「『', '"”“»«’‘」』'
_QUOTED = re.compile(f"[{_OPENING}].*[{_CLOSING}]", re.DOTALL)


def one_line(error: BaseException, *, whole: bool = True) -> str:
    """Returns an error as one line: a server's message, DETAIL and HINT, without the values of rows.

    DETAIL is left out unless it is known to name objects only; CONTEXT always. If ``whole`` is false, so are the
    guesses that libpq adds to a message, on lines that begin with a tab.
    """
    place = None
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        message, hint, detail = error.diag.message_primary, error.diag.message_hint, error.diag.message_detail
        place = error.diag.source_file
    elif isinstance(error, asyncpg.PostgresError):
        message, hint, detail = (
            str(error.args[0]) if error.args else "",
            getattr(error, "hint", None),
            getattr(error, "detail", None),
        )
        place = getattr(error, "server_source_filename", None)
    else:
        lines = str(error).splitlines() if whole else [line for line in str(error).splitlines() if line[:1] != "\t"]
        message, hint, detail = " ".join(lines) or type(error).__name__, None, None
    state = sqlstate(error) or ""
    if place in _RAISED_BY_FUNCTION or not (state.startswith(_DETAIL_IS_SAFE) or (state, place) in _SAFE_PLACES):
        detail = None
    if place in _RAISED_BY_FUNCTION:
        hint = None
    parts = [f"{message}: {detail}" if detail else message, *([hint] if hint else [])]
    if state.startswith("22") and (state not in _NAMES_NO_VALUE or (state == "22023" and place in _QUOTES_ARGUMENTS)):
        parts = [_QUOTED.sub('"…"', part) for part in parts]
    elif state.startswith("22"):
        parts = [_BYTES.sub("…", part) for part in parts]
    said, *hints = (" ".join(part.split()) for part in parts)
    return ". ".join([said.rstrip("."), *hints]) if hints else said


def told(error: BaseException) -> str:
    """``one_line``, and what the session has noted on the error (``add_note``): whose privilege is missing."""
    return "; ".join([one_line(error), *getattr(error, "__notes__", ())])


def sqlstate(error: BaseException) -> str | None:
    """Returns an error's SQLSTATE (five characters), or None if no server raised the error."""
    code = getattr(error, "sqlstate", None)
    return code if isinstance(code, str) else None


EXPECTED = (EtlError, OSError, psycopg.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
"""The errors that users, servers and networks cause; any other exception is a bug."""
