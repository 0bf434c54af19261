"""Masks: SQL that the source computes in a column's place, so that the column's value never leaves it.

HMAC-SHA-256 is built from the server's own sha256(): HMAC(K, m) = sha256(opad || sha256(ipad || m)), RFC 2104.
The two padded keys are computed here and reach a session as settings of its startup packet. Neither SQL text
nor bind parameters would do: servers with log_statement or log_min_duration_statement write both to their logs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

IPAD, OPAD = "etl.mask_ipad", "etl.mask_opad"
"""The settings of a session of the source that hold the padded keys, in hex."""


KINDS = "hmac, null, constant:TEXT, keep-last-4, date-shift:DAYS[:COLUMN], fake-name, fake-email, sql:EXPRESSION, none"

_BLOCK = 64  # SHA-256's, in bytes

_FORMS = {
    "constant": re.compile(r".*", re.DOTALL),
    "date-shift": re.compile(r"[1-9][0-9]{0,4}(:.+)?", re.DOTALL),
    "sql": re.compile(r".*\S.*", re.DOTALL),
}
_DATED = re.compile(r"date|timestamp(\([0-6]\))? with(out)? time zone")

_BARE = frozenset({"hmac", "null", "keep-last-4", "fake-name", "fake-email", "none"})

# Powers of two, so that every name is as likely as every other.
_FIRST_NAMES = (
    *("Ada", "Alma", "Amir", "Anna", "Boris", "Carla", "Chen", "Dara", "Elif", "Emil", "Farah", "Felix", "Grace"),
    *("Hugo", "Ines", "Ivan", "Jana", "Jonas", "Kofi", "Lara", "Leo", "Mei", "Milan", "Nadia", "Noah", "Olga"),
    *("Omar", "Petra", "Ravi", "Sara", "Tomas", "Yuki"),
)
_LAST_NAMES = (
    *("Adler", "Bakker", "Berg", "Costa", "Dahl", "Diaz", "Egede", "Fischer", "Garcia", "Haas", "Ito", "Jansen"),
    *("Kaya", "Keller", "Khan", "Kovacs", "Larsen", "Lopez", "Marin", "Mensah", "Moreau", "Novak", "Okafor"),
    *("Olsen", "Patel", "Rossi", "Sato", "Silva", "Tanaka", "Vogel", "Weiss", "Zhang"),
)


@dataclass(frozen=True, slots=True)
class Mask:
    """One column's mask: its kind, and what stands behind the colon."""

    kind: str
    argument: str = ""

    @property
    def needs_key(self) -> bool:
        """Whether it cannot be computed without ETL_MASK_KEY."""
        return self.kind in {"hmac", "date-shift", "fake-name", "fake-email"}

    @property
    def keeps_apart(self) -> bool:
        """Whether values that differ still do, so that a unique index over them can be built; "sql" is taken to."""
        return self.kind in {"hmac", "fake-email", "sql", "none"}

    @property
    def gives_text(self) -> bool:
        """Whether the column arrives as text, whatever it is in the source."""
        return self.kind in {"hmac", "keep-last-4", "fake-name", "fake-email"}

    @property
    def days(self) -> int:
        """How far a date is shifted at most."""
        return int(self.argument.partition(":")[0])

    @property
    def along(self) -> str | None:
        """The column whose value decides how far a date is shifted, or None for the date itself."""
        return self.argument.partition(":")[2] or None


def parse(text: object) -> Mask:
    """Reads one mask of the options file; raises ValueError with one line."""
    if isinstance(text, Mask):
        return text
    kind, colon, argument = str(text).partition(":")
    if isinstance(text, str) and not colon and kind in _BARE:
        return Mask(kind)
    if isinstance(text, str) and colon and kind in _FORMS and _FORMS[kind].fullmatch(argument):
        return Mask(kind, argument)
    raise ValueError(f"{text!r} is no mask; write one of {KINDS}")


def session(key: str) -> dict[str, str]:
    """Gives the settings that a session needs to compute masks with this key."""
    block = key.encode()
    block = (hashlib.sha256(block).digest() if len(block) > _BLOCK else block).ljust(_BLOCK, b"\0")
    return {IPAD: bytes(byte ^ 0x36 for byte in block).hex(), OPAD: bytes(byte ^ 0x5C for byte in block).hex()}


def fault(mask: Mask, kind: str, columns: Collection[str]) -> str | None:
    """Says why a mask does not go with a column of type ``kind`` in a table of these columns, or gives None."""
    if mask.kind == "date-shift" and not _DATED.fullmatch(kind):
        return f"is of type {kind}, and date-shift takes dates and timestamps"
    if mask.kind == "date-shift" and mask.along is not None and mask.along not in columns:
        return f"is shifted along {mask.along!r}, which is no column of it"
    return None


