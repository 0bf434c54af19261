"""What may be shown of a configuration file that is not TOML: nothing that may be a password, or a piece of one."""

from __future__ import annotations

import re

from etl.settings.declarations import SIDES, declared
from etl.settings.toml import HIDDEN

OPTIONS = "options"

_KEYS = {name.rpartition("/")[2]: setting.secret for name, setting in declared().items()}
_KEYS |= dict.fromkeys(("parameter_path", OPTIONS, *SIDES), False)
_NEVER = {"url", "after_publish"}
"""Settings that are no secret, but may hold one."""

_HEADER = re.compile(rf"\s*\[[\[\"'\s]*(?P<name>{'|'.join((*SIDES, OPTIONS))})\b")
_PAIR = re.compile(r"(?P<key>\s*\"?(?P<name>[a-z_]+)\"?\s*[:=]+)(?P<space>\s*)(?P<value>.*)")
_PLAIN = re.compile(r"[0-9][0-9,]{0,8}|none|null|nil", re.IGNORECASE)
_WORDS = re.compile(r"[^\s\[\]{}\"'“”„‟‘’‚«»=,#\\]+")  # all but the signs of TOML, which a mistake is about

_KEY_OR_WORDS = re.compile(rf"(?P<key>[a-z_]+)(?=\s*=)|{_WORDS.pattern}")


def hidden(text: str) -> str:
    """The text, line by line, with … for each word that is neither a setting's name nor within an option.

    An option holds no secret. Of a setting that never holds one, a number stays, too.
    """
    lines, is_option = [], False
    for line in text.split("\n"):
        header = _HEADER.match(line)
        is_option = header["name"] == OPTIONS if header else is_option
        lines.append(_header(line) if header else line if is_option else _line(line))
    return "\n".join(lines)


def _header(line: str) -> str:
    """A section's own line, and … for what stands behind its bracket."""
    header, bracket, behind = line.partition("]")
    return f"{header}{bracket}{_WORDS.sub(HIDDEN, behind)}"


def _line(line: str) -> str:
    pair = _PAIR.fullmatch(line)
    if pair is None or pair["name"] not in _KEYS:
        return _WORDS.sub(HIDDEN, line)
    is_plain = not _KEYS[pair["name"]] and pair["name"] not in _NEVER and _PLAIN.fullmatch(pair["value"].strip())
    return line if is_plain else f"{pair['key']}{pair['space']}{_KEY_OR_WORDS.sub(_kept, pair['value'])}"


def _kept(words: re.Match[str]) -> str:
    """The name of a setting, which should have had a line of its own; anything else is hidden."""
    return words[0] if words["key"] in _KEYS else HIDDEN
