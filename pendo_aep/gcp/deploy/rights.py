"""Who may do what: the least that each needs, on the very thing that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

from pendo_aep.gcp.deploy.config import Config
from pendo_aep.gcp.deploy.gcloud import Gcloud, Words
from pendo_aep.gcp.deploy.inventory import GROUPS, Inventory

_PUBLISHER: Final = "roles/pubsub.publisher"
_SUBSCRIBER: Final = "roles/pubsub.subscriber"
_INVOKER: Final = "roles/run.invoker"
_ACCESSOR: Final = "roles/secretmanager.secretAccessor"
# Google: Cloud Run functions "custom service account for Cloud Build": write the build's log, store
# the image, read the source. On the project: the bucket and the repository are made by the build.
_BUILDER: Final = (
    "roles/logging.logWriter",
    "roles/artifactregistry.writer",
    "roles/storage.objectViewer",
)
# Google: "Cloud Run roles", those that let somebody call a service and do nothing else.
_CALLERS: Final = (_INVOKER, "roles/run.servicesInvoker")
# Without it, gcloud asks back where the policy has any conditional binding.
_ALWAYS: Final = "--condition=None"
# Google: Pub/Sub "authentication for push subscriptions". Its service agent has the first from its
# making on; in projects older than April 2021 one of the two must be granted.
_TOKEN_MAKERS: Final = ("roles/pubsub.serviceAgent", "roles/iam.serviceAccountTokenCreator")
# What the service agent of Cloud Functions has from its making on.
_DEPLOYERS: Final = ("roles/cloudfunctions.serviceAgent",)


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """A role on one thing.

    Attributes:
        kind: of the thing, as the inventory has it.
        group: the same as gcloud names it.
        name: the thing.
        role: what may be done with it.
        member: who may.
        flags: where it is, and what else the command must be told.
    """

    kind: str
    group: Words
    name: str
    role: str
    member: str
    flags: Words = field(default=())

    @property
    def words(self) -> Words:
        """What a command about it is told."""
        return (self.name, *self.flags, f"--member={self.member}", f"--role={self.role}")


def on_places(config: Config) -> Iterator[Right]:
    """To publish, to pull, to read secrets: what must be there before the functions."""
    receive, deliver = config.member("RECEIVE_ACCOUNT"), config.member("DELIVER_ACCOUNT")
    events, dead = config["EVENTS_TOPIC"], config["DEAD_LETTER_TOPIC"]
    yield _publish(events, receive)
    yield _publish(dead, receive)
    # Google: Pub/Sub "dead-letter topics", its service agent publishes what was tried too often,
    # and takes it off the subscription.
    yield _publish(dead, config.pubsub_agent)
    if config.push:
        yield _publish(dead, deliver)
    if config.drain:
        drain = config.member("DRAIN_ACCOUNT")
        yield _publish(dead, drain)
        yield _subscribe(config["DRAIN_SUBSCRIPTION"], drain)
        yield _subscribe(config["DRAIN_SUBSCRIPTION"], config.pubsub_agent)
    yield _read(config["PENDO_SECRET"], receive)
    if config["AEP_CLIENT_ID"] and config.push:
        yield _read(config["AEP_SECRET"], deliver)
    if config["AEP_CLIENT_ID"] and config.drain:
        yield _read(config["AEP_SECRET"], config.member("DRAIN_ACCOUNT"))


def on_project(config: Config) -> Iterator[Right]:
    """What the builder may do in the whole project."""
    for role in _BUILDER:
        yield _in_project(config, role, config.member("BUILD_ACCOUNT"))


def on_functions(config: Config) -> Iterator[Right]:
    """To call the private ones, and for Pub/Sub to take off what it makes a dead letter of."""
    if config.push:
        yield _call(config, "DELIVER_FUNCTION", config.member("PUSH_ACCOUNT"))
        yield _subscribe(config["PUSH_SUBSCRIPTION"], config.pubsub_agent)
    if config.drain:
        yield _call(config, "DRAIN_FUNCTION", config.member("SCHEDULER_ACCOUNT"))


def everybody(config: Config) -> Right:
    """To call `receive`: its guard is the signature."""
    return _call(config, "RECEIVE_FUNCTION", "allUsers")


def by_thing(rights: Iterator[Right]) -> list[list[Right]]:
    """Those on one thing together: a policy is read and written as a whole, one after the other."""
    return [list(found) for _, found in groupby(sorted(rights), lambda r: (r.kind, r.name))]


def grant(rights: Sequence[Right], inventory: Inventory, gcloud: Gcloud) -> None:
    """Grants those that are missing.

    Args:
        rights: all on one thing.
        inventory: as it was before; what has been made since has an empty policy.
        gcloud: looks and grants.

    Raises:
        GcloudFailed: it may not.
    """
    is_new = rights[0].name not in inventory[rights[0].kind]
    _grant(rights, None if is_new else _policy(rights[0], gcloud), gcloud)


def remove_other_callers(rights: Sequence[Right], inventory: Inventory, gcloud: Gcloud) -> None:
    """Takes the right to call a private function from everybody but those of `rights`.

    Args:
        rights: all on one thing; nothing is done unless it is a function.
        inventory: as it was before; nobody can call what has been made since.
        gcloud: looks and revokes.

    Raises:
        GcloudFailed: it may not.
    """
    ours = {right.member for right in rights}
    one = rights[0]
    if one.kind != "functions" or one.name not in inventory[one.kind]:
        return
    others = {
        (binding["role"], member)
        for binding in (_policy(one, gcloud) or {}).get("bindings", [])
        if binding["role"] in _CALLERS
        for member in binding["members"]
        if member not in ours
    }
    for role, member in sorted(others):
        gcloud.say(f"! {member} has {role} on {one.name}, and could call it: the right is removed")
        other = replace(one, role=role, member=member)
        # With and without a condition.
        gcloud.change(*one.group, "remove-iam-policy-binding", *other.words, "--all")


def create_agents(config: Config, gcloud: Gcloud) -> None:
    """Has Google create its own accounts in the project, so that they are known when needed.

    Google: "Service agents", each gets its role when it is created. Else the one of Cloud Functions
    is created by the first deployment, which is then refused (firebase-tools#5244).

    Raises:
        GcloudFailed: it may not.
    """
    agents = (
        ("pubsub", config.pubsub_agent, _TOKEN_MAKERS),
        ("cloudfunctions", config.functions_agent, _DEPLOYERS),
    )
    policy = _policy(_in_project(config, "", ""), gcloud)
    missing = [
        (service, _in_project(config, roles[0], agent))
        for service, agent, roles in agents
        if not any(agent in members(policy, role) for role in roles)
    ]
    for service, right in missing:
        create = ("beta", "services", "identity", "create", f"--service={service}.googleapis.com")
        gcloud.change(*create)
        _grant([right], policy, gcloud)


def grant_in_project(config: Config, gcloud: Gcloud) -> None:
    """Lets the builder build.

    Raises:
        GcloudFailed: it may not.
    """
    rights = [*on_project(config)]
    _grant(rights, _policy(rights[0], gcloud), gcloud)


def revoke_in_project(config: Config, gcloud: Gcloud) -> None:
    """Takes back what the builder may: else it would stay, as somebody's who is no more.

    Raises:
        GcloudFailed: it may not.
    """
    rights = [*on_project(config)]
    policy = _policy(rights[0], gcloud)
    for right in rights:
        if right.member in members(policy, right.role):
            gcloud.change(*right.group, "remove-iam-policy-binding", *right.words)


def members(policy: Any, role: str) -> set[str]:
    """Who has a role, without conditions: a condition may be anything."""
    return {
        member
        for binding in (policy or {}).get("bindings", [])
        if binding.get("role") == role and not binding.get("condition")
        for member in binding.get("members", [])
    }


def _policy(right: Right, gcloud: Gcloud) -> Any:
    place = [flag for flag in right.flags if flag != _ALWAYS]
    return gcloud.look(*right.group, "get-iam-policy", right.name, *place)


def _grant(rights: Sequence[Right], policy: Any, gcloud: Gcloud) -> None:
    for right in rights:
        if right.member not in members(policy, right.role):
            gcloud.change(*right.group, "add-iam-policy-binding", *right.words)


def _publish(topic: str, member: str) -> Right:
    return Right("topics", GROUPS["topics"], topic, _PUBLISHER, member)


def _subscribe(subscription: str, member: str) -> Right:
    return Right("subscriptions", GROUPS["subscriptions"], subscription, _SUBSCRIBER, member)


def _read(secret: str, member: str) -> Right:
    return Right("secrets", GROUPS["secrets"], secret, _ACCESSOR, member)


def _call(config: Config, function: str, member: str) -> Right:
    place = (f"--region={config['REGION']}",)
    return Right("functions", GROUPS["services"], config[function], _INVOKER, member, place)


def _in_project(config: Config, role: str, member: str) -> Right:
    return Right("projects", ("projects",), config["PROJECT"], role, member, (_ALWAYS,))
