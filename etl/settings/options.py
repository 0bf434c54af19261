"""The options file: the exceptions from the defaults for single tables. Pure policy.

The file is TOML: a section ``[defaults]``, and sections that are named like elements of TABLES, ``["sales.invoice"]``
or ``["audit.*"]``. If several sections match a table, the last one that has an option decides it. Masks are decided for
each column, so that the masks of a table's section do not remove the masks of ``[defaults]``. docs/options.md is the
user's manual.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from etl.model.catalog import SourceTable
from etl.model.errors import ConfigurationError
from etl.model.faults import faults
from etl.model.name import Planned, Relation, TargetName, label
from etl.model.selection import Pattern, Selection, unknown
from etl.model.shape import NO_OPTIONS, TableOptions, shaped
from etl.model.table import Table
from etl.settings import fault, toml, values

DEFAULTS = "defaults"


@dataclass(frozen=True, slots=True)
class Options:
    """All sections of an options file, in the order of the file."""

    defaults: TableOptions = NO_OPTIONS
    sections: tuple[tuple[Pattern, TableOptions], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Options:
        """Parses the file's text; raises FaultsError with a line for each problem, ValueError if it is no TOML."""
        return cls.read(toml.read(text))

    @classmethod
    def read(cls, document: Mapping[str, object]) -> Options:
        """Reads the sections of a TOML document; raises FaultsError with a line for each problem."""
        problems: list[str] = []
        sections = [(name, _section(name, body, problems)) for name, body in document.items()]
        patterns = [(_pattern(name, problems), options) for name, options in sections if name != DEFAULTS]
        defaults = next((options for name, options in sections if name == DEFAULTS), NO_OPTIONS)
        options = cls(defaults, tuple(patterns))
        problems += [*_contradictions(sections), *_alone(options)]
        problems += options.clashes(_exact(pattern for pattern, section in patterns if section.rename))
        if problems:
            raise values.FaultsError(problems)
        return options

    @property
    def needs_key(self) -> bool:
        """Whether any mask is computed with ETL_MASK_KEY."""
        sections = (self.defaults, *(options for _, options in self.sections))
        return any(mask.needs_key for options in sections for mask in (options.mask or {}).values())

    def of(self, table: Relation) -> TableOptions:
        """The options of a table of the source, merged from all sections that match it."""
        merged = self.defaults
        for pattern, options in self.sections:
            if pattern.matches(table):
                merged = options.over(merged)
        return merged

    @property
    def wants_delta(self) -> bool:
        """Whether the load of any table must be a delta."""
        return any(section.load == "delta" for section in (self.defaults, *(options for _, options in self.sections)))

    def otherwise(self, publish: str) -> list[str]:
        """The sections that publish their tables in another way than this."""
        sections = [(DEFAULTS, self.defaults), *((pattern.text, section) for pattern, section in self.sections)]
        return [f"[{name}]" for name, section in sections if section.publish not in {None, publish}]

    def in_place(self) -> Options:
        """The options with which all tables are published in place, whatever their sections say by now."""
        way = {"publish": "in-place"}
        sections = tuple((pattern, section.model_copy(update=way)) for pattern, section in self.sections)
        return Options(self.defaults.model_copy(update=way), sections)

    def planned(self, relations: Iterable[Relation]) -> tuple[Planned, ...]:
        """The relations of the source, each with the name of its live table.

        Raises ConfigurationError if two relations have the same live table.
        """
        planned = tuple(Planned(relation, self.of(relation).live(relation)) for relation in relations)
        if problems := _clashes(planned):
            raise ConfigurationError(problems)
        return planned

    def clashes(self, relations: Iterable[Relation]) -> list[str]:
        """A line for each live table that several relations would arrive as."""
        return _clashes(Planned(relation, self.of(relation).live(relation)) for relation in relations)

    def named_clashes(self, selection: Selection) -> list[str]:
        """The clashes among the tables that TABLES names exactly, which can be found without the source."""
        return self.clashes(_exact(pattern for pattern in selection.patterns if not pattern.excludes))

    def unknown(self, relations: Sequence[Relation]) -> list[str]:
        """A line for each section that matches no relation of the source, so that its options would have no effect."""
        names = {(relation.schema, relation.name) for relation in relations}

        def finds(pattern: Pattern) -> bool:
            return any(map(pattern.matches, relations)) if pattern.is_glob else pattern.names in names

        return [_unknown(pattern, relations) for pattern, _ in self.sections if not finds(pattern)]

    def apply(self, tables: Sequence[SourceTable]) -> list[Table]:
        """Applies the options to tables of the catalog, and returns the tables that arrive.

        Raises ConfigurationError with all faults of the options (``model/faults.py``).
        """
        problems = [problem for table in tables for problem in faults(table, self.of(table.source))]
        if problems:
            raise ConfigurationError(problems)
        return [shaped(table, self.of(table.source)) for table in tables]


