"""Texts that hold no secret: the log, the ledger's errors and standard error take no other.

``Redacted`` is made by a ``Redactor`` alone, so mypy refuses a text, or an error, that nobody has looked through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType

from etl.model.errors import one_line

Redacted = NewType("Redacted", str)
"""A text without secrets."""

SHORTEST_SECRET = 3
"""Characters: a shorter one, taken out of every text, would take the text's sense with it."""


@dataclass(frozen=True, slots=True, repr=False)
class Redactor:
    """Takes secrets out of texts; the longest stands first, for one that holds another must not be left in part."""

    secrets: Sequence[str] = ()

    def __call__(self, said: str | BaseException) -> Redacted:
        """A text, or what an error says in one line, with ``***`` in place of each secret."""
        text = one_line(said) if isinstance(said, BaseException) else said
        for secret in self.secrets:
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return Redacted(text)

    def cut(self, text: str, longest: int) -> Redacted:
        """A text in one line, without secrets, and then cut, so that no half of one is left."""
        return Redacted(" ".join(self(text).split())[:longest])


own_words = Redactor()
"""For texts of this program's own, which hold names, numbers, and no text from outside."""
