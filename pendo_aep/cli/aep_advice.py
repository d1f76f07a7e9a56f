"""What `aep` tells a person beside its steps: what to do first, and when delivery may go on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pendo_aep.provisioning.schema import StandardGroup, titles

# Adobe: "Create an HTTP API streaming connection", on personal data.
OPEN_INLET: Final = (
    "the inlet is open: whoever knows its address can write to it. For personal data Adobe advises "
    "an authenticated connection: --source http --authenticated"
)
NOTHING_TO_CHECK: Final = "events in XDM are not mapped: there is nothing to check"
NO_SCHEMA_YET: Final = (
    "the mapping was not checked: AEP needs the schema for that, which is yet to be made or "
    "changed. apply checks the mapping once the schema is there, before it makes anything else"
)
GO_ON_ANYWAY: Final = (
    "the mapping set and what uses it were not made or changed; apply --no-check does so all the "
    "same"
)


def pause(subscription: str) -> str:
    """How to stop `deliver`. Adobe: "HTTP API connector", an update may lose data for 5 minutes."""
    return f"""\
the dataflow changes, and AEP may lose events that it receives in the 5 minutes after that. Stop \
deliver first; Pub/Sub keeps the events meanwhile. Note the address and the account:
    gcloud pubsub subscriptions describe {subscription} \
--format="value(pushConfig.pushEndpoint,pushConfig.oidcToken.serviceAccountEmail)"
and pause the subscription:
    gcloud pubsub subscriptions modify-push-config {subscription} --push-endpoint=""
For drain see docs/operations.md, "Pause delivery, and resume"."""


def resume(subscription: str, seconds: float) -> str:
    """When `deliver` may go on, and how."""
    when = f"in {_minutes(seconds)}" if seconds > 0 else "now"
    return f"""\
deliver may go on {when}, with deploy/deploy.sh, or with the address and the account from before:
    gcloud pubsub subscriptions modify-push-config {subscription} --push-endpoint=ADDRESS \
--push-auth-service-account=ACCOUNT"""


def new_fields(seconds: float) -> str:
    """Adobe: "Streaming validation", a changed schema may reach it after 15 minutes."""
    return (
        f"the schema has new fields: send no events with them for another {_minutes(seconds)}, as "
        "AEP may not know them until then"
    )


def _minutes(seconds: float) -> str:
    count = math.ceil(seconds / 60)
    return f"{count} minute{'s' if count > 1 else ''}"


def missing(groups: Sequence[StandardGroup]) -> str:
    """What the set-up does without."""
    roots = ", ".join(group.root for group in groups)
    return (
        f"the Schema Registry has no field group {titles(groups)} of Adobe's: the fields of "
        f"{roots} are left out"
    )
