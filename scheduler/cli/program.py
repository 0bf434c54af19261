"""The commands: what click reads, what each does, what it prints."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from botocore.exceptions import BotoCoreError, ClientError

from scheduler.job import ID, Status
from scheduler.message import Message
from scheduler.pools import pools_of
from scheduler.records import BrokenJob, Registered
from scheduler.registry import ChangedMeanwhile

from . import answers, file, names
from .aws import Access, explained
from .diff import Difference, difference
from .moments import foreseen
from .problem import Failure, Problem
from .writing import AT_ONCE, Written, write

PROGRAM = "nightly-jobs"

_LEFT = "AWS has refused another; repeat it when that is mended"
_HELP = {"help_option_names": ["-h", "--help"]}
F = TypeVar("F", bound=Callable[..., Any])


@click.group(context_settings=_HELP)
@click.version_option(package_name="nightly-etl", prog_name=PROGRAM)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def program(debug: bool) -> None:
    """The jobs of the scheduler: tenants' copies, each on its own schedule.

    The jobs are in the deployment's table, which is used through AWS's signed APIs with the usual credentials
    (AWS_PROFILE, AWS_REGION …). Exit status: 0 done, 1 something failed, 2 bad configuration or usage.
    """


def _deployed(command: F) -> F:
    """Gives a command the options that say which deployment it is about, and ``--json``."""
    options = [
        click.option(
            "--name",
            envvar="NIGHTLY_JOBS_NAME",
            default="nightly-etl",
            show_default=True,
            help="The deployment's name (NIGHTLY_JOBS_NAME); its table is NAME-jobs, its queue NAME-due.",
        ),
        click.option("--table", envvar="NIGHTLY_JOBS_TABLE", help="The jobs' table (NIGHTLY_JOBS_TABLE)."),
        click.option(
            "--queue",
            envvar="NIGHTLY_JOBS_QUEUE",
            help="The queue's name or URL (NIGHTLY_JOBS_QUEUE); run-now uses it.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document; messages go to standard error."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_yes = click.option("--yes", is_flag=True, help="Do it without asking.")


@program.command("put")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--prune", is_flag=True, help="Remove the jobs, and the pools' numbers, that the file lacks.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@_yes
@_deployed
def put(path: Path, prune: bool, dry_run: bool, yes: bool, as_json: bool, **deployed: str) -> None:
    """Put the jobs of a TOML file into the registry; first show what changes, with each job's next five due times."""
    access, now = _access(deployed), datetime.now(UTC)
    wanted = file.read(path, access.root)
    known, limits = access.registry.contents()
    todo = _within(path.name, lambda: difference(wanted, known, limits, prune=prune))
    if not as_json:
        from .screen import print_difference

        print_difference(todo, now, prune=prune)
    written = None
    if todo.has_work(prune) and not dry_run:
        _ask(f"Write this{_removing(todo) if prune else ''}?", yes=yes)
        written = write(access.registry, access.pools, todo, datetime.now(UTC), prune=prune)
    _tell_written(todo, written, now, as_json=as_json)
    problems = [
        *(written.failed if written else ()),
        *(f"job {one.job} cannot be read: {one.why}" for one in todo.broken),
    ]
    if problems and not dry_run:
        raise Failure(*problems)


def _within(name: str, work: Callable[[], Difference]) -> Difference:
    try:
        return work()
    except Problem as problem:
        raise Problem(*(f"{name} {line}" for line in problem.lines)) from None


def _removing(todo: Difference) -> str:
    return f", and remove {len(todo.absent):,} job{'s' * (len(todo.absent) > 1)}" if todo.absent else ""


def _tell_written(todo: Difference, written: Written | None, now: datetime, *, as_json: bool) -> None:
    if as_json:
        _print(answers.PutAnswer.of(todo, written, now))
    elif written is not None:
        from .screen import print_written

        print_written(written)


