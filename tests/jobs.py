"""The jobs of Batch, ECS and CodeBuild: each is really started, with the override that it was given."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import IO, Any, Protocol

from tests import described
from tests.described import DESCRIBED
from tests.harness import Done, environment_of

NEVER_BEGAN = 512
"""The status of a job whose container was never run; no process ends with it."""

GRACE = 30
"""Seconds between SIGTERM and SIGKILL, as Batch and ECS have them by default."""


class Process(Protocol):
    """What carries a job out: a process, or a container that looks like one."""

    def poll(self) -> int | None:
        """Gives the exit status, None while it runs."""

    def terminate(self) -> None:
        """Sends SIGTERM."""

    def kill(self) -> None:
        """Sends SIGKILL."""

    def done(self) -> Done:
        """Gives how it ended, and what it wrote."""


@dataclass(slots=True)
class Local:
    """A process of this machine."""

    process: subprocess.Popen[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    @classmethod
    def etl(cls, command: str, variables: Mapping[str, str]) -> Local:
        """Starts ``etl COMMAND`` with these variables and no other of ours."""
        stdout, stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - `done` reads them
        environment = environment_of(variables)
        arguments = [sys.executable, "-m", "etl", command]
        null = subprocess.DEVNULL
        return cls(
            subprocess.Popen(arguments, env=environment, stdin=null, stdout=stdout, stderr=stderr), stdout, stderr
        )

    def poll(self) -> int | None:
        """Gives the exit status, None while it runs."""
        return self.process.poll()

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.process.terminate()

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.process.kill()

    def done(self) -> Done:
        """Gives how it ended, and what it wrote."""
        status = self.process.wait()
        texts = []
        for file in (self.stdout, self.stderr):
            file.seek(0)
            texts.append(file.read().decode())
        return Done(status, *texts)


Start = Callable[[str, Mapping[str, str]], Process]


@dataclass(slots=True)
class Job:
    """One job: what was asked for, and what carries it out."""

    id: str
    service: str
    command: str
    variables: dict[str, str]
    process: Process

    @property
    def shard(self) -> str | None:
        """The shard that it loads, None for the holder of the snapshot."""
        return self.variables.get("ETL_SHARD")

    @property
    def status(self) -> int | None:
        """The exit status as a container's: 128 and the signal's number for one that was killed."""
        status = self.process.poll()
        return 128 - status if status is not None and status < 0 else status

    def has_ended(self) -> bool:
        """Tells whether it has ended."""
        return self.process.poll() is not None

    def stop(self) -> None:
        """Stops it as the services do: SIGTERM, and SIGKILL when it does not go."""
        self.process.terminate()
        killer = threading.Timer(GRACE, self.process.kill)
        killer.daemon = True
        killer.start()

    @property
    def submitted(self) -> dict[str, Any]:
        """What the service answers when the job is submitted."""
        task = {"TaskArn": self.id, "LastStatus": "PROVISIONING"}
        answers: dict[str, dict[str, Any]] = {
            "batch": {"JobId": self.id},
            "ecs": {"Tasks": [task], "Failures": []},
            "codebuild": {"Build": {"Id": self.id, "BuildStatus": "IN_PROGRESS"}},
        }
        return answers[self.service]

    @property
    def described(self) -> dict[str, Any]:
        """What the service says of the job when it has ended."""
        tables = self.variables.get("TABLES", "")
        if self.status == NEVER_BEGAN:
            return described.NEVER_BEGAN[self.service](job_id=self.id, tables=tables)
        return DESCRIBED[self.service](job_id=self.id, exit_status=self.status, tables=tables)


@dataclass(slots=True)
class Jobs:
    """All jobs that were submitted, in order; ``variables`` are the job definition's own."""

    start: Start
    variables: dict[str, str] = field(default_factory=dict)
    submitted: list[Job] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)

    def submit(self, service: str, request: Mapping[str, Any]) -> Job:
        """Starts what a request asks for."""
        command, given = asked(service, request)
        process = self.start(command, {**self.variables, **given})
        job = Job(f"job-{next(self._numbers)}", service, command, given, process)
        self.submitted.append(job)
        return job

    def of(self, submitted: Mapping[str, Any]) -> Job:
        """Gives the job for which the service gave this answer."""
        (job,) = (job for job in self.submitted if job.submitted == submitted)
        return job

    def running(self) -> list[Job]:
        """Gives the jobs that have not ended."""
        return [job for job in self.submitted if not job.has_ended()]

    def of_run(self, run_id: str) -> list[Job]:
        """Gives the jobs of a run."""
        return [job for job in self.submitted if job.variables["ETL_RUN_ID"] == run_id]

    def shard(self, run_id: str, shard: str) -> list[Job]:
        """Gives the jobs that were to load a shard, first try first."""
        return [job for job in self.of_run(run_id) if job.shard == shard]

    def holder(self, run_id: str) -> Job:
        """Gives the job that holds a run's snapshot."""
        (job,) = (job for job in self.of_run(run_id) if job.command == "snapshot")
        return job


def asked(service: str, request: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Gives the command and the variables that a request overrides the container's with."""
    if service == "codebuild":
        variables = {each["name"]: each["value"] for each in request["environmentVariablesOverride"]}
        return variables.pop("ETL_COMMAND"), variables  # buildspec.yml does the same
    if service == "batch":
        override = request["containerOverrides"]
    else:
        (override,) = request["overrides"]["containerOverrides"]
    (command,) = override["command"]
    return command, {each["name"]: each["value"] for each in override["environment"]}
