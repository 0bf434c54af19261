"""Every setting's declaration, from which the reference is made, and by which settings are read and shown."""

from __future__ import annotations

from dataclasses import replace

from pydantic.fields import FieldInfo

from etl.sessions.url import PARTS
from etl.settings.declared import Setting
from etl.settings.settings import Settings

SIDES = ("operational", "reporting")
"""The two databases, as settings name them."""

_AUTH = (
    "How sessions sign in: `password`; or `iam`, with a token for each connection that the task's role signs for RDS or"
    " Aurora, which needs `sslmode=require` or better."
)


def declared() -> dict[str, Setting]:
    """Every setting's declaration, by the name of its field; those of the two databases by ``side/part``."""
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
    text = f"The part `{part}` of the URL; it counts over the one that stands there."
    return Setting(*names, text, secret=part == "password")


def _declaration(field: FieldInfo) -> Setting:
    (one,) = (found for found in field.metadata if isinstance(found, Setting))
    match field.default:
        case float() as number:
            return replace(one, default=one.default or f"{number:g}")
        case str() | int() as default:
            return replace(one, default=one.default or str(default))
    return one
