"""What can go wrong, as a user is told it.

The tree::

    EtlError                     exit 1   a copy, or its publish, failed
    ├── ConfigurationError       exit 2   a setting, an option or a table's name is wrong
    ├── ConnectionFailed                  a database cannot be reached, or went away for good
    ├── SnapshotLost                      the session that held the run's snapshot is gone
    ├── TableLocked                       another run is loading the same table
    ├── RunEnded                          somebody gave the run up while this process worked on it
    ├── LoadFailed                        one table's load failed
    │   ├── Unclassified                  a column that nobody has said what it is, where somebody must
    │   ├── IndexUnbuildable              an index that the target cannot build
    │   ├── RowsDiffer                    rows in are not rows out
    │   └── ChecksumDiffers               the staged bytes are not the source's
    ├── RunFailed                         at least one load of the run failed
    ├── TypesDiffer                       a user-defined type is another in the target
    ├── TablesDiffer                      ``etl verify`` found a difference
    ├── CheckFailed                       ``etl check`` found something in the way
    └── PublishFailed                     what was staged could not become live
        ├── CannotCarry                   an object on the live table cannot be put back
        ├── CannotReplace                 an object on the live table forbids to replace its rows in place
        ├── PublishInDoubt                the connection broke while it was committed
        ├── PublishBlocked                readers held the live tables until the deadline
        └── LiveChanged                   somebody changes what hangs on the live tables all the time

Each message is one line that names the thing, what is wrong with it and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import asyncpg
import psycopg


class EtlError(Exception):
    """Something the user is told in one line, without a traceback."""

    exit_status = 1


class ConfigurationError(EtlError):
    """Settings, options or table names that cannot be used.

    ``problems`` holds all of them, one line each, so that they can be mended in one go.
    """

    exit_status = 2

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(self.problems))


class ConnectionFailed(EtlError):
    """A database that cannot be reached, or that went away and did not come back."""


class SnapshotLost(EtlError):
    """The session that held the run's snapshot is gone, and the snapshot with it."""


class TableLocked(EtlError):
    """Another run is loading a table that this run was given."""


class RunEnded(EtlError):
    """The run was given up, or ended otherwise, while this process worked on it; or before it began."""


class LoadFailed(EtlError):
    """One table's load failed."""


class Unclassified(LoadFailed):
    """A table has a column that its options do not name, and they say that none may be copied so."""


class IndexUnbuildable(LoadFailed):
    """An index of the source that the target's version or extensions cannot build."""


class RowsDiffer(LoadFailed):
    """The target took another number of rows than the source gave."""


class ChecksumDiffers(LoadFailed):
    """The staged rows' checksum is not the source's."""


class RunFailed(EtlError):
    """At least one load failed, so nothing was published."""


class TypesDiffer(EtlError):
    """A user-defined type is not the same on both sides, and cannot be made so."""


class TablesDiffer(EtlError):
    """Tables of the source and the target do not hold the same rows."""


class CheckFailed(EtlError):
    """A preflight found something that would make the run fail."""


class PublishFailed(EtlError):
    """What a run staged could not become live; the live tables are as they were."""


class CannotCarry(PublishFailed):
    """Something hangs on a live table that the publish could not put back."""


class CannotReplace(PublishFailed):
    """Something on a live table would do harm if its rows were replaced in place, or forbids it."""


class PublishInDoubt(PublishFailed):
    """The session that published is lost, and nobody said whether it came to its commit."""


class PublishBlocked(PublishFailed):
    """Other sessions held the live tables until the deadline."""


class LiveChanged(PublishFailed):
    """Somebody changed a live table, or what hangs on it, since the publish read it; it is read anew."""


# Only these errors' DETAIL names objects; others' quote rows ("Key (email)=(…) already exists"),
# and rows must not reach a log. Codes: PostgreSQL manual, Appendix A.
_DETAIL_IS_SAFE = {"2BP01"}  # dependent_objects_still_exist

# Data exceptions (class 22) quote the value in the message itself ('invalid input value for enum mood: "sad"'),
# but for the first of these, which quotes settings and snapshots, and the others, which quote encodings.
_NAMES_NO_VALUE = {"22023", "22021", "22P05"}
# invalid_parameter_value, character_not_in_repertoire, untranslatable_character; the latter spell out a value's bytes.
_BYTES = re.compile(r"0x[0-9a-f]{2}(?: 0x[0-9a-f]{2})*")


# The quotation marks of PostgreSQL's messages, which differ from language to language (src/backend/po in its sources).
_OPENING, _CLOSING = '"“„«»‘‚「『', '"”“»«’‘」』'
_QUOTED = re.compile(f"[{_OPENING}].*[{_CLOSING}]", re.DOTALL)


def one_line(error: BaseException, *, whole: bool = True) -> str:
    """An error in one line, which quotes no row: a server's message and hint, without the values that a message quotes.

    Never its DETAIL or CONTEXT, which quote the offending row. Not ``whole``, it is without the guesses of libpq that
    follow its message, on lines that begin with a tab.
    """
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        parts = [error.diag.message_primary, error.diag.message_hint]
        detail = error.diag.message_detail
    elif isinstance(error, asyncpg.PostgresError):
        parts = [str(error.args[0]) if error.args else "", getattr(error, "hint", None)]
        detail = getattr(error, "detail", None)
    else:
        lines = str(error).splitlines() if whole else [one for one in str(error).splitlines() if one[:1] != "\t"]
        parts, detail = [" ".join(lines) or type(error).__name__], None
    state = sqlstate(error) or ""
    if state.startswith("22") and state not in _NAMES_NO_VALUE:
        parts = [_QUOTED.sub('"…"', part) for part in parts if part]
    elif state.startswith("22"):
        parts = [_BYTES.sub("…", part) for part in parts if part]
    if state in _DETAIL_IS_SAFE:
        parts.insert(1, detail)
    return " ".join(" ".join(part.split()) for part in parts if part)


def sqlstate(error: BaseException) -> str | None:
    """Gives an error's SQLSTATE (five characters), or None where no server raised it."""
    code = getattr(error, "sqlstate", None)
    return code if isinstance(code, str) else None


# Conditions that pass by themselves: connection trouble, a restart, a replica's recovery conflict, a
# deadlock, a lock held for a moment. PostgreSQL manual, Appendix A.
_TRANSIENT_STATES = {
    "40001",  # serialization_failure: also "canceling statement due to conflict with recovery"
    "40P01",  # deadlock_detected: also a recovery conflict
    "53300",  # too_many_connections
    "55P03",  # lock_not_available
    "57P01",  # admin_shutdown: also a terminated backend
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
}


def is_transient(error: BaseException) -> bool:
    """Tells whether the same work may well succeed a moment later."""
    if isinstance(error, ConnectionFailed):
        return True
    state = sqlstate(error)
    if state is not None:
        return state in _TRANSIENT_STATES or state.startswith("08")
    return is_connection_loss(error)


EXPECTED = (EtlError, OSError, psycopg.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What the world may do to a run; anything else that is raised is a bug."""


def is_connection_loss(error: BaseException) -> bool:
    """Whether a connection could not be made, or broke.

    An asyncpg.InterfaceError does not tell: it may be a closed session or a wrong call (``sessions/session.py`` looks).
    """
    lost = (
        OSError,
        TimeoutError,
        psycopg.OperationalError,
        asyncpg.PostgresConnectionError,
        asyncpg.ConnectionDoesNotExistError,
    )
    state = sqlstate(error) or ""
    return isinstance(error, lost) and (not state or state.startswith(("08", "57P")))
