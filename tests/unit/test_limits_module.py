"""Limits of time and size stand in one module, each under a name of its own, with its evidence."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ETL = Path(__file__).parents[2] / "etl"

LIMIT = re.compile(r"(^|_)(PAUSE|TIMEOUT|SECONDS|BYTES|ATTEMPTS|CHARACTERS|LONGEST|MOST|LEAST)(_|$)")

ELSEWHERE = {
    ("name.py", "MAX_NAME_BYTES"),  # PostgreSQL's, not ours
    ("balance.py", "PATIENCE_SECONDS"),  # how shards are balanced
    ("plan.py", "BYTES_A_SECOND"),  # an estimate
}


def constants(file: Path) -> list[str]:
    """The names of a module's constants that stand for a number, a text or several."""
    nodes = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.Assign)]
    return [node.targets[0].id for node in nodes if isinstance(node.targets[0], ast.Name)]


def test_limits_stand_in_one_module() -> None:
    """Five were called PAUSE, and four LOCK_TIMEOUT, of different lengths."""
    found = {(file.name, name) for file in ETL.rglob("*.py") for name in constants(file) if LIMIT.search(name)}
    strays = {(file, name) for file, name in found if file != "limits.py" and not name.startswith("_")}
    assert strays == ELSEWHERE


def test_each_limit_says_why() -> None:
    """A docstring follows it."""
    body = ast.parse((ETL / "model" / "limits.py").read_text()).body
    bare = [
        ast.unparse(node)
        for node, after in zip(body, [*body[1:], None], strict=True)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
    ]
    assert bare == []
