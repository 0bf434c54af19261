"""The JSON Schema of nightly-etl.toml: it allows what the program reads, and refuses what the program refuses."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from etl.commands import draft
from etl.commands.draft import Found, Side
from etl.model.catalog import Column, Constraint, SourceTable
from etl.model.name import Relation
from etl.model.shape import TableOptions
from etl.sessions.url import DatabaseUrl
from etl.settings.file import KEYS, OF_ONE_PROCESS
from etl.settings.found import DECLARED

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "schemas" / "nightly-etl.toml.json").read_text(encoding="utf-8"))
VALIDATOR = Draft7Validator(SCHEMA)


def faults(text: str) -> list[str]:
    """The faults of a file, by the schema."""
    return [error.message for error in VALIDATOR.iter_errors(tomllib.loads(text))]


def test_the_schema_is_one() -> None:
    """By JSON Schema's own schema, of the draft that Taplo and VS Code read."""
    rules = Draft7Validator(Draft7Validator.META_SCHEMA)
    assert [error.message for error in rules.iter_errors(SCHEMA)] == []
    assert not rules.is_valid(SCHEMA | {"type": "tables"}), "the rules find a slip"


def test_the_schema_has_each_setting_and_each_option() -> None:
    """And no others."""
    top = SCHEMA["properties"]
    keys = {key for key in top if key not in {"operational", "reporting"}}
    keys |= {f"{side}.{part}" for side in ("operational", "reporting") for part in top[side]["properties"]}
    assert keys == KEYS.keys()
    assert set(KEYS.values()) | set(OF_ONE_PROCESS) == DECLARED.keys()
    assert SCHEMA["$defs"]["options"]["properties"].keys() == TableOptions.model_fields.keys()
    texts = [one["description"] for one in SCHEMA["$defs"]["options"]["properties"].values()]
    assert all(text.endswith(".") for text in texts)


@pytest.mark.parametrize("name", ["examples/nightly-etl.toml", "docs/reference.md", "docs/options.md"])
def test_the_examples_of_the_pages_are_valid(name: str) -> None:
    """The sample file, and each block of TOML in the pages; those of options.md are sections of [options]."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in text.split("```toml\n")[1:]] or [text]
    for block in blocks:
        document = tomllib.loads(block)
        whole = {"options": document} if name.endswith("options.md") else document
        assert [error.message for error in VALIDATOR.iter_errors(whole)] == []


def test_what_init_writes_is_valid() -> None:
    """Also with its proposals taken."""
    relation = Relation("sales", 'odd "name"')
    columns = (Column("id", "integer"), Column("email", "text"), Column("born on", "date"))
    key = Constraint("odd_pkey", "PRIMARY KEY (id)", ("id",))
    table = SourceTable(relation, columns=columns, constraints=(key,), rows=3, bytes=8192)
    url = DatabaseUrl.parse("postgresql://reader:secret@one:5432/shop?sslmode=require")
    sides = [Side("operational", url, None, tokens=False), Side("reporting", None, "/etl/reporting/url", tokens=True)]
    text = draft.draft([Found(table), Found(table, "the role may not read it")], sides, "/etl")
    assert faults(text) == []
    before, heading, proposals = text.partition("# All masks: ")
    taken = before + heading + proposals.replace("\n# ", "\n")
    assert faults(taken) == []
    document = tomllib.loads(taken)
    assert document["tables"] == ['sales."odd ""name"""']
    assert document["options"] == {
        'sales."odd ""name"""': {"mask": {"email": "fake-email", "born on": "date-shift:30"}}
    }
    assert "secret" not in text


@pytest.mark.parametrize(
    "text",
    [
        "jbos = 1",
        "run_id = 'x'",
        "verify = 'md5'",
        "jobs = true",
        "mask_key = 'in clear, in clear'",
        "[operational]\npassword = 'x'",
        "[operational]\nurl = { env = 'x' }",
        "[options.orders]\ncolums = ['x']",
        "[options.orders]\nindexes = 'some'",
        "[options.orders.mask]\nemail = 'fake'",
    ],
)
def test_an_editor_marks_what_the_program_refuses(text: str) -> None:
    """A misspelt key, a wrong word, a secret in clear."""
    assert faults(text)
