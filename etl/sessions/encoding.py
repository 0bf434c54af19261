"""The two databases' encodings: where the rows' bytes pass as they are, and what is said of a value that cannot pass.

Every session speaks UTF8, so each server converts what it sends and takes. Between two databases of one encoding that
is not UTF8 that would lose what has no equivalent in Unicode (the byte 81 in WIN1252), and everything that is beyond
ASCII where there is no encoding at all (SQL_ASCII). There the rows go in text format, for which COPY has the option
ENCODING, so that neither server converts a byte. In binary format, the types' own functions go by client_encoding;
to set that around the rows would have both drivers write names and the options' SQL in every encoding there is.
"""

from __future__ import annotations

from etl.model.errors import LoadFailed, sqlstate
from etl.sessions.postgres import Source, Target

UTF8 = "UTF8"

_NO_EQUIVALENT, _NOT_VALID = "22P05", "22021"  # untranslatable_character, character_not_in_repertoire


def of_source(source: Source) -> str | None:
    """Gives the operational database's encoding, as the server has told it when the session was opened."""
    return getattr(source.get_settings(), "server_encoding", None)


def of_target(target: Target) -> str | None:
    """Gives the reporting database's encoding, as the server has told it when the session was opened."""
    return target.info.parameter_status("server_encoding")


def kept(source: Source, target: Target) -> str | None:
    """Gives the encoding in which rows pass as they are: that of both databases, where it is one and not UTF8."""
    here, there = of_source(source), of_target(target)
    return here if here == there != UTF8 else None


def spelt(target: Target, text: str) -> str:
    """Gives a text of ours as the reporting database can hold it: what is not ASCII spelt out, where it is not UTF8.

    What a run failed of has to reach the ledger, whatever letters it has.
    """
    if of_target(target) in {UTF8, None}:
        return text
    return text.replace("…", "...").encode("ascii", "backslashreplace").decode()


def refusal(source: Source, target: Target, table: object, error: Exception) -> LoadFailed | None:
    """Says that a value of a table cannot be converted, where that is what a server's error means; or gives None."""
    if sqlstate(error) not in {_NOT_VALID, _NO_EQUIVALENT}:
        return None  # a session that was lost can no longer be asked for its encoding
    here, there = of_source(source), of_target(target)
    if here == there and sqlstate(error) == _NO_EQUIVALENT:
        return None  # between two that are UTF8 nothing is converted, and this error is about an escape in a json
    return LoadFailed(
        f"{table}: a value has no equivalent in the reporting database: its encoding is {there}, and the operational"
        f" database's is {here}; mend the value, exclude or mask its column, or use one encoding"
    )
