"""How a setting is declared: its variable, its parameter and its explanation, once, beside its type and default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a setting is read from, and what the reference says of it.

    ``parameter`` is its name under ETL_PARAMETER_PATH, None where only the environment has it. ``default`` is what the
    reference shows for it. The value of a ``secret`` one is never shown.
    """

    variable: str
    parameter: str | None
    help: str
    default: str = ""
    secret: bool = False
