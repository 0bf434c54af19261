"""``python -m tests.fuzz [TARGET] [libFuzzer's options]``: each target for a minute, or one as long as the options say.

Atheris (coverage-guided, by libFuzzer) comes with `make fuzz`. A failing input is kept in .fuzz/TARGET/crash-…;
``python -m tests.fuzz TARGET FILE`` replays it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import atheris

SECONDS = 60
FOLDER = Path(".fuzz")

with atheris.instrument_imports(include=["etl", "statemachine"]):
    from tests.fuzz.targets import SEEDS, TARGETS


def main(arguments: list[str]) -> int:
    """Fuzzes one target, which libFuzzer ends the process with, or each in a process of its own."""
    if arguments:
        _one(*arguments)
    failed = [name for name in TARGETS if subprocess.run(_command(name), check=False).returncode != 0]
    for name in failed:
        print(f"{name}: failed; the input is in {FOLDER / name}")
    print(f"fuzz: {len(TARGETS) - len(failed)} of {len(TARGETS)} targets held for {SECONDS} s each")
    return 1 if failed else 0


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "tests.fuzz", name, f"-max_total_time={SECONDS}", "-verbosity=0"]


def _one(name: str, *options: str) -> None:
    target = TARGETS[name]
    corpus = FOLDER / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed.encode("utf-8", "surrogatepass"))

    def fuzz(data: bytes) -> None:
        target(data.decode("utf-8", "surrogateescape"))  # as the environment comes

    replay = [option for option in options if not option.startswith("-")]
    prefix = f"-artifact_prefix={FOLDER / name}/"
    atheris.Setup([sys.argv[0], *options, prefix, "-max_len=2048", *([] if replay else [str(corpus)])], fuzz)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
