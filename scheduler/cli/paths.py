"""Settings paths of jobs: each job has one of its own beneath one root, and none is within another's.

A run reads all parameters beneath its path. So a path within another's would give a job's passwords to another job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def outside(paths: Mapping[str, str], root: str) -> Iterator[tuple[str, str]]:
    """The jobs whose settings path is not beneath the root, each with what is wrong with it and the remedy."""
    for job, path in paths.items():
        if not path.startswith(f"{root}/"):
            remedy = f"write '{root}/{job}', or another settings_root in [defaults]"
            yield job, f"is {path!r}, which is not beneath {root}; {remedy}"


def clashes(paths: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The jobs whose settings path is another job's, or within it; likewise."""
    owners: dict[str, str] = {}
    for job, path in paths.items():
        if path in owners:
            yield job, f"is {path!r}, which is job {owners[path]}'s, too; give each job a path of its own"
        owners.setdefault(path, job)
    for path, job in owners.items():
        for above in filter(owners.__contains__, _above(path)):
            why = f"is within {above!r}, job {owners[above]}'s, whose runs would read it, too"
            yield job, f"{why}; write a path beside it, such as {beside(above, path)!r}"


def beside(above: str, path: str) -> str:
    """A path that is not within another: its last part, put after the other's."""
    return f"{above}-{path.removeprefix(f'{above}/').replace('/', '-')}"


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
