"""The rights: who must have which role, where, and for what; and who must not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pendo_aep.gcp.doctor import commands
from pendo_aep.gcp.doctor.advice import of_deployment
from pendo_aep.gcp.doctor.deployment import Deployment
from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, wrong
from pendo_aep.gcp.doctor.look import Command, Look, Looks, Seen, Unseen, not_seen
from pendo_aep.gcp.doctor.secrets import needed_secrets
from pendo_aep.gcp.doctor.values import members, within

_PUBLISHER: Final = "roles/pubsub.publisher"
_SUBSCRIBER: Final = "roles/pubsub.subscriber"
_INVOKER: Final = "roles/run.invoker"
_ACCESSOR: Final = "roles/secretmanager.secretAccessor"
# Google: "Cloud Run roles", those that let somebody call a service and do nothing else.
_CALLERS: Final = (_INVOKER, "roles/run.servicesInvoker")
# Google: "Allowing public access" (Cloud Run), the check that `--no-invoker-iam-check` disables.
_UNCHECKED: Final = "run.googleapis.com/invoker-iam-disabled"
# Google: push authentication; the first one is there in projects made since April 2021.
_TOKEN_MAKERS: Final = ("roles/pubsub.serviceAgent", "roles/iam.serviceAccountTokenCreator")


@dataclass(frozen=True, slots=True)
class Right:
    """A role that somebody must have.

    Attributes:
        member: the account's address, without `serviceAccount:`.
        thing: what it is for, as gcloud names it: `pubsub topics`, and the name of one.
        policy: the look that tells who has it.
        needed: what does not work without it.
    """

    member: str
    role: str
    thing: tuple[str, ...]
    policy: Command
    needed: str


def needed_rights(deployment: Deployment, looks: Looks) -> list[Right]:
    """All of a deployment, but for what everybody may."""
    receive = deployment.address(deployment.receive_account)
    dead = deployment.dead_letters
    rights = [
        _publish(receive, deployment.events, "receive could store no event"),
        _publish(receive, dead, "receive could keep nothing that it cannot read"),
    ]
    if deployment.deliver:
        deliver = deployment.address(deployment.deliver_account)
        push = deployment.address(deployment.push_account)
        rights += [
            _publish(deliver, dead, "deliver could keep nothing that AEP refuses"),
            _invoke(deployment, push, deployment.deliver, "Pub/Sub could not push"),
        ]
    if deployment.drain:
        drain = deployment.address(deployment.drain_account)
        scheduler = deployment.address(deployment.scheduler_account)
        rights += [
            _publish(drain, dead, "drain could keep nothing that AEP refuses"),
            _subscribe(drain, deployment.drain_subscription, "drain could pull nothing"),
            _invoke(deployment, scheduler, deployment.drain, "the scheduler could not call drain"),
        ]
    if deployment.project_number:
        agent = deployment.pubsub_agent
        rights.append(_publish(agent, dead, "Pub/Sub could make no dead letter"))
        rights += [
            _subscribe(agent, name, "Pub/Sub could take no message off")
            for name in deployment.emptied
        ]
    for secret, account, name in needed_secrets(deployment, looks):
        rights.append(
            Right(
                deployment.address(account),
                _ACCESSOR,
                ("secrets", secret),
                commands.secret_policy(secret),
                f"{name} could not start",
            )
        )
    return list(dict.fromkeys(rights))


def check_rights(deployment: Deployment, looks: Looks) -> Iterator[Finding]:
    """Each of them, and who may call the functions."""
    yield from dict.fromkeys(_all(deployment, looks))  # one policy may tell of several rights


def _all(deployment: Deployment, looks: Looks) -> Iterator[Finding]:
    anywhere = looks[commands.project_policy(deployment)]
    for right in needed_rights(deployment, looks):
        yield _check(deployment, right, looks[right.policy], anywhere)
    project = looks[commands.project(deployment)]
    if not isinstance(project, Seen):  # stands for the rights of Pub/Sub itself, too
        what = f"project {deployment.project}"
        yield not_seen(Subject.RIGHTS, what, project, "gcloud projects list")
    elif deployment.push:
        yield _tokens(deployment, anywhere)
    yield _public(deployment, looks)
    callers = {
        deployment.deliver: deployment.push_account,
        deployment.drain: deployment.scheduler_account,
    }
    for name in deployment.to_aep:
        policy = looks[commands.function_policy(deployment, name)]
        yield from _private(deployment, name, callers[name], policy)
        yield _is_checked(deployment, name, looks[commands.service(deployment, name)])


def _check(deployment: Deployment, right: Right, look: Look, anywhere: Look) -> Finding:
    what = f"{right.role} on {right.thing[-1]} for {right.member}"
    member = f"serviceAccount:{right.member}"
    if isinstance(anywhere, Seen) and member in members(anywhere.value, right.role):
        return ok(Subject.RIGHTS, f"{what}, by the project")
    mend = _grant(deployment, right.thing, member, right.role)
    if not isinstance(look, Seen):
        # What is not there has its own finding; without it there is nothing to grant.
        made_first = mend if isinstance(look, Unseen) else deployment.deploy
        return not_seen(Subject.RIGHTS, f"policy of {right.thing[-1]}", look, made_first)
    if member not in members(look.value, right.role):
        return wrong(Subject.RIGHTS, f"no {what}: {right.needed}", mend)
    return ok(Subject.RIGHTS, what)


def _tokens(deployment: Deployment, anywhere: Look) -> Finding:
    if not isinstance(anywhere, Seen):
        what = "the policy of the project"
        return not_seen(Subject.RIGHTS, what, anywhere, "gcloud projects list")
    what = f"{deployment.pubsub_agent} may make the token that Pub/Sub pushes with"
    member = f"serviceAccount:{deployment.pubsub_agent}"
    if any(member in members(anywhere.value, role) for role in _TOKEN_MAKERS):
        return ok(Subject.RIGHTS, what)
    return wrong(
        Subject.RIGHTS,
        f"not so: {what}",
        f"gcloud projects add-iam-policy-binding {deployment.project} --member={member} "
        f"--role={_TOKEN_MAKERS[0]} --condition=None",
    )


def _public(deployment: Deployment, looks: Looks) -> Finding:
    """Everybody may call `receive`: by right, or because its IAM check is disabled."""
    name = deployment.receive
    policy = looks[commands.function_policy(deployment, name)]
    service = looks[commands.service(deployment, name)]
    if isinstance(policy, Seen) and "allUsers" in members(policy.value, _INVOKER):
        return ok(Subject.RIGHTS, f"{name} is public, guarded by the signature")
    if isinstance(service, Seen) and _is_unchecked(service.value):
        text = f"{name} is public, as its IAM check is disabled; guarded by the signature"
        return ok(Subject.RIGHTS, text)
    for what, look in (("policy", policy), ("IAM check", service)):
        if not isinstance(look, Seen):
            return not_seen(Subject.RIGHTS, f"{what} of {name}", look, deployment.deploy)
    mend = of_deployment(deployment, "").public
    return wrong(Subject.RIGHTS, f"{name} is not public: Pendo cannot reach it", mend)


def _is_checked(deployment: Deployment, name: str, look: Look) -> Finding:
    if not isinstance(look, Seen):
        return not_seen(Subject.RIGHTS, f"IAM check of {name}", look, deployment.deploy)
    if _is_unchecked(look.value):
        return wrong(
            Subject.RIGHTS,
            f"{name} may be called by everybody, who could write to AEP: its IAM check is disabled",
            f"gcloud run services update {name} --region={deployment.region} --invoker-iam-check "
            f"--project={deployment.project}",
        )
    return ok(Subject.RIGHTS, f"{name} has its IAM check enabled")


def _is_unchecked(service: Any) -> bool:
    annotations = within(service, "metadata", "annotations") or {}
    return str(annotations.get(_UNCHECKED, "")).lower() == "true"


def _private(deployment: Deployment, name: str, caller: str, look: Look) -> Iterator[Finding]:
    if not isinstance(look, Seen):
        yield not_seen(Subject.RIGHTS, f"policy of {name}", look, deployment.deploy)
        return
    ours = f"serviceAccount:{deployment.address(caller)}"
    others = {
        (member, role)
        for role in _CALLERS
        for member in members(look.value, role, with_conditions=True)
        if member != ours
    }
    for member, role in sorted(others):
        given = _grant(deployment, _service(deployment, name), member, role)
        yield wrong(
            Subject.RIGHTS,
            f"{name} may be called by {member}, who could write to AEP; only {ours} should",
            f"{given.replace('add-iam', 'remove-iam')} --all",
        )
    if not others:
        yield ok(Subject.RIGHTS, f"{name} may be called by {ours} at most")


def _publish(member: str, topic: str, needed: str) -> Right:
    thing = ("pubsub", "topics", topic)
    return Right(member, _PUBLISHER, thing, commands.topic_policy(topic), needed)


def _subscribe(member: str, subscription: str, needed: str) -> Right:
    thing = ("pubsub", "subscriptions", subscription)
    policy = commands.subscription_policy(subscription)
    return Right(member, _SUBSCRIBER, thing, policy, needed)


def _invoke(deployment: Deployment, member: str, name: str, needed: str) -> Right:
    policy = commands.function_policy(deployment, name)
    return Right(member, _INVOKER, _service(deployment, name), policy, needed)


def _service(deployment: Deployment, name: str) -> tuple[str, ...]:
    return ("run", "services", f"--region={deployment.region}", name)


def _grant(deployment: Deployment, thing: tuple[str, ...], member: str, role: str) -> str:
    *group, name = thing
    flags = [word for word in group if word.startswith("--")]
    words = [word for word in group if not word.startswith("--")]
    return " ".join(
        (
            "gcloud",
            *words,
            "add-iam-policy-binding",
            name,
            *flags,
            f"--member={member}",
            f"--role={role}",
            f"--project={deployment.project}",
        )
    )
