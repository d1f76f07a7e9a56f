"""When a dataflow can take data. Nothing tells: there is only the age of the flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pendo_aep import clock
from pendo_aep.platform.part import Existing

# Adobe: "Create an HTTP API streaming connection": about 5 minutes after a flow is made.
WAIT_SECONDS: Final = 300.0
_STEP_SECONDS: Final = 1.0


def seconds_left(flow: Existing, wait: float) -> float:
    """How much of the wait is left, by what AEP says of the flow's making.

    Our clocks may differ, so it is never longer than the wait itself; and all of it, where AEP
    does not say.
    """
    created = flow.body.get("createdAt")
    if not isinstance(created, int | float):
        return wait
    age = clock.now().timestamp() - created / 1000  # Adobe: milliseconds since 1970
    return min(max(wait - age, 0.0), wait)


async def wait_until_ready(seconds: float, say: Callable[[str], None]) -> None:
    """Waits so long, and tells how long it still is."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        say(f"the dataflow takes data in about {left:.0f} s")
        await asyncio.sleep(min(left, _STEP_SECONDS))
