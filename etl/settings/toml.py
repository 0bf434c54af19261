"""Reads a TOML text; where it is none, says which line is wrong, why, and what to write instead, in this tool's words.

``tomllib`` parses, and gives the place of the first mistake. Its words speak of the grammar ("Invalid initial character
for a key part"), so the line at that place is looked at for the mistakes that people make: a name or a value without
quotes, a quote that is not closed, a section or an option that stands twice.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

BOM = "\ufeff"

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_HEADER = re.compile(r"\s*\[+(?P<name>[^\]#]*)\]*\s*(?:#.*)?$")
_BARE_KEY = r"[A-Za-z0-9_-]+"
_PAIR = re.compile(r"\s*(?P<key>[^=#\[\]{}]+?)\s*=\s*(?P<value>.*?)\s*$")
_CURLY = "“”„‟‘’‚«»"
_CURLY_AROUND = re.compile(rf"(?:^|[=\[,{{]\s*)[{_CURLY}]|[{_CURLY}]\s*[\]}},]*$")  # not those within a text
_CODE = re.compile(r"(?:\"[^\"]*\"|'[^']*'|[^#])*")  # all before a comment; a # in quotes begins none
_NO_VALUE = {"none", "null", "nil"}
_YES_OR_NO = {"true", "false", "yes", "no", "on", "off"}
_SWITCHES = {"pure", "unlogged"}
_QUOTES = "\"'"
_KEY = re.compile(rf"({_BARE_KEY}|\"[^\"]*\"|'[^']*')(\s*\.\s*({_BARE_KEY}|\"[^\"]*\"|'[^']*'))*")
_SAID_BEFORE = re.compile("twice|overwrite|mutate")  # tomllib's words for what stands twice
_MASKS = 'mask = { email = "hmac" }'
_LISTS = {"columns", "exclude", "order_by", "unmask", "tables"}
_SECTIONS = {"operational", "reporting", "options"}  # of a configuration file

HIDDEN = "…"
"""What stands for a text that must not be shown."""


class Kind(Enum):
    """Which file a text is, and the page that has examples of it."""

    OPTIONS = "docs/options.md"
    CONFIG = "docs/reference.md"


def read(text: str, kind: Kind = Kind.OPTIONS, shown: str | None = None) -> dict[str, Any]:
    """Returns the document; raises ValueError with one line.

    The line quotes ``shown``, which is the text, line by line, without what must not be shown.
    """
    if text.startswith(BOM):
        raise ValueError("begins with a byte order mark (BOM), which TOML does not have; save it as UTF-8 without BOM")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(_explained(text if shown is None else shown, str(error), kind)) from None
    except RecursionError:
        raise ValueError("has brackets within brackets without end; write lists of names only") from None


@dataclass(frozen=True, slots=True)
class _Mistake:
    """The line of a mistake: its number, its text, the section that it stands in, and tomllib's words."""

    number: int
    text: str
    before: tuple[str, ...]
    said: str
    kind: Kind

    @property
    def section(self) -> str:
        """The section that the line stands in, as ``[orders] ``, or an empty text above the first section."""
        names = (name for line in reversed(self.before) if (name := _section_of(line)) is not None)
        name = next(names, None)
        return f"[{name}] " if name else ""

    def right(self, name: str) -> str:
        """A section's header, as it should be: those of a configuration file's options begin with options."""
        head, dot, table = name.strip("\"' ").partition(".")
        if self.kind is Kind.CONFIG and dot:
            is_key = re.fullmatch(rf"{_BARE_KEY}(\.mask)?", table)
            return f"[{head}.{table}]" if is_key else f"[{head}.{_quoted(table.strip(_QUOTES))}]"
        return _section(name)


def _explained(text: str, said: str, kind: Kind) -> str:
    place = _PLACE.search(said)
    lines = text.split("\n")
    number = int(place[1]) if place and place[1] else _last(lines)
    mistake = _Mistake(number, lines[number - 1].strip(), tuple(lines[: number - 1]), _PLACE.sub("", said), kind)
    for look in _LOOKS:
        if found := look(mistake):
            return f"line {number}: {found}"
    return f"line {number} is not TOML, {_quoted(mistake.text)}: {mistake.said}; {kind.value} has examples"


def _last(lines: list[str]) -> int:
    return max((number for number, line in enumerate(lines, 1) if line.strip()), default=1)


def _curly(mistake: _Mistake) -> str | None:
    if not _CURLY_AROUND.search(mistake.text):
        return None
    straight = re.sub(f"[{_CURLY}]", '"', mistake.text)
    return f"{mistake.section}{mistake.text} has typographic quotes; write {straight}"


def _header(mistake: _Mistake) -> str | None:
    if not mistake.text.startswith("["):
        return None
    if behind := re.match(r"\[[^\[\]]+\]\s*(?=[^\s\]#])", mistake.text):
        return f"{behind[0].strip()} has something behind its bracket; put that on a line of its own"
    name = _section_of(mistake.text) or ""
    return next((fault for look in (_brackets, _name) if (fault := look(mistake, name))), None)


def _brackets(mistake: _Mistake, name: str) -> str | None:
    if not name:
        return '[] is a section without a name; write the name of a table or a pattern, such as ["audit.*"]'
    if "]" not in mistake.text:
        return f"[{name} has no closing bracket; write {mistake.right(name)}"
    if mistake.text.startswith("[[") or mistake.text.endswith("]]"):
        return f"{mistake.text} has two brackets on a side, and a section has one; write {mistake.right(name)}"
    return None


def _name(mistake: _Mistake, name: str) -> str | None:
    if _SAID_BEFORE.search(mistake.said):
        return _twice(mistake, f"[{name}]", lambda line: _section_of(line) == name)
    if name.count('"') % 2 or name.count("'") % 2:
        return f"[{name}] has a quote that is not closed; write {mistake.right(name.strip(_QUOTES))}"
    if re.fullmatch(_BARE_KEY, name):
        return None
    return f"[{name}] needs quotes around the name; write {mistake.right(name)}"


def _pair(mistake: _Mistake) -> str | None:
    pair = _PAIR.fullmatch(mistake.text)
    if pair is None:
        return _no_pair(mistake)
    key, value = pair["key"], pair["value"]
    if _SAID_BEFORE.search(mistake.said):
        return _twice(mistake, f"{mistake.section}{key.strip(_QUOTES)}", lambda line: _key_of(line) == key)
    if key.endswith(":") or value.startswith("="):
        right = f"{key.rstrip(': ')} = {_value(value.lstrip('= '))}"
        return f"{mistake.section}{mistake.text} has another sign than =; write {right}"
    if HIDDEN in key:
        return None
    if not _KEY.fullmatch(key):
        remedy = f"write {_key(key)} = …"
        return f"{mistake.section}{key} needs quotes, for it has more than letters, digits, _ and -; {remedy}"
    looks = (_empty, _unclosed, _no_word, _unquoted, _too_many_quotes)
    fault = next((fault for look in looks if (fault := look(key, value))), None)
    return f"{mistake.section}{fault}" if fault else None


def _no_pair(mistake: _Mistake) -> str | None:
    """A line that is no pair of key and value: a line of a list, or a colon for the equals sign."""
    if mistake.text.startswith("{"):
        what = "the options are TOML; write [orders], and below it each option on a line of its own"
        what = "the file is TOML; write each setting on a line of its own" if mistake.kind is Kind.CONFIG else what
        return f"is JSON, and {what}"
    if colon := re.fullmatch(rf"({_BARE_KEY})\s*:\s*(.*)", mistake.text):
        right = f"{colon[1]} = {_value(colon[2])}" if colon[2] else mistake.right(colon[1])
        is_setting = mistake.section or (mistake.kind is Kind.CONFIG and colon[1] not in _SECTIONS)
        right = f"{colon[1]} = …" if is_setting and not colon[2] else right
        return f"{mistake.section}{mistake.text} has a colon, as YAML has; write {right}"
    if (word := re.fullmatch(r"([^\s\"'\[\]{}#,=]+),?", mistake.text)) and _within_list(mistake):
        return f"{mistake.section}{word[1]} has no quotes; write {json.dumps(word[1], ensure_ascii=False)}"
    if re.fullmatch(_BARE_KEY, mistake.text):
        return f"{mistake.section}{mistake.text} has no value; write {mistake.text} = …, and the value in quotes"
    return None


def _endless(mistake: _Mistake) -> str | None:
    """Three quotes that open a text of several lines, and are not closed."""
    if "Unterminated" not in mistake.said:  # tomllib's word for a text without end; three quotes may stand elsewhere
        return None
    lines = [*mistake.before, mistake.text]
    for quotes in ('"""', "'''"):
        if sum(line.count(quotes) for line in lines) % 2:
            opened = next(number for number, line in reversed(list(enumerate(lines, 1))) if quotes in line)
            return f"the {quotes} of line {opened} are not closed; write {quotes} at the end of the text"
    return None


def _endless_list(mistake: _Mistake) -> str | None:
    """A list of several lines that does not end, or has no comma at the end of a line."""
    opened = [number for number, line in enumerate(mistake.before, 1) if re.search(r"=\s*\[", line)]
    if "Unclosed array" not in mistake.said or not opened:
        return None
    remedy = "write a comma after each name, and ] after the last one"
    return f"the list of line {opened[-1]} has no closing bracket, or no comma between two names; {remedy}"


def _within_list(mistake: _Mistake) -> bool:
    opened = "".join(mistake.before)
    return opened.count("[") > opened.count("]")


def _empty(key: str, value: str) -> str | None:
    if value and not value.startswith("#"):
        return None
    return f"{key} has no value; write one after the equals sign, or take {key} out"


