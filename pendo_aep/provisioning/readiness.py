"""When a dataflow can take data. Nothing tells: there is only the age of the flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pendo_aep import clock
from pendo_aep.provisioning.part import Existing

# Adobe: "HTTP API connector": pause for 5 minutes after a streaming dataflow is created or updated.
FLOW_SECONDS: Final = 300.0
# Adobe: "Streaming validation": a changed schema may take 15 minutes to reach it.
FIELDS_SECONDS: Final = 900.0
_STEP_SECONDS: Final = 1.0


def seconds_until_known(field_group: Existing, wait: float) -> float:
    """Returns how much of the wait is left since fields were added to a field group.

    It is none for a group that has not changed since it was made. Adobe: the dates of a resource
    stand in its `meta:registryMetadata`, in milliseconds.
    """
    dates = field_group.body.get("meta:registryMetadata", {})
    created, changed = dates.get("repo:createdDate"), dates.get("repo:lastModifiedDate")
    if not isinstance(changed, int | float) or changed == created:
        return 0.0
    return _left(changed, wait)


def seconds_left(flow: Existing, wait: float) -> float:
    """Returns how much of the wait is left since AEP created or last updated the flow.

    Our clocks may differ, so it is never longer than the wait itself. Where AEP does not say when,
    it is all of the wait.
    """
    moments = (flow.body.get("createdAt"), flow.body.get("updatedAt"))
    changes = [moment for moment in moments if isinstance(moment, int | float)]
    if not changes:
        return wait
    return _left(max(changes), wait)


def _left(moment: float, wait: float) -> float:
    age = clock.now().timestamp() - moment / 1000  # Adobe: milliseconds since 1970
    return min(max(wait - age, 0.0), wait)


async def wait_until_ready(seconds: float, say: Callable[[str], None]) -> None:
    """Waits so long, and tells how long it still is."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        say(f"the dataflow takes data in about {left:.0f} s")
        await asyncio.sleep(min(left, _STEP_SECONDS))
