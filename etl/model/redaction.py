"""Texts without secrets: the log, the errors in the ledger and standard error accept no other texts.

Only a ``Redactor`` makes a ``Redacted``, so mypy refuses a text or an error that no Redactor has processed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType

from etl.model import limits
from etl.model.errors import one_line

Redacted = NewType("Redacted", str)
"""A text without secrets."""


@dataclass(frozen=True, slots=True, repr=False)
class Redactor:
    """Removes secrets from texts. The longest secret comes first: a shorter one may be a part of it."""

    secrets: Sequence[str] = ()

    def __call__(self, said: str | BaseException) -> Redacted:
        """A text, or an error as one line, with ``***`` in place of each secret."""
        text = one_line(said) if isinstance(said, BaseException) else said
        for secret in self.secrets:
            if len(secret) >= limits.SHORTEST_SECRET_CHARACTERS:
                text = text.replace(secret, "***")
        return Redacted(text)

    def cut(self, text: str, longest: int) -> Redacted:
        """A text as one line of at most ``longest`` characters; secrets are removed before the text is cut."""
        return Redacted(" ".join(self(text).split())[:longest])


own_words = Redactor()
"""For texts that this program composes of names and numbers, without any text from outside."""
