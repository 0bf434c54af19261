"""Violations: which constraint of the reporting side keeps staged rows out of a live table, and the remedy."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors, sql

from etl.model.errors import one_line
from etl.model.name import TargetName
from etl.sessions.postgres import Target
from etl.sessions.transaction import at_once
from etl.target.merge import Merge

_COLLISIONS = (errors.UniqueViolation, errors.ExclusionViolation)

_BOUNDS = "SELECT pg_catalog.pg_get_partition_constraintdef(pg_catalog.to_regclass(%s)) AS bounds"

_COPY = "CREATE TEMPORARY TABLE etl_copy (LIKE {on} INCLUDING INDEXES INCLUDING GENERATED) ON COMMIT DROP"

_FILL = "INSERT INTO pg_temp.etl_copy ({columns}) SELECT {columns} FROM {staged} WHERE {bounds}"


async def of_collision(target: Target, family: Sequence[Merge], error: psycopg.Error) -> str:
    """The collision that prevents merges: of two staged rows, or of a staged row and one that could not be parked."""
    on, name = _place(error)
    one = next((one for one in family if one.into.keys.apart(TargetName(on.schema, name)) is not None), None)
    if one is None:
        return (
            f"a foreign key's action or a trigger gives two rows of {on} values that {name} keeps apart; change it, or"
            f" drop {name}"
        )
    if await _collide(target, one, on):
        return (
            f"{on} is published in place, and two of its new rows have values that {name} keeps apart; correct the"
            f" source, or drop {name}"
        )
    sees = ", ".join(one.into.acts)
    return (
        f"{on} is published in place, and a row cannot take its new values while another one still has them, because of"
        f" {name}; "
        + (f"neither is deleted meanwhile, because {sees} would see that; " if sees else "")
        + f"make {name} a DEFERRABLE constraint, or drop it{' or what would see that' if sees else ''}"
    )


async def _collide(target: Target, one: Merge, on: TargetName) -> bool:
    """Whether two staged rows collide by themselves: they do so in a copy of the table that has no other rows."""
    row = await (await target.execute(_BOUNDS, [on.identifier.as_string(None)])).fetchone()
    bounds = sql.SQL(row["bounds"] if row and row["bounds"] else "true")
    try:
        async with target.transaction(force_rollback=True):
            make = sql.SQL(_COPY).format(on=on.identifier)
            await at_once(target, [make, one.composed(_FILL, bounds=bounds)])
    except _COLLISIONS:
        return True
    except (psycopg.IntegrityError, psycopg.DataError):
        return False
    return False


def of_rows(family: Sequence[Merge], error: psycopg.IntegrityError) -> str:
    """The constraint that the rows violate after the merges."""
    on, name = _place(error)
    text = f"{on} cannot have the rows that a publish in place gives it: "
    if isinstance(error, errors.NotNullViolation):
        column = error.diag.column_name
        return f"{text}NULL in {column}, which is NOT NULL; correct the rows, or DROP NOT NULL from that column"
    if isinstance(error, errors.CheckViolation) and not name:
        if error.diag.source_function == "ExecFindPartition":
            return f"{text}no partition is for one of them; attach one, or a DEFAULT partition"
        return f"{text}one of them is out of the bounds of this partition; correct the row, or detach the partition"
    if isinstance(error, errors.CheckViolation):
        return f"{text}one of them violates its check constraint {name}; correct the row, or drop the constraint"
    if isinstance(error, errors.ForeignKeyViolation | errors.RestrictViolation):
        return _of_key(family, on, name, is_restrict=_is_restrict(family, error))
    return f"{text}{one_line(error)}"


def _is_restrict(family: Sequence[Merge], error: psycopg.IntegrityError) -> bool:
    """Whether a row may not go, or change, because another one refers to it.

    Before PostgreSQL 18, the error is the same as that of a row which refers to none. But no row of a table that is not
    merged has come.
    """
    on, name = _place(error)
    return isinstance(error, errors.RestrictViolation) or (
        all(one.into.table != on for one in family) and any((on, name) in one.into.restricting for one in family)
    )


def _of_key(family: Sequence[Merge], on: TargetName, name: str, *, is_restrict: bool) -> str:
    ruled = [str(one.into.table) for one in family if one.into.has_rules]
    if is_restrict:
        what = "which is RESTRICT and does not let a row go, or change, to which a row of that table refers; "
        remedy = f"delete the rows of {on} that refer to it, or make the key NO ACTION, or drop it"
    else:
        what = "a row of that table would refer to one that is not there; "
        remedy = f"correct the rows of {on}, or give the key ON DELETE CASCADE or SET NULL, or drop it"
    if ruled:
        remedy += (
            f"; or drop the rules of {', '.join(ruled)}, or make the key DEFERRABLE: because of rules, the tables are"
            " changed one after the other, and the key has to hold in between"
        )
    joint = "," if is_restrict else ":"
    return f"the rows of a publish in place violate the foreign key {name} of {on}{joint} {what}{remedy}"


def _place(error: psycopg.Error) -> tuple[TargetName, str]:
    """The table that an error names, and its constraint or index."""
    diagnostic = error.diag
    return TargetName(diagnostic.schema_name or "", diagnostic.table_name or ""), diagnostic.constraint_name or ""
