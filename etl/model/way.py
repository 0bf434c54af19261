"""The ways in which the tables of a run become live."""

from __future__ import annotations

from enum import StrEnum


class RunWay(StrEnum):
    """The way of a run (``etl.runs.publish_way``)."""

    SWAP = "swap"
    """Each table of which a row has changed is replaced by its staging table."""
    MERGE = "merge"
    """The rows of all tables are merged into the live tables; one that is new is made."""
    MIXED = "mixed"
    """Each table goes the way that is cheaper for it, so that an older snapshot may see two nights."""
