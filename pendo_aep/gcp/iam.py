"""IAM: the roles, accounts and policies that the deployment grants and the doctor checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pendo_aep.gcp.gcloud import GROUPS, Command

PUBLISHER: Final = "roles/pubsub.publisher"
SUBSCRIBER: Final = "roles/pubsub.subscriber"
INVOKER: Final = "roles/run.invoker"
SECRET_ACCESSOR: Final = "roles/secretmanager.secretAccessor"  # noqa: S105 (the name of a role)
# Google: "Cloud Run roles", those that let somebody call a service and do nothing else.
CALLER_ROLES: Final = (INVOKER, "roles/run.servicesInvoker")
# Google: Pub/Sub "authentication for push subscriptions". Its service agent has the first role from
# its creation on; in projects older than April 2021 one of the two must be granted.
TOKEN_CREATOR_ROLES: Final = ("roles/pubsub.serviceAgent", "roles/iam.serviceAccountTokenCreator")
# Without it, gcloud asks back where the policy has any conditional binding.
_UNCONDITIONAL: Final = "--condition=None"
# Google: "Allowing public access" (Cloud Run), the check that `--no-invoker-iam-check` disables.
_CHECK_DISABLED: Final = "run.googleapis.com/invoker-iam-disabled"


def service_account(name: str, project: str) -> str:
    """Returns the e-mail address of an account of the project."""
    return f"{name}@{project}.iam.gserviceaccount.com"


def service_agent(domain: str, project_number: str) -> str:
    """Returns the address of the account that a service of Google's uses in the project."""
    return f"service-{project_number}@{domain}.iam.gserviceaccount.com"


def member(address: str) -> str:
    """Returns a service account as policies spell it."""
    return f"serviceAccount:{address}"


def members(policy: Any, role: str, *, with_conditions: bool = False) -> set[str]:
    """Returns who has a role.

    Args:
        policy: as gcloud shows it; None is empty.
        role: the role.
        with_conditions: include conditional bindings. A condition may be anything, so a right that
            somebody needs must be unconditional.
    """
    return {
        member
        for binding in (policy or {}).get("bindings", [])
        if binding.get("role") == role and (with_conditions or not binding.get("condition"))
        for member in binding.get("members", [])
    }


def invoker_check_is_disabled(service: Any) -> bool:
    """Returns whether anybody may call a Cloud Run service, whatever its policy says.

    Args:
        service: as gcloud shows it; None is a service that does not exist.
    """
    annotations = ((service or {}).get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(_CHECK_DISABLED, "")).lower() == "true"


@dataclass(frozen=True, slots=True, order=True)
class IamBinding:
    """A role on a resource, for one member.

    Attributes:
        kind: of the resource, in the inventory.
        group: the gcloud commands for it.
        name: the resource.
        role: what the member may do with it.
        member: as policies spell it.
        flags: where the resource is, and what else the command needs.
    """

    kind: str
    group: Command
    name: str
    role: str
    member: str
    flags: Command = field(default=())

    @property
    def policy_command(self) -> Command:
        """The command that shows who has which role on the resource."""
        place = [flag for flag in self.flags if flag != _UNCONDITIONAL]
        return (*self.group, "get-iam-policy", self.name, *place)

    def command(self, verb: str) -> Command:
        """Returns the command that does something with the binding: `add` or `remove`."""
        words = (self.name, *self.flags, f"--member={self.member}", f"--role={self.role}")
        return (*self.group, f"{verb}-iam-policy-binding", *words)


def publish(topic: str, member: str) -> IamBinding:
    """Returns the right to publish to a topic."""
    return IamBinding("topics", GROUPS["topics"], topic, PUBLISHER, member)


def subscribe(subscription: str, member: str) -> IamBinding:
    """Returns the right to pull from a subscription."""
    return IamBinding("subscriptions", GROUPS["subscriptions"], subscription, SUBSCRIBER, member)


def access(secret: str, member: str) -> IamBinding:
    """Returns the right to read a secret."""
    return IamBinding("secrets", GROUPS["secrets"], secret, SECRET_ACCESSOR, member)


def invoke(function: str, region: str, member: str) -> IamBinding:
    """Returns the right to call a function: its service on Cloud Run has the same name."""
    place = (f"--region={region}",)
    return IamBinding("functions", GROUPS["services"], function, INVOKER, member, place)


def run_job(job: str, region: str, member: str) -> IamBinding:
    """Returns the right to run a Cloud Run job."""
    place = (f"--region={region}",)
    return IamBinding("run_jobs", GROUPS["run_jobs"], job, INVOKER, member, place)


def on_project(project: str, role: str, member: str) -> IamBinding:
    """Returns a role on the whole project."""
    return IamBinding("projects", ("projects",), project, role, member, (_UNCONDITIONAL,))
