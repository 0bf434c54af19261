"""The file of all jobs: reads and validates it whole, and tells all that is wrong with it at once."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from scheduler.cron import Schedule
from scheduler.job import ID, CatchUp, Job, Overlap
from scheduler.pools import Pool

from . import keys, paths
from .problem import Problem, meant

_SECTIONS = ("defaults", "jobs", "sources", "targets")
_REQUIRED = {"cron": 'cron = "30 2 * * *"', "source": 'source = "db1"', "target": 'target = "reports"'}
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AS_TOLD = "as docs/scheduler-commands.md has it"
_OVERRIDES = ("shards", "max_concurrency")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job as the file has it. ``enabled`` is None where the file does not say."""

    job: Job
    enabled: bool | None


@dataclass(frozen=True, slots=True)
class JobsFile:
    """All jobs of a file, by id, and the pools that have a number of their own, by id."""

    jobs: Mapping[str, Wanted]
    limits: Mapping[str, int]


def read(path: Path, root: str) -> JobsFile:
    """Reads a file; raises Problem with a line for each fault. ``root`` is that of a file that names none."""
    document = _document(path)
    reading = _Reading(path.name)
    found = reading.file(document, root)
    if reading.problems:
        raise Problem(*reading.problems)
    return found


def _document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Problem(f"{path} is not there; give the TOML file of all jobs") from None
    except UnicodeDecodeError:
        raise Problem(f"{path} is not in UTF-8; save it so") from None
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}; give a file that this user may read") from None
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise Problem(_no_toml(path.name, text, str(error))) from None
    except RecursionError:
        raise Problem(f"{path.name} has arrays within arrays, too many to be read; write it {_AS_TOLD}") from None


def _no_toml(name: str, text: str, said: str) -> str:
    """What is wrong with a text that is no TOML, with its line."""
    place, lines = re.search(r"line (\d+)", said), text.splitlines()
    number = int(place[1]) if place else len(lines)
    line = lines[number - 1].strip() if lines else ""
    pair = re.fullmatch(r"([\w-]+)\s*([=:])\s*(\S.*)", line)
    why, remedy = said.partition(" (at ")[0], f"write it {_AS_TOLD}"
    if pair and pair[3][0] not in "\"'[{" and "overwrite" not in said:
        why, remedy = "a text needs quotes", f"write {pair[1]} = {json.dumps(pair[3])}"
    elif pair and pair[2] == ":":
        why, remedy = "a key and its value have an equals sign between them", f"write {pair[1]} = {pair[3]}"
    elif pair and pair[3][0] in "\"'" and pair[3].count(pair[3][0]) == 1:
        why, remedy = "a text ends with the quote that it begins with", f"write {line}{pair[3][0]}"
    elif re.search("twice|overwrite|declare", said):
        why, remedy = "it has stood before", "keep one of the two, with all that both say"
    return f"{name} line {number} is not TOML, {line[:80]}: {why[:1].lower()}{why[1:]}; {remedy}"


