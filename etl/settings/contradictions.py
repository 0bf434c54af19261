"""The problems of settings that need another setting, or contradict it. Pure policy."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from etl.settings.found import DECLARED, FILE_NAME, PARAMETER_PATH, Origin, Value
from etl.settings.options import Options


def missing(setting: str) -> str:
    """The problem that a setting is not set, with the places where it may stand."""
    declared = DECLARED[setting]
    if declared.parameter is None:
        return f"{declared.variable} is not set; set it (publish and abort take it on the command line, too)"
    in_file = "" if declared.secret else f", or {setting.replace('/', '.')} in {FILE_NAME}"
    or_else = f"{in_file}, or the parameter {declared.parameter} under {PARAMETER_PATH}"
    return f"{declared.variable} is not set; set it{or_else}"


def is_unread(fields: Mapping[str, Any], values: Mapping[str, Value], needs: Collection[str], origin: Origin) -> bool:
    """Whether TABLES is given there, and the tables come from a plan."""
    is_given = "tables" in values and values["tables"].origin == origin
    return is_given and fields.get("plan") == "run" and "plan" in needs


def contradictions(
    fields: Mapping[str, Any], values: Mapping[str, Value], needs: Collection[str], *, has_path: bool
) -> Iterator[str]:
    """The problems of settings that need another setting, or contradict it."""
    if fields.get("snapshot") == "run" and "operational" in needs and "run_id" not in values.keys() | set(needs):
        yield f"{values['snapshot'].where} is run, the snapshot that another container holds: {missing('run_id')}"
    options = fields.get("options", Options())
    if options.needs_key and "operational" in needs and "mask_key" not in values:
        yield f"{values['options'].where} has masks that need a key; {missing('mask_key')}"
    yield from _other_ways(fields, values, options)
    yield from _of_job(fields, values, has_path=has_path)
    if is_unread(fields, values, needs, Origin.COMMAND_LINE):
        yield "TABLES on the command line is not read, because ETL_PLAN is run; take one of the two out"
    if "tables" in fields:
        yield from (f"{values['options'].where}: {clash}" for clash in options.named_clashes(fields["tables"]))


def _other_ways(fields: Mapping[str, Any], values: Mapping[str, Value], options: Options) -> Iterator[str]:
    """The problems of a way of publishing for the whole run, which an option, or a load, does not follow."""
    way = fields.get("publish_way")
    publish = {"swap": "swap", "merge": "in-place"}.get(str(way))
    if publish and (sections := options.otherwise(publish)):
        yield (
            f"{values['publish_way'].where} is {way}, and the option publish of {', '.join(sections)} says otherwise;"
            " take one of the two out"
        )
    if way == "swap" and (fields.get("load") == "delta" or options.wants_delta):
        yield (
            f"{values['publish_way'].where} is swap, which loads changed tables whole, and load is delta; write auto"
            " for one of the two"
        )


def _of_job(fields: Mapping[str, Any], values: Mapping[str, Value], *, has_path: bool) -> Iterator[str]:
    """The problems of a job's name: a number that was meant for ETL_JOBS, and a dimension without a value."""
    job = fields.get("job")
    if job is not None and job.isdecimal() and not has_path:
        yield (
            f"{values['job'].where} is {job}, the name of a job, and {PARAMETER_PATH}, where a job's settings are, is"
            " not set; did you mean ETL_JOBS?"
        )
    dimensions = values.get("metrics_dimensions")
    if job is None and dimensions is not None and "job" in re.split(r"\s*,\s*", dimensions.text):
        yield f"{dimensions.where} has job, and {DECLARED['job'].variable} is not set; set it, or take job out"
