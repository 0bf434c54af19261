"""The stages of a run, each named in a comment of the SQL statement that does its work.

PostgreSQL shows the comment with the statement, in pg_stat_activity and in its log, and so tells how far a session has
come. The fault suite stops a run at these stages (tests/faults).
"""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """A stage of a run, as the comment that its statement carries; in the order in which a run comes to them."""

    CONNECT = "/* etl: connect */"
    OPEN = "/* etl: open the run */"
    LOCK = "/* etl: lock the tables */"
    SNAPSHOT = "/* etl: export the snapshot */"
    TAKEN = "/* etl: record the snapshot */"
    CATALOG = "/* etl: read the catalog */"
    CREATE = "/* etl: create the staging table */"
    JOIN = "/* etl: join the snapshot */"
    COPY_OUT = "/* etl: copy out */"
    COPY_IN = "/* etl: copy in */"
    CHECKSUM = "/* etl: checksum */"
    INDEX = "/* etl: build an index */"
    ANALYZE = "/* etl: analyze */"
    RECORD = "/* etl: record the load */"
    PUBLISH = "/* etl: publish */"
