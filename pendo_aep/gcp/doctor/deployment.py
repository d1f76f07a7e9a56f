"""What a deployment should look like: the names and values that `deploy/config.env` gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from pendo_aep.gcp import iam
from pendo_aep.gcp.config import (
    InvalidConfig,
    message_regions,
    read_values,
    seconds,
    value_problems,
)

# The values that are compared. The others may be anything: whoever deploys by hand may have named
# an account by its whole address, or set nothing of AEP here.
_VALUES: Final = frozenset(
    {
        "EVENTS_RETENTION",
        "DEAD_LETTERS_RETENTION",
        "MAX_DELIVERY_ATTEMPTS",
        "RETRY_MIN_SECONDS",
        "RETRY_MAX_SECONDS",
        "INGRESS",
        "RECEIVE_ACCESS",
    }
)


def _named(name: str, choice: str = "") -> Any:
    """Declares a field by its name in the file; with a choice, it is empty unless that is true."""
    metadata = {"name": name, "choice": choice}
    return field(default="", metadata=metadata) if choice else field(metadata=metadata)


def _needed(model: type, values: Mapping[str, str]) -> dict[str, str]:
    """Returns the names in the file of the fields of a class that are needed, by field."""
    return {
        one.name: one.metadata["name"]
        for one in fields(model)
        if one.metadata and values.get(one.metadata["choice"], "true") == "true"
    }


@dataclass(frozen=True, slots=True)
class Values:
    """What the configuration sets; the next deployment applies it.

    Attributes:
        events_retention: for how many seconds an undelivered event is kept.
        dead_letters_retention: the same for a dead letter.
        max_delivery_attempts: after so many, Pub/Sub makes an event a dead letter.
        min_retry_seconds: the first pause between two attempts.
        max_retry_seconds: the longest pause.
        ingress: from where `deliver` and `drain` can be reached, as gcloud spells it.
        receive_access: how everybody may call `receive`.
        message_regions: where Pub/Sub may store messages; empty for anywhere.
    """

    events_retention: float
    dead_letters_retention: float
    max_delivery_attempts: int
    min_retry_seconds: float
    max_retry_seconds: float
    ingress: str
    receive_access: str
    message_regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reconcile:
    """The names of what looks regularly whether everything is stored.

    Attributes:
        job: in Cloud Run, and in Cloud Scheduler, which runs it.
        account: of the job.
        role: with which it reads topics.
        secret: with which it reads AEP.
        caller: the account that runs it.
    """

    job: str = _named("RECONCILE_JOB")
    account: str = _named("RECONCILE_ACCOUNT")
    role: str = _named("RECONCILE_ROLE")
    secret: str = _named("RECONCILE_SECRET")
    caller: str = _named("SCHEDULER_ACCOUNT")


@dataclass(frozen=True, slots=True)
class Deployment:
    """The names of all resources; those of `deliver` or `drain` are empty where it is not used.

    Attributes:
        config: the file that all of it comes from, for the commands that fix something.
        project_number: names Google's own service accounts; empty as long as it is unknown.
        reconcile: None where it is not used.
    """

    config: str
    values: Values
    project: str = _named("PROJECT")
    region: str = _named("REGION")
    events_topic: str = _named("EVENTS_TOPIC")
    dead_letter_topic: str = _named("DEAD_LETTER_TOPIC")
    dead_letter_subscription: str = _named("DEAD_LETTER_SUBSCRIPTION")
    receive: str = _named("RECEIVE_FUNCTION")
    receive_account: str = _named("RECEIVE_ACCOUNT")
    deliver: str = _named("DELIVER_FUNCTION", "DEPLOY_PUSH")
    deliver_account: str = _named("DELIVER_ACCOUNT", "DEPLOY_PUSH")
    push_subscription: str = _named("PUSH_SUBSCRIPTION", "DEPLOY_PUSH")
    push_account: str = _named("PUSH_ACCOUNT", "DEPLOY_PUSH")
    drain: str = _named("DRAIN_FUNCTION", "DEPLOY_DRAIN")
    drain_account: str = _named("DRAIN_ACCOUNT", "DEPLOY_DRAIN")
    drain_subscription: str = _named("DRAIN_SUBSCRIPTION", "DEPLOY_DRAIN")
    drain_job: str = _named("DRAIN_JOB", "DEPLOY_DRAIN")
    scheduler_account: str = _named("SCHEDULER_ACCOUNT", "DEPLOY_DRAIN")
    project_number: str = ""
    reconcile: Reconcile | None = None

    @property
    def delivery_functions(self) -> list[str]:
        """The functions that deliver events to AEP."""
        return [name for name in (self.deliver, self.drain) if name]

    @property
    def event_subscriptions(self) -> list[str]:
        """The subscriptions from which those functions get every event."""
        return [name for name in (self.push_subscription, self.drain_subscription) if name]

    @property
    def deploy_command(self) -> str:
        """The command that creates what is missing and changes what differs."""
        return f"deploy/deploy.sh {self.config}"

    @property
    def pubsub_agent(self) -> str:
        """The account that Pub/Sub itself uses.

        Google: Pub/Sub "dead-letter topics", granting forwarding permissions.
        """
        return iam.service_agent("gcp-sa-pubsub", self.project_number)

    def topic_path(self, name: str) -> str:
        """Returns `projects/P/topics/T`."""
        return f"projects/{self.project}/topics/{name}"

    def address(self, account: str) -> str:
        """Returns the e-mail address of a service account that may be given by its name alone."""
        return account if "@" in account else iam.service_account(account, self.project)

    def member(self, account: str) -> str:
        """Returns the same as policies spell it."""
        return iam.member(self.address(account))


def read_deployment(path: Path, project: str | None, region: str | None) -> Deployment:
    """Returns what a file describes; what it does not name is as in `deploy/config.env`.

    Args:
        path: the file that `deploy/deploy.sh` was given.
        project: overrides the file's.
        region: overrides the file's.

    Raises:
        InvalidConfig: the file cannot be read, or a value is missing or wrong; the text names each.
    """
    values = read_values(path)
    values |= {k: v for k, v in (("PROJECT", project), ("REGION", region)) if v}
    if "true" not in (values.get("DEPLOY_PUSH"), values.get("DEPLOY_DRAIN")):
        raise InvalidConfig(f"{path}: neither DEPLOY_PUSH nor DEPLOY_DRAIN is true")
    names = _needed(Deployment, values)
    more = _needed(Reconcile, values) if values.get("RECONCILE_SCHEDULE") else {}
    needed = {*names.values(), *more.values()}
    if missing := sorted(name for name in needed if not values.get(name)):
        raise InvalidConfig(f"{path}: not set: {', '.join(missing)}")
    if wrong := [one for one in value_problems(values) if one.partition(":")[0] in _VALUES]:
        raise InvalidConfig(f"{path}: {'; '.join(wrong)}")
    reconcile = Reconcile(**{field: values[name] for field, name in more.items()}) if more else None
    named = {field: values[name] for field, name in names.items()}
    return Deployment(config=str(path), values=_values(values), reconcile=reconcile, **named)


def _values(values: Mapping[str, str]) -> Values:
    return Values(
        events_retention=seconds(values["EVENTS_RETENTION"]),
        dead_letters_retention=seconds(values["DEAD_LETTERS_RETENTION"]),
        max_delivery_attempts=int(values["MAX_DELIVERY_ATTEMPTS"]),
        min_retry_seconds=int(values["RETRY_MIN_SECONDS"]),
        max_retry_seconds=int(values["RETRY_MAX_SECONDS"]),
        ingress=values["INGRESS"],
        receive_access=values["RECEIVE_ACCESS"],
        message_regions=tuple(message_regions(values)),
    )
