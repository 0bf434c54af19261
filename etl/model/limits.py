"""Every limit of time and size: its unit, and why it is what it is, or the evidence for it.

Names end in the unit; those that end in TIMEOUT are texts, as PostgreSQL's settings take them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from etl.model.status import RunStatus

# Sessions

CONNECT_SECONDS = 10
"""Seconds to wait for a connection where the URL does not say (``connect_timeout``)."""

KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""How a dead peer is noticed where the URL does not say: seconds, seconds, probes, milliseconds (libpq's words)."""

AGREEING_ANSWERS = 2
"""Answers in a row that prove a death; a single one may be of the instant between a question and its answer."""

UNOPENED_SESSION_BYTES = 1 << 20
"""Bytes until a session is open: PostgreSQL sends about 1 kB, and notices where a trigger ON login raises some."""

SOCKET_READ_BYTES = 1 << 20
"""Bytes that are read from a socket at once, instead of asyncio's 256 kB: a seventh of the stream's CPU less.

Measured in benchmarks/NOTES.md, The stream. Through TLS it is OpenSSL that reads, as before.
"""

KEPT_FREE_BYTES = 32 << 20
"""Free memory that the C library keeps: room for some pieces (SOCKET_READ_BYTES) of each of a run's streams."""

STEP_ATTEMPTS = 4
"""Tries of one step, the first included; about 5 seconds of waiting between them in all."""

STEP_PAUSE_SECONDS = (0.5, 10)
"""Before the second try, doubled for each one after it, with a jitter; and at most."""

CLOSE_SECONDS = 2
"""For a farewell to the source's server; then the socket is closed, and the server sees that."""

POOLER_LOOKS = 3
"""Connections that are tried to find a pooler in transaction mode: another client may come between two of them."""

# The source

SOURCE_LOCK_TIMEOUT = "60s"
"""How long the holder waits for a table that another session alters: later sessions queue behind the holder."""

EXPLAIN_LOCK_TIMEOUT = "100ms"
"""How long EXPLAIN, which has no NOWAIT, may wait for a lock: short beside a table's load."""

SHARED_LOCK_SECONDS = 10
"""How long a shard waits for a table that another session alters: a careful migration gives up sooner."""

SHARED_LOCK_PAUSE_SECONDS = 0.5
"""Seconds between two attempts."""

PROOF_LOCK_TIMEOUT = "60s"
"""How long to wait for a table that another session alters, if this run does not hold the table's lock yet."""

SIZE_LOCK_TIMEOUT = "60s"
"""How long to wait for a table that another session alters: pg_table_size() takes a lock."""

SNAPSHOT_TAKE_SECONDS = 60.0
"""How long to try to take a snapshot while another session waits to alter one of the tables."""

SNAPSHOT_TAKE_PAUSE_SECONDS = 0.5
"""Seconds between two attempts."""

# A run and its shards

SNAPSHOTS_A_RUN = 3
"""How many snapshots a run takes at most, when the sessions that hold them are lost."""

SNAPSHOT_WAIT_SECONDS = 3900.0
"""Seconds that a shard waits for the run's snapshot: longer than a service looks for a host for the holder, twice.

Batch gives up after 30 minutes by default (infra/modules/batch); then its reason is told, and not the wait of the
shards. A run that ends meanwhile ends the wait.
"""

SNAPSHOT_WAIT_PAUSE_SECONDS = 0.5
"""Seconds between two looks for it."""

HOLDER_PAUSE_SECONDS = 1.0
"""Seconds between two looks at the ledger and at the source's session."""

HOLDER_ANSWER_SECONDS = 60.0
"""How long the source's session may take to answer before it is taken for lost."""

HORIZON_LOOK_SECONDS = 1.5
"""How long the look at the vacuum horizon may take; a snapshot is not held for the sake of a figure."""

RUN_WATCH_SECONDS = 2.0
"""Seconds between two looks at whether somebody has given the run up."""

TELLING_LOCK_MS = 200
"""Milliseconds that the telling of progress waits for a lock on the ledger's tables; the next look tells it again."""

PROGRESS_LOG_SECONDS = 30.0
"""Seconds between two log lines on the progress of a run: two a minute, however many tables there are."""

WATCH_REST = 20
"""`etl watch` rests so many times longer than its look at the ledger took, which is a twentieth of the time at most."""

WATCHED_TABLES = 12
"""The loads that `etl watch` shows at once: a screen of 24 lines has room for them."""

