"""The deployment that a message is about: its name, the function that starts its runs, and its runbook's address."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from .outcome import Outcome
from .remedy import anchor

_OF_A_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:-(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment: the functions that start and publish a run, and the address of docs/operations.md (``runbook``)."""

    name: str = "nightly-etl"
    starter: str = ""
    publisher: str = ""
    runbook: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Deployment:
        """Reads DEPLOYMENT, STARTER, PUBLISHER and RUNBOOK_URL; a variable that is unset or empty counts as unknown."""
        names = {"name": "DEPLOYMENT", "starter": "STARTER", "publisher": "PUBLISHER", "runbook": "RUNBOOK_URL"}
        return cls(**{field: environment[name] for field, name in names.items() if environment.get(name)})

    def runbook_link(self, section: str) -> str | None:
        """The URL of a section of the runbook; None if the runbook's address is unknown."""
        return f"{self.runbook}#{anchor(section)}" if self.runbook else None

    def rerun(self, outcome: Outcome) -> str | None:
        """The command that starts the run again, ready to paste; None for one of no job whose name is not a date."""
        run_id = outcome.run_id
        if outcome.job:
            return f"nightly-jobs run-now {shlex.quote(outcome.job)}"
        found = _OF_A_DATE.fullmatch(run_id)
        if found is None:
            return None
        event = json.dumps({"run_date": found[1], "rerun": int(found[2] or 1) + 1})
        if not self.starter:
            return event
        return (
            f"aws lambda invoke --function-name {self.starter} --cli-binary-format raw-in-base64-out"
            f" --payload '{event}' /dev/stdout"
        )

    def let_pass(self, outcome: Outcome) -> str:
        """The command that publishes a run that was stopped. Its reason is empty, which the function refuses."""
        run_id, owner = outcome.run_id, outcome.owner
        is_job = owner.job and owner.settings_path
        if not self.publisher:
            before = f"ETL_PARAMETER_PATH={owner.settings_path} ETL_JOB={owner.job} " if is_job else ""
            return f"{before}etl publish {run_id} --anyway --reason ''"
        of_job = {"settings_path": owner.settings_path, "job": owner.job} if is_job else {}
        event = json.dumps({"run_id": run_id, **of_job, "anyway": True, "reason": ""})
        # A publish may take minutes. The command line waits 60 s by default, and then asks again
        # (https://docs.aws.amazon.com/cli/latest/reference/lambda/invoke.html).
        return (
            f"aws lambda invoke --function-name {self.publisher} --cli-read-timeout 0"
            f" --cli-binary-format raw-in-base64-out --payload '{event}' /dev/stdout"
        )
