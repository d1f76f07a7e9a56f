"""Carries out the plan: each strike at its time, on the running rig."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from soak.plan import KILL_CARRIER, KILL_RECEIVE, PUBSUB_GONE, Strike
from soak.rig import Rig


async def carry_out(plan: Sequence[Strike], rig: Rig) -> None:
    """Lets everything happen that is planned; strikes overlap as they are planned.

    Raises:
        FunctionFailed: one that was killed did not start again.
    """
    started = asyncio.get_running_loop().time()
    # One that is being started again is killed when it has been: on a slow machine, later.
    starting = {kind: asyncio.Lock() for kind in (KILL_RECEIVE, KILL_CARRIER)}
    async with asyncio.TaskGroup() as group:
        for strike in plan:
            group.create_task(_strike(strike, rig, started, starting))


async def _strike(
    strike: Strike, rig: Rig, started: float, starting: Mapping[str, asyncio.Lock]
) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(started + strike.at - loop.time())
    if strike.kind in starting:
        function = rig.receive if strike.kind == KILL_RECEIVE else rig.carrier
        async with starting[strike.kind]:
            function.kill()
            await function.restart()
    elif strike.kind == PUBSUB_GONE:
        rig.gate.shut()
        await asyncio.sleep(strike.seconds)
        await rig.gate.open()
    else:
        rig.faults.begin(strike)
        await asyncio.sleep(strike.seconds)
        rig.faults.end(strike)
