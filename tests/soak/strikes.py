"""Carries out the plan: each strike at its time, on the running rig."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import grpc

from local.pipeline import DEAD, PROJECT_ID
from local.pubsub import PubSubServer, closed_topic
from tests.soak.plan import (
    FREEZE_CARRIER,
    FREEZE_RECEIVE,
    KILL_CARRIER,
    KILL_RECEIVE,
    LETTERS_DENIED,
    LETTERS_GONE,
    PUBSUB_GONE,
    SILENT_AEP,
    SILENT_PUBSUB,
    Strike,
)
from tests.soak.rig import Rig

_LETTERS: Final = {
    LETTERS_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    LETTERS_GONE: grpc.StatusCode.UNAVAILABLE,
}
_LETTER_TOPIC: Final = f"projects/{PROJECT_ID}/topics/{DEAD}"


async def carry_out(plan: Sequence[Strike], rig: Rig) -> None:
    """Lets everything happen that is planned; strikes overlap as they are planned.

    Raises:
        FunctionFailed: one that was killed did not start again.
    """
    started = asyncio.get_running_loop().time()
    # A function is killed or frozen only while it runs, not while it starts or is frozen.
    running = {name: asyncio.Lock() for name in rig.functions}
    async with asyncio.TaskGroup() as group:
        for strike in plan:
            group.create_task(_strike(strike, rig, started, running))


async def _strike(
    strike: Strike, rig: Rig, started: float, running: Mapping[str, asyncio.Lock]
) -> None:
    await asyncio.sleep(started + strike.at - asyncio.get_running_loop().time())
    kind, seconds = strike.kind, strike.seconds
    if kind in (KILL_RECEIVE, KILL_CARRIER):
        function = rig.receive if kind == KILL_RECEIVE else rig.carrier
        async with running[function.target]:
            function.kill()
            await function.restart()
    elif kind in (FREEZE_RECEIVE, FREEZE_CARRIER):
        function = rig.receive if kind == FREEZE_RECEIVE else rig.carrier
        async with running[function.target]:
            function.freeze()
            try:
                await asyncio.sleep(seconds)
            finally:
                function.thaw()  # frozen, it could not end
    elif kind == PUBSUB_GONE:
        rig.to_pubsub.shut()
        await asyncio.sleep(seconds)
        await rig.to_pubsub.open()
    elif kind in (SILENT_PUBSUB, SILENT_AEP):
        (rig.to_pubsub if kind == SILENT_PUBSUB else rig.to_aep).silence()
    elif kind in _LETTERS:
        assert isinstance(rig.pubsub, PubSubServer)
        rig.pubsub.faults.add(closed_topic(_LETTER_TOPIC, _LETTERS[kind]))
        await asyncio.sleep(seconds)
        rig.pubsub.faults.clear()
    else:
        rig.faults.begin(strike)
        await asyncio.sleep(seconds)
        rig.faults.end(strike)
