"""The desired APIs, accounts, topics, subscriptions, scheduler job and secrets."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final

from pendo_aep.gcp.config import Config, InvalidConfig, seconds
from pendo_aep.gcp.deploy.resource import Field, Inventory, Resource
from pendo_aep.gcp.gcloud import GROUPS, Gcloud

_NEVER_EXPIRES: Final = Field(("expirationPolicy",), {}, "--expiration-period=never")
_SERVICES: Final = (
    "artifactregistry",
    "cloudbuild",
    "cloudfunctions",
    "cloudresourcemanager",
    "iam",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "secretmanager",
)


def services(config: Config) -> list[str]:
    """Returns the APIs that the pipeline uses."""
    names = [*_SERVICES]
    if config.drain or config.reconcile:
        names.append("cloudscheduler")
    if config.reconcile:
        names.append("storage")  # where the source of the job's image is uploaded
    return [f"{name}.googleapis.com" for name in names]


def accounts(config: Config) -> Iterator[Resource]:
    """Yields a service account for everything that acts."""
    titles = {"RECEIVE_ACCOUNT": "Pendo to AEP: receive", "BUILD_ACCOUNT": "Pendo to AEP: build"}
    if config.push:
        titles["DELIVER_ACCOUNT"] = "Pendo to AEP: deliver"
        titles["PUSH_ACCOUNT"] = "Pendo to AEP: Pub/Sub calls deliver"
    if config.drain:
        titles["DRAIN_ACCOUNT"] = "Pendo to AEP: drain"
    if config.reconcile:
        titles["RECONCILE_ACCOUNT"] = "Pendo to AEP: reconcile"
    if config.drain or config.reconcile:
        titles["SCHEDULER_ACCOUNT"] = "Pendo to AEP: Cloud Scheduler"
    group = GROUPS["accounts"]
    for name, title in titles.items():
        address = config.address(name)
        yield Resource(
            kind="accounts",
            name=address,
            create=(*group, "create", config[name], f"--display-name={title}"),
            delete=(*group, "delete", address),
        )


def topics(config: Config) -> Iterator[Resource]:
    """Yields the topic of events, from which they can be replayed, and the one of dead letters."""
    for name, retention in (
        ("EVENTS_TOPIC", "EVENTS_RETENTION"),
        ("DEAD_LETTER_TOPIC", "DEAD_LETTERS_RETENTION"),
    ):
        yield _pubsub(
            "topics", config[name], (_retention(config[retention]), _storage_regions(config))
        )


def pull_subscriptions(config: Config) -> Iterator[Resource]:
    """Yields the subscription that keeps the dead letters, and the one that `drain` pulls."""
    yield _subscription(
        config,
        "DEAD_LETTER_SUBSCRIPTION",
        "DEAD_LETTER_TOPIC",
        (_retention(config["DEAD_LETTERS_RETENTION"]), _NEVER_EXPIRES),
    )
    if config.drain:
        yield _subscription(
            config,
            "DRAIN_SUBSCRIPTION",
            "EVENTS_TOPIC",
            (
                _ack_deadline(config["DRAIN_ACK_DEADLINE_SECONDS"]),
                *_retry_delays(config),
                *_dead_letter_policy(config),
                _retention(config["EVENTS_RETENTION"]),
                _NEVER_EXPIRES,
            ),
        )


def push_subscription(config: Config, address: str) -> Resource:
    """Returns the subscription that pushes to `deliver`, with a token of its own account."""
    push = {
        "pushEndpoint": address,
        "oidcToken": {"serviceAccountEmail": config.address("PUSH_ACCOUNT")},
    }
    return _subscription(
        config,
        "PUSH_SUBSCRIPTION",
        "EVENTS_TOPIC",
        (
            Field(("pushConfig",), push, f"--push-endpoint={address}"),
            Field(
                ("pushConfig",),
                push,
                f"--push-auth-service-account={config.address('PUSH_ACCOUNT')}",
            ),
            _ack_deadline(config["PUSH_ACK_DEADLINE_SECONDS"]),
            *_retry_delays(config),
            *_dead_letter_policy(config),
            _retention(config["EVENTS_RETENTION"]),
            _NEVER_EXPIRES,
        ),
    )


def scheduler_job(config: Config, address: str) -> Resource:
    """Returns the job that calls `drain`."""
    caller = config.address("SCHEDULER_ACCOUNT")
    token = {"serviceAccountEmail": caller, "audience": address}
    return http_job(
        config,
        "DRAIN",
        address,
        Field(("httpTarget", "oidcToken"), token, f"--oidc-service-account-email={caller}"),
        Field(("httpTarget", "oidcToken"), token, f"--oidc-token-audience={address}"),
        # As long as the function may take. Google: Job.schedule, a run that is due meanwhile
        # starts when this one has ended.
        Field(
            ("attemptDeadline",),
            f"{config['DRAIN_TIMEOUT_SECONDS']}s",
            f"--attempt-deadline={config['DRAIN_TIMEOUT_SECONDS']}s",
        ),
    )


def http_job(config: Config, kind: str, url: str, *more: Field) -> Resource:
    """Returns a job that posts to an address.

    Args:
        config: names the job and its schedule.
        kind: the prefix of their names in the config.
        url: the address.
        more: as whom it calls, and how patiently.
    """
    group, place = GROUPS["jobs"], f"--location={config['REGION']}"
    name, schedule = config[f"{kind}_JOB"], config[f"{kind}_SCHEDULE"]
    return Resource(
        kind="jobs",
        name=name,
        create=(*group, "create", "http", name, place, "--http-method=POST"),
        update=(*group, "update", "http", name, place),
        delete=(*group, "delete", name, place),
        fields=(
            Field(("schedule",), schedule, f"--schedule={schedule}"),
            Field(("timeZone",), "Etc/UTC", "--time-zone=Etc/UTC"),
            Field(("httpTarget", "uri"), url, f"--uri={url}"),
            *more,
        ),
    )


def _subscription(config: Config, name: str, topic: str, fields: tuple[Field, ...]) -> Resource:
    path = f"projects/{config['PROJECT']}/topics/{config[topic]}"
    attached = Field(("topic",), path, f"--topic={config[topic]}", is_immutable=True)
    return _pubsub("subscriptions", config[name], (attached, *fields))


def _pubsub(kind: str, name: str, fields: tuple[Field, ...]) -> Resource:
    group = GROUPS[kind]
    return Resource(
        kind=kind,
        name=name,
        create=(*group, "create", name),
        update=(*group, "update", name),
        delete=(*group, "delete", name),
        fields=fields,
    )


def _retention(duration: str) -> Field:
    return Field(
        ("messageRetentionDuration",),
        f"{seconds(duration)}s",
        f"--message-retention-duration={seconds(duration)}s",
    )


def _storage_regions(config: Config) -> Field:
    """Returns where Pub/Sub may store messages.

    Google: "Configure message storage policies"; without one, it stores them in the region that is
    nearest to the publisher. Recomputing removes our policy and leaves the organisation's.
    """
    regions = config.message_regions
    if not regions:
        flag = "--recompute-message-storage-policy"
        return Field(("messageStoragePolicy",), None, flag, is_update_only=True)
    return Field(
        ("messageStoragePolicy", "allowedPersistenceRegions"),
        regions,
        f"--message-storage-policy-allowed-regions={','.join(regions)}",
    )


def _ack_deadline(count: str) -> Field:
    return Field(("ackDeadlineSeconds",), int(count), f"--ack-deadline={count}")


def _retry_delays(config: Config) -> Iterator[Field]:
    least, most = f"{config['RETRY_MIN_SECONDS']}s", f"{config['RETRY_MAX_SECONDS']}s"
    policy = {"minimumBackoff": least, "maximumBackoff": most}
    yield Field(("retryPolicy",), policy, f"--min-retry-delay={least}")
    yield Field(("retryPolicy",), policy, f"--max-retry-delay={most}")


def _dead_letter_policy(config: Config) -> Iterator[Field]:
    """Yields where Pub/Sub puts an event after too many attempts, pushed or pulled.

    Either flag replaces the whole policy, so gcloud is always given both.
    """
    dead, attempts = config["DEAD_LETTER_TOPIC"], int(config["MAX_DELIVERY_ATTEMPTS"])
    policy = {
        "deadLetterTopic": f"projects/{config['PROJECT']}/topics/{dead}",
        "maxDeliveryAttempts": attempts,
    }
    yield Field(("deadLetterPolicy",), policy, f"--dead-letter-topic={dead}")
    yield Field(("deadLetterPolicy",), policy, f"--max-delivery-attempts={attempts}")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A secret that goes from the environment or a file to Secret Manager, and nowhere else.

    Attributes:
        name: in Secret Manager.
        variable: where its value comes from: the variable, or the file that `VARIABLE_FILE` names.
        value: what was given; None if nothing was.
        is_generated: a value is generated if none was given.
    """

    name: str
    variable: str
    value: bytes | None
    is_generated: bool


