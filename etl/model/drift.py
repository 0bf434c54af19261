"""The changes of a table's columns since its last publish. Pure policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Named = tuple[str, str]
"""A column's name and its type, as SQL has it."""


@dataclass(frozen=True, slots=True)
class Drift:
    """The columns that were added, dropped, retyped or renamed, and whether the order of the others has changed.

    A dropped column and an added column of the same type at the same position count as one renamed column.
    """

    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    reordered: bool = False

    def __bool__(self) -> bool:
        return self != Drift()

    def __str__(self) -> str:
        parts = {"added": self.added, "dropped": self.dropped, "retyped": self.retyped, "renamed": self.renamed}
        words = [f"{word} {', '.join(names)}" for word, names in parts.items() if names]
        return "; ".join([*words, *(["reordered"] if self.reordered else [])])


def between(old: Sequence[Named], new: Sequence[Named]) -> Drift:
    """Compares the columns of a live table (``old``) with those of its staging table (``new``)."""
    before, after = dict(old), dict(new)
    renamed = {
        was[0]: now[0]
        for was, now in zip(old, new, strict=False)
        if was[0] not in after and now[0] not in before and was[1] == now[1]
    }
    kept = [name for name, _ in old if name in after]
    return Drift(
        added=tuple(name for name, _ in new if name not in before and name not in renamed.values()),
        dropped=tuple(name for name, _ in old if name not in after and name not in renamed),
        retyped=tuple(f"{name} ({before[name]} to {after[name]})" for name in kept if before[name] != after[name]),
        renamed=tuple(f"{was} to {now}" for was, now in renamed.items()),
        reordered=kept != [name for name, _ in new if name in before],
    )
