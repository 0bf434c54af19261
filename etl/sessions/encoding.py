"""The encodings of the two databases: rows that need no conversion, and the error for a value that has no equivalent.

The client_encoding of every session is UTF8, so each server converts the text that it sends and receives. Between two
databases with the same encoding other than UTF8, this would lose bytes that have no equivalent in Unicode (0x81 in
WIN1252) or, for SQL_ASCII, all bytes that are not ASCII. Between such databases, COPY uses the text format with the
option ENCODING, so that neither server converts the rows. For the binary format the option has no effect: the types'
receive functions use client_encoding. If a session changed client_encoding for the rows, both drivers would have to
write names and the options' SQL in every encoding.
"""

from __future__ import annotations

import asyncpg

from etl.model.errors import LoadFailed, sqlstate
from etl.sessions.postgres import Source, Target

UTF8 = "UTF8"

_NO_EQUIVALENT, _NOT_VALID = "22P05", "22021"  # untranslatable_character, character_not_in_repertoire


def of_source(source: Source) -> str | None:
    """The operational database's encoding, which the server reported when the session was opened.

    Raises ConnectionDoesNotExistError for a session that is closed: asyncpg has then no settings of it any more.
    """
    if source.is_closed():
        raise asyncpg.ConnectionDoesNotExistError("the session on the operational database is closed")
    return getattr(source.get_settings(), "server_encoding", None)


def of_target(target: Target) -> str | None:
    """The reporting database's encoding, which the server reported when the session was opened."""
    return target.info.parameter_status("server_encoding")


def kept(source: Source, target: Target) -> str | None:
    """The encoding in which rows are copied without conversion: that of both databases, if it is one and not UTF8."""
    encoding = of_source(source)
    return encoding if encoding == of_target(target) != UTF8 else None


def spelt(target: Target, text: str) -> str:
    """Returns a text that the reporting database can store: unless its encoding is UTF8, with escapes for non-ASCII.

    A run's error has to reach the ledger, whichever characters it contains.
    """
    if of_target(target) in {UTF8, None}:
        return text
    return text.replace("…", "...").encode("ascii", "backslashreplace").decode()


def refusal(source: Source, target: Target, table: object, error: Exception) -> LoadFailed | None:
    """Returns the error that a value of a table cannot be converted, if ``error`` means that; None otherwise."""
    if sqlstate(error) not in {_NOT_VALID, _NO_EQUIVALENT}:
        return None  # before the encodings are read: those of a lost session cannot be read any more
    from_encoding, to_encoding = of_source(source), of_target(target)
    if from_encoding == to_encoding and sqlstate(error) == _NO_EQUIVALENT:
        return None  # the servers convert nothing between equal encodings; the error is about an escape in a json
    return LoadFailed(
        f"{table}: a value has no equivalent in the reporting database: its encoding is {to_encoding}, and the"
        f" operational database's is {from_encoding}; mend the value, exclude or mask its column, or use one encoding"
    )
