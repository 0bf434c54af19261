"""Ways of publishing a table: its staging table takes the live one's place (``swap``), or its rows do (``inplace``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from etl.model import drift
from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.target.live import Object

Arriving = Mapping[TargetName, Sequence[drift.Named]]
"""The columns with which tables arrive, by their live names."""

Obstacles = dict[TargetName, list[str]]
"""Why tables cannot be published, in one line each; none for those that can."""


class Way(Protocol):
    """A way of publishing. ``etl check`` and the publish itself ask it for obstacles, so that both know the same."""

    async def obstacles(self, target: Target, found: Sequence[Object], arriving: Arriving) -> Obstacles:
        """Why the tables cannot be published this way, as far as the server knows before it is tried.

        Takes what ``live.objects`` found under the live names. Changes nothing.
        """


def said(obstacles: Obstacles) -> str:
    """All obstacles in one text, each once; empty where there is none."""
    return "; ".join(dict.fromkeys(text for texts in obstacles.values() for text in texts))