@dataclass(slots=True)
class _Reading:
    """One file as it is read: all that is wrong with it so far."""

    name: str
    problems: list[str] = field(default_factory=list)
    in_defaults: set[str] = field(default_factory=set)
    """The keys of [defaults], also those whose values cannot be used: that is told once, and not of each job."""

    def file(self, document: Mapping[str, Any], root: str) -> JobsFile:
        for section in sorted(document.keys() - set(_SECTIONS)):
            remedy = meant(section, _SECTIONS, f"the sections are {', '.join(f'[{each}]' for each in _SECTIONS)}")
            self._problem(f"[{section}]", f"is no section of this file; {remedy}")
        defaults = self._defaults(document.get("defaults", {}))
        root = defaults.pop("settings_root", root)
        jobs = dict(self._jobs(document.get("jobs", {}), defaults, root))
        if not document.get("jobs") and not self.problems:
            self.problems.append(f"{self.name} has no job; write a section [jobs.ID] for each")
        limits = {
            pool: most
            for kind, make in (("source", Pool.of_source), ("target", Pool.of_target))
            for pool, most in self._limits(kind, document.get(f"{kind}s", {}), jobs, make)
        }
        found = {job: wanted.job.settings_path for job, wanted in jobs.items()}
        for job, fault in chain(paths.outside(found, root), paths.clashes(found)):
            self._problem(header("jobs", job), f"settings_path {fault}")
        return JobsFile(jobs, limits)

    def _defaults(self, table: Any) -> dict[str, Any]:
        if not self._is_table("[defaults]", table):
            return {}
        self.in_defaults.update(table)
        own = {name: value for name, value in table.items() if name != "settings_path"}
        if "settings_path" in table:
            remedy = "write settings_root = … here, and settings_path in each job's section"
            self._problem("[defaults]", f"settings_path is each job's own; {remedy}")
        return self._values("[defaults]", own, keys.JOB | {"settings_root": keys.ROOT})

    def _jobs(self, table: Any, defaults: Mapping[str, Any], root: str) -> Iterator[tuple[str, Wanted]]:
        if not self._is_table("[jobs]", table, "a section [jobs.ID] for each job"):
            return
        for job, section in table.items():
            where = header("jobs", job)
            if not isinstance(section, dict):
                self._problem("[jobs]", f"{job} stands in no job's section; write it below a [jobs.ID]")
            elif not ID.fullmatch(job):
                why = "an id has letters, digits, - and _, begins with a letter or digit, and has 63 at most"
                self._problem(where, f"is no job's id: {why}; write [jobs.{_id_like(job)}]")
            elif wanted := self._job(job, where, section, defaults, root):
                yield job, wanted

    def _job(
        self, job: str, where: str, section: Mapping[str, Any], defaults: Mapping[str, Any], root: str
    ) -> Wanted | None:
        before = len(self.problems)
        for name in (name for name, value in section.items() if isinstance(value, dict) and name not in keys.JOB):
            self._problem(
                f"[jobs.{job}.{name}]",
                f"is within [jobs.{job}], for a dot is no part of an id; write [jobs.{_id_like(f'{job}-{name}')}]",
            )
        if len(self.problems) > before:
            return None
        own = self._values(where, section, keys.JOB)
        told = {**defaults.get("notify", {}), **own.get("notify", {})}
        values = {**defaults, **own}
        for name in sorted(_REQUIRED.keys() - values.keys() - section.keys() - self.in_defaults):
            self._problem(where, f"has no {name}; write {_REQUIRED[name]}, here or in [defaults]")
        if _REQUIRED.keys() - values.keys() or len(self.problems) > before:
            return None
        made = Job(
            id=job,
            schedule=Schedule(values["cron"], values.get("zone", "UTC")),
            settings_path=values.get("settings_path", f"{root}/{job}"),
            source=values["source"],
            target=values["target"],
            overlap=values.get("overlap", Overlap.SKIP),
            catch_up=values.get("catch_up", CatchUp.ONCE),
            window=values.get("window", timedelta(hours=6)),
            pause_after=values.get("pause_after", 5),
            notify=keys.notify(told),
            overrides={name: values[name] for name in _OVERRIDES if name in values},
        )
        return Wanted(made, values.get("enabled"))

    def _limits(self, kind: str, table: Any, jobs: Mapping[str, Wanted], make: Any) -> Iterator[tuple[str, int]]:
        if not self._is_table(f"[{kind}s]", table):
            return
        used = {getattr(wanted.job, kind) for wanted in jobs.values()}
        self._alike(kind, used)
        for name, section in table.items():
            where = header(f"{kind}s", name)
            if not self._is_table(where, section, f"{where}, and below it at_once = 4"):
                continue
            if name not in used and jobs:
                remedy = meant(name, used, "take the section out")
                self._problem(where, f"no job of this file has this {kind}; {remedy}")
            values = self._values(where, section, {"at_once": keys.AT_ONCE})
            if "at_once" not in section:
                self._problem(where, "has no at_once; write at_once = 4, or take the section out")
            yield from ((make(name).id, most) for most in values.values())

    def _alike(self, kind: str, used: set[str]) -> None:
        """A server whose name is written in two ways has two pools, so twice as many runs at once."""
        first: dict[str, str] = {}
        for name in sorted(used):
            other = first.setdefault(name.casefold(), name)
            if other != name:
                same = f"{kind} is {other!r} for some jobs and {name!r} for others, which is one server"
                self.problems.append(f"{self.name} {same}; write it in one way, for a pool counts by the name")

    def _values(self, where: str, table: Mapping[str, Any], known: Mapping[str, keys.Key]) -> dict[str, Any]:
        """The keys of a section that can be used, read; a problem for each other one."""
        values = {}
        for name, value in table.items():
            if name not in known:
                remedy = meant(name, known, f"the keys are {', '.join(known)}")
                self._problem(where, f"{name} is no key of this section; {remedy}")
            elif name == "notify":
                if self._is_table(where, value, 'notify = { slack_channel = "C0123ABCD" }', "notify "):
                    values[name] = self._values(f"{where} notify", value, keys.NOTIFY)
            else:
                try:
                    values[name] = known[name].read(value)
                except keys.Bad as bad:
                    self._problem(where, f"{name} {bad}")
        return values

    def _is_table(self, where: str, value: Any, right: str | None = None, name: str = "") -> bool:
        if isinstance(value, dict):
            return True
        self._problem(where, f"{name}is {value!r}, which is no section; write {right or where}")
        return False

    def _problem(self, where: str, what: str) -> None:
        self.problems.append(f"{self.name} {where} {what}")


def _id_like(text: str) -> str:
    """A job's id that is like a text."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:63] or "acme"


def header(kind: str, name: str) -> str:
    """A section's header, with quotes where TOML needs them."""
    return f"[{kind}.{name}]" if _BARE.fullmatch(name) else f"[{kind}.{json.dumps(name, ensure_ascii=False)}]"
