"""What `doctor` finds in AEP itself: whether it would say why an event was not stored.

It looks only if the environment has the credentials of `pendo-aep aep`, with the secret itself: a
file of it is what a deployment takes for `deliver`, whose account need not be able to read AEP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pendo_aep.gcp.doctor.finding import Finding, Subject, ok, unknown, wrong
from pendo_aep.provisioning.client import RetryPolicy
from pendo_aep.provisioning.connection import Platform, connect
from pendo_aep.provisioning.dataset import Dataset, has_error_diagnostics
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.plan import find_existing
from pendo_aep.provisioning.resource import Observed
from pendo_aep.settings import PlatformSettings, SettingsError, load

_SHARED: Final = ("CLIENT_ID", "IMS_ORG_ID", "SANDBOX", "SCOPES", "IMS_URL", "TENANT_ID")
_NAMES: Final = frozenset(f"AEP_{name}" for name in (*_SHARED, "PLATFORM_URL"))
_SECRET: Final = "AEP_CLIENT_SECRET"  # noqa: S105 (the name of a variable)
_LOOK: Final = "pendo-aep aep show"


async def check_error_diagnostics(
    environ: Mapping[str, str], config: Mapping[str, str], policy: RetryPolicy
) -> Finding | None:
    """Returns what the dataset says; None without credentials, or if there is no such dataset.

    Args:
        environ: has the credentials; what else it sets goes before the configuration.
        config: the values of the deployment, whose `AEP_DATASET_ID` names the dataset; without it,
            it is the one that `pendo-aep aep apply` makes.
        policy: how long to try.
    """
    given = {name: value for name, value in environ.items() if value.strip()}
    known = {name: config[name] for name in _NAMES & config.keys()} | {
        name: given[name] for name in (_NAMES | {_SECRET}) & given.keys()
    }
    if not all(known.get(name) for name in (_SECRET, "AEP_CLIENT_ID", "AEP_IMS_ORG_ID")):
        return None
    dataset_id = given.get("AEP_DATASET_ID") or config.get("AEP_DATASET_ID", "")
    try:
        async with connect(load(PlatformSettings, known), policy) as platform:
            observed = await _find(platform, dataset_id)
    except (SettingsError, PlatformError) as error:
        return unknown(Subject.DATASET, f"cannot read it: {error}", _LOOK)
    return _finding(observed) if observed else None


async def _find(platform: Platform, dataset_id: str) -> Observed | None:
    dataset = Dataset(platform.client, Choices().name, is_profile=False)
    return await (dataset.read(dataset_id) if dataset_id else find_existing(dataset))


def _finding(observed: Observed) -> Finding:
    name = str(observed.body.get("name", ""))
    if has_error_diagnostics(observed):
        return ok(Subject.DATASET, f"{name!r} has error diagnostics")
    return wrong(
        Subject.DATASET,
        f"{name!r} has no error diagnostics: of an event that AEP accepts and then does not store, "
        "it tells no reason, only INGEST-1211-400",
        "pendo-aep aep apply  # with the options that the dataflow was made with",
    )
