"""What a file would change in the registry. Pure policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scheduler.job import Job, Status
from scheduler.records import BrokenJob, Registered

from . import moments, paths
from .file import JobsFile, Wanted, header
from .problem import Problem


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute, as it is and as it would be; None where it is not set."""

    key: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Changed:
    """A job that would be written: over which one, and what of it changes. A new job changes nothing."""

    job: Job
    known: Registered | None
    changes: tuple[Change, ...] = ()

    @property
    def is_rescheduled(self) -> bool:
        """Whether its due times are others than before, or it has none before."""
        known = self.known
        return known is None or (known.job.schedule, known.job.status) != (self.job.schedule, self.job.status)


@dataclass(frozen=True, slots=True)
class Difference:
    """All that a file would change. ``absent`` are jobs of the registry, ``unlisted`` pools, that the file lacks.

    ``as_read`` are the absent jobs as they were when the file was compared; not those that cannot be read.
    """

    new: tuple[Changed, ...]
    changed: tuple[Changed, ...]
    unchanged: int
    absent: tuple[str, ...]
    paused: tuple[str, ...]
    broken: tuple[BrokenJob, ...]
    limits: tuple[Change, ...]
    unlisted: tuple[Change, ...]
    as_read: Mapping[str, Job]

    def has_work(self, prune: bool) -> bool:
        """Whether there is anything to write."""
        return bool(self.new or self.changed or self.limits or (prune and (self.absent or self.unlisted)))


def difference(
    file: JobsFile, registry: Sequence[Registered | BrokenJob], limits: Mapping[str, int], *, prune: bool
) -> Difference:
    """Compares a file with the registry and the pools' numbers. Raises Problem if settings paths clash."""
    known = {each.job.id: each for each in registry if isinstance(each, Registered)}
    broken = {each.job: each for each in registry if isinstance(each, BrokenJob)}
    absent = tuple(sorted((known.keys() | broken.keys()) - file.jobs.keys()))
    if not prune:
        _refuse_clashes(file, {job: known[job].job.settings_path for job in absent if job in known})
    compared = [_compared(wanted, known.get(job)) for job, wanted in sorted(file.jobs.items()) if job not in broken]
    return Difference(
        new=tuple(each for each in compared if each.known is None),
        changed=tuple(each for each in compared if each.changes),
        unchanged=sum(each.known is not None and not each.changes for each in compared),
        absent=absent,
        paused=tuple(each.job.id for each in compared if each.job.status is Status.PAUSED),
        broken=tuple(broken[job] for job in sorted(broken.keys() & file.jobs.keys())),
        limits=tuple(_limits(limits, file.limits, sorted(file.limits))),
        unlisted=tuple(_limits(limits, {}, sorted(limits.keys() - file.limits.keys()))),
        as_read={job: known[job].job for job in absent if job in known},
    )


def _refuse_clashes(file: JobsFile, others: Mapping[str, str]) -> None:
    own = {job: wanted.job.settings_path for job, wanted in file.jobs.items()}
    problems = [
        f"{header('jobs', job)} settings_path {fault}; or remove the job that the file lacks, with --prune"
        for job, fault in paths.clashes({**others, **own})
        if others
    ]
    if problems:
        raise Problem(*problems)


def _compared(wanted: Wanted, known: Registered | None) -> Changed:
    job = replace(wanted.job, status=_status(wanted.enabled, known))
    if known is None:
        return Changed(job, None)
    old, new = attributes(known.job), attributes(job)
    changes = [Change(key, old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)]
    return Changed(job, known, tuple(changes))


def _status(enabled: bool | None, known: Registered | None) -> Status:
    """The status that a job gets. One that an operator has disabled, or that is paused, stays so."""
    if enabled is False:
        return Status.DISABLED
    if known is None or (enabled and known.job.status is Status.DISABLED):
        return Status.ENABLED
    return known.job.status


def attributes(job: Job) -> dict[str, str]:
    """A job's attributes as the file has them; those that are not set are left out."""
    told = {
        "status": job.status.value,
        "cron": job.schedule.cron,
        "zone": job.schedule.zone,
        "settings_path": job.settings_path,
        "source": job.source,
        "target": job.target,
        "overlap": job.overlap.value,
        "catch_up": job.catch_up.value,
        "window": moments.words(job.window),
        "pause_after": str(job.pause_after),
        "notify.topic": job.notify.topic,
        "notify.slack_channel": job.notify.slack_channel,
        "notify.when": job.notify.when.value,
        **{name: json.dumps(value) for name, value in sorted(job.overrides.items())},
    }
    return {name: value for name, value in told.items() if value is not None}


def _limits(old: Mapping[str, int], new: Mapping[str, int], pools: Sequence[str]) -> Iterator[Change]:
    for pool in pools:
        was, will = old.get(pool), new.get(pool)
        if was != will:
            yield Change(pool, None if was is None else str(was), None if will is None else str(will))
