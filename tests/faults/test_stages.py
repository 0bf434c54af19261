"""Fault × stage × expectation: each fault happens at each stage of a run, and the test checks the result."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from etl.sessions.stage import Stage
from tests.faults.breaker import COMMIT, Link, Moment
from tests.faults.night import Night, assert_whole
from tests.situations import ended, until
from tests.situations import terminate as end_session

MINUTE = 60
"""Seconds within which a dead peer must be noticed, whatever the defaults of the system are."""

STAGES = {
    moment.name: moment
    for moment in (
        Moment("connect to the source", "operational", Stage.CONNECT),
        Moment("connect to the target", "reporting", Stage.CONNECT),
        Moment("open the ledger", "reporting", Stage.OPEN),
        Moment("snapshot", "operational", Stage.SNAPSHOT),
        Moment("ledger write", "reporting", Stage.TAKEN),
        Moment("catalog", "operational", Stage.CATALOG, given=Stage.SNAPSHOT),
        Moment("join the snapshot", "operational", Stage.JOIN),
        Moment("make the staging table", "reporting", Stage.CREATE),
        Moment("count the changes", "operational", Stage.COUNT),
        Moment("COPY out", "operational", Stage.COPY_OUT, "during"),
        Moment("COPY in", "reporting", Stage.COPY_IN, "during"),
        Moment("verify the source", "operational", Stage.CHECKSUM),
        Moment("verify the target", "reporting", Stage.CHECKSUM),
        Moment("index build", "reporting", Stage.INDEX),
        Moment("ANALYZE", "reporting", Stage.ANALYZE),
        Moment("record the load", "reporting", Stage.RECORD),
        Moment("commit the load", "reporting", Stage.RECORD, "after"),  # one message with the COMMIT
        Moment("find the difference", "reporting", Stage.DIFFERENCE),
        Moment("merge", "reporting", Stage.MERGE),
        Moment("merged", "reporting", Stage.MERGE, "after"),
        Moment("fill a view", "reporting", Stage.FILL),
        Moment("publish", "reporting", Stage.PUBLISH),
        Moment("commit the publish", "reporting", COMMIT, "before", given=Stage.PUBLISH),
        Moment("hear of the commit", "reporting", COMMIT, "after", given=Stage.PUBLISH),
        Moment("validate a key", "reporting", Stage.VALIDATE),
    )
}

COUNTING = "count the changes"
MERGING = ("find the difference", "merge", "merged")
VALIDATING = "validate a key"


def stages_from(first: str, *without: str) -> list[str]:
    """The stages from one on, without those that do not occur."""
    names = list(STAGES)
    return [name for name in names[names.index(first) :] if name not in without]


STAGES_OF = {
    "swap": stages_from("connect to the source", *MERGING, COUNTING),
    "in place": stages_from("record the load", VALIDATING),
    "mixture": stages_from("find the difference"),
    "changes": stages_from("join the snapshot", "index build", "ANALYZE", VALIDATING),
}
"""The stages at which each way is stopped: until a load is recorded, no statement depends on the way of publishing."""

TRIED_AGAIN = {
    *("join the snapshot", "make the staging table", "COPY out", "COPY in", "verify the source", "verify the target"),
    *(COUNTING, "index build", "ANALYZE", "record the load", "commit the load"),
}
"""What is a load's own is done again; a publish that has come to its commit is asked about."""
PUBLISHED = {"hear of the commit"}
AFTERWARDS = {VALIDATING}
"""The run is published; a key that is not validated fails it, and waits for the next run."""
UNSAID = {"commit the publish"}
"""Its COMMIT is on the way when the run dies, and may arrive or not."""
SOURCE = {name for name, moment in STAGES.items() if moment.side == "operational"}
NOT_BEGUN = {"connect to the source", "connect to the target", "open the ledger"}


@dataclass(frozen=True)
class Scene:
    """A run that stands still at a stage."""

    night: Night
    moment: Moment
    process: subprocess.Popen[str]
    link: Link

    def release(self) -> None:
        """Lets the run go on."""
        self.night.breakers[self.moment.side].release()


def terminate(scene: Scene) -> None:
    """An administrator ends the session."""
    pid = scene.night.pid(scene.moment, scene.link)
    end_session(scene.night.database(scene.moment.side), pid)
    scene.release()


def crash(scene: Scene) -> None:
    """The server is killed with all its processes, and comes up again."""
    scene.night.crash(scene.moment.side)
    scene.release()


def cut(scene: Scene) -> None:
    """The connection is reset, for both sides."""
    scene.link.cut()
    scene.release()


def stall(scene: Scene) -> None:
    """The connection passes nothing on any more, and tells nobody; new ones work."""
    scene.process.wait(MINUTE)


