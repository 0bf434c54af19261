"""``TABLES``: its grammar, and the tables of the source that it names. Pure policy.

Grammar: elements separated by commas, or a JSON array of elements. An element is ``table`` (in ``public``) or
``schema.table``. ``*`` in an unquoted part matches any characters, and a leading ``!`` excludes. A part in double
quotes is a literal name (``""`` stands for a quote in it): so names may contain dots, commas and ``*``, and begin or
end with spaces. Names are case-sensitive, as in the catalog: ``Orders`` is not ``orders``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from etl.model.errors import ConfigurationError
from etl.model.name import MAX_NAME_BYTES, Relation, label
from etl.model.wording import meant

_ALWAYS = frozenset("rp")  # the kinds of relations that a glob may match: tables and partitioned tables


_SCHEMAS_NAMED = 10


@dataclass(frozen=True, slots=True)
class NamePart:
    """A part of an element: a name, or a pattern in which ``*`` matches any characters."""

    text: str
    quoted: bool = False

    @property
    def is_glob(self) -> bool:
        """Whether this part is a pattern."""
        return "*" in self.text and not self.quoted

    def matches(self, name: str) -> bool:
        """Whether this part names ``name``."""
        if not self.is_glob:
            return self.text == name
        pattern = ".*".join(re.escape(piece) for piece in self.text.split("*"))
        return re.fullmatch(pattern, name, re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Pattern:
    """An element of ``TABLES``."""

    schema: NamePart
    name: NamePart
    excludes: bool
    text: str

    @property
    def is_glob(self) -> bool:
        """Whether this element may match more than one table."""
        return self.schema.is_glob or self.name.is_glob

    @property
    def names(self) -> tuple[str, str]:
        """The schema and the name of the table that this element names, if it is not a glob."""
        return self.schema.text, self.name.text

    def matches(self, relation: Relation) -> bool:
        """Whether this element names ``relation``."""
        return self.schema.matches(relation.schema) and self.name.matches(relation.name)

    def finds(self, relations: Iterable[Relation]) -> list[Relation]:
        """The relations that this element names. A glob names no view, partition or extension's table."""
        found = (relation for relation in relations if self.matches(relation))
        if self.excludes or not self.is_glob:
            return list(found)
        whole = (relation for relation in found if not relation.is_partition and not relation.is_member)
        return [relation for relation in whole if relation.kind in _ALWAYS]


