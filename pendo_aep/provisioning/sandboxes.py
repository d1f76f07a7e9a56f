"""Sandbox management: the sandboxes that the token may use."""

from __future__ import annotations

from pendo_aep.provisioning.client import Client, Operation
from pendo_aep.provisioning.errors import PlatformError, Refused
from pendo_aep.provisioning.permission import Permission

_LIST = Operation(
    "list sandboxes", "GET", "/data/foundation/sandbox-management/", Permission.VIEW_SANDBOXES
)


async def check_sandbox(client: Client) -> None:
    """Says so when the sandbox is none of those that the token may use.

    Adobe does not document what a call to a wrong sandbox is answered, so it is asked first.

    Raises:
        PlatformError: it is not among them.
        OutOfReach: AEP does not answer.
    """
    try:
        answer = await client.read(_LIST)
    except Refused as refused:
        if refused.is_permission:
            return  # may not list them: whether it may use the one will be seen
        raise
    if answer.get("_links", {}).get("next"):
        return  # there are more than one page shows
    names = [
        str(sandbox["name"])
        for sandbox in answer.get("sandboxes", [])
        if sandbox.get("state", "active") == "active"
    ]
    if client.sandbox not in names:
        raise PlatformError(
            f"the credential may not use the sandbox {client.sandbox}, or there is none of that "
            f"name: set AEP_SANDBOX to one of: {', '.join(sorted(names)) or '(it has none)'}; or "
            "in AEP, Permissions > Roles, add the sandbox to the role of the API credential"
        )
