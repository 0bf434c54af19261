"""Texts without secrets: the log, the errors in the ledger and standard error accept no other texts.

Only a ``Redactor`` makes a ``Redacted``, so mypy refuses a text or an error that no Redactor has processed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType

from etl.model import limits
from etl.model.errors import told

Redacted = NewType("Redacted", str)
"""A text without secrets."""


_AFTER_ESCAPE = "|".join(
    rf"(?<={escape})"
    for escape in (
        *(r"\\[abefnrtv]", r"\\[0-7]{3}", r"\\x[0-9A-Fa-f]{2}", r"\\u[0-9A-Fa-f]{4}", r"\\U[0-9A-Fa-f]{8}"),
        *("%[0-9A-Fa-f]{2}", "%25[0-9A-Fa-f]{2}", "=[0-9A-F]{2}", r"\[[0-9]m", r"\[[0-9]{2}m"),
    )
)
"""Before a secret that is a word: a letter that is none of the text's own, as in JSON's \\n or in a URL's %2F, also
in one that was encoded twice, or of a terminal's colours."""

_PASSWORD_OF_ADDRESS = re.compile(
    r"(?P<before>://[^\s:/?#@'\"]*:|(?i:password=))(?!PASSWORD@)"
    r"(?P<secret>(?<=:)[^\s'\"]+(?=@)|(?<==)(?:'(?:[^'\\]|\\.)+'|[^\s'\"&]+))"
)
"""The password of any URL, and of any connection string as libpq reads it (`host=… password='…'`).

Of one that stands where it does not belong, such as in TABLES or in a note, nobody knows the secrets. The addresses in
this program's own messages have PASSWORD instead of one; `password = …` with spaces is the configuration file's.
"""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, repr=False)
class Redactor:
    """Removes secrets from texts.

    A secret is found as it is, and as URLs, JSON and Python write it, also in part: ``p@ss`` is ``p%40ss`` in a URL. A
    short secret that is a word, such as ``loader``, is found as a whole word only, because ``etl_loader`` does not tell
    it: ``etl_***`` would. The password of a URL or of a connection string is found whether it is among the secrets or
    not.
    """

    secrets: Sequence[str] = ()

    def __call__(self, said: str | BaseException) -> Redacted:
        """A text, or an error as one line, with ``***`` in place of each secret."""
        text = told(said) if isinstance(said, BaseException) else said
        found = _pattern(tuple(self.secrets))
        return Redacted(_PASSWORD_OF_ADDRESS.sub(r"\g<before>***", found.sub("***", text) if found else text))

    def cut(self, text: str, longest: int) -> Redacted:
        """A text as one line of at most ``longest`` characters; secrets are removed before the text is cut."""
        return Redacted(" ".join(self(text).split())[:longest])


own_words = Redactor()
"""For texts that this program composes of names and numbers, without any text from outside."""


@lru_cache
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """What finds each secret; the longest is looked for first, because a shorter one may be a part of it."""
    known = [secret for secret in secrets if len(secret) >= limits.SHORTEST_SECRET_CHARACTERS]
    return re.compile("|".join(map(_found, sorted(known, key=len, reverse=True)))) if known else None


def _found(secret: str) -> str:
    text = "".join(map(_written, secret))
    if len(secret) >= limits.LONGEST_WORD_CHARACTERS or not _WORD.fullmatch(secret):
        return text
    return rf"(?:(?<!\w)|{_AFTER_ESCAPE}){text}(?!\w)"


@lru_cache(maxsize=1 << 10)
def _written(character: str) -> str:
    """A pattern of the ways to write a character: as it is, percent-encoded, and escaped as in JSON or in Python."""
    if character.isascii() and character.isalnum():
        return character
    encoded = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    escaped = {json.dumps(character)[1:-1], repr(character)[1:-1], f"\\{character}", character}
    escaped |= {ascii(character)[1:-1], repr(character.encode("utf-8", "surrogatepass"))[2:-1]}
    ways = [re.escape(way) for way in sorted(escaped, key=len, reverse=True)]
    ways += [f"(?i:{way})" for way in (re.escape(encoded), *map(re.escape, escaped - {character}))]
    ways += [r"\+"] if character == " " else []
    return f"(?:{'|'.join(dict.fromkeys(ways))})"