def _unclosed(key: str, value: str) -> str | None:
    quote = value[:1]
    if quote in {'"', "'"} and quote not in value[1:]:
        return f"{key} = {value} has an opening quote and no closing one; write {key} = {value}{quote}"
    if value.startswith("[") and value.count('"') % 2:
        return f"{key} = {value} has a quote that is not closed; write {key} = {_list(value)}"
    if value.startswith("[") and "]" not in value:
        return f"{key} = {value} has no closing bracket; write {key} = {_list(value)}"
    if value.startswith("{") and "}" not in value:
        return f"{key} = {value} has no closing brace on its line; write all of {key} in one line, between {{ and }}"
    return None


def _no_word(key: str, value: str) -> str | None:
    """A word of another language: True, None, 1,000."""
    if value in {"True", "False", "TRUE", "FALSE"} or (key in _SWITCHES and value.lower() in _YES_OR_NO):
        return f"{key} = {value} is neither true nor false; write {key} = true or {key} = false, in small letters"
    if value.lower() in _NO_VALUE and key != "indexes":
        return f"{key} = {value} is no value; take {key} out, for what is not there is not set"
    if re.fullmatch(r"0[0-9]+", value):
        return f"{key} = {value} begins with 0, as no number of TOML does; write {key} = {int(value)}"
    if re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+", value):
        return f"{key} = {value} has commas in its number; write {key} = {value.replace(',', '')}"
    return None


def _unquoted(key: str, value: str) -> str | None:
    bare = _bare(value)
    if bare and not re.search(r"[\"'\[\]{}]", bare):
        return f"{key} = {bare} has no quotes; write {key} = {_list(bare) if key in _LISTS else _value(bare)}"
    if re.match(r"[A-Za-z_(]", bare):
        return f"{key} = {bare} has no quotes around it; write {key} = {_value(bare)}"
    if bare.startswith("["):
        return f"{key} = {value} has names without quotes, or no commas between them; write {key} = {_list(value)}"
    if bare.startswith("{"):
        return f"{key} = {value} has something without quotes, or no = between a column and its mask; write {_MASKS}"
    return None


def _bare(value: str) -> str:
    """A value without the comment behind it."""
    code = _CODE.match(value)
    return code[0].strip() if code else value


def _too_many_quotes(key: str, value: str) -> str | None:
    if re.search(r"[\"'][,;]?\s+[a-z_]+\s*=\s*\S", value):
        return f"{key} = {value} has two options on one line; put each on a line of its own"
    if re.match(r"([\"']).*\1.*\1", value):
        return f"{key} = {value} has a quote within quotes; write {key} = {_within(value)}"
    if "\\" in value:
        right = "'''…'''" if "'" in value else "'…'"
        return f"{key} = {value} has a backslash, which means something else in double quotes; write {right} instead"
    return None


def _twice(mistake: _Mistake, what: str, is_it: Callable[[str], bool]) -> str:
    earlier = [number for number, line in enumerate(mistake.before, 1) if is_it(line.strip())]
    where = f"stands on line {earlier[-1]}, too" if earlier else "has stood before"
    return f"{what} {where}; keep one of the two, with all that both say"


_LOOKS: tuple[Callable[[_Mistake], str | None], ...] = (_endless, _endless_list, _curly, _header, _pair)


def _section_of(line: str) -> str | None:
    found = _HEADER.match(line)
    return found["name"].strip() if found else None


def _key_of(line: str) -> str | None:
    pair = _PAIR.fullmatch(line)
    return pair["key"] if pair else None


def _section(name: str) -> str:
    bare = name.strip("\"' ")
    return f"[{bare}]" if re.fullmatch(_BARE_KEY, bare) else f'["{bare}"]'


def _key(key: str) -> str:
    mask, dot, column = key.partition(".")
    if mask == "mask" and dot:
        return f"mask.{json.dumps(column, ensure_ascii=False)}"
    return json.dumps(key.strip("\"'"), ensure_ascii=False)


def _value(text: str) -> str:
    """A text as a value in quotes; single ones, as in SQL, within double ones."""
    text = text.strip()
    if text[:1] in {'"', "'", "[", "{"}:
        return text
    return f"'{text}'" if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)


def _within(value: str) -> str:
    inner = value[1:-1]
    return f'"{inner}"' if '"' not in inner else f"'{inner}'" if "'" not in inner else f'"""{inner}"""'


def _list(value: str) -> str:
    return f"[{', '.join(json.dumps(word, ensure_ascii=False) for word in _words(value)) or chr(34) + 'id' + chr(34)}]"


def _words(value: str) -> Iterator[str]:
    for piece in re.split(r"," if "," in value else r"\s+", _bare(value).strip("[] ")):
        if word := piece.strip("\"'[] "):
            yield word


def _quoted(text: str) -> str:
    return json.dumps(text[:60], ensure_ascii=False)
