"""What all answers of commands have in common: how they become JSON, and what their schemas say."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import ConfigDict


class Answer:
    """Tells pydantic that a field's docstring is its description in the schema, and that every field is required."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )


def plain(value: Any) -> Any:
    """An answer as values of JSON; a timestamp becomes a string of ISO 8601."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value