def expression(mask: Mask, column: str, kind: str) -> sql.Composable:
    """Gives the SQL that stands in a column's place; ``kind`` is its type, as the catalog writes it."""
    name, text = sql.Identifier(column), _as_text(column)
    values: dict[str, Callable[[], sql.Composable]] = {
        "hmac": lambda: _hex(_hmac(_bytes(text))),
        "null": lambda: sql.NULL,
        "constant": lambda: sql.Literal(mask.argument),
        "keep-last-4": lambda: _keep_last_4(text),
        "date-shift": lambda: sql.SQL("{} + pg_catalog.make_interval(days => {})").format(name, _days(mask, text)),
        "fake-name": lambda: _fake(_FAKE_NAME, text),
        "fake-email": lambda: _fake(_FAKE_EMAIL, text),
        # a line of its own for the bracket: the expression may end in a comment
        "sql": lambda: sql.SQL(f"({mask.argument}\n)"),
    }
    value = values[mask.kind]()
    return value if mask.gives_text else sql.SQL("CAST({} AS {})").format(value, sql.SQL(kind))


def _as_text(column: str) -> sql.Composable:
    return sql.Identifier(column) + sql.SQL("::pg_catalog.text")


def _bytes(text: sql.Composable) -> sql.Composed:
    return sql.SQL("pg_catalog.convert_to({}, 'UTF8')").format(text)


def _hex(value: sql.Composable) -> sql.Composed:
    return sql.SQL("pg_catalog.encode({}, 'hex')").format(value)


def _hmac(message: sql.Composable) -> sql.Composed:
    return sql.SQL("pg_catalog.sha256({} || pg_catalog.sha256({} || {}))").format(_pad(OPAD), _pad(IPAD), message)


def _pad(setting: str) -> sql.Composed:
    # A subquery that refers to nothing outside is computed once a statement, not once a row.
    return sql.SQL("(SELECT pg_catalog.decode(pg_catalog.current_setting({}), 'hex'))").format(sql.Literal(setting))


def _derived(purpose: str, text: sql.Composable) -> sql.Composed:
    """Gives an HMAC for a mask's own use, which no column masked with "hmac" can show.

    No text holds a zero byte, so the message is never one of theirs.
    """
    prefix = sql.Literal(f"\\x00{purpose.encode().hex()}00")
    return _hmac(sql.SQL("{}::pg_catalog.bytea || {}").format(prefix, _bytes(text)))


def _keep_last_4(text: sql.Composable) -> sql.Composed:
    # Of a short value, four characters would be most of it.
    return sql.SQL(
        "CASE WHEN pg_catalog.length({t}) < 8 THEN pg_catalog.repeat('*', pg_catalog.length({t}))"
        " ELSE pg_catalog.repeat('*', pg_catalog.length({t}) - 4) || pg_catalog.right({t}, 4) END"
    ).format(t=text)


def _days(mask: Mask, text: sql.Composable) -> sql.Composed:
    """Gives a number of days between ``-mask.days`` and ``mask.days`` that is never 0."""
    along = _as_text(mask.along) if mask.along else text
    digits = sql.SQL("pg_catalog.left({}, 7)").format(_hex(_derived("date-shift", along)))
    number = sql.SQL("('x' || {})::pg_catalog.bit(28)::integer % {}").format(digits, sql.Literal(2 * mask.days))
    shift = "(SELECT CASE WHEN n < {most} THEN n - {most} ELSE n - {most} + 1 END FROM (SELECT {n} AS n OFFSET 0) AS n)"
    return sql.SQL(shift).format(most=sql.Literal(mask.days), n=number)


# OFFSET 0 has the HMAC computed once, not once for each part.
_FAKE_NAME = "(SELECT {first} || ' ' || {last} FROM (SELECT {h} AS h OFFSET 0) AS h)"
_FAKE_EMAIL = (
    "(SELECT pg_catalog.lower({first} || '.' || {last}) || '.' || {rest} || '@example.com'"
    " FROM (SELECT {h} AS h OFFSET 0) AS h)"
)


def _fake(template: LiteralString, text: sql.Composable) -> sql.Composed:
    return sql.SQL(template).format(
        h=_derived("fake", text),
        first=_pick(_FIRST_NAMES, 0),
        last=_pick(_LAST_NAMES, 1),
        rest=_hex(sql.SQL("pg_catalog.substr(h, 3, 8)")),
    )


def _pick(names: Collection[str], byte: int) -> sql.Composed:
    array = sql.SQL(", ").join(sql.Literal(name) for name in names)
    index = sql.SQL("pg_catalog.get_byte(h, {}) % {} + 1").format(sql.Literal(byte), sql.Literal(len(names)))
    return sql.SQL("(ARRAY[{}])[{}]").format(array, index)
