"""The declaration of a setting: its variable, its parameter and its help, next to the field's type and default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of a setting.

    ``variable`` is its name in the environment, ``parameter`` its name under ETL_PARAMETER_PATH, or None if it is read
    from the environment only. ``help`` and ``default`` are texts for the reference. The value of a ``secret`` setting
    is never shown.
    """

    variable: str
    parameter: str | None
    help: str
    default: str = ""
    secret: bool = False
