"""The system clock jumps in the middle of a run, and the run still succeeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.night import Night
from tests.faults.test_stages import MINUTE, STAGES
from tests.situations import ended

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

TOOK = "SELECT extract(epoch FROM finished_at - started_at)::float8 FROM etl.loads"

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="no libfaketime here; `apt-get install faketime` brings it")


@pytest.mark.parametrize(
    ("way", "stage"), [("swap", "ledger write"), ("swap", "COPY out"), ("swap", "publish"), ("in place", "merge")]
)
@pytest.mark.parametrize("jump", ["-86400", "+86400"])
def test_a_clock_that_jumps_by_a_day_ends_no_run(night: Night, tmp_path: Path, jump: str, way: str, stage: str) -> None:
    """Somebody set the time, or the machine was suspended: no timeout fires because of it, and the rows are today's."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    night.publishes(way)
    night.passes()
    faked = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # the kernel's monotonic clock does not jump
    }
    with night.stopped_at(STAGES[stage], **faked) as (process, _):
        clock.write_text(jump)
        night.breakers[STAGES[stage].side].release()
        done = ended(process, MINUTE)
    assert (done.status, done.stderr) == (0, "")
    assert night.live() == night.sourced()
    assert night.ledger() == ("published", None)
    days = [line["timestamp"][:10] for line in done.events]
    assert days[0] != days[-1], "the clock did not jump"
    took = [line["seconds"] for line in done.events if line["event"] == "table.loaded"]
    took += [seconds for (seconds,) in night.database("reporting").rows(TOOK)]
    assert len(took) > 1, "nothing was loaded"
    assert all(0 <= seconds < MINUTE for seconds in took), took
    again = night.etl("run", ETL_RUN_ID=f"{night.run_id}-again")
    assert (again.status, again.stderr) == (0, "")
    assert night.traces() == []
