"""`config.env`: what a deployment consists of, read as a shell would read it and checked.

Standard library only: `deploy/deploy.sh` needs gcloud and Python, and no installation.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Final

from pendo_aep.chosen_fields import parse_chosen_fields
from pendo_aep.data_files import data_file
from pendo_aep.gcp import iam

TEMPLATE: Final = data_file("deploy/config.env")
ANY_REGION: Final = "any"
"""The value of `MESSAGE_REGIONS` that sets no limit."""


class InvalidConfig(Exception):
    """Values are missing or wrong; the text names each of them and shows no secret."""


@dataclass(frozen=True, slots=True)
class Config:
    """A checked file.

    Attributes:
        path: the file.
        values: all names of `deploy/config.env`; empty where the file gives no value.
        number: the project's, which Google's own accounts are named after; empty until it is known.
    """

    path: Path
    values: Mapping[str, str]
    number: str = field(default="")

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    @property
    def push(self) -> bool:
        """Whether Pub/Sub pushes to `deliver`."""
        return self["DEPLOY_PUSH"] == "true"

    @property
    def drain(self) -> bool:
        """Whether Cloud Scheduler calls `drain`."""
        return self["DEPLOY_DRAIN"] == "true"

    @property
    def reconcile(self) -> bool:
        """Whether a job looks regularly whether everything is stored."""
        return bool(self["RECONCILE_SCHEDULE"])

    @property
    def message_regions(self) -> list[str]:
        """The regions that Pub/Sub may store messages in; empty for any."""
        return message_regions(self.values)

    def address(self, account: str) -> str:
        """Returns the e-mail address of a service account, by its name in the file."""
        return iam.service_account(self[account], self["PROJECT"])

    def member(self, account: str) -> str:
        """Returns the same as policies spell it."""
        return iam.member(self.address(account))

    @property
    def pubsub_agent(self) -> str:
        """The service agent of Pub/Sub, as policies spell it."""
        return iam.member(iam.service_agent("gcp-sa-pubsub", self.number))

    @property
    def functions_agent(self) -> str:
        """The service agent of Cloud Functions, as policies spell it."""
        return iam.member(iam.service_agent("gcf-admin-robot", self.number))

    def with_number(self, number: str) -> Config:
        """Returns the config with the number of its project."""
        return replace(self, number=number)


def read_config(path: Path) -> Config:
    """Reads and checks a file; what it does not name is as in `deploy/config.env`.

    Raises:
        InvalidConfig: with a line for each problem.
    """
    known, given = read_lines(TEMPLATE), read_lines(path)
    unknown = [f"{name}: no such name; is it misspelt?" for name in given if name not in known]
    values = known | {name: value for name, value in given.items() if name in known}
    if wrong := [*unknown, *problems(values)]:
        raise _invalid(path, wrong)
    return Config(path, values)


def read_values(path: Path) -> dict[str, str]:
    """Reads a file without checking its values, on top of `deploy/config.env` if that is there.

    Raises:
        InvalidConfig: it cannot be read, or a line is not `NAME=value`.
    """
    return (read_lines(TEMPLATE) if TEMPLATE.is_file() else {}) | read_lines(path)


def _invalid(path: Path, wrong: list[str]) -> InvalidConfig:
    return InvalidConfig(f"{path}:\n" + "\n".join(f"  {line}" for line in wrong))


def message_regions(values: Mapping[str, str]) -> list[str]:
    """Returns the regions that Pub/Sub may store messages in; empty for any."""
    regions = values.get("MESSAGE_REGIONS") or values["REGION"]
    return [] if regions == ANY_REGION else regions.split(",")


def read_lines(path: Path) -> dict[str, str]:
    """Returns the `NAME=value` lines of a file; a value may use the names above it.

    Raises:
        InvalidConfig: it cannot be read, or a line is not `NAME=value`.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path} cannot be read: {error}") from None
    values: dict[str, str] = {}
    wrong = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            wrong.append(f"line {number}: {error}")
            continue
        if words[:1] == ["export"]:
            words = words[1:]
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or not name.isidentifier() or len(words) > 1:
                wrong.append(f"line {number}: is not one NAME=value; put quotes around spaces")
                break
            values[name] = string.Template(value).safe_substitute(values)
    if wrong:
        raise _invalid(path, wrong)
    return values


