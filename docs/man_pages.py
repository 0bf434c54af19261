"""Writes the man pages, which the wheel installs, into docs/man/: ``python -m docs.man_pages [--check]``.

click-man makes the page of a command from click's command. The page of ``etl`` also has all settings.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
from click_man.man import ManPage

from docs.config_schema import plain
from docs.generated import bring_up_to_date
from docs.jobs_commands import ARGUMENTS
from etl import cli
from etl.catalogue import COMMANDS
from etl.commands.draft import PROJECT
from etl.settings.file import KEYS
from etl.settings.found import DECLARED, FILE_NAME
from scheduler.cli import keys
from scheduler.cli.program import PROGRAM as JOBS
from scheduler.cli.program import program as jobs

FOLDER = Path(__file__).parent / "man"

DATE = ""
"""No date: a page would be another one each day."""

EXIT_STATUS = (
    ("0", "done"),
    ("1", "a copy, its publish or the command after it failed; what failed is on standard error"),
    ("2", "bad configuration or usage; nothing was begun"),
    ("130, 143", "stopped by SIGINT or SIGTERM; staging tables are dropped, and the ledger says so"),
)


def pages() -> dict[str, str]:
    """All pages, by the names of their files."""
    version = "nightly-etl"
    found = {f"{cli.PROGRAM}.1": _program(version)}
    for command in COMMANDS:
        if command.json is not None:
            found[f"{cli.PROGRAM}-{command.name}.1"] = _page(version, cli.etl.commands[command.name], command.help)
    return found | {f"{JOBS}.1": _jobs(version)}


def _jobs(version: str) -> str:
    """One page of all commands of nightly-jobs, each with its options, and of the file's keys."""
    page = _made(version, jobs, "the jobs of the scheduler: tenants' copies, each on its own schedule")
    sections = [_section(f"{JOBS} {name}", _jobs_command(command)) for name, command in jobs.commands.items()]
    known = {f"[jobs.ID] {name}": key for name, key in keys.JOB.items()}
    known |= {f"[jobs.ID] notify {name}": key for name, key in keys.NOTIFY.items()}
    known |= {"[defaults] settings_root": keys.ROOT, "[sources.NAME] at_once": keys.AT_ONCE}
    file = [(name, _plain(f"{key.about} ({key.absent or 'no default'})")) for name, key in known.items()]
    return str(page) + "".join([*sections, _section("THE FILE OF ALL JOBS", file)])


def _jobs_command(command: click.Command) -> Iterator[tuple[str, str]]:
    yield " ".join(command.collect_usage_pieces(click.Context(command))), cleandoc(command.help or "")
    for one in command.params:
        if isinstance(one, click.Option):
            yield one.opts[0], one.help or ""
        else:
            yield one.make_metavar(click.Context(command)), ARGUMENTS[str(one.name)]


def _plain(text: str) -> str:
    """A text of the docs without its marks of code."""
    return text.replace("`", "")


def _program(version: str) -> str:
    page = _made(version, cli.etl, "copies tables of one PostgreSQL to another: one snapshot, one publish")
    page.commands = [(name, _roff(one.help or "")) for name, one in cli.etl.commands.items()]
    sections = [
        _section("ENVIRONMENT", _settings()),
        _section(
            "FILES",
            [(FILE_NAME, f"The configuration file, in the current folder. See {PROJECT}/blob/main/docs/reference.md")],
        ),
        _section("EXIT STATUS", EXIT_STATUS),
    ]
    return str(page) + "".join(sections)


def _page(version: str, command: click.Command, about: str) -> str:
    page = _made(version, command, about[:1].lower() + about[1:].rstrip("."))
    (of_command,) = (one for one in COMMANDS if one.name == command.name)
    fields = of_command.input.model_fields
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    page.options = [
        (one.make_metavar(_context(command)), _roff(fields[str(one.name)].description or "")) for one in arguments
    ] + page.options
    # click-man makes only the first word bold, and its comma: of an option with two spellings, both are names
    named = re.sub(r"\\fB(\S+),\\fP (\\-\S+)", r"\\fB\1\\fP, \\fB\2\\fP", str(page))
    return f"{named}.SH SEE ALSO\n\\fB{cli.PROGRAM}\\fP(1), which lists the settings\n"


def _made(version: str, command: click.Command, about: str) -> ManPage:
    context = _context(command)
    page = ManPage(context.command_path)
    page.version, page.date, page.short_help = version, DATE, _roff(about)
    page.description = _roff(cleandoc(command.help or ""))
    page.synopsis = " ".join(command.collect_usage_pieces(context))
    records = (one.get_help_record(context) for one in command.params if isinstance(one, click.Option))
    page.options = [(names, _roff(text)) for names, text in filter(None, records)]
    return page


def _context(command: click.Command) -> click.Context:
    if command is jobs:
        return click.Context(jobs, info_name=JOBS)
    program = click.Context(cli.etl, info_name=cli.PROGRAM)
    return program if command is cli.etl else click.Context(command, info_name=command.name, parent=program)


def _settings() -> Iterator[tuple[str, str]]:
    """Each setting, with its key in the file and its default."""
    keys = {name: key for key, name in KEYS.items()}
    for name, setting in DECLARED.items():
        where = [
            f"in {FILE_NAME} {keys[name]}" if name in keys else "",
            f"in Parameter Store {setting.parameter}" if setting.parameter else "",
        ]
        where += [f"default {plain(setting.default)}" if setting.default else ""]
        yield setting.variable, f"{plain(setting.help)} ({'; '.join(filter(None, where)) or 'no default'})"


def _section(title: str, items: Iterator[tuple[str, str]] | list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> str:
    return f".SH {title}\n" + "".join(f".TP\n\\fB{_roff(term)}\\fP\n{_roff(text)}\n" for term, text in items)


def _roff(text: str) -> str:
    """A text in which nothing is a request or an escape of roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)


def main(check: bool) -> int:
    """Writes the pages, or with ``check`` prints which are out of date; returns the exit status."""
    wanted = {FOLDER / name: text for name, text in pages().items()}
    return bring_up_to_date(wanted, set(FOLDER.glob("*.1")), check=check)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
