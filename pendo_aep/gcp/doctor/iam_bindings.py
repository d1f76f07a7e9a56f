"""Checks IAM: who must have which role, and who must not be able to call a function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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
from pendo_aep.gcp.gcloud import typed_command
from pendo_aep.gcp.iam import IamBinding


def check_iam(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    """Checks every required role, and who may call the functions."""
    findings = _findings(deployment, observations)
    yield from dict.fromkeys(findings)  # a policy that is missing concerns several roles


def _findings(deployment: Deployment, observations: Observations) -> Iterator[Finding]:
    project_policy = observations[commands.project_policy(deployment)]
    for binding, needed in _required_bindings(deployment, observations):
        yield check_binding(deployment, binding, needed, observations)
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
) -> Iterator[tuple[IamBinding, str]]:
    """Yields all of a deployment, except the right of everybody to call `receive`.

    Each with what does not work without it.
    """
    receive = deployment.member(deployment.receive_account)
    dead, region = deployment.dead_letter_topic, deployment.region
    yield iam.publish(deployment.events_topic, receive), "receive could not store events"
    yield iam.publish(dead, receive), "receive could not store dead letters"
    if deployment.deliver:
        deliver = deployment.member(deployment.deliver_account)
        push = deployment.member(deployment.push_account)
        yield iam.publish(dead, deliver), "deliver could not store dead letters"
        yield iam.invoke(deployment.deliver, region, push), "Pub/Sub could not push"
    if deployment.drain:
        drain = deployment.member(deployment.drain_account)
        scheduler = deployment.member(deployment.scheduler_account)
        yield iam.publish(dead, drain), "drain could not store dead letters"
        yield iam.subscribe(deployment.drain_subscription, drain), "drain could not pull events"
        yield iam.invoke(deployment.drain, region, scheduler), "the scheduler could not call drain"
    if deployment.project_number:
        agent = iam.member(deployment.pubsub_agent)
        yield iam.publish(dead, agent), "Pub/Sub could not make dead letters"
        for name in deployment.event_subscriptions:
            yield iam.subscribe(name, agent), "Pub/Sub could not remove dead letters from it"
    for secret, account, name in needed_secrets(deployment, observations):
        yield iam.access(secret, deployment.member(account)), f"{name} could not start"


def check_binding(
    deployment: Deployment, binding: IamBinding, needed: str, observations: Observations
) -> Finding:
    """Checks one required role, which an account may also have on the whole project.

    Args:
        deployment: what it is a part of.
        binding: the role.
        needed: what does not work without it.
        observations: the policies of the resource and of the project.
    """
    name, member = binding.name, binding.member
    what = f"{binding.role} on {name} for {member.removeprefix('serviceAccount:')}"
    of_project = observations[commands.project_policy(deployment)]
    if isinstance(of_project, Found) and member in iam.members(of_project.value, binding.role):
        return ok(Subject.IAM, f"{what}, by the project")
    grant = typed_command(binding.command("add"), deployment.project)
    policy = observations[binding.policy_command]
    if not isinstance(policy, Found):
        # A resource that is missing has its own finding; until it exists there is nothing to grant.
        mend = grant if isinstance(policy, Unavailable) else deployment.deploy_command
        return not_observed(Subject.IAM, f"policy of {name}", policy, mend)
    if member not in iam.members(policy.value, binding.role):
        return wrong(Subject.IAM, f"no {what}: {needed}", grant)
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
    ours = deployment.member(caller)
    others = {
        (member, role)
        for role in iam.CALLER_ROLES
        for member in iam.members(policy.value, role, with_conditions=True) - {ours}
    }
    for member, role in sorted(others):
        other = replace(iam.invoke(name, deployment.region, member), role=role)
        yield wrong(
            Subject.IAM,
            f"{name} may be called by {member}, who could write to AEP; only {ours} should",
            f"{typed_command(other.command('remove'), deployment.project)} --all",
        )
    if not others:
        yield ok(Subject.IAM, f"{name} may be called by {ours} at most")