# What each value must look like: a pattern, and how to say so. Names follow Google's rules.
_BOOLEAN: Final = (r"true|false", "true or false")
_COUNT: Final = (r"[0-9]{1,9}", "a whole number")
_NAME: Final = (r"(?!goog)[A-Za-z][\w.~%+-]{2,254}", "3 to 255 letters, digits or -_.~+%")
_FUNCTION: Final = (r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?", "at most 49 small letters, digits or -")
_ACCOUNT: Final = (r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "6 to 30 small letters, digits or -")
_DURATION: Final = (r"[1-9][0-9]*[dhms]", "a number with d, h, m or s, as in 7d")
_SECRET: Final = (r"[A-Za-z0-9_-]{1,255}", "letters, digits, - or _")
_CPU: Final = (r"[1-9][0-9]*|0\.[0-9]+", "a number of CPUs, as in 1")
_MEMORY: Final = (r"[1-9][0-9]*[MG]i", "a number with Mi or Gi, as in 512Mi")
_CRON: Final = (r"\S+( \S+){4}", "five fields of cron, in quotes")
_AGE: Final = (r"[1-9][0-9]*[smhdw]", "a number with s, m, h, d or w, as in 27h")
_REGION: Final = r"[a-z]+-[a-z]+[0-9]+"

_REQUIRED: Final[Mapping[str, tuple[str, str]]] = {
    "PROJECT": (_ACCOUNT[0], "the id of a project, as in my-project"),
    "REGION": (_REGION, "a region, as in europe-west1"),
    "AEP_ENDPOINT": (r"https?://\S+", "AEP's streaming endpoint, https://.../collection/INLET"),
    "DRAIN_SCHEDULE": _CRON,
    "INGRESS": (r"all|internal-only", "all or internal-only"),
    "RECEIVE_ACCESS": (r"auto|all-users|no-iam-check", "auto, all-users or no-iam-check"),
    **dict.fromkeys(("DEPLOY_PUSH", "DEPLOY_DRAIN", "EXCLUDE_REQUEST_LOGS"), _BOOLEAN),
    **dict.fromkeys(("EVENTS_TOPIC", "DEAD_LETTER_TOPIC", "DEAD_LETTER_SUBSCRIPTION"), _NAME),
    **dict.fromkeys(("PUSH_SUBSCRIPTION", "DRAIN_SUBSCRIPTION"), _NAME),
    **dict.fromkeys(("PENDO_SECRET", "AEP_SECRET", "RECONCILE_SECRET"), _SECRET),
    **dict.fromkeys(("RECEIVE_FUNCTION", "DELIVER_FUNCTION", "DRAIN_FUNCTION"), _FUNCTION),
    "DRAIN_JOB": (r"[\w-]{1,500}", "letters, digits, - or _"),
    "RECONCILE_JOB": _FUNCTION,
    # Google: Artifact Registry, Repository.name; IAM, CreateRoleRequest.roleId.
    "RECONCILE_REPOSITORY": (r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", "small letters, digits or -"),
    "RECONCILE_ROLE": (r"[A-Za-z0-9_.]{3,64}", "3 to 64 letters, digits, _ or ."),
    **dict.fromkeys(("RECONCILE_SINCE", "RECONCILE_UNTIL"), _AGE),
    **dict.fromkeys(("RECEIVE_ACCOUNT", "DELIVER_ACCOUNT", "DRAIN_ACCOUNT"), _ACCOUNT),
    **dict.fromkeys(("PUSH_ACCOUNT", "SCHEDULER_ACCOUNT", "BUILD_ACCOUNT"), _ACCOUNT),
    "RECONCILE_ACCOUNT": _ACCOUNT,
    **dict.fromkeys(("RECEIVE_CPU", "DELIVER_CPU", "DRAIN_CPU", "RECONCILE_CPU"), _CPU),
    **dict.fromkeys(("RECEIVE_MEMORY", "DELIVER_MEMORY", "DRAIN_MEMORY"), _MEMORY),
    "RECONCILE_MEMORY": _MEMORY,
    **dict.fromkeys(("EVENTS_RETENTION", "DEAD_LETTERS_RETENTION"), _DURATION),
}
_OPTIONAL: Final[Mapping[str, tuple[str, str]]] = {
    "AEP_FORMAT": (r"raw|xdm", "raw or xdm"),
    "AEP_RAW_MODE": (r"batch|enveloped|single", "batch, enveloped or single"),
    "AEP_ANONYMOUS_VISITORS": (r"separate|same|none", "separate, same or none"),
    "AEP_EMAIL_NAMESPACE": (r"[A-Za-z0-9]+", "letters and digits"),
    "AEP_PROPERTIES": (r"rest|all|none", "rest, all or none"),
    "AEP_IMS_URL": (r"https?://\S+", "a URL"),
    "MESSAGE_REGIONS": (
        rf"{ANY_REGION}|{_REGION}(,{_REGION})*",
        f"regions with commas between them, or {ANY_REGION}",
    ),
    "RECONCILE_SCHEDULE": _CRON,
    "PENDO_CATALOG_SECRET": _SECRET,
    "PENDO_CATALOG_FILE": (r"/\S+", "an absolute path"),
    "ALERT_EMAIL": (r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address"),
    # Google: "Create metric-absence alerting policies", 23.5 hours at most.
    "ALERT_NO_WEBHOOK_HOURS": (r"[1-9]|1[0-9]|2[0-3]", "a whole number from 1 to 23"),
    **dict.fromkeys(("PENDO_ALLOW_UNSIGNED", "AEP_TRIM_PROPERTIES"), _BOOLEAN),
    **dict.fromkeys(("MAX_BODY_BYTES", "BATCH_MAX_BYTES", "BATCH_MAX_MESSAGES"), _COUNT),
    **dict.fromkeys(("BATCH_LINGER_MS", "BATCH_MAX_IN_FLIGHT"), _COUNT),
}
# Minimum and maximum; Google's limits, except for the functions' own.
_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "RECEIVE_CONCURRENCY": (1, 1000),
    "DELIVER_CONCURRENCY": (1, 1000),
    "RECEIVE_MIN_INSTANCES": (0, 1000),
    "DELIVER_MIN_INSTANCES": (0, 1000),
    "RECEIVE_MAX_INSTANCES": (1, 1000),
    "DELIVER_MAX_INSTANCES": (1, 1000),
    "DRAIN_MAX_INSTANCES": (1, 1000),
    "RECEIVE_TIMEOUT_SECONDS": (11, 3600),
    "DELIVER_TIMEOUT_SECONDS": (1, 3600),
    # Google: Job.attemptDeadline of an HTTP target, which is set to this value.
    "DRAIN_TIMEOUT_SECONDS": (15, 1800),
    # Google: Cloud Run "task timeout for jobs", at most 7 days.
    "RECONCILE_TIMEOUT_SECONDS": (60, 604_800),
    "DELIVER_DEADLINE_SECONDS": (1, 540),
    "DRAIN_SECONDS": (1, 540),
    "PUSH_ACK_DEADLINE_SECONDS": (10, 600),
    "DRAIN_ACK_DEADLINE_SECONDS": (10, 600),
    "RETRY_MIN_SECONDS": (0, 600),
    "RETRY_MAX_SECONDS": (0, 600),
    "MAX_DELIVERY_ATTEMPTS": (5, 100),
}
# The first must not exceed the second, for the reason given.
_ORDERED: Final = (
    ("RECEIVE_MIN_INSTANCES", "RECEIVE_MAX_INSTANCES", ""),
    ("DELIVER_MIN_INSTANCES", "DELIVER_MAX_INSTANCES", ""),
    ("RETRY_MIN_SECONDS", "RETRY_MAX_SECONDS", ""),
    ("DELIVER_DEADLINE_SECONDS", "DELIVER_TIMEOUT_SECONDS", "or it is stopped while it works"),
    ("DELIVER_TIMEOUT_SECONDS", "PUSH_ACK_DEADLINE_SECONDS", "or an event is pushed twice"),
    ("DRAIN_SECONDS", "DRAIN_TIMEOUT_SECONDS", "or it is stopped while it works"),
)
_DISTINCT: Final = (
    ("EVENTS_TOPIC", "DEAD_LETTER_TOPIC"),
    ("PUSH_SUBSCRIPTION", "DRAIN_SUBSCRIPTION", "DEAD_LETTER_SUBSCRIPTION"),
    ("RECEIVE_FUNCTION", "DELIVER_FUNCTION", "DRAIN_FUNCTION"),
    ("PENDO_SECRET", "AEP_SECRET", "RECONCILE_SECRET"),
    ("DRAIN_JOB", "RECONCILE_JOB"),
)
_MAX_RETENTION: Final = 31 * 86_400
_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def seconds(duration: str) -> int:
    """Converts a duration such as `7d`."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def problems(values: Mapping[str, str]) -> list[str]:
    """Returns every problem, each with the name that it is about."""
    single = [*value_problems(values)]
    wrong = {line.partition(":")[0] for line in single}
    more = (_missing(values), _conflicting(values, wrong), _catalog_problems(values))
    return [*single, *chain(*more, _reconcile_problems(values, wrong))]


def value_problems(values: Mapping[str, str]) -> Iterator[str]:
    """Yields the problems of single values."""
    for name, (pattern, what) in _REQUIRED.items():
        value = values.get(name, "")
        if not value:
            yield f"{name}: is not set; it must be {what}"
        elif not re.fullmatch(pattern, value, re.ASCII):
            yield f"{name}: must be {what}"
    for name, (pattern, what) in _OPTIONAL.items():
        value = values.get(name, "")
        if value and not re.fullmatch(pattern, value, re.ASCII):
            yield f"{name}: must be {what}, or empty"
    try:
        parse_chosen_fields(values.get("AEP_FIELDS", ""))
    except ValueError as error:
        yield f"AEP_FIELDS: {error}"
    for name, (least, most) in _RANGES.items():
        value = values.get(name, "")
        if not re.fullmatch(_COUNT[0], value, re.ASCII) or not least <= int(value) <= most:
            yield f"{name}: must be a whole number from {least} to {most}"


def _missing(values: Mapping[str, str]) -> Iterator[str]:
    if values["DEPLOY_PUSH"] == values["DEPLOY_DRAIN"] == "false":
        yield "DEPLOY_PUSH, DEPLOY_DRAIN: one must be true, or nothing reaches AEP"
    needed, why = ["AEP_FLOW_ID"], f"AEP_FORMAT={values['AEP_FORMAT'] or 'raw'}"
    if values["AEP_FORMAT"] == "xdm":
        needed += ["AEP_SCHEMA_ID", "AEP_DATASET_ID", "AEP_IMS_ORG_ID", "AEP_TENANT_ID"]
    elif values["AEP_RAW_MODE"] == "enveloped":
        needed, why = [*needed, "AEP_DATASET_ID", "AEP_IMS_ORG_ID"], "AEP_RAW_MODE=enveloped"
    if values["AEP_CLIENT_SECRET_FILE"] and not values["AEP_CLIENT_ID"]:
        yield "AEP_CLIENT_ID: is not set, but AEP_CLIENT_SECRET_FILE is"
    for name in needed:
        if not values[name]:
            yield f"{name}: is not set; {why} needs it"


def _conflicting(values: Mapping[str, str], wrong: set[str]) -> Iterator[str]:
    for low, high, why in _ORDERED:
        if not {low, high} & wrong and int(values[low]) > int(values[high]):
            yield f"{low}: must not exceed {high}" + (f", {why}" if why else "")
    for group in _DISTINCT:
        if len({values[name] for name in group}) < len(group):
            yield f"{', '.join(group)}: must differ"
    for kind in ("RECEIVE", "DELIVER"):
        several, cpu = f"{kind}_CONCURRENCY", f"{kind}_CPU"
        # Google: Cloud Run "concurrency", more than one request at a time needs a whole CPU.
        if not {several, cpu} & wrong and int(values[several]) > 1 > float(values[cpu]):
            yield f"{cpu}: must be at least 1, or {several} must be 1"
    for name in ("EVENTS_RETENTION", "DEAD_LETTERS_RETENTION"):
        if name not in wrong and not 600 <= seconds(values[name]) <= _MAX_RETENTION:
            yield f"{name}: must be from 10m to 31d"


def _catalog_problems(values: Mapping[str, str]) -> Iterator[str]:
    secret = values["PENDO_CATALOG_SECRET"]
    if secret and values["PENDO_CATALOG_FILE"]:
        yield "PENDO_CATALOG_FILE: must be empty, as PENDO_CATALOG_SECRET is mounted as the file"
    if secret in {values[f"{name}_SECRET"] for name in ("PENDO", "AEP", "RECONCILE")} - {""}:
        yield "PENDO_CATALOG_SECRET: must be a secret of its own"


def _reconcile_problems(values: Mapping[str, str], wrong: set[str]) -> Iterator[str]:
    if not values["RECONCILE_SCHEDULE"]:
        return
    for name in ("AEP_IMS_ORG_ID", "RECONCILE_CLIENT_ID"):
        if not values[name]:
            yield f"{name}: is not set; RECONCILE_SCHEDULE needs it"
    names = ("RECONCILE_UNTIL", "RECONCILE_SINCE", "EVENTS_RETENTION")
    if {*names} & wrong:
        return
    until, since, kept = (seconds(values[name]) for name in names)
    if until >= since:
        yield "RECONCILE_SINCE: must be more than RECONCILE_UNTIL"
    if since > kept:
        yield "RECONCILE_SINCE: must not exceed EVENTS_RETENTION: the topic keeps no older event"
