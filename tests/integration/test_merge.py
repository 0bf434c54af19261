"""Random tables, constraints and contents of two nights: a merge leaves what was staged, and touches nothing else.

Thirty examples, the same each time; ETL_TEST_EXAMPLES=1000 tries as many random ones, and prints how to repeat a
failure.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.model.name import TargetName
from etl.publish import replacement
from etl.publish.policy import Policy
from etl.sessions.postgres import connect_target
from etl.sessions.url import DatabaseUrl
from tests.harness import Databases
from tests.releases import equals_nulls

EXAMPLES = os.environ.get("ETL_TEST_EXAMPLES")

NAMES = ("a", "b", "c")

KEYS = {
    "primary key": "ADD PRIMARY KEY (id)",
    "deferrable": "ADD PRIMARY KEY (id) DEFERRABLE",
    "unique": "ADD UNIQUE (id), ALTER id SET NOT NULL",
    "nullable": "ADD UNIQUE (id)",
    "always": "ADD PRIMARY KEY (id), ALTER id ADD GENERATED ALWAYS AS IDENTITY",
    "partitioned": "ADD PRIMARY KEY (id)",
    "none": "ADD CHECK (true)",
}

UNIQUES = {
    "nothing": "",
    "unique": "ALTER TABLE {} ADD UNIQUE (place)",
    "two": "ALTER TABLE {} ADD UNIQUE (place); ALTER TABLE {} ADD UNIQUE (place, note)",
    "not null": "ALTER TABLE {} ALTER place SET NOT NULL; ALTER TABLE {} ADD UNIQUE (place)",
    "deferrable": "ALTER TABLE {} ADD UNIQUE (place) DEFERRABLE INITIALLY DEFERRED",
    "exclusion": "ALTER TABLE {} ADD EXCLUDE USING gist (int4range(place, place, '[]') WITH &&)"
    " WHERE (place IS NOT NULL)",
    "expression": "CREATE UNIQUE INDEX ON {} ((place + 0))",
    "expression, not null": "ALTER TABLE {} ALTER place SET NOT NULL; CREATE UNIQUE INDEX ON {} ((place + 0))",
    "partial": "CREATE UNIQUE INDEX ON {} (place) WHERE note <> 'x'",
} | ({"alike": "ALTER TABLE {} ADD UNIQUE NULLS NOT DISTINCT (place)"} if equals_nulls() else {})

ACTIONS = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")

Row = tuple[int | None, int | None, str | None, int | None, int | None]
"""id, place, note, and the ids of rows in two tables to which the row refers."""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of the reporting side, from a column of one table to the id of another, or of the same."""

    table: int
    column: int
    to: int
    on_delete: str
    on_update: str
    deferrable: bool

    @property
    def statement(self) -> str:
        return (
            f"ALTER TABLE live.{NAMES[self.table]} ADD FOREIGN KEY (r{self.column})"
            f" REFERENCES live.{NAMES[self.to]} (id) ON DELETE {self.on_delete} ON UPDATE {self.on_update}"
            f"{' DEFERRABLE' if self.deferrable else ''}"
        )


@dataclass(frozen=True)
class Example:
    """Three tables: their key and unique constraint, their rows yesterday and today, and their foreign keys.

    A reporting-only table with an action ON DELETE refers to the rows that stay.
    """

    keys: tuple[str, ...]
    uniques: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]
    yesterday: tuple[tuple[Row, ...], ...]
    today: tuple[tuple[Row, ...], ...]
    noted: str


small = st.integers(0, 6) | st.none()
rows = st.lists(st.tuples(small, small, st.sampled_from(["x", "y", None]), small, small), max_size=7)
foreign_keys = st.builds(
    ForeignKey,
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(0, 2),
    st.sampled_from(ACTIONS),
    st.sampled_from(ACTIONS),
    st.booleans(),
)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    keys = tuple(draw(st.sampled_from(sorted(KEYS))) for _ in NAMES)
    plain = ("nothing", "deferrable")  # a unique index on a partitioned table would need id, too
    uniques = tuple(draw(st.sampled_from(plain[:1] if key == "partitioned" else sorted(UNIQUES))) for key in keys)
    referable = [number for number, key in enumerate(keys) if key not in ("none", "deferrable")]
    drawn = draw(st.lists(foreign_keys, max_size=5, unique_by=lambda key: (key.table, key.column)))
    chosen = tuple(key for key in drawn if key.to in referable)
    nights = [consistent(keys, uniques, chosen, [draw(rows) for _ in NAMES]) for _ in range(2)]
    return Example(keys, uniques, chosen, nights[0], nights[1], draw(st.sampled_from(ACTIONS)))


