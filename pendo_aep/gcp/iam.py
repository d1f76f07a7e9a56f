"""IAM: the roles, accounts and policies that the deployment grants and the doctor checks."""

from __future__ import annotations

from typing import Any, Final

PUBLISHER: Final = "roles/pubsub.publisher"
SUBSCRIBER: Final = "roles/pubsub.subscriber"
INVOKER: Final = "roles/run.invoker"
SECRET_ACCESSOR: Final = "roles/secretmanager.secretAccessor"  # noqa: S105 (the name of a role)
# Google: "Cloud Run roles", those that let somebody call a service and do nothing else.
CALLER_ROLES: Final = (INVOKER, "roles/run.servicesInvoker")
# Google: Pub/Sub "authentication for push subscriptions". Its service agent has the first role from
# its creation on; in projects older than April 2021 one of the two must be granted.
TOKEN_CREATOR_ROLES: Final = ("roles/pubsub.serviceAgent", "roles/iam.serviceAccountTokenCreator")
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
