"""What is no TOML: tests/mistakes/alone.txt has the mistakes that people make; here is what else a text may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.settings import toml

PIECES = [
    "[",
    "]",
    '"',
    "'",
    "=",
    "{",
    "}",
    ",",
    ".",
    "#",
    "\n",
    " ",
    "\\",
    "a",
    "mask",
    "columns",
    "1",
    "none",
    "“",
    ":",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_whatever_is_no_toml_is_told_in_one_line(text: str) -> None:
    """No text makes it fail in another way, and each message says something to do."""
    try:
        toml.read(text)
    except ValueError as error:
        said = str(error)
        assert "\n" not in said
        assert "; " in said, said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[orders]]", "line 1: [orders]] has two brackets on a side, and a section has one; write [orders]"),
        ("[my table]", 'line 1: [my table] needs quotes around the name; write ["my table"]'),
        ('["orders]', 'line 1: ["orders] has a quote that is not closed; write [orders]'),
        ("[]", "line 1: [] is a section without a name; write the name of a table or a pattern, such as"),
        ("[orders.mask]\na = 1\n[orders.mask]", "line 3: [orders.mask] stands on line 1, too; keep one of the two"),
        ("orders:\n  where: x", "line 1: orders: has a colon, as YAML has; write [orders]"),
        ('{"orders": 1}', "line 1: is JSON, and the options are TOML; write [orders], and below it each option on"),
        ("[a]\ncolumns = id, note", 'line 2: [a] columns = id, note has no quotes; write columns = ["id", "note"]'),
        ('[a]\ncolumns = ["id" "b"]', 'no commas between them; write columns = ["id", "b"]'),
        ('[a]\ncolumns = ["id", "b"', '[a] columns = ["id", "b" has no closing bracket; write columns = ["id", "b"]'),
        ('[a]\ncolumns = ["id, "b"]', "has a quote that is not closed; write columns = "),
        ('[a]\nmask = { b = "null",\nc = "null" }', "has no closing brace on its line; write all of mask in one line"),
        ("[a]\nmask = { b = hmac }", "[a] mask = { b = hmac } has something without quotes, or no = between a column"),
        (
            '[a]\nmask.e mail = "hmac"',
            "[a] mask.e mail needs quotes, for it has more than letters, digits, _ and -; write",
        ),
        ("[a]\nwhere", "line 2: [a] where has no value; write where = …, and the value in quotes"),
        ("[a]\nwhere = null", "[a] where = null is no value; take where out, for what is not there is not set"),
        ("[a]\nrows_min = 1,000", "[a] rows_min = 1,000 has commas in its number; write rows_min = 1000"),
        ('[a]\nwhere = "a ~ \\d"', "has a backslash, which means something else in double quotes; write '…' instead"),
        ('[a]\nwhere = id = "x"', '[a] where = id = "x" has no quotes around it; write where = \'id = "x"\''),
        ("[a]\nshrink_at_most = 50%", '[a] shrink_at_most = 50% has no quotes; write shrink_at_most = "50%"'),
        ("[a]\nwhere = 2026-13-45", '[a] where = 2026-13-45 has no quotes; write where = "2026-13-45"'),
        ('[a]\nwhere = """\nid > 0\n', 'the """ of line 2 are not closed; write """ at the end of the text'),
        ("[a]\nwhere = 'it''s'", "has a quote within quotes; write where = \"it''s\""),
        ("[a]\ncolumns:\n  - id", "line 2: [a] columns: has a colon, as YAML has; write columns = …"),
        ('[a]\npublish = "swap", load = "full"', "has two options on one line; put each on a line of its own"),
        # what a hint must not lose, change or make worse
        ("[a]\nwhere = \"a ~ '\\d'\"", "which means something else in double quotes; write '''…''' instead"),
        ("[a]\nwhere = color = '#fff' # red", "write where = \"color = '#fff'\""),
        ('[a]\ncolumns = ["order id", "note]', 'write columns = ["order id", "note"]'),
        ("[a]\ncolumns = [id, note] # both", 'write columns = ["id", "note"]'),
        ("[a]\nwhere = \"note <> 'it’s'", "no closing one; write where = \"note <> 'it’s'\""),
        ("[a]\ncolumns = [“id”, “note”]", 'columns = [“id”, “note”] has typographic quotes; write columns = ["id", '),
        ('[a]\nload = "full”', '[a] load = "full” has typographic quotes; write load = "full"'),
        ("[a]\nrows_min = 007", "rows_min = 007 begins with 0, as no number of TOML does; write rows_min = 7"),
        ('[a]\nwhere = "a"; load = "full"', "has two options on one line; put each on a line of its own"),
        ('[a] load = "full"', "line 1: [a] has something behind its bracket; put that on a line of its own"),
        ('[a]\nload == "full"', '[a] load == "full" has another sign than =; write load = "full"'),
        ("[a]\nload := full", '[a] load := full has another sign than =; write load = "full"'),
        ('[a]\ncolumns = [\n"id"\n"note"]', "line 4: the list of line 2 has no closing bracket, or no comma between"),
        ('[a]\ncolumns = ["id",\n["b.c"]\nx = 1', "the list of line 2 has no closing bracket, or no comma between"),
        ('# """\n[a]\nload = full', 'line 3: [a] load = full has no quotes; write load = "full"'),
        ("a = " + "[" * 5000, "has brackets within brackets without end; write lists of names only"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_to_write(text: str, said: str) -> None:
    """By the text of the line, for tomllib's words speak of the grammar."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared
        toml.read(text)
    assert said in str(caught.value)