UNBEGUN_SECONDS = 4.0
"""How long a run that fails before it has its row in the ledger may take to get one there, as a failed run; after a
signal, that is all the time there is."""

CLEARING_SECONDS: Mapping[RunStatus, float] = {RunStatus.INTERRUPTED: 4.0, RunStatus.FAILED: 60.0}
"""How long clearing up may take, by the ledger's status. Who sent SIGTERM sends SIGKILL after 10 to 30 s (Docker, ECS);
nobody waits for a run that failed, and its servers, short of time, may be what made it fail."""

PLANNED_RUN_BEGINS_WITHIN = timedelta(days=1)
"""How long a run that is planned may take to begin; the state machine ends its execution earlier."""

MOST_SHARDS = 500
"""Shards of a run at most: what the history of a state machine's execution has room for (tests/unit/test_limits.py).

No more than 40 of them run at once in any case (docs/state-machine.md, Limits), so more shards shorten no night.
"""

MOST_JOBS = 64
"""More pairs of connections than this would only wait for each other."""

LEDGER_LOCK_MS = 500
"""Milliseconds for which a lock on a table of the ledger is waited for; other users of the ledger wait behind it."""

LEDGER_UPGRADE_SECONDS = 60.0
"""For how long an older version's ledger is tried to be upgraded, while other sessions use it."""

# Loads and staging

SPLIT_FROM_BYTES = 8 << 30
"""Tables from here on are cut: one stream takes them minutes, and less is not worth a publish that may have to wait
until snapshots older than their rows are gone (``horizon.py``). Figures: benchmarks/NOTES.md."""

SPLIT_RANGE_BYTES = 1 << 30
"""A range of theirs: some 10 seconds' work, which is what a lost connection costs, and what ETL_JOBS share out."""

SPLIT_MOST_RANGES = 1000
"""Larger tables have larger ranges."""

SIDE_BY_SIDE_INDEX_BYTES = 256 << 20
"""Bytes from which on a table's indexes are built side by side: a second's work or more each, for two round trips."""

INDEX_MEMORY_PART_OF_BUFFERS = 8
"""The default total: an eighth of shared_buffers, which is 3 % of an RDS instance's memory, 9 % on Aurora."""

LEAST_INDEX_MEMORY_KB = 64 << 10
"""The least share in kB: PostgreSQL's default of maintenance_work_mem, unless the server's setting is lower."""

LIVE_TABLE_LOCK_TIMEOUT = "30s"
"""How long a writer waits for a live table that is locked in ACCESS EXCLUSIVE mode, to read its attachments."""

LOST_TRANSACTION_SECONDS = 30.0
"""How long to wait for the server to end the transaction of a lost session."""

TABLES_OF_ONE_DROP = 100
"""Tables of one DROP: a DROP locks each table, its TOAST table, and every index of both."""

DROP_LOCK_SECONDS = 10.0
"""How long the drop of tables that nobody is to read waits for a lock: longer than the server takes to cancel an
autovacuum. What is in use for longer (by pg_dump, which locks all tables that there are) is left to the next run."""

DROP_ALONE_LOCK_SECONDS = 0.5
"""How long each of these tables is waited for, once one of them was in use for so long."""

SAME_RUN_LOCK_SECONDS = 20.0
"""How long a shard's next attempt waits for the sessions of a killed attempt to end."""

TABLE_LOCK_PAUSE_SECONDS = 0.25
"""Seconds between two looks at the locks."""

# The publish

SHRINK_COUNTS_FROM_ROWS = 100
"""Rows that a table must have had for ``shrink_at_most`` to count (an empty table always does).

Small tables halve by chance. If rows come and go independently, the difference of two nights' counts around n has a
standard deviation of about sqrt(2n) (two Poisson counts): half of 100 rows is 3.5 of these, half of 20 only 1.6.
"""

PUBLISH_LOCKS_A_TABLE = 3
"""Locks that a publish takes for each table: the old table, the new table, and one for some of the attachments."""

PUBLISH_LOCK_MS = 100
"""Milliseconds for which one lock is waited for; readers that come meanwhile wait behind us for as long."""

PUBLISH_LOCK_PHASE_MS = 500
"""Milliseconds that all locks together may take, if there are no views."""

PUBLISH_LOCK_OBJECT_MS = 2
"""Further milliseconds for each object that is locked by a statement of its own: a view, a foreign key, a sequence.

The server took 0.14 to 0.5 ms a view, for 400 and 1,500 views, on two cores beside other work.
"""

