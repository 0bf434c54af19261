"""Transient errors: the same work may succeed a moment later. Pure policy."""

from __future__ import annotations

import asyncpg
import psycopg

from etl.model.errors import ConnectionFailed, sqlstate

# Conditions that are soon over: a lost connection, a restart, a replica's recovery conflict, a deadlock, a lock that
# another session holds for a moment. PostgreSQL manual, Appendix A.
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
    """Whether the same work may succeed a moment later."""
    if isinstance(error, ConnectionFailed) or _is_race_of_array_types(error):
        return True
    state = sqlstate(error)
    if state is not None:
        return state in _TRANSIENT_STATES or state.startswith("08")
    return is_connection_loss(error)


_RACES = {
    "23505": {"_bt_check_unique"},  # of pg_type alone: a duplicate row of the user is no race
    "42710": {"TypeCreate", "RenameTypeInternal", "heap_create_with_catalog"},
    "XX000": {"simple_heap_update", "simple_heap_delete", "RenameTypeInternal"},
}
"""Where PostgreSQL raises these states if two sessions make or drop types of one name (test_array_types.py)."""


def _is_race_of_array_types(error: BaseException) -> bool:
    """Whether another session has just made or dropped a type of the name that PostgreSQL chose for an array type.

    So tables ``t`` and ``_t`` cannot be made at the same time; later, PostgreSQL chooses another name.
    """
    if not isinstance(error, psycopg.Error) or error.diag.source_function not in _RACES.get(error.sqlstate or "", ()):
        return False
    return error.sqlstate != "23505" or error.diag.constraint_name == "pg_type_typname_nsp_index"


def is_connection_loss(error: BaseException) -> bool:
    """Whether a connection could not be opened, or was lost.

    An asyncpg.InterfaceError counts as neither, because asyncpg raises it for a closed session and for a wrong call
    alike. ``sessions/session.py`` tells the two apart.
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
