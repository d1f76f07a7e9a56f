"""What each value of `config.env` must look like, and which ones must fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

# A pattern, and what to say of what does not match. Google's rules for names, where it is Google's.
_BOOLEAN: Final = (r"true|false", "true or false")
_COUNT: Final = (r"[0-9]{1,9}", "a whole number")
_NAME: Final = (r"(?!goog)[A-Za-z][\w.~%+-]{2,254}", "3 to 255 letters, digits or -_.~+%")
_FUNCTION: Final = (r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?", "at most 49 small letters, digits or -")
_ACCOUNT: Final = (r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "6 to 30 small letters, digits or -")
_DURATION: Final = (r"[1-9][0-9]*[dhms]", "a number with d, h, m or s, as in 7d")
_SECRET: Final = (r"[A-Za-z0-9_-]{1,255}", "letters, digits, - or _")
_CPU: Final = (r"[1-9][0-9]*|0\.[0-9]+", "a number of CPUs, as in 1")
_MEMORY: Final = (r"[1-9][0-9]*[MG]i", "a number with Mi or Gi, as in 512Mi")
_REGION: Final = r"[a-z]+-[a-z]+[0-9]+"
# Of `MESSAGE_REGIONS`: no limit of ours.
ANY_REGION: Final = "any"

_REQUIRED: Final[Mapping[str, tuple[str, str]]] = {
    "PROJECT": (_ACCOUNT[0], "the id of a project, as in my-project"),
    "REGION": (_REGION, "a region, as in europe-west1"),
    "AEP_ENDPOINT": (r"https?://\S+", "AEP's streaming endpoint, https://.../collection/INLET"),
    "DRAIN_SCHEDULE": (r"\S+( \S+){4}", "five fields of cron, in quotes"),
    "INGRESS": (r"all|internal-only", "all or internal-only"),
    "RECEIVE_ACCESS": (r"auto|all-users|no-iam-check", "auto, all-users or no-iam-check"),
    **dict.fromkeys(("DEPLOY_PUSH", "DEPLOY_DRAIN", "EXCLUDE_REQUEST_LOGS"), _BOOLEAN),
    **dict.fromkeys(("EVENTS_TOPIC", "DEAD_LETTER_TOPIC", "DEAD_LETTER_SUBSCRIPTION"), _NAME),
    **dict.fromkeys(("PUSH_SUBSCRIPTION", "DRAIN_SUBSCRIPTION"), _NAME),
    **dict.fromkeys(("PENDO_SECRET", "AEP_SECRET"), _SECRET),
    **dict.fromkeys(("RECEIVE_FUNCTION", "DELIVER_FUNCTION", "DRAIN_FUNCTION"), _FUNCTION),
    "DRAIN_JOB": (r"[\w-]{1,500}", "letters, digits, - or _"),
    **dict.fromkeys(("RECEIVE_ACCOUNT", "DELIVER_ACCOUNT", "DRAIN_ACCOUNT"), _ACCOUNT),
    **dict.fromkeys(("PUSH_ACCOUNT", "SCHEDULER_ACCOUNT", "BUILD_ACCOUNT"), _ACCOUNT),
    **dict.fromkeys(("RECEIVE_CPU", "DELIVER_CPU", "DRAIN_CPU"), _CPU),
    **dict.fromkeys(("RECEIVE_MEMORY", "DELIVER_MEMORY", "DRAIN_MEMORY"), _MEMORY),
    **dict.fromkeys(("EVENTS_RETENTION", "DEAD_LETTERS_RETENTION"), _DURATION),
}
_OPTIONAL: Final[Mapping[str, tuple[str, str]]] = {
    "AEP_FORMAT": (r"raw|xdm", "raw or xdm"),
    "AEP_RAW_MODE": (r"batch|enveloped|single", "batch, enveloped or single"),
    "AEP_IMS_URL": (r"https?://\S+", "a URL"),
    "MESSAGE_REGIONS": (
        rf"{ANY_REGION}|{_REGION}(,{_REGION})*",
        f"regions with commas between them, or {ANY_REGION}",
    ),
    "ALERT_EMAIL": (r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address"),
    # Google: "Create metric-absence alerting policies", 23.5 hours at most.
    "ALERT_NO_WEBHOOK_HOURS": (r"[1-9]|1[0-9]|2[0-3]", "a whole number from 1 to 23"),
    **dict.fromkeys(("PENDO_ALLOW_UNSIGNED", "AEP_TRIM_PROPERTIES"), _BOOLEAN),
    **dict.fromkeys(("MAX_BODY_BYTES", "BATCH_MAX_BYTES", "BATCH_MAX_MESSAGES"), _COUNT),
    **dict.fromkeys(("BATCH_LINGER_MS", "BATCH_MAX_IN_FLIGHT"), _COUNT),
}
# The least and the most; the limits are Google's, but for the functions' own.
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
    # Google: Job.attemptDeadline of an HTTP target, which the job of drain is given.
    "DRAIN_TIMEOUT_SECONDS": (15, 1800),
    "DELIVER_DEADLINE_SECONDS": (1, 540),
    "DRAIN_SECONDS": (1, 540),
    "PUSH_ACK_DEADLINE_SECONDS": (10, 600),
    "DRAIN_ACK_DEADLINE_SECONDS": (10, 600),
    "RETRY_MIN_SECONDS": (0, 600),
    "RETRY_MAX_SECONDS": (0, 600),
    "MAX_DELIVERY_ATTEMPTS": (5, 100),
}
# The first is not to exceed the second, because of the third.
_ORDERED: Final = (
    ("RECEIVE_MIN_INSTANCES", "RECEIVE_MAX_INSTANCES", ""),
    ("DELIVER_MIN_INSTANCES", "DELIVER_MAX_INSTANCES", ""),
    ("RETRY_MIN_SECONDS", "RETRY_MAX_SECONDS", ""),
    ("DELIVER_DEADLINE_SECONDS", "DELIVER_TIMEOUT_SECONDS", "else it is cut off at its work"),
    ("DELIVER_TIMEOUT_SECONDS", "PUSH_ACK_DEADLINE_SECONDS", "else an event is pushed twice"),
    ("DRAIN_SECONDS", "DRAIN_TIMEOUT_SECONDS", "else it is cut off at its work"),
)
_DISTINCT: Final = (
    ("EVENTS_TOPIC", "DEAD_LETTER_TOPIC"),
    ("PUSH_SUBSCRIPTION", "DRAIN_SUBSCRIPTION", "DEAD_LETTER_SUBSCRIPTION"),
    ("RECEIVE_FUNCTION", "DELIVER_FUNCTION", "DRAIN_FUNCTION"),
    ("PENDO_SECRET", "AEP_SECRET"),
)
_LONGEST_RETENTION: Final = 31 * 86_400
_UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def seconds(duration: str) -> int:
    """`7d` as seconds."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def problems(values: Mapping[str, str]) -> list[str]:
    """Everything that is wrong, each with the name that it is about."""
    single = [*_each(values)]
    wrong = {line.partition(":")[0] for line in single}
    return [*single, *_needed(values), *_fitting(values, wrong)]


