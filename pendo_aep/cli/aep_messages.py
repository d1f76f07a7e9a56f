"""What `aep` prints: its steps and results as text or JSON, and its advice beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from pendo_aep.aep.mapping import FIELDS
from pendo_aep.cli.terminal import printable
from pendo_aep.provisioning.deliver_settings import as_env_file
from pendo_aep.provisioning.plan import Action, Step
from pendo_aep.provisioning.schema import StandardGroup, titles
from pendo_aep.provisioning.smoke_test import SmokeTest

_SIGNS: Final = {
    Action.CREATE: "+",
    Action.CHANGE: "~",
    Action.KEEP: "=",
    Action.DELETE: "-",
    Action.LEAVE: "!",
    Action.REFUSED: "!",
    Action.UNKNOWN: "?",
}
_WORDS: Final = {
    Action.CREATE: "create",
    Action.CHANGE: "change",
    Action.KEEP: "as it should be",
    Action.DELETE: "delete",
    Action.LEAVE: "stays",
    Action.REFUSED: "AEP refuses this; the rest works without it",
    Action.UNKNOWN: "may or may not have been done: run the command again, it checks first",
}
_DONE: Final = {Action.CREATE: "created", Action.CHANGE: "changed", Action.DELETE: "deleted"}

_LENGTHS: Final = (("hour", 3600), ("minute", 60), ("second", 1))
# Adobe: "Create an HTTP API streaming connection", on personal data.
OPEN_INLET: Final = (
    "the inlet is open: anyone who knows its address can write to it. For personal data Adobe "
    "advises an authenticated connection: --source http --authenticated"
)
ACCOUNT_RELATIONSHIP: Final = (
    "destroy takes the account relationship back; AEP does not say what then becomes of audiences "
    "that use it. The schemas stay enabled for Profile: that cannot be undone"
)
NOTHING_TO_CHECK: Final = "events in XDM are not mapped: there is nothing to check"
NO_SCHEMA_YET: Final = (
    "the mapping was not checked: AEP needs the schema for that, which must first be created or "
    "changed. apply checks the mapping once the schema is there, before it creates anything else"
)
MAPPING_DIFFERS: Final = (
    "the mapping set and what uses it were not created or changed; apply --no-check does so anyway"
)


def step_as_text(step: Step, *, is_done: bool) -> str:
    """Returns a line, and one more for each detail of a change."""
    word = (_DONE.get(step.action) if is_done else None) or _WORDS[step.action]
    what = f"{_SIGNS[step.action]} {step.kind} {printable(step.name)!r}"
    line = f"{what}{f' ({step.id})' if step.id else ''}: {word}\n"
    return line + "".join(f"    {printable(detail)}\n" for detail in step.details)


def step_as_json(step: Step, *, is_done: bool) -> dict[str, Any]:
    """Returns the same for JSON; `done` is whether the step was carried out or only planned."""
    return {
        "action": step.action,
        "done": is_done,
        "kind": step.kind,
        "name": step.name,
        "id": step.id or None,
        "details": step.details,
    }


def irrevocable(found: Sequence[str]) -> str:
    """Returns what AEP can never take back, a line for each."""
    lines = "".join(f"    {printable(one)}\n" for one in found)
    return f"AEP can never take back or change:\n{lines}"


def smoke_test_as_text(result: SmokeTest) -> str:
    """Returns AEP's answer to the test events, its meaning, and the settings that follow."""
    if result.is_accepted:
        verdict = "accepted; whether they are stored shows later"
    elif result.wants_header:
        verdict = "not accepted in any mode of AEP_RAW_MODE: AEP requires a header"
    else:
        verdict = "not accepted"
    lines = [
        f"test events {', '.join(result.event_ids)}: {verdict}",
        f"    AEP: {result.status} {printable(result.body)}",
    ]
    if result.settings:
        lines.append("this inlet does not accept plain batches of raw events: also set for deliver")
        lines += as_env_file(result.settings).splitlines()
    return "\n".join(lines) + "\n"


def smoke_test_as_json(result: SmokeTest) -> dict[str, Any]:
    """Returns the same for JSON; `environment` has what `deliver` needs besides."""
    return {
        "testEvent": result.event_ids[0],
        "testEvents": result.event_ids,
        "taken": result.is_accepted,
        "status": result.status,
        "body": result.body,
        "environment": result.settings,
    }


def following(limit: timedelta) -> str:
    """Returns a line that says for how long the test events are followed."""
    seconds = limit.total_seconds()
    unit, length = next((u, n) for u, n in _LENGTHS if seconds % n == 0)
    count = f"{seconds / length:.0f} {unit}{'s' if seconds != length else ''}"
    return (
        f"following the test events into the data lake for {count} at most (--follow); everything "
        "is set up, so you may stop it"
    )


def how_to_pause(subscription: str) -> str:
    """How to stop `deliver`. Adobe: "HTTP API connector", an update may lose data for 5 minutes."""
    return f"""\
the dataflow changes, and AEP may lose events that it receives in the 5 minutes after that. Stop \
deliver first; Pub/Sub keeps the events meanwhile. Note the address and the account:
    gcloud pubsub subscriptions describe {subscription} \
--format="value(pushConfig.pushEndpoint,pushConfig.oidcToken.serviceAccountEmail)"
and pause the subscription:
    gcloud pubsub subscriptions modify-push-config {subscription} --push-endpoint=""
For drain see docs/operations.md, "Pause delivery, and resume"."""


def how_to_resume(subscription: str, seconds: float) -> str:
    """Returns when `deliver` may resume, and how."""
    when = f"in {_minutes(seconds)}" if seconds > 0 else "now"
    return f"""\
deliver may resume {when}, with deploy/deploy.sh, or with the address and the account from before:
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


def missing_groups(groups: Sequence[StandardGroup]) -> str:
    """Returns a line that names Adobe's field groups that are missing, and what is left out."""
    roots = {group.root for group in groups}
    text = (
        f"the Schema Registry does not have Adobe's field group {titles(groups)}: the fields of "
        f"{', '.join(group.root for group in groups)} are left out"
    )
    if any(field.covers and field.xdm.partition(".")[0] in roots for field in FIELDS):
        text += "; to keep their values among the properties, set AEP_PROPERTIES=all"
    return text
