"""Checks IAM: who must have which role, and who must not be able to call a function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pendo_aep.gcp import iam
from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, make_public_command, ok, wrong
from pendo_aep.gcp.doctor.observe import (
    Found,
    Observation,
    Observations,
    Unavailable,
    not_observed,
)
from pendo_aep.gcp.doctor.secrets import needed_secrets
from pendo_aep.gcp.gcloud import Command


@dataclass(frozen=True, slots=True)
class RequiredBinding:
    """A role that an account must have.

    Attributes:
        member: the account's address, without `serviceAccount:`.
        resource: as gcloud names it: `pubsub topics` and the name of one, for example.
        policy: the command that shows who has the role.
        needed: what does not work without it.
    """

    member: str
    role: str
    resource: Command
    policy: Command
    needed: str


def check_iam(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    """Checks every required role, and who may call the functions."""
    findings = _findings(deployment, observations)
    yield from dict.fromkeys(findings)  # a policy that is missing concerns several roles


def _findings(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    project_policy = observations[commands.project_policy(deployment)]
    for binding in _required_bindings(deployment, observations):
        policy = observations[binding.policy]
        yield check_binding(deployment, binding, policy, project_policy)
    project = observations[commands.project(deployment)]
    if not isinstance(project, Found):  # then the rights of Pub/Sub itself are not checked either
        what = f"project {deployment.project}"
        yield not_observed(Subject.IAM, what, project, "gcloud projects list")
    elif deployment.push_subscription:
        yield _check_token_creator(deployment, project_policy)
    yield _check_public(deployment, observations)
    callers = {
        deployment.deliver: deployment.push_account,
        deployment.drain: deployment.scheduler_account,
    }
    for name in deployment.delivery_functions:
        policy = observations[commands.function_policy(deployment, name)]
        yield from _check_callers(deployment, name, callers[name], policy)
        service = observations[commands.service(deployment, name)]
        yield _check_invoker_check(deployment, name, service)


def _required_bindings(
    deployment: Deployment, observations: Observations
) -> Iterator[RequiredBinding]:
    """Yields all of a deployment, except the right of everybody to call `receive`."""
    receive = deployment.address(deployment.receive_account)
    dead = deployment.dead_letter_topic
    yield _publish(receive, deployment.events_topic, "receive could not store events")
    yield _publish(receive, dead, "receive could not store dead letters")
    if deployment.deliver:
        deliver = deployment.address(deployment.deliver_account)
        push = deployment.address(deployment.push_account)
        yield _publish(deliver, dead, "deliver could not store dead letters")
        yield _invoke(deployment, push, deployment.deliver, "Pub/Sub could not push")
    if deployment.drain:
        drain = deployment.address(deployment.drain_account)
        scheduler = deployment.address(deployment.scheduler_account)
        yield _publish(drain, dead, "drain could not store dead letters")
        yield _subscribe(drain, deployment.drain_subscription, "drain could not pull events")
        yield _invoke(deployment, scheduler, deployment.drain, "the scheduler could not call drain")
    if deployment.project_number:
        agent = deployment.pubsub_agent
        yield _publish(agent, dead, "Pub/Sub could not make dead letters")
        for name in deployment.event_subscriptions:
            yield _subscribe(agent, name, "Pub/Sub could not remove dead letters from it")
    for secret, account, name in needed_secrets(deployment, observations):
        yield RequiredBinding(
            deployment.address(account),
            iam.SECRET_ACCESSOR,
            ("secrets", secret),
            commands.secret_policy(secret),
            f"{name} could not start",
        )


def check_binding(
    deployment: Deployment,
    binding: RequiredBinding,
    policy: Observation,
    project_policy: Observation,
) -> Finding:
    """Checks one required role, which an account may also have on the whole project."""
    name, member = binding.resource[-1], iam.member(binding.member)
    what = f"{binding.role} on {name} for {binding.member}"
    if isinstance(project_policy, Found) and member in iam.members(
        project_policy.value, binding.role
    ):
        return ok(Subject.IAM, f"{what}, by the project")
    grant = _grant_command(deployment, binding.resource, member, binding.role)
    if not isinstance(policy, Found):
        # A resource that is missing has its own finding; until it exists there is nothing to grant.
        mend = grant if isinstance(policy, Unavailable) else deployment.deploy_command
        return not_observed(Subject.IAM, f"policy of {name}", policy, mend)
    if member not in iam.members(policy.value, binding.role):
        return wrong(Subject.IAM, f"no {what}: {binding.needed}", grant)
    return ok(Subject.IAM, what)


def _check_token_creator(deployment: Deployment, project_policy: Observation) -> Finding:
    if not isinstance(project_policy, Found):
        what = "the policy of the project"
        return not_observed(Subject.IAM, what, project_policy, "gcloud projects list")
    agent = deployment.pubsub_agent
    member = iam.member(agent)
    roles = iam.TOKEN_CREATOR_ROLES
    if any(member in iam.members(project_policy.value, role) for role in roles):
        return ok(Subject.IAM, f"{agent} can create push tokens")
    return wrong(
        Subject.IAM,
        f"{agent} cannot create push tokens",
        f"gcloud projects add-iam-policy-binding {deployment.project} --member={member} "
        f"--role={roles[0]} --condition=None",
    )


def _check_public(deployment: Deployment, observations: Observations) -> Finding:
    """Checks that everybody may call `receive`: by policy, or because its check is disabled."""
    name = deployment.receive
    policy = observations[commands.function_policy(deployment, name)]
    service = observations[commands.service(deployment, name)]
    if isinstance(policy, Found) and "allUsers" in iam.members(policy.value, iam.INVOKER):
        return ok(Subject.IAM, f"{name} is public, guarded by the signature")
    if isinstance(service, Found) and iam.invoker_check_is_disabled(service.value):
        text = f"{name} is public, as its IAM check is disabled; guarded by the signature"
        return ok(Subject.IAM, text)
    for what, observed in (("policy", policy), ("IAM check", service)):
        if not isinstance(observed, Found):
            mend = deployment.deploy_command
            return not_observed(Subject.IAM, f"{what} of {name}", observed, mend)
    text = f"{name} is not public: Pendo cannot reach it"
    return wrong(Subject.IAM, text, make_public_command(deployment))


def _check_invoker_check(deployment: Deployment, name: str, service: Observation) -> Finding:
    if not isinstance(service, Found):
        return not_observed(Subject.IAM, f"IAM check of {name}", service, deployment.deploy_command)
    if iam.invoker_check_is_disabled(service.value):
        return wrong(
            Subject.IAM,
            f"{name} may be called by everybody, who could write to AEP: its IAM check is disabled",
            f"gcloud run services update {name} --region={deployment.region} --invoker-iam-check "
            f"--project={deployment.project}",
        )
    return ok(Subject.IAM, f"{name} has its IAM check enabled")


def _check_callers(
    deployment: Deployment, name: str, caller: str, policy: Observation
) -> Iterator[Finding]:
    if not isinstance(policy, Found):
        yield not_observed(Subject.IAM, f"policy of {name}", policy, deployment.deploy_command)
        return
    ours = iam.member(deployment.address(caller))
    others = {
        (member, role)
        for role in iam.CALLER_ROLES
        for member in iam.members(policy.value, role, with_conditions=True) - {ours}
    }
    for member, role in sorted(others):
        grant = _grant_command(deployment, _service(deployment, name), member, role)
        yield wrong(
            Subject.IAM,
            f"{name} may be called by {member}, who could write to AEP; only {ours} should",
            f"{grant.replace('add-iam', 'remove-iam')} --all",
        )
    if not others:
        yield ok(Subject.IAM, f"{name} may be called by {ours} at most")


def _publish(member: str, topic: str, needed: str) -> RequiredBinding:
    resource = ("pubsub", "topics", topic)
    return RequiredBinding(member, iam.PUBLISHER, resource, commands.topic_policy(topic), needed)


def _subscribe(member: str, subscription: str, needed: str) -> RequiredBinding:
    resource = ("pubsub", "subscriptions", subscription)
    policy = commands.subscription_policy(subscription)
    return RequiredBinding(member, iam.SUBSCRIBER, resource, policy, needed)


def _invoke(deployment: Deployment, member: str, name: str, needed: str) -> RequiredBinding:
    policy = commands.function_policy(deployment, name)
    return RequiredBinding(member, iam.INVOKER, _service(deployment, name), policy, needed)


def _service(deployment: Deployment, name: str) -> Command:
    return ("run", "services", f"--region={deployment.region}", name)


def _grant_command(deployment: Deployment, resource: Command, member: str, role: str) -> str:
    *group, name = resource
    flags = [word for word in group if word.startswith("--")]
    words = [word for word in group if not word.startswith("--")]
    binding = (f"--member={member}", f"--role={role}", f"--project={deployment.project}")
    return " ".join(("gcloud", *words, "add-iam-policy-binding", name, *flags, *binding))
