"""Says in this tool's words what pydantic has found wrong with an option: the value, why, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

from etl.model.mask import KINDS
from etl.model.shape import TableOptions
from etl.model.wording import did_you_mean, either, listed, shown

_CONDITION = 'where = "id > 0"'
_MASKS = 'mask = { email = "hmac" }'


def told(section: str, found: Mapping[str, Any]) -> str:
    """The message for one of pydantic's errors about a section."""
    key, *within = (str(part) for part in found["loc"] if isinstance(part, str | int))
    value = found["input"]
    if found["type"] == "value_error":
        name = f"{key}.{within[0]}" if key == "mask" and within else key
        return f"[{section}] {name} {found['msg'].removeprefix('Value error, ')}"
    if found["type"] == "extra_forbidden":
        return _unknown(section, key, value)
    say = _SAYING.get(found["type"], _other)
    return f"[{section}] {key} {say(key, value)}"


def _unknown(section: str, key: str, value: object) -> str:
    options = list(TableOptions.model_fields)
    if isinstance(value, dict) and not did_you_mean(key, options):
        return f'[{section}.{key}] is TOML for a section within a section; write ["{section}.{key}"]'
    remedy = did_you_mean(key, options) or f"; the options are {', '.join(options)}"
    return f"[{section}] {key} is no option{remedy}"


def _list(key: str, value: object) -> str:
    if value == "*":
        return f'is "*", and takes a list of names; take {key} out where all are meant'
    if isinstance(value, str):
        names = [value] if key == "order_by" else [name.strip() for name in value.split(",") if name.strip()]
        return f"is {shown(value)}, and takes a list; write {key} = {listed(names or ['id'])}"
    return f"is {shown(value)}, and takes a list of names; write {key} = {listed(['id'])}"


def _text(key: str, value: object) -> str:
    if key in _LISTS:
        return f"holds {shown(value)}, which is no name in quotes; write {key} = {listed([shown(value)])}"
    if key != "where":
        return f"is {shown(value)}, and takes a text in quotes; write {key} = {shown(shown(value).strip(chr(34)))}"
    return f"is {shown(value)}, and takes a condition in quotes; write {_CONDITION}"


def _choice(key: str, value: object) -> str:
    words = choices(key)
    quoted = [shown(word) for word in words]
    return f"is {shown(value)}; write {either(quoted)}{did_you_mean(str(value), words, chr(34) + '{}' + chr(34))}"


def _switch(key: str, value: object) -> str:
    return f"is {shown(value)}; write {key} = true or {key} = false, without quotes"


def _masks(key: str, value: object) -> str:
    return f"is {shown(value)}, and takes a mask for each column; write {_MASKS}, of the masks {KINDS}"


def _other(_: str, value: object) -> str:
    return f"is {shown(value)}, which it cannot be; docs/options.md says what it takes"


_SAYING: dict[str, Callable[[str, object], str]] = {
    "list_type": _list,
    "string_type": _text,
    "literal_error": _choice,
    "bool_type": _switch,
    "dict_type": _masks,
}

_LISTS = ("columns", "exclude", "order_by", "unmask")


def choices(key: str) -> list[str]:
    """The words that an option takes, if it takes one of some words."""
    kinds = get_args(TableOptions.model_fields[key].annotation)
    return [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
