"""What there is to be: accounts, topics, subscriptions, functions, the scheduler's job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pendo_aep.gcp.deploy.config import Config
from pendo_aep.gcp.deploy.inventory import GROUPS
from pendo_aep.gcp.deploy.part import Field, Part
from pendo_aep.gcp.deploy.rules import seconds

_NEVER: Final = Field(("expirationPolicy",), {}, "--expiration-period=never")
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
    """The APIs that are used."""
    names = (*_SERVICES, "cloudscheduler") if config.drain else _SERVICES
    return [f"{name}.googleapis.com" for name in names]


def accounts(config: Config) -> Iterator[Part]:
    """One for each that acts."""
    titles = {"RECEIVE_ACCOUNT": "Pendo to AEP: receive", "BUILD_ACCOUNT": "Pendo to AEP: build"}
    if config.push:
        titles["DELIVER_ACCOUNT"] = "Pendo to AEP: deliver"
        titles["PUSH_ACCOUNT"] = "Pendo to AEP: Pub/Sub calls deliver"
    if config.drain:
        titles["DRAIN_ACCOUNT"] = "Pendo to AEP: drain"
        titles["SCHEDULER_ACCOUNT"] = "Pendo to AEP: Cloud Scheduler calls drain"
    group = GROUPS["accounts"]
    for name, title in titles.items():
        address = config.address(name)
        yield Part(
            kind="accounts",
            name=address,
            create=(*group, "create", config[name], f"--display-name={title}"),
            delete=(*group, "delete", address),
        )


def topics(config: Config) -> Iterator[Part]:
    """The events', which can be replayed from it, and the dead letters'."""
    for name, kept in (
        ("EVENTS_TOPIC", "EVENTS_RETENTION"),
        ("DEAD_LETTER_TOPIC", "DEAD_LETTERS_RETENTION"),
    ):
        yield _pubsub("topics", config[name], (_kept(config[kept]), _stored_in(config)))


def pulled(config: Config) -> Iterator[Part]:
    """The subscriptions that wait: the one that keeps the dead letters, and drain's."""
    yield _subscription(
        config,
        "DEAD_LETTER_SUBSCRIPTION",
        "DEAD_LETTER_TOPIC",
        (_kept(config["DEAD_LETTERS_RETENTION"]), _NEVER),
    )
    if config.drain:
        yield _subscription(
            config,
            "DRAIN_SUBSCRIPTION",
            "EVENTS_TOPIC",
            (
                _ack(config["DRAIN_ACK_DEADLINE_SECONDS"]),
                *_pauses(config),
                *_dead_letters(config),
                _kept(config["EVENTS_RETENTION"]),
                _NEVER,
            ),
        )


def pushed(config: Config, address: str) -> Part:
    """The subscription that pushes to `deliver`, at its address, as an account of its own."""
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
            _ack(config["PUSH_ACK_DEADLINE_SECONDS"]),
            *_pauses(config),
            *_dead_letters(config),
            _kept(config["EVENTS_RETENTION"]),
            _NEVER,
        ),
    )


def job(config: Config, address: str) -> Part:
    """What calls `drain`."""
    group, place = GROUPS["jobs"], f"--location={config['REGION']}"
    caller = config.address("SCHEDULER_ACCOUNT")
    token = {"serviceAccountEmail": caller, "audience": address}
    return Part(
        kind="jobs",
        name=config["DRAIN_JOB"],
        create=(*group, "create", "http", config["DRAIN_JOB"], place, "--http-method=POST"),
        update=(*group, "update", "http", config["DRAIN_JOB"], place),
        delete=(*group, "delete", config["DRAIN_JOB"], place),
        fields=(
            Field(
                ("schedule",), config["DRAIN_SCHEDULE"], f"--schedule={config['DRAIN_SCHEDULE']}"
            ),
            Field(("timeZone",), "Etc/UTC", "--time-zone=Etc/UTC"),
            Field(("httpTarget", "uri"), address, f"--uri={address}"),
            Field(("httpTarget", "oidcToken"), token, f"--oidc-service-account-email={caller}"),
            Field(("httpTarget", "oidcToken"), token, f"--oidc-token-audience={address}"),
            # As long as the function may take. Google: Job.schedule, a run that is due meanwhile
            # begins when this one has ended.
            Field(
                ("attemptDeadline",),
                f"{config['DRAIN_TIMEOUT_SECONDS']}s",
                f"--attempt-deadline={config['DRAIN_TIMEOUT_SECONDS']}s",
            ),
        ),
    )


def _subscription(config: Config, name: str, topic: str, fields: tuple[Field, ...]) -> Part:
    path = f"projects/{config['PROJECT']}/topics/{config[topic]}"
    of = Field(("topic",), path, f"--topic={config[topic]}", is_fixed=True)
    return _pubsub("subscriptions", config[name], (of, *fields))


def _pubsub(kind: str, name: str, fields: tuple[Field, ...]) -> Part:
    group = GROUPS[kind]
    return Part(
        kind=kind,
        name=name,
        create=(*group, "create", name),
        update=(*group, "update", name),
        delete=(*group, "delete", name),
        fields=fields,
    )


def _kept(duration: str) -> Field:
    return Field(
        ("messageRetentionDuration",),
        f"{seconds(duration)}s",
        f"--message-retention-duration={seconds(duration)}s",
    )


def _stored_in(config: Config) -> Field:
    """Where Pub/Sub may store messages.

    Google: "Configure message storage policies"; without one, it stores them in the region that is
    nearest to the publisher. Recomputing takes ours away, and leaves the organisation's.
    """
    regions = config.message_regions
    if not regions:
        flag = "--recompute-message-storage-policy"
        return Field(("messageStoragePolicy",), None, flag, is_later=True)
    return Field(
        ("messageStoragePolicy", "allowedPersistenceRegions"),
        regions,
        f"--message-storage-policy-allowed-regions={','.join(regions)}",
    )


def _ack(count: str) -> Field:
    return Field(("ackDeadlineSeconds",), int(count), f"--ack-deadline={count}")


def _pauses(config: Config) -> Iterator[Field]:
    least, most = f"{config['RETRY_MIN_SECONDS']}s", f"{config['RETRY_MAX_SECONDS']}s"
    policy = {"minimumBackoff": least, "maximumBackoff": most}
    yield Field(("retryPolicy",), policy, f"--min-retry-delay={least}")
    yield Field(("retryPolicy",), policy, f"--max-retry-delay={most}")


def _dead_letters(config: Config) -> Iterator[Field]:
    """Where Pub/Sub puts an event that was tried too often, pushed or pulled.

    One flag replaces all that the API keeps together, so gcloud is always given both.
    """
    dead, attempts = config["DEAD_LETTER_TOPIC"], int(config["MAX_DELIVERY_ATTEMPTS"])
    policy = {
        "deadLetterTopic": f"projects/{config['PROJECT']}/topics/{dead}",
        "maxDeliveryAttempts": attempts,
    }
    yield Field(("deadLetterPolicy",), policy, f"--dead-letter-topic={dead}")
    yield Field(("deadLetterPolicy",), policy, f"--max-delivery-attempts={attempts}")
