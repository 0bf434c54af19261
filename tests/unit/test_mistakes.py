"""What etl says to mistakes that it tells before it connects to anything: the whole transcript, as one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mistakes import ALONE, WITH_SERVERS, answered, count
from tests.mistakes.alone import run


def test_each_mistake_is_told_word_by_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``python -m tests.mistakes`` writes the answers anew, to be read from top to bottom."""
    monkeypatch.chdir(tmp_path)
    transcript = ALONE.read_text(encoding="utf-8")
    assert answered(transcript, run, tmp_path) == transcript


@pytest.mark.parametrize("file", [ALONE, WITH_SERVERS], ids=lambda file: file.stem)
def test_each_answer_has_all_parts(file: Path) -> None:
    """Where: it begins with the place. Why, and after a semicolon the remedy. No secret, and no word of Python's."""
    said = [line.removeprefix("etl: ") for line in file.read_text(encoding="utf-8").splitlines() if line[:5] == "etl: "]
    for line in said:
        why, *remedies = re.split("; |: (?=upgrade )", line)
        assert remedies, line
        assert REMEDY.search("; ".join(remedies)), line
        assert PLACE.match(why), line
        assert not re.search(r"s3cr3t|Errno|Input should|Traceback|None\b|<class|\\n", line), line


PLACE = re.compile(
    r"(TABLES|TABLE|ETL_\w+|RUN_ID|--\w+|/\S+|options( of \S+)?:|operational database|reporting database|the target|"
    r"role \S+ of the|run \S+|\S+\.\S+:|\d+ (of \d+ )?(things?|tables?)|permission denied|row security of)"
)
REMEDY = re.compile(
    r"\b(write|set|did you mean|take|keep|check|make|give|put|name|add|leave|turn|separate|rename|its columns are|the"
    r" options are|GRANT|ALTER|point|correct|mend|percent-encode|run again|remove|save|lines that|raise|lists the"
    r" runs|may not see it)\b"
)


def test_the_tables_have_the_mistakes_of_the_issue() -> None:
    """Ninety-eight at least, with different headings."""
    texts = [file.read_text(encoding="utf-8") for file in (ALONE, WITH_SERVERS)]
    assert sum(map(count, texts)) >= 98
    assert all(re.search(r"^exit [012]$", text, re.MULTILINE) for text in texts)