def vanish(scene: Scene) -> None:
    """The host is gone: nothing passes, on old connections or new ones, and none is closed."""
    scene.night.breakers[scene.moment.side].swallow()
    scene.process.wait(MINUTE)
    scene.night.breakers[scene.moment.side].cut()


def trickle(scene: Scene) -> None:
    """The connections pass 200 kB a second."""
    for link in scene.night.breakers[scene.moment.side].links:
        link.trickles = True
    scene.release()


def sigterm(scene: Scene) -> None:
    """Spot, Fargate or Batch takes the machine back."""
    scene.process.send_signal(signal.SIGTERM)
    scene.release()


def sigint(scene: Scene) -> None:
    """Somebody presses Ctrl-C."""
    scene.process.send_signal(signal.SIGINT)
    scene.release()


def sigkill(scene: Scene) -> None:
    """The machine is gone, or its memory was full."""
    scene.process.kill()
    scene.process.wait()
    scene.release()


@dataclass(frozen=True)
class Fault:
    """A fault: the action, the stages at which the run succeeds nevertheless, and the ends of the other runs."""

    do: Callable[[Scene], None]
    recovers: frozenset[str]
    says: str
    status: int = 1
    clears: bool = True  # before the run's end; otherwise the next run does

    def ends(self, stage: str) -> int:
        """The exit status."""
        return 0 if stage in self.recovers else self.status

    def shows(self, stage: str) -> set[str]:
        """The nights that may be live afterwards."""
        if stage in UNSAID and self.do in {sigterm, sigint, sigkill}:
            return {"today", "yesterday"}
        return {"today"} if stage in self.recovers | PUBLISHED | AFTERWARDS else {"yesterday"}


LOST = r"(operational|reporting) database (was lost|postgresql://\S+ cannot be reached)|has lost the rows staged"
PASSES = frozenset(TRIED_AGAIN | PUBLISHED)
FAULTS = {
    "terminate": Fault(terminate, PASSES, LOST),
    "crash": Fault(crash, frozenset(TRIED_AGAIN & SOURCE | PUBLISHED), LOST, clears=False),
    "cut": Fault(cut, PASSES, LOST),
    "stall": Fault(stall, PASSES, r"database (waits for us, as we do for it|postgresql://\S+ cannot be reached)"),
    "vanish": Fault(vanish, frozenset(), "the server answers nobody|cannot be reached: ", clears=False),
    "trickle": Fault(trickle, frozenset(STAGES), ""),
    "sigterm": Fault(sigterm, frozenset(), "^etl: stopped by SIGTERM$", 143),
    "sigint": Fault(sigint, frozenset(), "^etl: stopped by SIGINT$", 130),
    "sigkill": Fault(sigkill, frozenset(), "^$", -9, clears=False),
}


@pytest.mark.parametrize(("way", "stage"), [(way, stage) for way, stages in STAGES_OF.items() for stage in stages])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_at_a_stage(night: Night, name: str, way: str, stage: str) -> None:
    """All live tables show one night, ledger and message are right, nothing is left, and the next run succeeds."""
    fault = FAULTS[name]
    night.publishes(way)
    night.passes()
    yesterday = night.live()
    with night.stopped_at(STAGES[stage]) as (process, link):
        fault.do(Scene(night, STAGES[stage], process, link))
        done = ended(process, MINUTE)
    assert done.status == fault.ends(stage), done
    assert re.search(fault.says if done.status else "^$", done.stderr), done.stderr
    shown = assert_whole(night, done, yesterday)
    assert shown in fault.shows(stage)
    if fault.clears:
        assert_cleared(night)
        assert_ledger(night, stage, shown, {143: "interrupted", 130: "interrupted"}.get(done.status, "failed"))
    again = night.etl("run", ETL_RUN_ID=f"{night.run_id}-again")
    assert (again.status, again.stderr) == (0, "")
    assert night.live() == night.sourced()
    assert night.unvalidated() == []
    assert_ledger(night, stage, shown, "interrupted", "failed")
    assert_cleared(night)


def assert_cleared(night: Night) -> None:
    """Within seconds, nothing of a run is left behind; the servers may not have noticed its end yet."""
    with suppress(AssertionError):
        until(lambda: night.traces() == [], "nothing is left behind", 5)
    assert night.traces() == []


def assert_ledger(night: Night, stage: str, shown: str, *otherwise: str) -> None:
    """The run is published if its rows are live; otherwise its status is one of these, or it is not in the ledger."""
    status, error = night.ledger()
    if shown == "today":
        assert (status, error) == ("published", None)
    elif stage in NOT_BEGUN:
        assert status in {"absent", *otherwise}
    else:
        assert status in otherwise
        assert error
