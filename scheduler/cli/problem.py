"""What went wrong, a line each, with the remedy; and the exit status that says how."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches


class Problem(Exception):
    """Usage or configuration that cannot be used: nothing was done. Exit status 2.

    Each line stays one, whatever a name in it has.
    """

    status = 2

    def __init__(self, *lines: str) -> None:
        self.lines = tuple(map(printable, lines))
        super().__init__("\n".join(self.lines))


class Failure(Problem):
    """Something was tried and failed. Exit status 1."""

    status = 1


def printable(text: str) -> str:
    """A text that cannot begin another line, or steer the terminal."""
    return "".join(each if unicodedata.category(each)[0] != "C" else " " for each in text)


def meant(word: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy for a word that is not known: the one that was meant, or what else to do."""
    names = {name.casefold(): name for name in known}
    near = get_close_matches(word.strip().casefold().replace("-", "_"), names, n=1, cutoff=0.7)
    near = near or get_close_matches(word.strip().casefold(), names, n=1, cutoff=0.7)
    return f"did you mean {names[near[0]]}?" if near else otherwise
