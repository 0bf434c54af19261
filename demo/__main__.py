"""``make demo``: starts the stage, plays the story, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import click

from demo.stage import Stage
from demo.story import DemoFailed, console, play

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rows", default=1_000_000, show_default=True, type=click.IntRange(1_000), help="About how many rows.")
@click.option("--keep", is_flag=True, help="Leave everything up at the end, until Enter, Ctrl-C or SIGTERM.")
def demo(rows: int, keep: bool) -> None:
    """Copy a shop's tables from one PostgreSQL to another, prove it, and watch a reader meanwhile.

    Starts two embedded PostgreSQL 18 servers and a local Parameter Store, on free ports of 127.0.0.1, and runs
    etl as its container would. They are stopped and their data is deleted at the end, also after Ctrl-C.
    With --keep (make demo KEEP=1) it prints how to reach both databases and how to run etl by hand, and waits.

    Exit status: 0 when readers saw yesterday, then today, and nothing between; 1 when anything was otherwise.
    """
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            stack.callback(_ignore_signals)  # a second Ctrl-C must not interrupt the clean-up
            _stop_at_signals()
            _play(stack, rows, keep)
    except SystemExit:  # a signal
        print("demo: stopped; nothing is left running", file=sys.stderr)
        raise
    except DemoFailed as error:
        sys.exit(f"demo: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"demo: {Path(error.cmd[0]).name} failed: {error.stderr}")
    except (RuntimeError, TimeoutError) as error:
        sys.exit(f"demo: {error}")
    console.print(f"\nDone in {time.monotonic() - began:.0f} s; nothing is left running.", style="dim")


def _play(stack: ExitStack, rows: int, keep: bool) -> None:
    stage = Stage.build(stack)
    play(stage, rows)
    if keep:
        _tell(stage)
        _wait()


def _tell(stage: Stage) -> None:
    psql = shutil.which("psql") or stage.operational.bin / "psql"
    exports = " ".join(shlex.quote(f"{name}={value}") for name, value in stage.environment.items())
    etl = Path(sys.executable).with_name("etl")
    lines = (
        f"operational  {psql} {stage.operational_url}",
        f"reporting    {psql} {stage.reporting.url('reporting')}",
        "\netl, by hand:",
        f"export {exports}",
        f"{os.path.relpath(etl)} history",
    )
    console.print()
    console.rule("[bold]Kept", align="left")
    for line in lines:
        console.print(line, soft_wrap=True)


def _wait() -> None:
    """Waits for Enter on a terminal, or for a signal."""
    with contextlib.suppress(SystemExit):
        if sys.stdin.isatty():
            console.print("\nEnter or Ctrl-C stops the servers and deletes their data.", style="bold")
            sys.stdin.readline()
        else:
            console.print(f"\n`kill {os.getpid()}` stops the servers and deletes their data.", style="bold")
            signal.pause()


def _stop_at_signals() -> None:
    for signum in _SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup and `&` ask for
            signal.signal(signum, _stop)


def _stop(signum: int, _frame: FrameType | None) -> None:
    _ignore_signals()
    sys.exit(128 + signum)


def _ignore_signals() -> None:
    for signum in _SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


if __name__ == "__main__":
    demo(prog_name="python -m demo")