def _clashes(planned: Iterable[Planned]) -> list[str]:
    sources: dict[TargetName, list[str]] = {}
    for table in planned:
        sources.setdefault(table.live, []).append(str(table.source))
    return [
        f"{' and '.join(same)} would both arrive as {live}; rename one of them"
        for live, same in sources.items()
        if len(same) > 1
    ]


def _exact(patterns: Iterable[Pattern]) -> list[Relation]:
    """The tables that patterns without ``*`` name, each once."""
    exact = (pattern for pattern in patterns if not pattern.is_glob)
    return list(dict.fromkeys(Relation(pattern.schema.text, pattern.name.text) for pattern in exact))


def _contradictions(sections: Iterable[tuple[str, TableOptions]]) -> Iterator[str]:
    """A line for each column that a section both includes and excludes.

    Two sections may do that, because the later section decides.
    """
    for name, options in sections:
        for column in sorted({*(options.columns or [])} & {*(options.exclude or [])}):
            yield f"[{name}] columns and exclude both name {column!r}; take it out of one of them"


def _alone(options: Options) -> Iterator[str]:
    """A line for each group of ``together`` that has only one table.

    A group that a glob's section names is assumed to have several: only the source has the tables that a glob matches.
    """
    alone: dict[str, tuple[str, str]] = {}
    several = {options.defaults.together}
    for pattern, section in options.sections:
        group = section.together
        if group and (pattern.is_glob or alone.setdefault(group, pattern.names) != pattern.names):
            several.add(group)
    for group, names in alone.items():
        if group not in several:
            yield (
                f"together names {group!r} for {label(*names)} alone; a group is of two tables or more: name it for"
                " another one, or take it out"
            )


def _unknown(pattern: Pattern, relations: Sequence[Relation]) -> str:
    where = f"options: [{pattern.text}]"
    if pattern.text.casefold() in {DEFAULTS, "default"}:
        return f"{where} is for no table of the source; did you mean [{DEFAULTS}]?"
    return unknown(pattern, relations, where)


def _section(name: str, body: object, problems: list[str]) -> TableOptions:
    if not isinstance(body, dict):
        problems.append(_no_section(name, body))
        return NO_OPTIONS
    try:
        return TableOptions.model_validate(body)
    except ValidationError as error:
        problems += dict.fromkeys(fault.told(name, found) for found in error.errors())
        return NO_OPTIONS


def _no_section(name: str, body: object) -> str:
    if isinstance(body, list) and all(isinstance(one, dict) for one in body):
        return f"[[{name}]] has two pairs of brackets, and a section has one; write [{name}]"
    if name in TableOptions.model_fields:
        return f"{name!r} stands outside a section; put it under [defaults] or a table's section"
    return f"{name!r} stands outside a section, and is no option; write [{name}] for the options of a table"


def _pattern(name: str, problems: list[str]) -> Pattern:
    try:
        (pattern,) = Selection.parse(name).patterns
        return pattern
    except ValueError:
        remedy = 'write ["sales.invoice"] or ["audit.*"]'
        problems.append(f"[{name}] is no table's name or pattern; {remedy}")
        return Selection.parse("*").patterns[0]
