"""Ways of publishing a table: the staging table replaces the live one (``swap``), or only its rows do (``inplace``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from etl.model import drift
from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.target.live import Object

Arriving = Mapping[TargetName, Sequence[drift.Named]]
"""The columns of the new tables, by their live names."""

Obstacles = dict[TargetName, list[str]]
"""The reasons why tables cannot be published, one line each; none for a table that can."""


class Way(Protocol):
    """A way of publishing. ``etl check`` and the publish use the same ``obstacles``, so that they never disagree."""

    async def obstacles(self, target: Target, found: Sequence[Object], arriving: Arriving) -> Obstacles:
        """The reasons why tables cannot be published this way, as far as the server shows them beforehand.

        ``found`` are the objects that ``live.objects`` has found for the tables. Changes nothing.
        """


def said(obstacles: Obstacles) -> str:
    """All obstacles in one text, each once; empty if there is none."""
    return "; ".join(dict.fromkeys(text for texts in obstacles.values() for text in texts))
