"""Words that messages share: a value as the user wrote it, and the known name that a misspelt one is nearest to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

NEAR = 0.7
"""How alike two names are of which one may be meant by the other, by difflib's measure: plced_on and placed_on, .94."""

_CUT = 60


def shown(value: object) -> str:
    """A value as TOML writes it, cut after 60 characters: ``"id"``, ``true``, ``["id", "note"]``."""
    text = _toml(value)
    return text if len(text) <= _CUT else f"{text[:_CUT]}…"


def listed(names: Iterable[object]) -> str:
    """A list of names as TOML writes it."""
    return f"[{', '.join(_toml(str(name)) for name in names)}]"


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest to a misspelt one, by its letters in any case; None if none is near enough."""
    by_letters: dict[str, list[str]] = {}
    for one in known:
        by_letters.setdefault(one.casefold(), []).append(one)
    near = get_close_matches(name.casefold(), by_letters, n=1, cutoff=NEAR)
    return get_close_matches(name, by_letters[near[0]], n=1, cutoff=0)[0] if near else None


def did_you_mean(name: str, known: Iterable[str], form: str = "{}") -> str:
    """``; did you mean …?`` with the nearest known name in this form, or an empty text."""
    near = meant(name, known)
    return "" if near is None else f"; did you mean {form.format(near)}?"


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number and its noun: ``1 thing``, ``2 things``."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def took(seconds: float) -> str:
    """Seconds for people: ``44 s``, ``3 min 40 s``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def either(words: Sequence[str], conjunction: str = "or") -> str:
    """``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            pairs = ", ".join(f"{key} = {_toml(one)}" for key, one in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
    return str(value)