PUBLISH_LOCKS_AT_ONCE = 20
"""Locks between two looks at the clock."""

BLOCKERS_NAMED = 5
"""How many of the sessions in the way a message names."""

VALIDATION_LOCK_TIMEOUT = "60s"
"""How long the validation of a foreign key waits for a VACUUM or for DDL; it keeps no reader or writer waiting."""

PUBLISH_PAUSE_SECONDS = (0.1, 1.0)
"""Seconds between two attempts, at random, so that two publishes do not meet again and again."""

PUBLISH_LAST_TRY_SECONDS = 5.0
"""Seconds for another try after the sessions in the way were ended."""

COMMIT_IN_DOUBT_SECONDS = 30.0
"""Seconds to find out whether a commit was done: a server that crashed comes up again."""

HORIZON_PAUSE_SECONDS = 0.5
"""Seconds between two looks at the snapshots."""

HORIZON_LOG_SECONDS = 30.0
"""Seconds between two log lines that name the sessions in the way."""

PASS_REASON_CHARACTERS = 500
"""Characters that the ledger keeps of the reason to let a stopped run pass: a sentence, and the name of a ticket."""

# The report

SOURCE_FLUSH_SECONDS, SOURCE_FLUSH_PAUSE_SECONDS = 5.0, 0.1
"""For how long a load waits until the source has flushed its WAL; its WAL writer does that every 0.2 s by default."""

DELTA_IDS = 2**30
"""The ids after which no delta is tried. A 32-bit id is compared wrongly after 2**31 (manual, "Preventing Transaction
ID Wraparound"), and age() counts from the next id, which runs on while rows are read and old transactions are open."""

DELTA_LOCK_TIMEOUT = "2s"
"""For how long a delta waits to read a locked live table, or to have the options' SQL parsed; a full load does neither
before its rows are staged."""

PROOF_NIGHTS = 14
"""Within so many nights, all rows of a table that is loaded by its changes are hashed on both sides."""

PROOF_ROWS_AT_ONCE = 10_000
"""The rows up to which a table's proof hashes all of them in one night: each slice would cost as many round trips."""

GONE_BY_BUCKETS = 100_000
"""The gone rows of a table up to which their keys are found bucket by bucket; the list of buckets is one parameter."""

BUCKETS = 2**20
"""The most buckets of keys of a table. Their numbers of rows are sent, and kept in a temporary table of 50 MB."""

BUCKETS_BY_INDEX = 0.25
"""The part of a table's buckets up to which an index finds their keys; more of them are found by one scan."""

DELTA_PAGE_COST = 1.1
"""The random_page_cost of statements that look for the live rows of changed ones. With the default of 4, the server
scans the whole live table for a hundredth of its rows, which takes 2 to 4 times as long (docs/decisions.md)."""

DELTA_AT_MOST = 0.05
"""The part of a table's rows from which on a full load is cheaper than a delta (docs/decisions.md)."""

DELTA_ROWS = 1_000
"""The changed rows up to which a delta is never too large: making the tables of a full load takes as long."""

NIGHTS_IN_VAIN, NIGHTS_WITHOUT_COUNT = 5, 30
"""After how many full loads in a row whose rows were counted for nothing a table is loaded whole at once, and how many
nights pass until they are counted again. Such a night takes up to 1.6 times as long (docs/decisions.md)."""

COST_OF_COUNTING, COST_OF_CHANGES, COST_OF_MERGED_WHOLE, COST_OF_MERGED_BY_ROW = 0.3, 20.0, 2.0, 3.5
"""What a night costs in a run that merges, where a full load that is swapped costs 1: a table whose rows are counted,
for each of its rows that has changed, and a table that is loaded whole and merged, by its key or, without one, by
whole rows (docs/decisions.md)."""

MERGED_BYTES_A_SECOND = 50e6
"""Of a table that is loaded whole, how fast the rows of a merge would be, if it cost what the load costs."""

COST_OF_A_TABLE, COST_OF_A_DELTA = 1_000_000, 0.7
"""What a table costs beside its bytes: so many more, and which part of these if its rows are counted: by the round
trips (tests/integration/test_round_trips.py)."""

MANY_TABLES = 200
"""From so many tables on, the round trips and plans of merges count; of fewer, they take a second or two."""