@program.command("list")
@click.argument("jobs", nargs=-1)
@click.option(
    "--status",
    multiple=True,
    type=click.Choice([*(each.value for each in Status), "broken"]),
    help="Only jobs of this status; may be given again.",
)
@_deployed
def list_(jobs: tuple[str, ...], status: tuple[str, ...], as_json: bool, **deployed: str) -> None:
    """List the jobs: when each is due next, how its last run ended, how often it has failed in a row."""
    known = {_id(each): each for each in _access(deployed).registry.jobs()}
    found = names.chosen(jobs or ["*"], known) if known or jobs else []
    found = [each for each in found if not status or _status(each) in status]
    if as_json:
        return _print([answers.JobAnswer.of(each) for each in found])
    from .screen import print_jobs

    return print_jobs(found, datetime.now(UTC))


@program.command("show")
@click.argument("job")
@_deployed
def show(job: str, as_json: bool, **deployed: str) -> None:
    """Show all of a job: its schedule, policies, counters, pools with who holds them, and next five due times."""
    access, now = _access(deployed), datetime.now(UTC)
    known = _known(access, job)
    pools = [answers.PoolAnswer.of(pool, access.pools) for pool in pools_of(known.job)]
    if as_json:
        return _print(answers.ShowAnswer(answers.JobAnswer.of(known), foreseen(known.job, now), tuple(pools)))
    from .screen import print_job

    return print_job(known, pools, now)


@program.command("enable")
@click.argument("jobs", nargs=-1, required=True)
@_deployed
def enable(jobs: tuple[str, ...], as_json: bool, **deployed: str) -> None:
    """Enable jobs that are disabled or paused; their failures in a row are forgotten, and due times until now."""
    _set(_access(deployed), jobs, Status.ENABLED, as_json=as_json)


@program.command("disable")
@click.argument("jobs", nargs=-1, required=True)
@_deployed
def disable(jobs: tuple[str, ...], as_json: bool, **deployed: str) -> None:
    """Disable jobs: what is due is not started any more, not even what the queue already has. What runs goes on."""
    _set(_access(deployed), jobs, Status.DISABLED, as_json=as_json)


def _set(access: Access, jobs: tuple[str, ...], status: Status, *, as_json: bool) -> None:
    known = {_id(each): each for each in access.registry.jobs()}
    chosen = names.chosen(jobs, known)
    refused = threading.Lock()  # held by the first whom AWS refuses
    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = list(threads.map(lambda each: _status_set(access, each, status, refused), chosen))
    if as_json:
        _print(done)
    else:
        from .screen import print_line

        for one in done:
            if one.error is None:
                print_line(f"{one.id} is {one.new}" + (" already" if one.old == one.new else f"; it was {one.old}"))
    failed = [f"job {one.id} stays {one.old}: {one.error}" for one in done if one.error and one.error != _LEFT]
    if left := sum(one.error == _LEFT for one in done):
        failed.append(f"{left:,} more job{'s stay as they were' if left > 1 else ' stays as it was'}: {_LEFT}")
    if failed:
        raise Failure(*failed)


def _status_set(
    access: Access, known: Registered | BrokenJob, status: Status, refused: threading.Lock
) -> answers.StatusAnswer:
    """Sets a job's status, unless AWS has refused that of another, as it would this one."""
    if isinstance(known, BrokenJob):
        return answers.StatusAnswer(
            known.job, "broken", "broken", f"it cannot be read: {known.why}; remove it, and put it again"
        )
    job, old = known.job, known.job.status.value
    if job.status is status:
        return answers.StatusAnswer(job.id, old, old, None)
    if refused.locked():
        return answers.StatusAnswer(job.id, old, old, _LEFT)
    try:
        access.registry.set_status(job, status, datetime.now(UTC))
    except ChangedMeanwhile:
        return answers.StatusAnswer(job.id, old, old, "somebody has changed it meanwhile; repeat it")
    except (ClientError, BotoCoreError) as error:
        is_first = refused.acquire(blocking=False)
        said = "; ".join(explained(error, access.table).lines) if is_first else _LEFT
        return answers.StatusAnswer(job.id, old, old, said)
    return answers.StatusAnswer(job.id, old, status.value, None)


