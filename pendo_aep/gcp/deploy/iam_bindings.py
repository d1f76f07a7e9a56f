"""Who may do what: each account has the least it needs, on the resource that it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from pendo_aep.gcp import iam
from pendo_aep.gcp.config import Config
from pendo_aep.gcp.deploy.resource import Inventory
from pendo_aep.gcp.gcloud import GROUPS, Gcloud, GcloudFailed
from pendo_aep.gcp.iam import IamBinding

# Google: Cloud Run functions "custom service account for Cloud Build": write the build's log, store
# the image, read the source. On the project: the build creates the bucket and the repository.
_BUILDER_ROLES: Final = (
    "roles/logging.logWriter",
    "roles/artifactregistry.writer",
    "roles/storage.objectViewer",
)
# The service agent of Cloud Functions has this role from its creation on.
_FUNCTIONS_AGENT_ROLES: Final = ("roles/cloudfunctions.serviceAgent",)
# Google: "Domain restricted sharing". The text is that of public deployment logs, the constraints
# are named in the details; the managed one has no text of its own in them yet.
_FORBIDDEN: Final = re.compile(
    r"do not belong to a permitted customer"
    r"|iam\.allowedPolicyMemberDomains|iam\.managed\.allowedPolicyMembers"
)


def resource_bindings(config: Config) -> Iterator[IamBinding]:
    """Yields the rights to publish, pull and read secrets, which the functions need to start."""
    receive, deliver = config.member("RECEIVE_ACCOUNT"), config.member("DELIVER_ACCOUNT")
    drain, agent = config.member("DRAIN_ACCOUNT"), config.pubsub_agent
    events, dead = config["EVENTS_TOPIC"], config["DEAD_LETTER_TOPIC"]
    yield iam.publish(events, receive)
    yield iam.publish(dead, receive)
    # Google: Pub/Sub "dead-letter topics", its service agent publishes an event that was tried too
    # often, and takes it off the subscription.
    yield iam.publish(dead, agent)
    if config.push:
        yield iam.publish(dead, deliver)
    if config.drain:
        yield iam.publish(dead, drain)
        yield iam.subscribe(config["DRAIN_SUBSCRIPTION"], drain)
        yield iam.subscribe(config["DRAIN_SUBSCRIPTION"], agent)
    yield iam.access(config["PENDO_SECRET"], receive)
    if config.reconcile:
        yield iam.access(config["RECONCILE_SECRET"], config.member("RECONCILE_ACCOUNT"))
    mounted = [config["AEP_SECRET"]] if config["AEP_CLIENT_ID"] else []
    if config["PENDO_CATALOG_SECRET"]:
        mounted.append(config["PENDO_CATALOG_SECRET"])
    for secret in mounted:
        if config.push:
            yield iam.access(secret, deliver)
        if config.drain:
            yield iam.access(secret, drain)


def function_bindings(config: Config) -> Iterator[IamBinding]:
    """Yields the rights to call the private functions, and to take dead letters off a push."""
    if config.push:
        yield _invoke(config, "DELIVER_FUNCTION", config.member("PUSH_ACCOUNT"))
        yield iam.subscribe(config["PUSH_SUBSCRIPTION"], config.pubsub_agent)
    if config.drain:
        yield _invoke(config, "DRAIN_FUNCTION", config.member("SCHEDULER_ACCOUNT"))


def by_resource(bindings: Iterator[IamBinding]) -> list[list[IamBinding]]:
    """Groups bindings by resource: a policy is read and written as a whole, one at a time."""
    return [list(found) for _, found in groupby(sorted(bindings), lambda b: (b.kind, b.name))]


def grant(bindings: Sequence[IamBinding], inventory: Inventory, gcloud: Gcloud) -> None:
    """Grants the bindings that are missing.

    Args:
        bindings: all on one resource.
        inventory: from before the run; a resource created since has an empty policy.
        gcloud: reads the policy and changes it.
    """
    is_new = bindings[0].name not in inventory[bindings[0].kind]
    _grant_missing(bindings, None if is_new else gcloud.read(*bindings[0].policy_command), gcloud)


def remove_other_callers(
    bindings: Sequence[IamBinding], inventory: Inventory, gcloud: Gcloud
) -> None:
    """Revokes the right to call a private function from everybody but the members of `bindings`.

    Args:
        bindings: all on one resource; nothing is done unless it is a function.
        inventory: from before the run; nobody can call a function created since.
        gcloud: reads the policy and changes it.
    """
    ours = {binding.member for binding in bindings}
    one = bindings[0]
    if one.kind != "functions" or one.name not in inventory[one.kind]:
        return
    policy = gcloud.read(*one.policy_command)
    others = {
        (role, member)
        for role in iam.CALLER_ROLES
        for member in iam.members(policy, role, with_conditions=True) - ours
    }
    for role, member in sorted(others):
        gcloud.say(f"! {member} has {role} on {one.name}, and could call it: the right is removed")
        other = replace(one, role=role, member=member)
        # With and without a condition.
        gcloud.change(*other.command("remove"), "--all")


def create_service_agents(config: Config, gcloud: Gcloud) -> None:
    """Has Google create its own accounts in the project, so that they exist when they are needed.

    Google: "Service agents", each gets its role when it is created. Otherwise the first deployment
    creates the agent of Cloud Functions and is then refused (firebase-tools#5244).
    """
    agents = (
        ("pubsub", config.pubsub_agent, iam.TOKEN_CREATOR_ROLES),
        ("cloudfunctions", config.functions_agent, _FUNCTIONS_AGENT_ROLES),
    )
    policy = gcloud.read(*iam.on_project(config["PROJECT"], "", "").policy_command)
    missing = [
        (service, iam.on_project(config["PROJECT"], roles[0], agent))
        for service, agent, roles in agents
        if not any(agent in iam.members(policy, role) for role in roles)
    ]
    for service, binding in missing:
        create = ("beta", "services", "identity", "create", f"--service={service}.googleapis.com")
        gcloud.change(*create)
        _grant_missing([binding], policy, gcloud)


def grant_builder(config: Config, gcloud: Gcloud) -> None:
    """Lets the account that builds the functions do so."""
    grant_on_project(_builder_bindings(config), gcloud)


def revoke_builder(config: Config, gcloud: Gcloud) -> None:
    """Revokes what the builder may do: otherwise the rights of a deleted account would remain."""
    revoke_on_project(_builder_bindings(config), gcloud)


def grant_on_project(bindings: Sequence[IamBinding], gcloud: Gcloud) -> None:
    """Grants the bindings that are missing on the project."""
    _grant_missing(bindings, gcloud.read(*bindings[0].policy_command), gcloud)


def revoke_on_project(bindings: Sequence[IamBinding], gcloud: Gcloud) -> None:
    """Revokes the bindings that exist on the project."""
    policy = gcloud.read(*bindings[0].policy_command)
    for binding in bindings:
        if binding.member in iam.members(policy, binding.role):
            gcloud.change(*binding.command("remove"))


def make_receive_public(
    config: Config, before: Inventory, deployed: Inventory, gcloud: Gcloud
) -> None:
    """Lets everybody call `receive`, whose guard is the signature, as `RECEIVE_ACCESS` says.

    Args:
        config: in which way.
        before: the inventory from before this run.
        deployed: the functions and services as they are now.
        gcloud: grants the right, or disables the check.

    Raises:
        GcloudFailed: it is not allowed; the text says where to read on.
    """
    try:
        _make_public(config, before, deployed, gcloud)
    except GcloudFailed as error:
        raise GcloudFailed(
            f"{error}\n\nPendo cannot call {config['RECEIVE_FUNCTION']} yet; everything else is "
            "deployed. What to ask the administrator of your organisation for: docs/operations.md, "
            '"Let Pendo call receive". Then run this again.'
        ) from None


def require_invoker_check(config: Config, inventory: Inventory, gcloud: Gcloud) -> None:
    """Enables the IAM check again if somebody has disabled it for a private function."""
    for kind in ("DELIVER", "DRAIN"):
        name = config[f"{kind}_FUNCTION"]
        if iam.invoker_check_is_disabled(inventory["services"].get(name)):
            gcloud.say(f"! everybody can call {name}: its IAM check is off, and is enabled again")
            _update_service(config, name, "--invoker-iam-check", gcloud)


def _make_public(config: Config, before: Inventory, deployed: Inventory, gcloud: Gcloud) -> None:
    name, access = config["RECEIVE_FUNCTION"], config["RECEIVE_ACCESS"]
    is_unchecked = iam.invoker_check_is_disabled(deployed["services"].get(name))
    if access != "all-users" and is_unchecked:
        return
    if access == "no-iam-check":
        _update_service(config, name, "--no-invoker-iam-check", gcloud)
        return
    try:
        grant([_invoke(config, "RECEIVE_FUNCTION", "allUsers")], before, gcloud)
    except GcloudFailed as error:
        if access != "auto" or not _FORBIDDEN.search(str(error)):
            raise
        gcloud.say(
            f"! your organisation does not allow allUsers to call {name}; its IAM check is "
            "disabled instead"
        )
        _update_service(config, name, "--no-invoker-iam-check", gcloud)
    else:
        if is_unchecked:
            _update_service(config, name, "--invoker-iam-check", gcloud)


def _update_service(config: Config, name: str, flag: str, gcloud: Gcloud) -> None:
    gcloud.change(*GROUPS["services"], "update", name, f"--region={config['REGION']}", flag)


def _grant_missing(bindings: Sequence[IamBinding], policy: Any, gcloud: Gcloud) -> None:
    for binding in bindings:
        if binding.member not in iam.members(policy, binding.role):
            gcloud.change(*binding.command("add"))


def _invoke(config: Config, function: str, member: str) -> IamBinding:
    return iam.invoke(config[function], config["REGION"], member)


def _builder_bindings(config: Config) -> list[IamBinding]:
    builder = config.member("BUILD_ACCOUNT")
    return [iam.on_project(config["PROJECT"], role, builder) for role in _BUILDER_ROLES]
