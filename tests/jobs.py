"""The jobs of Batch, ECS and CodeBuild. Each job really runs, with the overrides of its request."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import IO, Any, Protocol

from tests import described, forkserver
from tests.described import DESCRIBED
from tests.harness import Done, environment_of

NEVER_BEGAN = 512
"""The status of a job whose container never ran. No process can end with this status."""

GRACE = 30
"""Seconds between SIGTERM and SIGKILL, as Batch and ECS have them by default."""


class Process(Protocol):
    """The process of a job: a local process, or a container with the same methods."""

    def poll(self) -> int | None:
        """The exit status; None while it runs."""

    def terminate(self) -> None:
        """Sends SIGTERM."""

    def kill(self) -> None:
        """Sends SIGKILL."""

    def done(self) -> Done:
        """The exit status and the output."""


@dataclass(slots=True)
class Local:
    """A process of this machine."""

    process: subprocess.Popen[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    @classmethod
    def etl(cls, command: str, variables: Mapping[str, str]) -> Local:
        """Starts ``etl COMMAND`` with these variables and none of the test's environment."""
        stdout, stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - `done` reads them
        environment, null = environment_of(variables), subprocess.DEVNULL
        process = forkserver.start([command], environment, stdin=null, stdout=stdout, stderr=stderr)
        return cls(process, stdout, stderr)

    def poll(self) -> int | None:
        """The exit status; None while it runs."""
        return self.process.poll()

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.process.terminate()

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.process.kill()

    def done(self) -> Done:
        """The exit status and the output."""
        status = self.process.wait()
        texts = []
        for file in (self.stdout, self.stderr):
            file.seek(0)
            texts.append(file.read().decode())
        return Done(status, *texts)


Start = Callable[[str, Mapping[str, str]], Process]


@dataclass(slots=True)
class Job:
    """One job: the request, and the process that it started."""

    id: str
    service: str
    command: str
    variables: dict[str, str]
    process: Process

    @property
    def shard(self) -> str | None:
        """The shard that the job loads; None for the snapshot's holder."""
        return self.variables.get("ETL_SHARD")

    @property
    def status(self) -> int | None:
        """The exit status as a container reports it: 128 plus the signal's number for a killed process."""
        status = self.process.poll()
        return 128 - status if status is not None and status < 0 else status

    def has_ended(self) -> bool:
        """Tells whether it has ended."""
        return self.process.poll() is not None

    def stop(self) -> None:
        """Stops the job as the services do: SIGTERM, then SIGKILL if it still runs."""
        self.process.terminate()
        killer = threading.Timer(GRACE, self.process.kill)
        killer.daemon = True
        killer.start()

    @property
    def submitted(self) -> dict[str, Any]:
        """The service's answer when a job is submitted."""
        task = {"TaskArn": self.id, "LastStatus": "PROVISIONING"}
        answers: dict[str, dict[str, Any]] = {
            "batch": {"JobId": self.id},
            "ecs": {"Tasks": [task], "Failures": []},
            "codebuild": {"Build": {"Id": self.id, "BuildStatus": "IN_PROGRESS"}},
        }
        return answers[self.service]

    @property
    def described(self) -> dict[str, Any]:
        """The service's description of the job after its end."""
        tables = self.variables.get("TABLES", "")
        if self.status == NEVER_BEGAN:
            return described.NEVER_BEGAN[self.service](job_id=self.id, tables=tables)
        return DESCRIBED[self.service](job_id=self.id, exit_status=self.status, tables=tables)


@dataclass(slots=True)
class Jobs:
    """All submitted jobs, in order; ``variables`` are those of the job definition."""

    start: Start
    variables: dict[str, str] = field(default_factory=dict)
    submitted: list[Job] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)

    def submit(self, service: str, request: Mapping[str, Any]) -> Job:
        """Starts the job of a request."""
        command, given = asked(service, request)
        process = self.start(command, {**self.variables, **given})
        job = Job(f"job-{next(self._numbers)}", service, command, given, process)
        self.submitted.append(job)
        return job

    def of(self, submitted: Mapping[str, Any]) -> Job:
        """The job that belongs to this answer of the service."""
        (job,) = (job for job in self.submitted if job.submitted == submitted)
        return job

    def running(self) -> list[Job]:
        """The jobs that still run."""
        return [job for job in self.submitted if not job.has_ended()]

    def of_run(self, run_id: str) -> list[Job]:
        """The jobs of a run."""
        return [job for job in self.submitted if job.variables["ETL_RUN_ID"] == run_id]

    def shard(self, run_id: str, shard: str) -> list[Job]:
        """The jobs that loaded a shard, the first attempt first."""
        return [job for job in self.of_run(run_id) if job.shard == shard]

    def holder(self, run_id: str) -> Job:
        """The job that holds a run's snapshot."""
        (job,) = (job for job in self.of_run(run_id) if job.command == "snapshot")
        return job


def asked(service: str, request: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The command and the variables with which a request overrides those of the container."""
    if service == "codebuild":
        variables = {each["name"]: each["value"] for each in request["environmentVariablesOverride"]}
        return variables.pop("ETL_COMMAND"), variables  # as buildspec.yml does
    if service == "batch":
        override = request["containerOverrides"]
    else:
        (override,) = request["overrides"]["containerOverrides"]
    (command,) = override["command"]
    return command, {each["name"]: each["value"] for each in override["environment"]}
