"""The command line: makes click's commands from the list of commands, reads the environment, sets the exit status."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from etl import entry
from etl.catalogue import COMMANDS
from etl.commands import inputs
from etl.commands.command import Call, Command
from etl.commands.output import STANDARD_OUTPUT
from etl.logs import log
from etl.model.errors import EXPECTED, ConfigurationError, EtlError, one_line, told

T = TypeVar("T")

PROGRAM = "etl"

CONFIG_HELP = "The configuration file; by default ETL_CONFIG, or nightly-etl.toml in the current folder."

JSON_HELP = "Print one JSON document; the log goes to standard error."

VERBOSE_HELP = "On a terminal, show the log's lines beside the progress bars; warnings and errors always show."

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

_HELP = {"help_option_names": ["-h", "--help"]}


class Interrupted(BaseException):
    """One of _SIGNALS, ``signum``, has stopped the process.

    Like KeyboardInterrupt, it is not an Exception: botocore regards every Exception as a failed request, and retries.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum


@click.group(context_settings=_HELP)
@click.version_option(package_name="nightly-etl", prog_name="nightly-etl")  # imported only for --version
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def etl(debug: bool) -> None:
    """Copies tables of an operational PostgreSQL to a reporting PostgreSQL: one snapshot, one publish.

    Settings come from the environment (TABLES, ETL_OPERATIONAL_URL, ETL_REPORTING_URL …), from
    nightly-etl.toml, or from AWS Parameter Store under ETL_PARAMETER_PATH. Exit status: 0 done, 1 a copy failed or
    would fail, 2 bad configuration or usage.
    """


def _built(command: Command[Any, Any]) -> click.Command:
    """Click's command for an entry of the list, with the fields of its input as parameters, and with ``--json``."""
    fields = [
        (name, field) for name, field in command.input.model_fields.items() if not inputs.given(field).in_event_alone
    ]
    as_json = click.Option(["--json", "as_json"], is_flag=True, help=JSON_HELP)
    verbose = [click.Option(["-v", "--verbose"], is_flag=True, help=VERBOSE_HELP)] if command.has_bars else []
    config = click.Option(["--config"], metavar="FILE", help=CONFIG_HELP)
    parameters = [*(_parameter(name, field) for name, field in fields), *verbose, config, as_json]
    return click.Command(command.name, params=parameters, callback=partial(_do, command), help=command.help)


def _parameter(name: str, field: FieldInfo) -> click.Parameter:
    is_required = field.is_required()
    if inputs.given(field).is_argument:
        return click.Argument([name], required=is_required, nargs=-1 if get_origin(field.annotation) is tuple else 1)
    kind, option = _type(field.annotation, field.metadata), f"--{name.replace('_', '-')}"
    if kind is click.BOOL:
        return click.Option([option, name], is_flag=True, help=field.description)
    default = {} if is_required else {"default": field.default, "show_default": True}
    return click.Option([option, name], required=is_required, type=kind, help=field.description, **default)