def _each(values: Mapping[str, str]) -> Iterator[str]:
    for name, (pattern, what) in _REQUIRED.items():
        if not values[name]:
            yield f"{name}: is not set; it must be {what}"
        elif not re.fullmatch(pattern, values[name], re.ASCII):
            yield f"{name}: must be {what}"
    for name, (pattern, what) in _OPTIONAL.items():
        if values[name] and not re.fullmatch(pattern, values[name], re.ASCII):
            yield f"{name}: must be {what}, or empty"
    for name, (least, most) in _RANGES.items():
        if not re.fullmatch(_COUNT[0], values[name], re.ASCII):
            yield f"{name}: must be a whole number from {least} to {most}"
        elif not least <= int(values[name]) <= most:
            yield f"{name}: must be from {least} to {most}"


def _needed(values: Mapping[str, str]) -> Iterator[str]:
    if values["DEPLOY_PUSH"] == values["DEPLOY_DRAIN"] == "false":
        yield "DEPLOY_PUSH, DEPLOY_DRAIN: one of them must be true, or nothing reaches AEP"
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


def _fitting(values: Mapping[str, str], wrong: set[str]) -> Iterator[str]:
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
            yield f"{cpu}: must be 1 at least, or {several} be 1"
    for name in ("EVENTS_RETENTION", "DEAD_LETTERS_RETENTION"):
        if name not in wrong and not 600 <= seconds(values[name]) <= _LONGEST_RETENTION:
            yield f"{name}: must be from 10m to 31d"
