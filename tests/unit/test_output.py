"""A file of ``--output`` is there as a whole or not at all, and nothing else is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.commands import output
from etl.model.errors import ConfigurationError


def test_what_the_file_may_and_where_it_is_stays(tmp_path: Path) -> None:
    """As with ``>`` in a shell; a new file has the rights that the umask leaves."""
    file, link = tmp_path / "night.html", tmp_path / "latest.html"
    link.symlink_to(file)
    output.write(str(link), "first")
    (tmp_path / "beside").touch()
    assert file.stat().st_mode == (tmp_path / "beside").stat().st_mode
    file.chmod(0o640)
    output.write(str(link), "second")
    assert (link.is_symlink(), file.read_text(), oct(file.stat().st_mode)[-3:]) == (True, "second", "640")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "beside", link, file]


def test_a_link_of_somebody_else_beside_the_file_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder in which others may write, they can make links; a name that was guessed is an error."""
    monkeypatch.setattr("secrets.token_hex", lambda _size: "guessed")
    (tmp_path / ".etl-guessed.new").symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigurationError, match=r"night\.html cannot be written: File exists; "):
        output.write(str(tmp_path / "night.html"), "text")
    assert not (tmp_path / "theirs").exists()
    assert not (tmp_path / "night.html").exists()