def _type(annotation: Any, metadata: Sequence[Any]) -> click.ParamType[Any]:
    """Click's type for a field. If the field is a union, its first type: only an event may have the others."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _type(inner, [part for item in more for part in getattr(item, "metadata", [item])])
    if get_origin(annotation) in {Union, UnionType}:
        return _type(get_args(annotation)[0], metadata)
    if annotation is int:
        bounds = {name: getattr(item, name) for item in metadata for name in ("ge", "le") if hasattr(item, name)}
        return click.IntRange(bounds.get("ge"), bounds.get("le")) if bounds else click.INT
    return {bool: click.BOOL, str: click.STRING}[annotation]


def _do(command: Command[Any, Any], config: str | None, as_json: bool, verbose: bool = False, **given: Any) -> None:
    """Executes a command, prints its result. If that is JSON, or ``--output -``, standard output has nothing else."""
    asked = command.input(**given)
    assert command.json is not None
    is_json = as_json or (command.is_json_in_pipes and not sys.stdout.isatty())
    is_text = getattr(asked, "output", None) == STANDARD_OUTPUT
    if is_json and is_text:
        raise ConfigurationError("--json and --output - both print to standard output; write one of them")
    if is_json:
        with redirect_stdout(sys.stderr):
            call = _call(command, asked, config)
            result: Any = _await(command.work(call))
        print(json.dumps(command.json.of(result), ensure_ascii=False, indent=2))
    else:
        with redirect_stdout(sys.stderr if is_text else sys.stdout):
            call = _call(command, asked, config)
            result = _shown(command, call, verbose=verbose)
    command.judge(result)
    if command.after is not None:
        sys.stdout.flush()  # a reader of the JSON need not wait for the command
        with redirect_stdout(sys.stderr if is_json else sys.stdout):
            _await(command.after(call, result))


def _call(command: Command[Any, Any], asked: inputs.Input, config: str | None) -> Call[Any]:
    given = asked.settings | ({} if config is None else {"config": config})
    found = entry.found(os.environ, command.needed(asked), given, on_terminal=sys.stdout.isatty())
    call = Call(found, asked, environment=os.environ)
    command.refuse(call)
    return call


def _shown(command: Command[Any, Any], call: Call[Any], *, verbose: bool) -> Any:
    """Executes a command and prints its result for people.

    A command with progress bars prints bars and result only on a terminal; elsewhere the log has both. Beside the bars,
    the log's lines show if they are asked for: by ``verbose``, or by a level of the user's own.
    """
    result: Any
    if command.follow is not None:
        return _await(command.follow(call))
    if not command.has_bars:
        result = _await(command.work(call))
    elif call.settings.log_format == "console" and sys.stdout.isatty():
        from etl.report.bars import TerminalProgress

        if not verbose and "log_level" not in call.found.given:
            log.configure_level("warning")
        with TerminalProgress() as progress:
            result = _await(command.work(replace(call, progress=progress)))
    else:
        return _await(command.work(call))
    if command.show is not None:
        command.show(result)
    return result


for _command in COMMANDS:
    if _command.json is not None:
        etl.add_command(_built(_command))


def main() -> NoReturn:
    """Runs the command line and ends the process with its exit status."""
    _listen()
    debug = "--debug" in sys.argv[1:]
    try:
        status = etl.main(prog_name=PROGRAM, standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except EtlError as error:
        _tell(*error.problems, debug=debug)
        sys.exit(error.exit_status)
    except BrokenPipeError:  # the reader of a pipe, such as head, has closed it
        sys.exit(1)
    except EXPECTED as error:
        _tell(_of_output(error) or told(error), debug=debug)
        sys.exit(1)
    except Interrupted as stop:
        _tell(f"stopped by {signal.Signals(stop.signum).name}")
        sys.exit(128 + stop.signum)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        what = f"{type(error).__name__}: {one_line(error)}"
        _tell(f"internal error: {what}; run again with --debug and report it", debug=debug)
        sys.exit(1)
    finally:
        log.flush()


def _listen() -> None:
    """Has signals raise Interrupted; a container's first process ignores SIGTERM unless it asks for it."""
    for signum in _signals():
        signal.signal(signum, _interrupt)


def _signals() -> Iterator[signal.Signals]:
    """The signals that stop a process; not a hangup that it is to survive, as ``nohup`` says."""
    for signum in _SIGNALS:
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
            yield signum


def _interrupt(signum: int, _frame: object) -> NoReturn:
    log.leave_lost_terminal()
    raise Interrupted(signum)


def _of_output(error: BaseException) -> str | None:
    """What to tell of a full disk to which standard output goes; None of any other error. A named file has its own."""
    if not isinstance(error, OSError) or error.errno not in _FULL or error.filename is not None:
        return None
    return f"standard output cannot be written: {error.strerror}; free space there, or send it elsewhere"


def _tell(*lines: str, debug: bool = False) -> None:
    if debug:
        traceback.print_exc()
    for line in lines:
        log.tell(entry.redact(line))


def _await(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end. A signal cancels it; Interrupted is raised after it has cleared up."""
    gc.freeze()  # the collector ignores the imported modules, which are never garbage
    gc.enable()
    try:
        return asyncio.run(_stoppable(work))
    finally:
        _listen()  # the loop has taken the signals' handlers away at its end; a command may follow (Command.after)


async def _stoppable(work: Coroutine[Any, Any, T]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    stopped: list[int] = []

    def stop(signum: int) -> None:
        log.leave_lost_terminal()
        if not stopped:  # a second signal must not cancel the clearing up
            stopped.append(signum)
            task.cancel()

    for signum in _signals():
        loop.add_signal_handler(signum, stop, signum)
    try:
        return await task
    except asyncio.CancelledError:
        if stopped:
            raise Interrupted(stopped[0]) from None
        raise
