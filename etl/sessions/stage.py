"""The stages of a run. A comment in the SQL statement of a stage names the stage.

PostgreSQL shows the comment with the statement in pg_stat_activity and in its log, so both show the stage of a session.
The fault suite stops a run at these stages (tests/faults).
"""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """A stage of a run, as the comment in its statement; in the order in which a run reaches them."""

    CONNECT = "/* etl: connect */"
    OPEN = "/* etl: open the run */"
    LOCK = "/* etl: lock the tables */"
    SNAPSHOT = "/* etl: export the snapshot */"
    TAKEN = "/* etl: record the snapshot */"
    CATALOG = "/* etl: read the catalog */"
    CREATE = "/* etl: create the staging table */"
    JOIN = "/* etl: join the snapshot */"
    COUNT = "/* etl: count the changed rows */"
    COPY_OUT = "/* etl: copy out */"
    COPY_IN = "/* etl: copy in */"
    CHECKSUM = "/* etl: checksum */"
    INDEX = "/* etl: build an index */"
    ANALYZE = "/* etl: analyze */"
    RECORD = "/* etl: record the load */"
    DIFFERENCE = "/* etl: find the difference */"
    MERGE = "/* etl: merge */"
    FILL = "/* etl: fill a view */"
    PUBLISH = "/* etl: publish */"
    VALIDATE = "/* etl: validate a foreign key */"
