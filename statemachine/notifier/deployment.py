"""The deployment that a message is about: its name, the function that starts its runs, and its runbook's address."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

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

    def rerun(self, run_id: str) -> str | None:
        """The command that starts the run again, ready to paste; None for a run whose name is not a date."""
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

    def let_pass(self, run_id: str) -> str:
        """The command that publishes a run that was stopped. Its reason is empty, which the function refuses."""
        if not self.publisher:
            return f"etl publish {run_id} --anyway --reason ''"
        event = json.dumps({"run_id": run_id, "anyway": True, "reason": ""})
        # A publish may take minutes. The command line waits 60 s by default, and then asks again
        # (https://docs.aws.amazon.com/cli/latest/reference/lambda/invoke.html).
        return (
            f"aws lambda invoke --function-name {self.publisher} --cli-read-timeout 0"
            f" --cli-binary-format raw-in-base64-out --payload '{event}' /dev/stdout"
        )
