"""`deploy/config.env`, as far as the doctor needs it: the names of the parts, and their values."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pendo_aep.data_files import data_file
from pendo_aep.gcp.doctor.deployment import Deployment, Values

# deploy/deploy.sh reads it as well, before the file that it is given.
_TEMPLATE: Final = data_file("deploy/config.env")
# The variables of the file, by the parts that they name.
_NAMES: Final = {
    "project": "PROJECT",
    "region": "REGION",
    "events": "EVENTS_TOPIC",
    "dead_letters": "DEAD_LETTER_TOPIC",
    "kept": "DEAD_LETTER_SUBSCRIPTION",
    "receive": "RECEIVE_FUNCTION",
    "receive_account": "RECEIVE_ACCOUNT",
}
_NAMES_OF_PUSH: Final = {
    "deliver": "DELIVER_FUNCTION",
    "deliver_account": "DELIVER_ACCOUNT",
    "push": "PUSH_SUBSCRIPTION",
    "push_account": "PUSH_ACCOUNT",
}
_NAMES_OF_DRAIN: Final = {
    "drain": "DRAIN_FUNCTION",
    "drain_account": "DRAIN_ACCOUNT",
    "drain_subscription": "DRAIN_SUBSCRIPTION",
    "drain_job": "DRAIN_JOB",
    "scheduler_account": "SCHEDULER_ACCOUNT",
}
# The least and the most. Google: Pub/Sub, of a subscription's properties.
_NUMBERS: Final = {
    "MAX_DELIVERY_ATTEMPTS": (5, 100),
    "RETRY_MIN_SECONDS": (0, 600),
    "RETRY_MAX_SECONDS": (0, 600),
}
_UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_INGRESS: Final = ("all", "internal-only")
_ACCESS: Final = ("auto", "all-users", "no-iam-check")
_ANY_REGION: Final = "any"


class ConfigWrong(Exception):
    """The file does not say what the parts are called, or how they should be."""


def read_config(path: Path, project: str | None, region: str | None) -> Deployment:
    """The deployment that a file describes; what it does not name is as in `deploy/config.env`.

    Args:
        path: the file, as `deploy/deploy.sh` was given it.
        project: goes before the file's.
        region: the same.

    Raises:
        ConfigWrong: it cannot be read, or something is missing; the text names all of it.
    """
    values = _values(_TEMPLATE)
    values |= _values(path)
    values |= {k: v for k, v in (("PROJECT", project), ("REGION", region)) if v}
    wanted = dict(_NAMES)
    for choice, names in (("DEPLOY_PUSH", _NAMES_OF_PUSH), ("DEPLOY_DRAIN", _NAMES_OF_DRAIN)):
        if values.get(choice) == "true":
            wanted |= names
    if wanted == _NAMES:
        raise ConfigWrong(f"{path}: neither DEPLOY_PUSH nor DEPLOY_DRAIN is true")
    if missing := sorted(name for name in wanted.values() if not values.get(name)):
        raise ConfigWrong(f"{path}: not set: {', '.join(missing)}")
    unused = dict.fromkeys(_NAMES_OF_PUSH | _NAMES_OF_DRAIN, "")
    named = {part: values[name] for part, name in wanted.items()}
    try:
        wanted_values = _wanted(values)
    except ValueError as error:
        raise ConfigWrong(f"{path}: {error}") from None
    return Deployment(config=str(path), values=wanted_values, **(unused | named))


def _wanted(values: Mapping[str, str]) -> Values:
    """What the file says of the parts; raises ValueError, which names what is wrong."""
    ingress, access = values.get("INGRESS", ""), values.get("RECEIVE_ACCESS", "")
    if ingress not in _INGRESS:
        raise ValueError(f"INGRESS: must be {' or '.join(_INGRESS)}")
    if access not in _ACCESS:
        raise ValueError(f"RECEIVE_ACCESS: must be {' or '.join(_ACCESS)}")
    regions = values.get("MESSAGE_REGIONS") or values["REGION"]
    return Values(
        events_kept=_duration(values, "EVENTS_RETENTION"),
        letters_kept=_duration(values, "DEAD_LETTERS_RETENTION"),
        attempts=_number(values, "MAX_DELIVERY_ATTEMPTS"),
        least_pause=_number(values, "RETRY_MIN_SECONDS"),
        longest_pause=_number(values, "RETRY_MAX_SECONDS"),
        ingress=ingress,
        receive_access=access,
        regions=() if regions == _ANY_REGION else tuple(regions.split(",")),
    )


def _duration(values: Mapping[str, str], name: str) -> int:
    text = values.get(name, "")
    if not re.fullmatch(r"[1-9][0-9]{0,8}[dhms]", text, re.ASCII):
        raise ValueError(f"{name}: must be a number with d, h, m or s, as in 7d")
    return int(text[:-1]) * _UNITS[text[-1]]


def _number(values: Mapping[str, str], name: str) -> int:
    least, most = _NUMBERS[name]
    text = values.get(name, "")
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not least <= int(text) <= most:
        raise ValueError(f"{name}: must be a whole number from {least} to {most}")
    return int(text)


def _values(path: Path) -> dict[str, str]:
    """`NAME=value` lines as a shell reads them, with quotes, comments and earlier names."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigWrong(f"{path} cannot be read: {error}") from None
    values: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise ConfigWrong(f"{path}, line {number}: {error}") from None
        for word in words:
            name, equals, text = word.partition("=")
            if equals:
                values[name] = _expanded(text, values)
    return values


def _expanded(text: str, values: Mapping[str, str]) -> str:
    return string.Template(text).safe_substitute(values)