MANY_SMALL_TABLES, SMALL_TABLE_BYTES = 50, 100_000
"""From so many tables on, with fewer bytes each on average, no load looks for changes: that costs each table more than
its copy (docs/decisions.md has figures). Of fewer tables, it is a part of a second."""

USUAL_SHARE = 0.01
"""The share of changed rows of tables of which no sample tells it."""

SAMPLED_TABLES = 20
"""How many tables, the largest ones, are sampled before a run decides: the others change its cost little."""

SAMPLE_PAGES, SAMPLE_SHARE, SAMPLE_LEAST_PAGES = 1_000, 0.05, 100
"""How many pages of a table, and which share of them at most, are read to see how many rows have changed; of a small
table more, so that they are twice the least number. A table of fewer pages is not sampled."""

PAGE_BYTES = 8192
"""Of a page, unless the server was built with another size."""

PLANNED_BY_NIGHTS = 40
"""The last loads of a table by which a plan expects the next: more than the nights between two full loads."""

MERGE_ROWS = 1_000
"""The changed rows of a table from which on the seconds of their merge tell how long a row takes."""

MERGE_TOLD = "30 days"
"""How long the seconds of a merge are told to the next ones. After that, a table that was slow is tried again."""

MERGE_ROW_SECONDS = 50e-6
"""How long a changed row takes to merge, where no merge tells (docs/decisions.md has the measurement)."""

REPORTED_SLOWEST = 10
"""How many of the slowest tables the report names."""

REPORTED_NIGHTS = 10
"""Over how many published loads of a table the median is taken."""

REPORTED_FAILED = 100
"""How many failed tables are told; ``failed_count`` counts all."""

REPORTED_FAILED_CHARACTERS = 100_000
"""Characters of JSON that they may take together: a state machine carries 256 KiB from state to state, and Lambda
writes a character that is not ASCII with up to twelve (tests/unit/test_limits.py)."""

REPORTED_PAGE_NIGHTS = 30
"""Over how many nights the page of a night tells what is usual."""

REPORTED_PAGE_LOOKS = 300
"""Among how many runs of a job these nights are looked for, because some runs are of single tables."""

PAGE_SECONDS = 60
"""Seconds that the page may take, with what the ledger tells for it, and S3: Slack's message waits. The function has
240, and one of 10,000 tables and 30 nights takes 15 on a processor of its own."""

PAGE_ERRORS = 20
"""How many failed tables the page names at its top; the table below has all errors."""

REPORTED_ERROR_CHARACTERS = 500
"""Characters of an error that are told."""

ABORT_REASON_CHARACTERS = 2000
"""Characters of a reason that the ledger keeps; a service's account of a failure may be a page of JSON."""

METRICS_LINE_BYTES = 16_000
"""Bytes of a line with metrics at most: the log driver of ECS cuts lines of 16 KiB in two, and half a line is none."""

MOST_TAG_CHARACTERS = 256
"""Characters of a session tag's value: https://docs.aws.amazon.com/STS/latest/APIReference/API_Tag.html."""

MOST_SESSION_CHARACTERS = 64
"""Characters of a session's name: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html."""

ROLE_SECONDS = 900
"""Seconds for which a role is assumed to read parameters: the least that STS takes, and more than reading needs."""

MOST_DIMENSIONS = 30
"""Dimensions of a metric at most: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html."""

FUNCTION_MARGIN_SECONDS = 5.0
"""Seconds before a function's end at which it gives up by itself, so that it can say so."""

LONGEST_VARIABLE_BYTES = 100_000
"""Linux starts no process with a variable of 128 KiB or more (execve(2), MAX_ARG_STRLEN), its name included."""

AFTER_PUBLISH_SECONDS = 5.0
"""How long the command after the publish may take to end after SIGTERM. Who sent it sends SIGKILL after 10 to 30 s."""

AFTER_PUBLISH_PAUSE_SECONDS = 0.05
"""How long between two looks whether processes of the command are left."""

SHORTEST_SECRET_CHARACTERS = 3
"""Characters: a shorter one, taken out of every text, would take the text's sense with it."""

LONGEST_WORD_CHARACTERS = 16
"""Characters; a shorter secret of letters, digits and _ may be a part of a name by chance, as loader of etl_loader.

A longer one is no part of another word by chance; where it stands in one, it has to be hidden.
"""

SHORTEST_MASK_KEY_CHARACTERS = 16
"""Characters; a shorter key could be found by trying."""