def consistent(
    keys: tuple[str, ...], uniques: tuple[str, ...], refers: tuple[ForeignKey, ...], drawn: list[list[Row]]
) -> tuple[tuple[Row, ...], ...]:
    """The rows that satisfy the constraints: others are left out, and what refers to nothing becomes NULL."""
    kept = []
    for key, unique, candidates in zip(keys, uniques, drawn, strict=True):
        ids, places, good = set[int | None](), set[int | None](), list[Row]()
        for row in candidates:
            null_id = row[0] is None and key not in ("nullable", "none")
            null_place = row[1] is None and "not null" in unique
            same_id = key != "none" and row[0] is not None and row[0] in ids
            same_place = row[1] in places and unique != "nothing" and (row[1] is not None or unique == "alike")
            if not (null_id or null_place or same_id or same_place):
                good.append(row)
                ids.add(row[0])
                places.add(row[1])
        kept.append(good)
    for refer in refers:
        known = {row[0] for row in kept[refer.to]}
        at = 3 + refer.column
        kept[refer.table] = [
            row if row[at] in known else (*row[:at], None, *row[at + 1 :])  # type: ignore[misc]
            for row in kept[refer.table]
        ]
    return tuple(map(tuple, kept))


@given(example=examples())
@settings(
    max_examples=int(EXAMPLES or 30),
    derandomize=EXAMPLES is None,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_live_rows_are_the_staged_ones_and_rows_that_stay_are_not_touched(
    databases: Databases, example: Example
) -> None:
    """Rows that are equal keep their xmin, and what refers to a row that stays is as it was."""
    reporting = databases.reporting
    reporting.execute("DROP SCHEMA IF EXISTS live, etl_staging_live CASCADE; CREATE SCHEMA live")
    reporting.execute("CREATE SCHEMA etl_staging_live;" + ";".join(statements(example)))
    before = [versions(reporting.rows(f"SELECT xmin::text, * FROM live.{name}")) for name in NAMES]
    noted = [reporting.rows(f"SELECT * FROM live.notes_{name} ORDER BY 1") for name in NAMES]
    asyncio.run(merged(reporting.etl_url))
    for number, name in enumerate(NAMES):
        after = reporting.rows(f"SELECT xmin::text, * FROM live.{name}")
        assert Counter(row[1:] for row in after) == Counter(example.today[number])
        stay = Counter(example.yesterday[number]) & Counter(example.today[number])
        assert (versions(after) & before[number]).total() == stay.total()
        assert reporting.rows(f"SELECT * FROM live.notes_{name} ORDER BY 1") == noted[number]


def versions(found: list[tuple[object, ...]]) -> Counter[tuple[object, ...]]:
    """The rows with the transactions that wrote them."""
    return Counter(found)


async def merged(url: str, names: Sequence[str] = NAMES) -> None:
    """Merges the staging tables into the live ones, in one transaction."""
    target = await connect_target(DatabaseUrl.parse(url), "test")
    tables = [TargetName("live", name) for name in names]
    try:
        async with target.transaction():
            await replacement.lock(target, tables)
            await replacement.replace(target, tables, Policy(in_place=frozenset(tables)))
    finally:
        await target.close()


def statements(example: Example) -> list[str]:
    """The statements that make the tables, live with yesterday's rows and staged with today's."""
    made: list[str] = []
    for number, name in enumerate(NAMES):
        key, unique = example.keys[number], example.uniques[number]
        columns = "(id int, place int, note text, r0 int, r1 int)"
        parts = " PARTITION BY HASH (id)" if key == "partitioned" else ""
        made += [f"CREATE TABLE live.{name} {columns}{parts}", f"CREATE TABLE etl_staging_live.{name} {columns}"]
        if parts:
            made += [
                f"CREATE TABLE live.{name}_{part} PARTITION OF live.{name}"
                f" FOR VALUES WITH (MODULUS 2, REMAINDER {part})"
                for part in range(2)
            ]
        made.append(f"ALTER TABLE live.{name} {KEYS[key]}")
        made.append(UNIQUES[unique].replace("{}", f"live.{name}"))
        made += [f"INSERT INTO live.{name} OVERRIDING SYSTEM VALUE VALUES {text(example.yesterday[number])}"]
        made += [f"INSERT INTO etl_staging_live.{name} VALUES {text(example.today[number])}"]
        stay = {row[0] for row in example.yesterday[number]} & {row[0] for row in example.today[number]}
        made.append(f"CREATE TABLE live.notes_{name} (id int DEFAULT 0)")
        if key not in ("none", "deferrable"):
            made.append(
                f"ALTER TABLE live.notes_{name} ADD FOREIGN KEY (id) REFERENCES live.{name} (id)"
                f" ON DELETE {example.noted} ON UPDATE {example.noted}"
            )
        made += [f"INSERT INTO live.notes_{name} VALUES ({one})" for one in stay if one is not None]
    made = [statement for statement in made if not statement.endswith("VALUES ")]
    return [*made, *(key.statement for key in example.foreign_keys)]


def text(found: tuple[Row, ...]) -> str:
    """Rows as SQL has them."""
    return ", ".join(f"({', '.join('NULL' if value is None else repr(value) for value in row)})" for row in found)
