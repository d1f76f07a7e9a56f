"""Who may call the functions without a Google account: everybody `receive`, nobody the others."""

from __future__ import annotations

import re
from typing import Final

from pendo_aep.gcp.deploy import rights
from pendo_aep.gcp.deploy.config import Config
from pendo_aep.gcp.deploy.gcloud import Gcloud, GcloudFailed
from pendo_aep.gcp.deploy.inventory import GROUPS, Inventory

# Google: "Allowing public access" (Cloud Run), the check that `--no-invoker-iam-check` disables.
_UNCHECKED: Final = "run.googleapis.com/invoker-iam-disabled"
# Google: "Domain restricted sharing". The text is that of public deployment logs, the constraints
# are named in the details; the managed one has no text of its own in them yet.
_FORBIDDEN: Final = re.compile(
    r"do not belong to a permitted customer"
    r"|iam\.allowedPolicyMemberDomains|iam\.managed\.allowedPolicyMembers"
)


def open_receive(config: Config, before: Inventory, deployed: Inventory, gcloud: Gcloud) -> None:
    """Lets everybody call `receive`, in the way that `RECEIVE_ACCESS` says.

    Args:
        config: which way.
        before: what there was before this run.
        deployed: the functions and services as they are now.
        gcloud: grants the right, or disables the check.

    Raises:
        GcloudFailed: it may not; the text says where to read on.
    """
    try:
        _open(config, before, deployed, gcloud)
    except GcloudFailed as error:
        raise GcloudFailed(
            f"{error}\n\nPendo cannot call {config['RECEIVE_FUNCTION']} yet; all else is deployed. "
            'What to ask the administrator of your organisation for: docs/operations.md, "Let '
            'Pendo call receive". Then run this again.'
        ) from None


def close(config: Config, inventory: Inventory, gcloud: Gcloud) -> None:
    """Enables the check again where somebody has disabled it for a private function.

    Raises:
        GcloudFailed: it may not.
    """
    for kind in ("DELIVER", "DRAIN"):
        name = config[f"{kind}_FUNCTION"]
        if _is_unchecked(name, inventory):
            gcloud.say(f"! everybody can call {name}: its IAM check is off, and is enabled again")
            _update(config, name, "--invoker-iam-check", gcloud)


def _open(config: Config, before: Inventory, deployed: Inventory, gcloud: Gcloud) -> None:
    name, way = config["RECEIVE_FUNCTION"], config["RECEIVE_ACCESS"]
    is_unchecked = _is_unchecked(name, deployed)
    if way != "all-users" and is_unchecked:
        return
    if way == "no-iam-check":
        _update(config, name, "--no-invoker-iam-check", gcloud)
        return
    try:
        rights.grant([rights.everybody(config)], before, gcloud)
    except GcloudFailed as error:
        if way != "auto" or not _FORBIDDEN.search(str(error)):
            raise
        gcloud.say(
            f"! your organisation does not allow allUsers to call {name}; its IAM check is "
            "disabled instead"
        )
        _update(config, name, "--no-invoker-iam-check", gcloud)
    else:
        if is_unchecked:
            _update(config, name, "--invoker-iam-check", gcloud)


def _is_unchecked(name: str, inventory: Inventory) -> bool:
    service = inventory["services"].get(name)
    annotations = service["metadata"].get("annotations", {}) if service else {}
    return str(annotations.get(_UNCHECKED, "")).lower() == "true"


def _update(config: Config, name: str, flag: str, gcloud: Gcloud) -> None:
    gcloud.change(*GROUPS["services"], "update", name, f"--region={config['REGION']}", flag)
