"""Help texts and man pages are complete: each command, each option, each setting; and shells complete them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from docs.man_pages import pages
from etl import cli
from etl.settings.found import DECLARED
from scheduler.cli import keys
from scheduler.cli.program import program

ROOT = Path(__file__).parents[2]
MAN = ROOT / "docs" / "man"
COMMANDS = sorted(cli.etl.commands)


def plain(name: str) -> str:
    """A page without roff's escapes."""
    return (MAN / name).read_text(encoding="utf-8").replace("\\-", "-")


def test_each_command_has_a_page() -> None:
    """And the program has one that names them all."""
    own = {"etl.1", *(f"etl-{name}.1" for name in COMMANDS)}
    assert {file.name for file in MAN.iterdir()} == own | {"nightly-jobs.1"} == pages().keys()
    for name in COMMANDS:
        assert f"etl-{name}(1)" in plain("etl.1")


def test_the_page_of_the_program_names_each_setting() -> None:
    """With its help, its key in the file, its parameter and its default."""
    text = plain("etl.1")
    assert set(re.findall(r"\\fB((?:ETL_\w+|TABLES))\\fP", text)) == {one.variable for one in DECLARED.values()}
    assert "(in nightly-etl.toml jobs; in Parameter Store jobs; default 4)" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_page_name_each_option_with_a_text(name: str) -> None:
    """No option or argument is without a sentence of its own."""
    command = cli.etl.commands[name]
    page = plain(f"etl-{name}.1")
    usage = command.get_help(click.Context(command, info_name=name))
    for one in command.params:
        if isinstance(one, click.Option):
            assert one.help
            assert one.help.endswith(".")
            assert one.opts[0] in usage
            assert f"\\fB{one.opts[0]}\\fP" in page
        else:
            assert re.search(rf"\\fB\[?{str(one.name).upper()}\]?(\.\.\.)?\\fP\n\w", page)


def test_the_page_of_nightly_jobs_has_all_its_commands_options_and_keys() -> None:
    """Each command is a section."""
    text = plain("nightly-jobs.1")
    for name, command in program.commands.items():
        section = text.partition(f".SH nightly-jobs {name}\n")[2].partition("\n.SH ")[0]
        for one in command.params:
            assert (
                f"\\fB{one.opts[0] if isinstance(one, click.Option) else one.make_metavar(click.Context(command))}"
                in section
            )
    for key in keys.JOB:
        assert f"\\fB[jobs.ID] {key}\\fP" in text


def test_no_text_is_taken_for_a_request_of_roff() -> None:
    """A line that began with a point would be one."""
    known = (".TH", ".SH", ".PP", ".TP", ".B ")
    for file in MAN.iterdir():
        lines = file.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if line[:1] in {".", "'"} and not line.startswith(known)] == []
        assert file.read_text(encoding="utf-8").isascii()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_printed(shell: str) -> None:
    """By the variable that docs/commands.md names."""
    assert f"_ETL_COMPLETE={shell}_source etl" in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    try:
        done = completed({"_ETL_COMPLETE": f"{shell}_source"})
    except FileNotFoundError:
        pytest.skip(f"no {shell}")
    assert "_ETL_COMPLETE" in done


def test_commands_and_options_are_completed() -> None:
    """As bash asks for it."""
    words = completed({"_ETL_COMPLETE": "bash_complete", "COMP_WORDS": "etl h", "COMP_CWORD": "1"})
    assert words.split() == ["plain,history"]
    words = completed({"_ETL_COMPLETE": "bash_complete", "COMP_WORDS": "etl run --o", "COMP_CWORD": "2"})
    assert words.split() == ["plain,--only-failed"]


def completed(variables: dict[str, str]) -> str:
    """What the program prints to a shell that completes."""
    code = "import sys; sys.argv[0] = 'etl'; from etl.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout
