"""Names that are no setting's: slips of the pen, with what was meant, and what others set for themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import SequenceMatcher
from os.path import commonprefix

OURS = "ETL_"
"""What a variable begins with that nobody else has a use for."""

OTHERS = {
    "ETL_COMMAND": "CodeBuild takes no command: buildspec.yml and the project of infra/ run the one that stands here",
}
"""The variables that begin like ours, are set where the program runs, and are no settings of its; and why."""

NEAR = 0.85
"""How alike two names are of which one is taken for the other, by difflib's measure: OPTION_FILE is .96 so."""

Names = Collection[tuple[str, str | None]]
"""The settings by their names: the variable, and the parameter under ETL_PARAMETER_PATH, or None."""


def strange_variables(environment: Collection[str], names: Names) -> tuple[list[str], list[str]]:
    """Gives a problem for each variable that is nearly one of ours, and a warning for each other that begins so.

    One that does not begin so is only taken for ours where it has the letters of one: nobody else's business is ours.
    """
    known = [variable for variable, _ in names]
    spellings = {f"{OURS}{parameter}".upper().replace("/", "_"): variable for variable, parameter in names if parameter}
    spellings |= {variable: variable for variable in known}
    problems, warnings = [], []
    for name in sorted({*environment} - {*known, *OTHERS}):
        is_ours = name.upper().startswith(OURS)
        if meant := _meant(name.upper() if is_ours else name, spellings, _likeness if is_ours else _has_letters):
            problems.append(f"{name} is no setting; did you mean {meant}?")
        elif is_ours:
            warnings.append(f"{name} is no setting, and does nothing; take it out, or mend its name")
    return problems, warnings


def strange_parameters(path: str, parameters: Collection[str], names: Names) -> Iterator[str]:
    """Says which parameters are nearly one of ours; what else is under the path is somebody else's."""
    spellings: dict[str, str] = {}
    for variable, parameter in names:
        right = f"{path}/{parameter}" if parameter else f"the variable {variable}"
        for one in (parameter or variable, variable, variable.removeprefix(OURS)):
            spellings[one.lower()] = right
    for name in sorted({*parameters} - {parameter for _, parameter in names}):
        if meant := _meant(name.lower(), spellings, _likeness):
            yield f"{path}/{name} is no setting; did you mean {meant}?"


def _meant(name: str, spellings: Mapping[str, str], likeness: Callable[[str, str], float]) -> str | None:
    """Gives what was meant by a name that is nearly one of the spellings, or None."""
    nearest = max(spellings, key=lambda one: likeness(name, one))
    return spellings[nearest] if likeness(name, nearest) >= NEAR else None


def _likeness(name: str, right: str) -> float:
    """Gives how alike two names are, from 0 to 1, behind the words that they share: operational/arn is no url."""
    shared = commonprefix([name, right])  # noqa: RUF071 - character by character is what is wanted
    words = max(shared.rfind("_"), shared.rfind("/")) + 1
    name, right = name[words:], right[words:]
    return _has_letters(name, right) or SequenceMatcher(None, name, right).ratio()


def _has_letters(name: str, right: str) -> bool:
    """Tells whether a name begins as another and has its letters, but for one, in any order: TABLE, TABEL, TABLSE."""
    if name[:1] != right[:1] or abs(len(name) - len(right)) > 1:
        return False
    few, many = sorted((Counter(name), Counter(right)), key=Counter.total)
    return not few - many
