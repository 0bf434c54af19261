"""The merge: the statements that make the rows of a live table equal to those of its staging table.

A merge first finds the *difference*: the pairs of rows, of the live and of the staging table, that have one key and are
not equal, and the rows of either that have no counterpart. All statements after that concern the difference alone.

The merges of several tables are one statement, because the server checks foreign keys, and does what they say ON DELETE
and ON UPDATE, at the end of a statement. There, each row that stays is in its place again, so no foreign key objects to
it, and no action concerns it. Unique values, however, are checked row by row. So the statement deletes first, updates
then, and inserts last; and a row whose unique value another row is to get may have to be *parked* before it.
"""

# docs/decisions.md, "A merge is one statement"

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from psycopg import sql

from etl.target.foreign_keys import ForeignKey
from etl.target.keys import Acting, Key
from etl.target.mergeable import Mergeable


@dataclass(frozen=True, slots=True)
class Merge:
    """The merge of the rows of ``staged``, which have these columns, into a live table.

    ``number`` tells the merges of one session apart; ``pairs`` is the relation that holds the difference. ``within`` is
    a condition on live rows, if the staged rows replace only those; the key has no NULL then. ``is_delta`` says that
    the staged rows are those that have changed, and ``gone`` has the keys of the rows that go.
    """

    into: Mergeable
    staged: sql.Composable
    columns: tuple[str, ...]
    number: int
    pairs: sql.Composable
    within: sql.Composable | None = None
    is_delta: bool = False
    gone: sql.Composable | None = None

    @classmethod
    def of(cls, into: Mergeable, columns: Sequence[str], number: int) -> Merge:
        """The merge of a table's staging table."""
        written = tuple(column for column in columns if column not in into.generated)
        pairs = sql.Identifier("pg_temp", _PAIRS.format(number))
        return cls(into, into.table.staging.identifier, written, number, pairs)

    @classmethod
    def delta(cls, into: Mergeable, columns: Sequence[str], number: int, gone: sql.Composable | None) -> Merge:
        """The merge of rows that have changed; the live rows whose key is in ``gone`` go, and all others stay."""
        return replace(cls.of(into, columns, number), is_delta=True, gone=gone)

    @classmethod
    def part(cls, into: Mergeable, staged: sql.Composable, columns: Sequence[str], within: sql.Composable) -> Merge:
        """The merge of rows that replace the live rows ``within`` a condition, and no others."""
        return replace(cls.of(into, columns, 1), staged=staged, within=within)

    @classmethod
    def trial(cls, into: Mergeable) -> Merge:
        """A merge that the server can plan before anything is staged; it would change nothing."""
        columns = [column.name for column in into.columns if column.given != "generated"]
        return cls(into, into.rows, tuple(columns), 0, sql.SQL(_NO_PAIRS))

    def difference(self) -> sql.Composed:
        """The query of the difference: the places of live rows (part, live) beside those of staged rows.

        Rows that the key does not identify, because the table has none or because of a NULL, are counterparts if they
        are equal; of several equal rows, as many stay as both sides have. ``find`` then looks for counterparts by other
        keys, if something would act on the deletion of a row that has one.
        """
        key, everywhere = self.into.keys.key, sql.SQL("")
        if self.is_delta and key is not None:
            changed = self.composed(_OF_CHANGED)
            gone = [self.composed(_OF_GONE, gone=self.gone, same_gone=key.same("l", "g"))] if self.gone else []
            return sql.SQL(" UNION ALL ").join([changed, *gone])
        if key is None:
            return self.composed(_BY_IMAGE, where=everywhere)
        if self.within is not None:
            return self.composed(_BY_KEY, of_live=sql.SQL(" WHERE {}").format(self.within), of_staged=everywhere)
        if not key.nullable:
            return self.composed(_BY_KEY, of_live=everywhere, of_staged=everywhere)
        identified = _where(key.nullable, "NOT NULL", " AND ")
        by_key = self.composed(_BY_KEY, of_live=identified, of_staged=identified)
        by_image = self.composed(_BY_IMAGE, where=_where(key.nullable, "NULL", " OR "))
        return sql.SQL("{} UNION ALL {}").format(by_key, by_image)

    def find(self) -> list[sql.Composable]:
        """The statements that write the difference into ``pairs``; the last one counts it."""
        make = sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS {}")
        name = sql.Identifier(_PAIRS.format(self.number))
        pairs = {"pairs": self.pairs}
        again = (self.composed(_AGAIN, same=key.same("l", "s")) for key in self.into.keys.second)
        counted = (sql.SQL(text).format(**pairs) for text in (_ANALYZE, _COUNT))
        return [make.format(name, self.difference()), *again, *counted]

    def hold_back(self, keys: Iterable[ForeignKey]) -> list[sql.Composable]:
        """The statements that take out of ``pairs`` the rows that go, but to which rows refer by these keys.

        The last one counts them. ``late`` deletes them, when those rows are gone.
        """
        conditions = (
            sql.SQL(_REFERRED_TO).format(
                table=key.table.identifier, refers=sql.SQL(key.refers), matches=sql.SQL(key.matches)
            )
            for key in keys
        )
        return [
            sql.SQL(_MAKE_LATE).format(sql.Identifier(_LATE.format(self.number))),
            self.composed(_HOLD_BACK, late=self._late, held=sql.SQL(" OR ").join(conditions)),
            sql.SQL(_COUNT).format(pairs=self._late),
        ]

    def referred_late(self, keys: Iterable[tuple[ForeignKey, sql.Composable]]) -> sql.Composed:
        """The query that counts the rows held back to which rows refer by these keys, each with the rows to look at."""
        conditions = (
            sql.SQL(_STILL_REFERRED_TO).format(rows=rows, refers=sql.SQL(key.refers), matches=sql.SQL(key.matches))
            for key, rows in keys
        )
        return self.composed(_COUNT_REFERRED_TO, late=self._late, referred=sql.SQL(" OR ").join(conditions))

    @property
    def late(self) -> sql.Composed:
        """The statement that deletes the rows that were held back."""
        return self.composed(_DELETE_LATE, late=self._late)

    @property
    def without_late(self) -> sql.Composed:
        """The live table, as it will be without the rows that were held back."""
        return self.composed(_WITHOUT_LATE, late=self._late)

    @property
    def _late(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", _LATE.format(self.number))

    def forget(self) -> sql.Composed:
        """The statement that drops ``pairs``, so that the commit, for which readers wait, need not."""
        return sql.SQL("DROP TABLE {}").format(self.pairs)

    def surviving(self, acting: Acting, key: Key) -> sql.Composed:
        """The query that counts the rows on which a foreign key would act, although a staged row has their value."""
        acts = [
            *([sql.SQL("p.staged IS NULL")] if acting.on_delete else []),
            *(
                [sql.SQL("p.staged IS NOT NULL AND ({}) IS NOT TRUE").format(key.same("l", "s"))]
                if acting.on_update
                else []
            ),
        ]
        return self.composed(_SURVIVES, acts=sql.SQL(" OR ").join(acts), same_other=key.same("l", "o"))

    @property
    def alike(self) -> sql.Composed:
        """The query that counts the pairs of staged rows that have the same key."""
        return self.composed(_ALIKE)

    def delete(self) -> sql.Composed:
        """The statement that deletes the live rows that have no counterpart."""
        return self.composed(_DELETE)

    def update(self, after: sql.Composable) -> sql.Composed | None:
        """The statement that updates the rows that have one, to be done ``after``; None if no column may be updated."""
        columns = [column for column in self.columns if column not in self.into.identities]
        if not columns:
            return None
        return self.composed(_UPDATE, updated=_list(columns), values=_list(columns, "s"), after=after)

    def insert(self, after: sql.Composable) -> sql.Composed:
        """The statement that inserts the staged rows that have no counterpart, to be done ``after``."""
        written = sql.SQL(" ({})").format(_list(self.columns)) if self.columns else sql.SQL("")  # SQL has no empty list
        return self.composed(_INSERT, written=written, after=after)

    def composed(self, text: str, **more: sql.Composable) -> sql.Composed:
        """SQL text with the names of this merge's relations, columns and key in its places."""
        key = self.into.keys.key
        parts = {
            "rows": self.into.rows,
            "live": self.into.table.identifier,
            "staged": self.staged,
            "pairs": self.pairs,
            "columns": _list(self.columns),
            "selected": _list(dict.fromkeys([*self.columns, *(sorted(key.names) if key else ())])),
            "old": _list(self.columns, "l"),
            "new": _list(self.columns, "s"),
            "same_key": key.same("l", "s") if key else sql.SQL("false"),
        }
        return sql.SQL(text).format(**parts | more)


def statements(merges: Sequence[Merge]) -> list[sql.Composable]:
    """The statements that change the rows of tables that refer to one another: one, unless a rule rewrites it."""
    if any(merge.into.has_rules for merge in merges):
        return _one_by_one(merges)
    return [_as_one(merges)]


def _one_by_one(merges: Sequence[Merge]) -> list[sql.Composable]:
    updates = (merge.update(_AT_ONCE) for merge in merges)
    return [
        *(merge.delete() for merge in merges),
        *(update for update in updates if update is not None),
        *(merge.insert(_AT_ONCE) for merge in merges),
    ]


def _as_one(merges: Sequence[Merge]) -> sql.Composed:
    """All deletes, then all updates, then all inserts, as data-modifying WITH queries.

    Each step reads the number of rows of the step before, so the server does not begin it before that one has ended.
    """
    deletes = {merge.number: merge.delete() for merge in merges}
    updates = {merge.number: update for merge in merges if (update := merge.update(sql.SQL("deleted"))) is not None}
    inserts = {merge.number: merge.insert(sql.SQL("updated")) for merge in merges}
    queries: list[sql.Composable] = []
    before: sql.Composable = sql.SQL("0")
    for step, parts in (("deleted", deletes), ("updated", updates), ("inserted", inserts)):
        names = [sql.Identifier(f"{step}_{number}") for number in parts]
        queries += [sql.SQL(_PART).format(name, part) for name, part in zip(names, parts.values(), strict=True)]
        counts = [before, *(sql.SQL(_PART_SIZE).format(name) for name in names)]
        queries.append(sql.SQL(_STEP).format(sql.Identifier(step), sql.SQL(" + ").join(counts)))
        before = sql.SQL(_STEP_SIZE).format(sql.Identifier(step))
    return sql.SQL("WITH {} SELECT n FROM inserted").format(sql.SQL(", ").join(queries))


def differ(columns: Iterable[str]) -> sql.Composed:
    """The condition that a live and a staged row differ in these columns."""
    names = [*columns]
    return sql.SQL(_DIFFER).format(old=_list(names, "l"), new=_list(names, "s"))


def families(merges: Iterable[Merge], edges: Iterable[tuple[int, int]]) -> Iterator[list[Merge]]:
    """The merges in groups, so that foreign keys are within one group, also those of tables between them.

    ``edges`` are the pairs of relations, by oid, that a foreign key or partitioning connects.
    """
    beside = defaultdict[int, set[int]](set)
    for one, other in edges:
        beside[one].add(other)
        beside[other].add(one)
    left = {merge.into.oid: merge for merge in merges}
    while left:
        family, reached = list[Merge](), set[int]()
        wanted = [next(iter(left))]
        while wanted:
            if (oid := wanted.pop()) not in reached:
                reached.add(oid)
                wanted += beside[oid]
                family += [merge for merge in [left.pop(oid, None)] if merge]
        yield sorted(family, key=lambda merge: merge.number)


_PAIRS = "etl_pairs_{}"

_NO_PAIRS = (
    "(SELECT NULL::pg_catalog.oid AS part, NULL::pg_catalog.tid AS live, NULL::pg_catalog.tid AS staged WHERE false)"
)

_AT_ONCE = sql.SQL("(SELECT 0 AS n)")

# record_image_ne compares the bytes, for every type: 1.0 is not 1.00, and json has no other comparison
_BY_KEY = (
    "SELECT l.tableoid AS part, l.ctid AS live, s.ctid AS staged"
    " FROM (SELECT tableoid, ctid, {selected} FROM {rows}{of_live}) AS l"
    " FULL JOIN (SELECT ctid, {selected} FROM {staged}{of_staged}) AS s ON {same_key}"
    " WHERE l.ctid IS NULL OR s.ctid IS NULL OR pg_catalog.record_image_ne(ROW({old}), ROW({new}))"
)

_OF_CHANGED = (
    "SELECT l.tableoid AS part, l.ctid AS live, s.ctid AS staged FROM {staged} AS s LEFT JOIN {rows} AS l ON {same_key}"
    " WHERE l.ctid IS NULL OR pg_catalog.record_image_ne(ROW({old}), ROW({new}))"
)

_OF_GONE = "SELECT l.tableoid AS part, l.ctid AS live, NULL AS staged FROM {gone} AS g JOIN {rows} AS l ON {same_gone}"

# of n rows that are equal, row_number() - rank() is 0 to n - 1
_BY_IMAGE = (
    "SELECT l.part, l.live, s.staged"
    " FROM (SELECT tableoid AS part, ctid AS live, ROW({columns}) AS image,"
    " pg_catalog.row_number() OVER equal - pg_catalog.rank() OVER equal AS n FROM {rows}{where}"
    " WINDOW equal AS (ORDER BY ROW({columns}) USING OPERATOR(pg_catalog.*<))) AS l"
    " FULL JOIN (SELECT ctid AS staged, ROW({columns}) AS image,"
    " pg_catalog.row_number() OVER equal - pg_catalog.rank() OVER equal AS n FROM {staged}{where}"
    " WINDOW equal AS (ORDER BY ROW({columns}) USING OPERATOR(pg_catalog.*<))) AS s"
    " ON l.image OPERATOR(pg_catalog.*=) s.image AND l.n = s.n"
    " WHERE l.live IS NULL OR s.staged IS NULL"
)

_LATE = "etl_late_{}"

_MAKE_LATE = "CREATE TEMPORARY TABLE {} (part pg_catalog.oid, live pg_catalog.tid) ON COMMIT DROP"

_REFERRED_TO = "EXISTS (SELECT FROM ONLY {table} AS fk WHERE {refers} AND {matches})"

_HOLD_BACK = (
    "WITH held AS (DELETE FROM {pairs} AS p USING {rows} AS pk"
    " WHERE p.staged IS NULL AND pk.ctid = p.live AND pk.tableoid = p.part AND ({held}) RETURNING p.part, p.live)"
    " INSERT INTO {late} (part, live) SELECT part, live FROM held"
)

_STILL_REFERRED_TO = "EXISTS (SELECT FROM {rows} AS fk WHERE {refers} AND {matches})"

_COUNT_REFERRED_TO = (
    "SELECT pg_catalog.count(*) AS pairs FROM {late} AS p JOIN {rows} AS pk"
    " ON pk.ctid = p.live AND pk.tableoid = p.part WHERE {referred}"
)

_DELETE_LATE = "DELETE FROM {rows} AS l USING {late} AS p WHERE l.ctid = p.live AND l.tableoid = p.part"

_WITHOUT_LATE = (
    "(SELECT l.xmin, l.* FROM {rows} AS l"
    " WHERE NOT EXISTS (SELECT FROM {late} AS p WHERE p.live = l.ctid AND p.part = l.tableoid))"
)

_ANALYZE = "ANALYZE {pairs}"

_COUNT = "SELECT pg_catalog.count(*) AS pairs FROM {pairs}"

_DELETE = (
    "DELETE FROM {rows} AS l USING {pairs} AS p WHERE p.staged IS NULL AND l.ctid = p.live AND l.tableoid = p.part"
)

_UPDATE = (
    "UPDATE {rows} AS l SET ({updated}) = ROW({values}) FROM {pairs} AS p, {staged} AS s, {after} AS a"
    " WHERE a.n >= 0 AND s.ctid = p.staged AND l.ctid = p.live AND l.tableoid = p.part"
)

_INSERT = (
    "INSERT INTO {live}{written} OVERRIDING SYSTEM VALUE SELECT {new} FROM {pairs} AS p, {staged} AS s, {after} AS a"
    " WHERE a.n >= 0 AND p.live IS NULL AND s.ctid = p.staged"
)

_PART = "{} AS ({} RETURNING 1)"

_PART_SIZE = "(SELECT pg_catalog.count(*) FROM {})"

_STEP = "{} AS MATERIALIZED (SELECT {} AS n)"

_STEP_SIZE = "(SELECT n FROM {})"

_DIFFER = "pg_catalog.record_image_ne(ROW({old}), ROW({new}))"

_GOES = "p.staged IS NULL"

_CHANGES = "p.staged IS NOT NULL AND ({same}) IS NOT TRUE"

_SURVIVES = (
    "SELECT pg_catalog.count(*) AS pairs FROM {pairs} AS p"
    " JOIN {rows} AS l ON l.ctid = p.live AND l.tableoid = p.part LEFT JOIN {staged} AS s ON s.ctid = p.staged"
    " WHERE ({acts}) AND EXISTS (SELECT FROM {staged} AS o WHERE {same_other})"
)

_AGAIN = (
    "WITH again AS MATERIALIZED (SELECT g.ctid AS gone, n.ctid AS new, n.staged"
    " FROM {pairs} AS g JOIN {rows} AS l ON l.ctid = g.live AND l.tableoid = g.part,"
    " {pairs} AS n JOIN {staged} AS s ON s.ctid = n.staged"
    " WHERE g.staged IS NULL AND n.live IS NULL AND {same}),"
    " taken AS (DELETE FROM {pairs} AS n USING again AS a WHERE n.ctid = a.new)"
    " UPDATE {pairs} AS g SET staged = a.staged FROM again AS a WHERE g.ctid = a.gone"
)

_ALIKE = "SELECT pg_catalog.count(*) AS pairs FROM {staged} AS l JOIN {staged} AS s ON {same_key} AND l.ctid < s.ctid"


def _list(columns: Iterable[str], of: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(of, column) if of else sql.Identifier(column) for column in columns)


def _where(columns: Sequence[str], test: str, joined: str) -> sql.Composed:
    tests = (sql.SQL(f"{{}} IS {test}").format(sql.Identifier(column)) for column in columns)
    return sql.SQL(" WHERE ") + sql.SQL(joined).join(tests)
