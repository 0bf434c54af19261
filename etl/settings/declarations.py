"""The declarations of all settings. The reference is generated from them, and settings are read and shown by them."""

from __future__ import annotations

from dataclasses import replace

from pydantic.fields import FieldInfo

from etl.sessions.url import PARTS
from etl.settings.declared import Setting
from etl.settings.settings import Settings

SIDES = ("operational", "reporting")
"""The two databases, by their names in settings."""

_AUTH = (
    "How sessions authenticate: `password`, or `iam`, with a token that the task's role signs for each connection to"
    " RDS or Aurora. `iam` needs `sslmode=require` or stricter."
)


def declared() -> dict[str, Setting]:
    """The declarations of all settings, by the name of the field; for the two databases, by ``side/part``."""
    sides = {f"{side}/{part}": _of_database(side, part) for side in SIDES for part in ("url", *PARTS, "auth")}
    fields = {name: _declaration(field) for name, field in Settings.model_fields.items() if name not in SIDES}
    return fields | sides


def _of_database(side: str, part: str) -> Setting:
    names = f"ETL_{side}_{part}".upper(), f"{side}/{part}"
    match part:
        case "url":
            return Setting(*names, f"The {side} database, as a libpq URL with all its options.")
        case "auth":
            return Setting(*names, _AUTH, "password")
    text = f"The part `{part}` of the URL. It overrides the value in the URL."
    return Setting(*names, text, secret=part == "password")


def _declaration(field: FieldInfo) -> Setting:
    (setting,) = (item for item in field.metadata if isinstance(item, Setting))
    match field.default:
        case float() as number:
            return replace(setting, default=setting.default or f"{number:g}")
        case str() | int() as default:
            return replace(setting, default=setting.default or str(default))
    return setting