@dataclass(frozen=True, slots=True)
class Selection:
    """``TABLES``, parsed."""

    patterns: tuple[Pattern, ...]
    origin: str = "TABLES"
    """The name of the text, for error messages."""

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Parses ``TABLES``; raises ValueError with one line that names the faulty element."""
        _refuse_quotes(text)
        elements = _elements(text)
        patterns = tuple(_pattern(element) for element in elements)
        if not any(not pattern.excludes for pattern in patterns):
            raise ValueError("names no table; write names such as orders,sales.invoice or a pattern such as *")
        return cls(patterns)

    def resolve(self, relations: Sequence[Relation]) -> list[Relation]:
        """The selected relations, each once, in the order of the elements that name them.

        Raises ConfigurationError with a line for each element that names no relation.
        """
        by_name = {(relation.schema, relation.name): [relation] for relation in relations}

        def find(pattern: Pattern) -> list[Relation]:
            # a name is looked up, not searched for: a shard may name hundreds of tables out of thousands
            return pattern.finds(relations if pattern.is_glob else by_name.get(pattern.names, []))

        if unknown := self.unknown(relations):
            raise ConfigurationError(unknown)
        excluded = {relation for pattern in self.patterns if pattern.excludes for relation in find(pattern)}
        chosen = {
            relation: None
            for pattern in self.patterns
            if not pattern.excludes
            for relation in find(pattern)
            if relation not in excluded
        }
        if not chosen:
            raise ConfigurationError("TABLES excludes every table that it names; remove a ! element")
        return list(chosen)

    def unknown(self, relations: Sequence[Relation]) -> list[str]:
        """A line for each element that names no relation; a glob that excludes may name none."""
        names = {(relation.schema, relation.name) for relation in relations}

        def finds(pattern: Pattern) -> bool:
            if pattern.is_glob:
                return pattern.excludes or bool(pattern.finds(relations))
            return pattern.names in names

        return [unknown(pattern, relations, self.origin) for pattern in self.patterns if not finds(pattern)]


def from_file(text: str) -> Selection:
    """Parses the text of a file for TABLES, whose lines may end without a comma; a line that begins with # is none.

    Raises ValueError as ``Selection.parse``.
    """
    if text.lstrip().startswith("["):
        return Selection.parse(text)
    lines = (line.strip().rstrip(",") for line in text.splitlines())
    return Selection.parse(",".join(line for line in lines if line and not line.startswith("#")))


def tables_text(tables: Sequence[str]) -> str:
    """Returns the labels of tables in the form of TABLES: a JSON array, whose elements are exact names."""
    return json.dumps(list(tables), ensure_ascii=False, separators=(",", ":"))


def named(text: str) -> Relation:
    """Returns the relation that a label names; raises ValueError if the text is not the name of a single relation."""
    patterns = Selection.parse(text).patterns
    if len(patterns) != 1 or patterns[0].excludes or patterns[0].is_glob:
        raise ValueError(f"{text!r} is no table's name; write schema.table")
    return Relation(patterns[0].schema.text, patterns[0].name.text)


_QUOTED_NAMES = re.compile(r'"(?:[^"]|"")*"(?:[.,]"(?:[^"]|"")*")*')
"""Names of which each is quoted: "["."]" is a table, although the text between its outer quotes is an array, too."""


def _refuse_quotes(text: str) -> None:
    """Raises ValueError for quotes around the whole text, which a shell takes away, and ``docker --env-file`` keeps."""
    whole, inner = text.strip(), text.strip()[1:-1].strip()
    if _QUOTED_NAMES.fullmatch(whole):
        return
    if len(whole) > 1 and whole[0] == whole[-1] and (whole[0] == "'" or (whole[0] == '"' and _is_array(inner))):
        raise ValueError(f"stands in quotes, which `docker --env-file` keeps; take them out: {inner}")


def _is_array(text: str) -> bool:
    with suppress(json.JSONDecodeError, RecursionError):
        return isinstance(json.loads(text), list)
    return False


def _elements(text: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return [element for element in _split(text, ",") if element.strip()]
    try:
        elements = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"starts as a JSON array but is none: it breaks off, or goes wrong, at character {error.pos + 1}; write"
            ' ["orders", "sales.invoice"]'
        ) from None
    except RecursionError:
        raise ValueError('is a JSON array of arrays; write ["orders", "sales.invoice"]') from None
    if not all(isinstance(element, str) for element in elements):
        raise ValueError('is a JSON array with something that is no string; write ["orders", "sales.invoice"]')
    return list(elements)


def _split(text: str, separator: str) -> list[str]:
    """Splits a text at each separator that is outside double quotes."""
    if text.count('"') % 2:
        raise ValueError(f'has an unpaired double quote in {text.strip()!r}; write "" for a quote within a name')
    return re.findall(rf'(?:^|(?<={re.escape(separator)}))((?:"[^"]*"|[^"{re.escape(separator)}])*)', text)


def _pattern(element: str) -> Pattern:
    text = element.strip()
    excludes = text.startswith("!")
    parts = [_part(part, element) for part in _split(text.removeprefix("!"), ".")]
    if len(parts) > 2:
        raise ValueError(
            f"has {element.strip()!r}, of {len(parts)} parts; write schema.table, and quote a dot in a name"
        )
    schema, name = parts if len(parts) == 2 else (NamePart("public"), parts[0])
    return Pattern(schema, name, excludes, text)


def _part(text: str, element: str) -> NamePart:
    part = text.strip()
    quoted = part.startswith('"') and part.endswith('"') and len(part) > 1
    if quoted:
        part = part[1:-1].replace('""', '"')
    elif '"' in part:
        raise ValueError(f"has {element.strip()!r}, quoted in part; quote the whole name, and double a quote within")
    if not part:
        raise ValueError(f"has {element.strip()!r}, in which a name is empty; write table or schema.table")
    if "\0" in part or not _is_text(part):
        raise ValueError(f"has {element.strip()!r}, with a zero byte or one that is not UTF-8, which no name has")
    if len(part.encode()) > MAX_NAME_BYTES:
        raise ValueError(
            f"has {element.strip()!r}, a name of over {MAX_NAME_BYTES} bytes, which no table can have; separate"
            " tables by commas"
        )
    return NamePart(part, quoted)


def _is_text(part: str) -> bool:
    """Whether a text is valid Unicode: bytes of the environment that are not UTF-8 arrive as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in part)


def unknown(pattern: Pattern, relations: Sequence[Relation], where: str) -> str:
    """The error message for an element, or a section of the options, that names no relation; with a similar name."""
    schema, name = pattern.names
    schemas = sorted({relation.schema for relation in relations})
    near = None if pattern.schema.is_glob or schema in schemas else meant(schema, schemas)
    if pattern.is_glob:
        remedy = f"did you mean {near}.{name}?" if near else "mend it or remove it"
        return f"{where}: {pattern.text!r} matches no table of the source that its role may see; {remedy}"
    return f"{where}: {label(schema, name)} is not in the source; {_remedy(pattern, relations, schemas, near)}"


def _remedy(pattern: Pattern, relations: Sequence[Relation], schemas: Sequence[str], near: str | None) -> str:
    """What to write instead of a name that no relation has."""
    schema, name = pattern.names
    if pattern.name.quoted and re.search("[,*!]", name):
        return f"the quotes make one name of it; take them out (`docker --env-file` keeps quotes): {name}"
    if len(pieces := [piece for piece in re.split(r"[\s;|]+", pattern.text) if piece]) > 1:
        return f"separate tables by commas: {','.join(pieces)}"
    by_label = {str(relation): relation for relation in relations}
    elsewhere = [text for text, relation in by_label.items() if relation.name == name]
    if nearest := next(iter(elsewhere), None) or meant(label(schema, name), by_label):
        return f"did you mean {nearest}?"
    if near:
        return f"there is no schema {schema}; did you mean {near}?"
    if schema not in schemas:
        others = f", but {', '.join(schemas[:_SCHEMAS_NAMED])}" if schemas else ""
        return f"its role sees no schema {schema}{others}; correct the name, or GRANT USAGE on the schema"
    return "the source's role may not see it, or it is in another schema"
