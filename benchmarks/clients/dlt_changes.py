"""dlt by a cursor: it reads the rows whose ``updated_at`` is later than at its last run, and merges them by their keys.

It reads and writes as in dlt_copy.py. The first run begins with what the target has. ``range_start`` is open, which
spares dlt a hash of each row that has the last time; ``upsert`` is one MERGE, the default a DELETE and an INSERT.
"""

from dlt_copy import dlt, into_target, tables  # dlt reads the variables that dlt_copy sets

if __name__ == "__main__":  # the workers import this file
    pipeline, source = into_target(), tables()
    with pipeline.sql_client() as target:
        for name, table in source.resources.items():
            since = target.execute_sql(f"SELECT max(updated_at) FROM {name}")[0][0] if pipeline.first_run else None
            table.apply_hints(
                write_disposition={"disposition": "merge", "strategy": "upsert"},
                incremental=dlt.sources.incremental("updated_at", initial_value=since, range_start="open"),
            )
    info = pipeline.run(source.parallelize(), loader_file_format="csv")
    info.raise_on_failed_jobs()
