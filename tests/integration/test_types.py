"""Every type arrives bit for bit, whatever the two databases have set."""

from __future__ import annotations

from tests.harness import Databases, Etl
from tests.mirror import assert_same, fill, has_xml, make_user_types
from tests.releases import release
from tests.samples import NAMING, SAMPLES, SINCE_14, UNSTORABLE, samples_of

TYPES_OF_THE_CATALOG = """
    SELECT typname::text FROM pg_type
     WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm', 'e', 'd')
       AND oid NOT IN (SELECT typarray FROM pg_type)
"""

# Settings that change how values are written and read; the two databases have them the other way round.
SETTINGS = {
    "datestyle": ("SQL, DMY", "German, MDY"),
    "intervalstyle": ("sql_standard", "iso_8601"),
    "timezone": ("Asia/Kathmandu", "America/St_Johns"),
    "extra_float_digits": ("-15", "0"),
    "bytea_output": ("escape", "hex"),
    "xmloption": ("document", "content"),
    "array_nulls": ("on", "off"),
    "search_path": ("pg_catalog", "public"),
    "quote_all_identifiers": ("on", "off"),
}


def set_apart(databases: Databases) -> None:
    """Sets different settings on the two databases; etl must not depend on any of them."""
    for side, database in enumerate((databases.operational, databases.reporting)):
        for name, values in SETTINGS.items():
            database.execute(f"ALTER DATABASE {database.name} SET {name} = '{values[side]}'")


def test_no_built_in_type_is_forgotten(databases: Databases) -> None:
    """Each that the server's catalog has is copied, or refused (reg* and aclitem), or no row can hold it."""
    listed = {name for (name,) in databases.operational.rows(TYPES_OF_THE_CATALOG)}
    known = set(SAMPLES) | set(NAMING) | set(UNSTORABLE)
    assert len(SAMPLES) + len(NAMING) + len(UNSTORABLE) == len(known)
    assert known - (SINCE_14 if release() < 14 else set()) == listed
    assert {name for name in listed if name.startswith("reg")} == set(NAMING) - {"aclitem"}


def test_every_built_in_type_arrives_bit_for_bit(databases: Databases, etl: Etl) -> None:
    """Edge values, NULLs and arrays of every shape, plain and in domains, domains of domains and composites."""
    source, target = databases.operational, databases.reporting
    samples = samples_of(int(source.value("SHOW server_version_num")) // 10000, has_xml=has_xml(source))
    target.execute("CREATE TABLE public.elsewhere ()")  # so that the two servers number their objects differently
    for database in (source, target):
        make_user_types(database, samples)
    fill(source, samples)
    set_apart(databases)
    done = etl("run", TABLES="plain_*,user_*", ETL_VERIFY="checksum")
    assert done.stderr == ""
    assert done.status == 0
    assert done.event("run.finished")["tables"] == 2 * len(samples)
    assert_same(source, target, [f"plain_{name}" for name in samples])
    assert_same(source, target, [f"user_{name}" for name in samples])
    assert_same(source, target, [f"plain_{name}" for name in samples], form="binary")
    verified = etl("verify", TABLES="plain_*,user_*")
    assert (verified.status, verified.stderr) == (0, "")