def given_secrets(config: Config) -> list[Secret]:
    """Returns the secrets that the functions and the job mount, with the values that were given.

    Raises:
        InvalidConfig: a file cannot be read, or is empty.
    """
    found = [_given_secret(config, "PENDO_SECRET", "PENDO_WEBHOOK_SECRETS", is_generated=True)]
    if config["AEP_CLIENT_ID"]:
        found.append(_given_secret(config, "AEP_SECRET", "AEP_CLIENT_SECRET", is_generated=False))
    if config.reconcile:
        secret = ("RECONCILE_SECRET", "RECONCILE_CLIENT_SECRET")
        found.append(_given_secret(config, *secret, is_generated=False))
    return found


def store_secret(secret: Secret, inventory: Inventory, gcloud: Gcloud) -> None:
    """Creates a secret, or adds a version if another value was given.

    Raises:
        InvalidConfig: there is no such secret, and no value was given.
    """
    name = secret.name
    if name in inventory["secrets"]:
        stored = gcloud.read("secrets", "versions", "access", "latest", f"--secret={name}")
        if stored is not None and (
            not secret.value or base64.urlsafe_b64decode(stored["payload"]["data"]) == secret.value
        ):
            return
    value = secret.value or (token_hex(32).encode() if secret.is_generated else None)
    if value is None:
        raise InvalidConfig(
            f"{secret.variable}: there is no secret {name} yet; set this variable, "
            f"or {secret.variable}_FILE in the config"
        )
    if name in inventory["secrets"]:
        gcloud.change("secrets", "versions", "add", name, "--data-file=-", stdin=value)
    else:
        create = ("secrets", "create", name, "--replication-policy=automatic", "--data-file=-")
        gcloud.change(*create, stdin=value)


def _given_secret(config: Config, name: str, variable: str, *, is_generated: bool) -> Secret:
    value = os.environ.get(variable, "").strip().encode()
    if not value and (file := config[f"{variable}_FILE"]):
        try:
            value = Path(file).expanduser().read_bytes().strip()
        except OSError as error:
            raise InvalidConfig(
                f"{variable}_FILE: {file} cannot be read: {error.strerror}"
            ) from None
        if not value:
            raise InvalidConfig(f"{variable}_FILE: {file} is empty")
    return Secret(config[name], variable, value or None, is_generated)
