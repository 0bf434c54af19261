"""The JSON Schema of nightly-etl.toml, for editors, from the declarations of settings and options.

``python -m docs.commands`` writes it into docs/schemas/.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from etl.commands.draft import SCHEMA
from etl.model import shape
from etl.model.shape import TableOptions
from etl.settings.declarations import SIDES
from etl.settings.file import KEYS, REFERENCES
from etl.settings.found import DECLARED
from etl.settings.settings import Settings

NAME = "nightly-etl.toml.json"

REFERENCE = {"$ref": "#/$defs/reference"}

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "tables": {"type": ["string", "array"], "items": {"type": "string"}},
    "index_memory": {"type": "string", "examples": ["2GB"]},
    "auth": {"enum": ["password", "iam"]},
    "port": {"type": ["integer", "string"]},
}
"""The types of settings whose fields do not tell what stands in the file."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "Rename": {"type": "string", "examples": ["sales.orders", "audit_copy.*"]},
    "FullEvery": {"type": "string", "examples": ["30 nights", "never"]},
    "Shrink": {"type": "string", "examples": ["50%", "off"]},
    "Split": {"type": ["boolean", "integer", "string"], "examples": ["512MB"]},
    "Mask": {
        "type": "string",
        "anyOf": [
            {"enum": ["hmac", "null", "keep-last-4", "fake-name", "fake-email", "none"]},
            {"pattern": "^(constant|date-shift|sql):"},
        ],
    },
}
"""The types of options that are read from TOML's own types."""


def schema() -> dict[str, Any]:
    """The schema."""
    properties: dict[str, Any] = {key: _setting(name) for key, name in KEYS.items() if "." not in key}
    for side in SIDES:
        parts = {key.partition(".")[2]: _setting(name) for key, name in KEYS.items() if key.startswith(f"{side}.")}
        about = f"The {side} database."
        properties[side] = {"description": about, "type": "object", "properties": parts, "additionalProperties": False}
    properties["options"] = {
        "description": "The options of tables: a section [options.NAME] for a table or a pattern, as in tables, and"
        " [options.defaults] for all.",
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/options"},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": SCHEMA,
        "title": "nightly-etl.toml",
        "description": "The configuration of nightly-etl: settings, databases, and options of tables.",
        "type": "object",
        "properties": {key: properties[key] for key in ("tables", *(key for key in properties if key != "tables"))},
        "additionalProperties": False,
        "$defs": {"reference": _reference(), "options": _options()},
    }


def _reference() -> dict[str, Any]:
    kinds = {kind: {"description": about, "type": "string"} for kind, (_, about) in REFERENCES.items()}
    return {
        "description": "A value that stands elsewhere.",
        "type": "object",
        "properties": kinds,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _setting(name: str) -> dict[str, Any]:
    declared = DECLARED[name]
    found: dict[str, Any] = {"description": f"{plain(declared.help)} ({declared.variable})"}
    if declared.secret:
        return found | REFERENCE
    if name == "options":  # [options.…] has its own schema
        return found
    if declared.default:
        found["description"] += f" Default: {plain(declared.default)}."
    return found | {"anyOf": [_value(name), REFERENCE]}


def _value(name: str) -> dict[str, Any]:
    """The type of a setting's value in TOML."""
    if (last := name.rpartition("/")[2]) in SETTINGS:
        return dict(SETTINGS[last])
    field = Settings.model_fields.get(name)
    kind = _bare(field.annotation) if field else str
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    return {"type": ["integer", "string"]} if kind in {int, float} else {"type": "string"}


def _options() -> dict[str, Any]:
    texts = _docstrings()
    properties = {
        name: {"description": texts[name]} | _option(field.annotation)
        for name, field in TableOptions.model_fields.items()
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _option(annotation: Any) -> dict[str, Any]:
    kind = _bare(annotation)
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if get_origin(kind) is list:
        return {"type": "array", "items": _option(get_args(kind)[0])}
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": _option(get_args(kind)[1])}
    simple = {bool: "boolean", int: "integer", str: "string"}
    return {"type": simple[kind]} if kind in simple else dict(OPTIONS[kind.__name__])


def _bare(annotation: Any) -> Any:
    """A type without None, and without what pydantic does with it."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        (kind,) = (one for one in get_args(annotation) if one is not type(None))
        return _bare(kind)
    return annotation


def _docstrings() -> dict[str, str]:
    """The texts below the fields of TableOptions."""
    (body,) = (
        node.body
        for node in ast.parse(Path(shape.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == TableOptions.__name__
    )
    return {
        node.target.id: " ".join(after.value.value.split())
        for node, after in pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }


def plain(text: str) -> str:
    """A text of the reference without Markdown's links and code marks."""
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text).replace("`", "")
