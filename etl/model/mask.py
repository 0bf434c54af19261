"""Masks: SQL that the source computes instead of a column's value, so that the value never leaves the source.

HMAC-SHA-256 is built from the server's own sha256(): HMAC(K, m) = sha256(opad || sha256(ipad || m)), RFC 2104.
This module computes the two padded keys, and a session sends them as settings in its startup packet. SQL text and bind
parameters cannot carry the keys: servers with log_statement or log_min_duration_statement write both to their logs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from etl.model.wording import did_you_mean, meant, shown

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

_EXAMPLES = {"constant": "constant:x", "date-shift": "date-shift:30", "sql": "sql:left(name, 1)"}

_BARE = frozenset({"hmac", "null", "keep-last-4", "fake-name", "fake-email", "none"})

# The number of names is a power of two, so that each name is equally likely.
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
    """The mask of a column: its kind, and the text after the colon."""

    kind: str
    argument: str = ""

    @property
    def needs_key(self) -> bool:
        """Whether the mask is computed with ETL_MASK_KEY."""
        return self.kind in {"hmac", "date-shift", "fake-name", "fake-email"}

    @property
    def keeps_apart(self) -> bool:
        """Whether different values have different masks, so that a unique index can be built; assumed of "sql"."""
        return self.kind in {"hmac", "fake-email", "sql", "none"}

    @property
    def gives_text(self) -> bool:
        """Whether the column arrives as text, whatever its type in the source."""
        return self.kind in {"hmac", "keep-last-4", "fake-name", "fake-email"}

    @property
    def days(self) -> int:
        """The most days by which a date is shifted."""
        return int(self.argument.partition(":")[0])

    @property
    def along(self) -> str | None:
        """The column from whose value the shift of a date is computed, or None for the date's own column."""
        return self.argument.partition(":")[2] or None


def parse(text: object) -> Mask:
    """Reads a mask of the options file; raises ValueError with one line."""
    if isinstance(text, Mask):
        return text
    kind, colon, argument = str(text).partition(":")
    if isinstance(text, str) and not colon and kind in _BARE:
        return Mask(kind)
    if isinstance(text, str) and colon and kind in _FORMS and _FORMS[kind].fullmatch(argument):
        return Mask(kind, argument)
    raise ValueError(f"is {shown(text)}, which is no mask{_meant(str(text)) or f'; write one of {KINDS}'}")


def _meant(text: str) -> str:
    """The mask whose kind is nearly this text's; of a kind that takes a text after a colon, with an example."""
    kind = text.partition(":")[0].strip()
    near = kind if kind in _EXAMPLES or kind in _BARE else meant(kind.replace("_", "-"), [*_BARE, *_EXAMPLES])
    if near is None:
        return ""
    return f'; did you mean "{_EXAMPLES.get(near, near)}"?'


def session(key: str) -> dict[str, str]:
    """Returns the settings with which a session can compute masks of this key."""
    block = key.encode()
    block = (hashlib.sha256(block).digest() if len(block) > _BLOCK else block).ljust(_BLOCK, b"\0")
    return {IPAD: bytes(byte ^ 0x36 for byte in block).hex(), OPAD: bytes(byte ^ 0x5C for byte in block).hex()}


def fingerprint() -> sql.Composed:
    """The SQL of a text that is another one for another key, and tells as little of the key as a masked value does."""
    value = _hex(_derived("key", sql.Literal("")))
    return sql.SQL("SELECT CASE WHEN pg_catalog.current_setting({}, true) <> '' THEN {} END").format(
        sql.Literal(IPAD), value
    )


def fault(mask: Mask, kind: str, columns: Collection[str]) -> str | None:
    """Returns why a column of type ``kind``, in a table of these columns, cannot have this mask; None if it can."""
    if mask.kind == "date-shift" and not _DATED.fullmatch(kind):
        return f'is of type {kind}, and date-shift takes dates and timestamps; write another mask, such as "null"'
    if mask.kind == "date-shift" and mask.along is not None and mask.along not in columns:
        return f"is shifted along {mask.along!r}, which is no column of it{did_you_mean(mask.along, columns)}"
    return None


def expression(mask: Mask, column: str, kind: str) -> sql.Composable:
    """Returns the SQL that replaces a column; ``kind`` is the column's type, as the catalog writes it."""
    name, text = sql.Identifier(column), _as_text(column)
    values: dict[str, Callable[[], sql.Composable]] = {
        "hmac": lambda: _hex(_hmac(_bytes(text))),
        "null": lambda: sql.NULL,
        "constant": lambda: sql.Literal(mask.argument),
        "keep-last-4": lambda: _keep_last_4(text),
        "date-shift": lambda: sql.SQL("{} + pg_catalog.make_interval(days => {})").format(name, _days(mask, text)),
        "fake-name": lambda: _fake(_FAKE_NAME, text),
        "fake-email": lambda: _fake(_FAKE_EMAIL, text),
        # the closing bracket is on a new line, because the expression may end in a comment
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
    # The server computes a subquery that refers to no outer column once for a statement, not once for each row.
    return sql.SQL("(SELECT pg_catalog.decode(pg_catalog.current_setting({}), 'hex'))").format(sql.Literal(setting))


def _derived(purpose: str, text: sql.Composable) -> sql.Composed:
    """Returns the HMAC from which another mask derives its values; it never equals that of a column masked with "hmac".

    Its message begins with a zero byte, and no text contains a zero byte.
    """
    prefix = sql.Literal(f"\\x00{purpose.encode().hex()}00")
    return _hmac(sql.SQL("{}::pg_catalog.bytea || {}").format(prefix, _bytes(text)))


def _keep_last_4(text: sql.Composable) -> sql.Composed:
    # Four characters would be most of a short value, so a short value shows none.
    return sql.SQL(
        "CASE WHEN pg_catalog.length({t}) < 8 THEN pg_catalog.repeat('*', pg_catalog.length({t}))"
        " ELSE pg_catalog.repeat('*', pg_catalog.length({t}) - 4) || pg_catalog.right({t}, 4) END"
    ).format(t=text)


def _days(mask: Mask, text: sql.Composable) -> sql.Composed:
    """Returns SQL for a number of days between ``-mask.days`` and ``mask.days`` that is never 0."""
    along = _as_text(mask.along) if mask.along else text
    digits = sql.SQL("pg_catalog.left({}, 7)").format(_hex(_derived("date-shift", along)))
    number = sql.SQL("('x' || {})::pg_catalog.bit(28)::integer % {}").format(digits, sql.Literal(2 * mask.days))
    shift = "(SELECT CASE WHEN n < {most} THEN n - {most} ELSE n - {most} + 1 END FROM (SELECT {n} AS n OFFSET 0) AS n)"
    return sql.SQL(shift).format(most=sql.Literal(mask.days), n=number)


# Because of OFFSET 0, the server computes the HMAC once, and not once for each part of the value.
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
