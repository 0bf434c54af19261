"""Columns that look like personal data, by their names and types, and a mask for each: a proposal. Pure policy."""

from __future__ import annotations

import re
from collections.abc import Iterator

from etl.model import mask as masks
from etl.model.catalog import Column, SourceTable

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_TEXT = re.compile(r"(text|citext|name|character( varying)?(\(\d+\))?)")
_DATE = re.compile(r"date|timestamp(\([0-6]\))? with(out)? time zone")

_BY_NAME = (
    (re.compile(r"\b(email|e mail|mail address)\b"), "fake-email"),
    (re.compile(r"\b(phone|telephone|mobile|cell|fax|msisdn)\b"), "keep-last-4"),
    (re.compile(r"\b(iban|ssn|card number|card no|passport|tax id|national id|account number)\b"), "keep-last-4"),
    (
        re.compile(r"\b(first|last|full|given|family|maiden|middle|display) name\b|\b(firstname|lastname|surname)\b"),
        "fake-name",
    ),
    (re.compile(r"\b(password|passwd|passphrase|secret|token|api key|salt)\b"), "null"),
    (re.compile(r"\b(address|street|zip|postcode|postal code|latitude|longitude)\b"), "null"),
    (re.compile(r"\b(user name|username|login|nickname|ip|user agent)\b"), "hmac"),
)
"""Words of a text column's name, and the mask that is proposed for it. The first that fits decides."""

_PERSONS = re.compile(
    r"\b(customer|client|user|person|people|contact|employee|patient|member|subscriber|guest|student|driver)s?\b"
)
"""Tables whose column ``name`` is a person's."""

_BORN = re.compile(r"\b(birth|birthday|birthdate|born|dob)\b")


def proposed(table: SourceTable) -> dict[str, str]:
    """The masks that are proposed for a table's columns, by column; each is one that the column's type can have."""
    unique = set(_unique(table))
    found = {}
    for column in table.columns:
        mask = _mask(table, column)
        if mask is not None and column.name in unique and not masks.parse(mask).keeps_apart:
            mask = "hmac"  # the others would give two rows one value, and the index would be left out
        if mask is not None:
            found[column.name] = mask
    return found


def _mask(table: SourceTable, column: Column) -> str | None:
    name = _words(column.name)
    if column.type == "inet":
        return "null"
    if _DATE.fullmatch(column.type) and _BORN.search(name):
        return "date-shift:30"
    if not _TEXT.fullmatch(column.type):
        return None
    if name == "name" and _PERSONS.search(_words(table.source.name)):
        return "fake-name"
    return next((mask for pattern, mask in _BY_NAME if pattern.search(name)), None)


def _words(name: str) -> str:
    """The words of a name, such as ``first name`` of ``first_name``, ``firstName`` and ``FIRST_NAME``."""
    return " ".join(_WORD.findall(name)).lower()


def _unique(table: SourceTable) -> Iterator[str]:
    for index in table.indexes:
        if index.unique:
            yield from index.columns
    for constraint in table.constraints:
        if constraint.has_index:
            yield from constraint.columns