@program.command("run-now")
@click.argument("job")
@_deployed
def run_now(job: str, as_json: bool, **deployed: str) -> None:
    """Run a job now, also one that is disabled or paused: through the queue, so that the pools' numbers hold."""
    access = _access(deployed)
    known = _known(access, job)
    last = access.registry.run(job, known.last_run) if known.last_run else None
    running = last.name if last is not None and last.started_at and last.ended_at is None else None
    message = Message(job, datetime.now(UTC).replace(microsecond=0), None)
    if access.queue().send([message], message.due):
        raise Failure(f"the queue has not accepted {message.name}; repeat it")
    if as_json:
        return _print(answers.RunNowAnswer(job, message.name, running))
    from .screen import print_line

    print_line(f"asked for {message.name}; nightly-jobs history {job} says what becomes of it")
    if running:
        skipped = "this one is skipped" if known.job.overlap == "skip" else "both run at once"
        print_line(f"{running} has not ended yet, as far as the registry knows; if so, {skipped}")
    return None


@program.command("history")
@click.argument("job")
@click.option("--most", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many runs, at most.")
@_deployed
def history(job: str, most: int, as_json: bool, **deployed: str) -> None:
    """List a job's due times and their results, the newest first. A removed job's runs are there until they expire."""
    access = _access(deployed)
    runs = access.registry.runs(job, most)
    found = access.registry.look_up(job) if runs else _known(access, job)
    known = found if isinstance(found, Registered) else None
    if as_json:
        return _print([answers.RunAnswer.of(run, known) for run in runs])
    from .screen import print_runs

    return print_runs(runs, known.job if known else None)


@program.command("remove")
@click.argument("jobs", nargs=-1, required=True)
@_yes
@_deployed
def remove(jobs: tuple[str, ...], yes: bool, as_json: bool, **deployed: str) -> None:
    """Remove jobs, by their ids. Their runs stay in the history for ninety days; what runs goes on."""
    access, jobs = _access(deployed), tuple(dict.fromkeys(jobs))
    missing = [names.unknown(job, _ids(access)).lines[0] for job in jobs if access.registry.look_up(job) is None]
    if missing:
        raise Problem(*missing)
    _ask(f"Remove {', '.join(jobs)}?", yes=yes)
    removed, problem = _removed(access, jobs)
    if as_json:
        _print(answers.RemoveAnswer(removed))
    else:
        from .screen import print_line

        print_line(f"removed {', '.join(removed)}")
    if problem is not None:
        left = ", ".join(jobs[len(removed) :])
        raise Failure(*problem.lines, f"not removed: {left}; repeat it with {'these' if ',' in left else 'this one'}")


def _removed(access: Access, jobs: tuple[str, ...]) -> tuple[tuple[str, ...], Problem | None]:
    """Removes jobs, and stops where AWS refuses; an error at the first one is the command's."""
    for number, job in enumerate(jobs):
        try:
            access.registry.remove(job)
        except (ClientError, BotoCoreError) as error:
            if number == 0:
                raise
            return jobs[:number], explained(error, access.table)
    return jobs, None


# what the commands share


def _access(deployed: dict[str, str]) -> Access:
    access = Access(deployed["name"], deployed["table"], deployed["queue"])
    click.get_current_context().obj["table"] = access.table  # for what is said if AWS refuses
    return access


def _known(access: Access, job: str) -> Registered:
    """A job of the registry; raises Problem if there is none of this id, or if it cannot be read."""
    found = access.registry.look_up(job) if ID.fullmatch(job) else None
    if isinstance(found, BrokenJob):
        raise Failure(f"job {job} cannot be read: {found.why}; nightly-jobs remove {job}, and put it again")
    if found is None:
        raise names.unknown(job, _ids(access))
    return found


def _ids(access: Access) -> list[str]:
    return [_id(each) for each in access.registry.jobs()]


def _id(known: Registered | BrokenJob) -> str:
    return known.job if isinstance(known, BrokenJob) else known.job.id


def _status(known: Registered | BrokenJob) -> str:
    return "broken" if isinstance(known, BrokenJob) else known.job.status.value


def _ask(question: str, *, yes: bool) -> None:
    """Asks a person at the terminal, on standard error, because standard output may be JSON."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Problem("nobody is there to be asked, for standard input is no terminal; give --yes")
    if not click.confirm(question, err=True):
        raise Failure("nothing was written, as you say; repeat it to be asked again")


def _print(answer: Any) -> None:
    print(json.dumps(answers.plain(answer), ensure_ascii=False, indent=2))
