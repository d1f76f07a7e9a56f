"""One run: load and strikes together, then quiet, then the account."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from tests.soak.environment import Environment, Setup, meanwhile, run_environment
from tests.soak.fault_schedule import FaultWindow, Pace, count_kinds, run_schedule
from tests.soak.load_generator import LoadGenerator
from tests.soak.monitor import Monitor
from tests.soak.reconciliation import Reconciliation
from tests.soak.results import Result
from tests.soak.webhooks import make_webhook

_SAY_SECONDS: Final = 10.0
# Longer than a message rests before it comes again: what has not come by then will not come.
_QUIET_SECONDS: Final = 11.0


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be done.

    Attributes:
        setup: the pipeline.
        plan: the strikes.
        events: how many webhooks are sent.
        pace: at which they come.
        patience_seconds: how long nothing may come of anything before the run is given up.
        command: that makes the run again.
    """

    setup: Setup
    plan: Sequence[FaultWindow]
    events: int
    pace: Pace
    patience_seconds: float
    command: str


async def run_soak(run: Run, say: Callable[[str], object], ledger: Reconciliation) -> Result:
    """Does it all.

    Raises:
        FunctionFailed: a function did not start.
        EmulatorMissing: Google's emulator is not on this machine.
    """
    loop = asyncio.get_running_loop()
    began = datetime.now(UTC)
    async with run_environment(run.setup, ledger) as rig:
        webhook = partial(make_webhook, run.setup.seed, form=run.setup.form)
        pendo, watch = LoadGenerator(rig.receive.port, webhook, ledger), Monitor(rig)
        started = loop.time()
        async with meanwhile(watch.look()), meanwhile(_tell(ledger, say)):
            loaded = asyncio.create_task(_load(run, rig, pendo))
            gave_up = not await _while_it_moves(loaded, ledger, run.patience_seconds)
            load_seconds = loop.time() - started
            resting = asyncio.create_task(_rest(ledger))
            gave_up |= not await _while_it_moves(resting, ledger, run.patience_seconds)
            rest_seconds = loop.time() - started - load_seconds
    watch.read()  # what the functions said when they ended
    return Result(
        date=began.date().isoformat(),
        command=run.command,
        python=platform.python_version(),
        cores=os.cpu_count() or 0,
        planned=run.events,
        load_seconds=load_seconds,
        rest_seconds=rest_seconds,
        gave_up=gave_up,
        strikes=count_kinds(run.plan),
        account=ledger.account(),
        answers=dict(pendo.answers.most_common()),
        aep_answers=dict(watch.aep_answers.most_common()),
        tokens=watch.tokens,
        messages=dict(watch.lines.messages.most_common()),
        memory=watch.memory.footprints(),
        replaced=watch.memory.replaced,
        leaks=(*watch.lines.leaks, *pendo.leaks),
        tracebacks=tuple(watch.lines.tracebacks),
    )


async def _load(run: Run, rig: Environment, pendo: LoadGenerator) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(run_schedule(run.plan, rig))
        group.create_task(pendo.send(run.events, run.pace))


async def _rest(ledger: Reconciliation) -> None:
    """Waits until every event has ended, and nothing more has come for some seconds."""
    while True:
        before = ledger.progress, ledger.copies
        await asyncio.sleep(_QUIET_SECONDS)
        if not ledger.open and (ledger.progress, ledger.copies) == before:
            return


async def _while_it_moves(
    work: asyncio.Task[None], ledger: Reconciliation, patience: float
) -> bool:
    """Waits for the work; False if it was given up, because no event got any further for so long.

    That only copies come is no progress: a message that is never acknowledged comes for ever.
    """
    try:
        while True:
            before = ledger.progress
            await asyncio.wait({work}, timeout=patience)
            if work.done():
                await work
                return True
            if ledger.progress == before:
                return False
    finally:
        work.cancel()
        await asyncio.wait({work})


async def _tell(ledger: Reconciliation, say: Callable[[str], object]) -> None:
    while True:
        await asyncio.sleep(_SAY_SECONDS)
        sent, told, held, dead = ledger.progress
        say(f"{sent:,} sent, {told:,} told, {held:,} in AEP, {dead:,} dead, {ledger.open:,} open")
