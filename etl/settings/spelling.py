"""Variables and parameters that are no settings: misspelt names, with a suggestion, and names of other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import SequenceMatcher
from os.path import commonprefix

OURS = "ETL_"
"""The prefix of this program's variables."""

OTHERS = {
    "ETL_PUBLISHED_RUN": "the command of ETL_AFTER_PUBLISH has it, and may be an etl",
    "ETL_PUBLISHED_TABLES": "likewise",
    "ETL_COMMAND": "CodeBuild takes no command: buildspec.yml and the project of infra/ run the command in it",
}
"""Variables with this prefix that are set in the program's environment without being settings, and the reasons."""

NEAR = 0.85
"""How alike two names are of which one is taken for the other, by difflib's measure: OPTION_FILE is .96 so."""

Names = Collection[tuple[str, str | None]]
"""The names of settings: the variable, and the parameter under ETL_PARAMETER_PATH, or None."""


def strange_variables(environment: Collection[str], names: Names) -> tuple[list[str], list[str]]:
    """Returns a problem for each variable that is similar to a setting, and a warning for each other ``ETL_`` variable.

    A variable without the prefix ``ETL_`` counts as similar only if it has the letters of a setting's name, because
    other programs have variables, too.
    """
    known = [variable for variable, _ in names]
    spellings = {f"{OURS}{parameter}".upper().replace("/", "_"): variable for variable, parameter in names if parameter}
    spellings |= {_otherwise(variable): variable for variable in known} | {variable: variable for variable in known}
    problems, warnings = [], []
    for name in sorted({*environment} - {*known, *OTHERS}):
        is_ours = name.upper().startswith(OURS)
        if meant := _meant(name.upper() if is_ours else name, spellings, _likeness if is_ours else _has_letters):
            problems.append(f"{name} is no setting; did you mean {meant}?")
        elif is_ours:
            warnings.append(f"{name} is no setting, and does nothing; take it out, or mend its name")
    return problems, warnings


def _otherwise(variable: str) -> str:
    """A variable with the words that others use for the two sides."""
    return variable.replace("OPERATIONAL", "SOURCE").replace("REPORTING", "TARGET")


def strange_parameters(path: str, parameters: Collection[str], names: Names) -> Iterator[str]:
    """A problem for each parameter that is similar to a setting; other parameters may belong to other programs."""
    spellings: dict[str, str] = {}
    for variable, parameter in names:
        right = f"{path}/{parameter}" if parameter else f"the variable {variable}"
        for spelling in (parameter or variable, variable, variable.removeprefix(OURS)):
            spellings[spelling.lower()] = right
    for name in sorted({*parameters} - {parameter for _, parameter in names}):
        if meant := _meant(name.lower(), spellings, _likeness):
            yield f"{path}/{name} is no setting; did you mean {meant}?"


def _meant(name: str, spellings: Mapping[str, str], likeness: Callable[[str, str], float]) -> str | None:
    """The setting whose spelling is most similar to a name, or None if no spelling is similar enough."""
    nearest = max(spellings, key=lambda spelling: likeness(name, spelling))
    return spellings[nearest] if likeness(name, nearest) >= NEAR else None


def _likeness(name: str, right: str) -> float:
    """The similarity of two names, from 0 to 1, without the first words that both have.

    So ``operational/arn`` is not similar to ``operational/url``.
    """
    shared = commonprefix([name, right])  # noqa: RUF071 - character by character is what is wanted
    words = max(shared.rfind("_"), shared.rfind("/")) + 1
    name, right = name[words:], right[words:]
    return _has_letters(name, right) or SequenceMatcher(None, name, right).ratio()


def _has_letters(name: str, right: str) -> bool:
    """Whether two names have the same first letter and the same letters in any order, except for one letter.

    So TABLE, TABEL and TABLSE are similar to TABLES.
    """
    if name[:1] != right[:1] or abs(len(name) - len(right)) > 1:
        return False
    few, many = sorted((Counter(name), Counter(right)), key=Counter.total)
    return not few - many
