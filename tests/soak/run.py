"""One run: load and faults together, then quiet, then the reconciliation."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from local.pipeline import in_background
from tests.soak.environment import Environment, Setup, run_environment
from tests.soak.fault_schedule import FaultWindow, count_kinds, run_schedule
from tests.soak.load_generator import LoadGenerator, Pace
from tests.soak.monitor import Monitor
from tests.soak.reconciliation import Reconciliation
from tests.soak.results import Result
from tests.soak.webhooks import make_webhook

_REPORT_SECONDS: Final = 10.0
# Longer than the pause before a message comes again: what has not come by then will not come.
_QUIET_SECONDS: Final = 11.0


@dataclass(frozen=True, slots=True)
class Run:
    """What to run.

    Attributes:
        setup: of the pipeline.
        schedule: of the faults.
        events: how many webhooks are sent.
        pace: at which they come.
        patience_seconds: without progress, after which the run is given up.
        command: that repeats the run.
    """

    setup: Setup
    schedule: Sequence[FaultWindow]
    events: int
    pace: Pace
    patience_seconds: float
    command: str


async def run_soak(
    run: Run, say: Callable[[str], object], reconciliation: Reconciliation
) -> Result:
    """Runs it and returns the result.

    Raises:
        FunctionFailed: A function did not start.
        EmulatorMissing: Google's emulator is not on this machine.
    """
    loop = asyncio.get_running_loop()
    began = datetime.now(UTC)
    async with run_environment(run.setup, reconciliation) as environment:
        webhook = partial(make_webhook, run.setup.seed, form=run.setup.form)
        load = LoadGenerator(environment.pipeline.receive.port, webhook, reconciliation)
        monitor = Monitor(environment)
        started = loop.time()
        async with in_background(monitor.run()), in_background(_progress(reconciliation, say)):
            loading = asyncio.create_task(_load(run, environment, load))
            gave_up = not await _with_progress(loading, reconciliation, run.patience_seconds)
            load_seconds = loop.time() - started
            resting = asyncio.create_task(_rest(reconciliation))
            gave_up |= not await _with_progress(resting, reconciliation, run.patience_seconds)
            rest_seconds = loop.time() - started - load_seconds
    monitor.read()  # what the functions printed when they ended
    return Result(
        date=began.date().isoformat(),
        command=run.command,
        python=platform.python_version(),
        cores=os.cpu_count() or 0,
        planned=run.events,
        load_seconds=load_seconds,
        rest_seconds=rest_seconds,
        gave_up=gave_up,
        strikes=count_kinds(run.schedule),
        account=reconciliation.report(),
        answers=dict(load.answers.most_common()),
        aep_answers=dict(monitor.aep_answers.most_common()),
        tokens=monitor.tokens,
        messages=dict(monitor.log.messages.most_common()),
        memory=monitor.memory.footprints(),
        replaced=monitor.memory.replaced,
        leaks=(*monitor.log.leaks, *load.leaks),
        tracebacks=tuple(monitor.log.tracebacks),
    )


async def _load(run: Run, environment: Environment, load: LoadGenerator) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(run_schedule(run.schedule, environment))
        group.create_task(load.send(run.events, run.pace))


async def _rest(reconciliation: Reconciliation) -> None:
    """Waits until every event is in AEP or a dead letter, and nothing has come for some seconds."""
    while True:
        before = reconciliation.progress, reconciliation.copies
        await asyncio.sleep(_QUIET_SECONDS)
        after = reconciliation.progress, reconciliation.copies
        if not reconciliation.open and after == before:
            return


async def _with_progress(
    work: asyncio.Task[None], reconciliation: Reconciliation, patience: float
) -> bool:
    """Waits for the work; returns False if it was given up, after so long without progress.

    Copies are no progress: a message that is never acknowledged comes forever.
    """
    try:
        while True:
            before = reconciliation.progress
            await asyncio.wait({work}, timeout=patience)
            if work.done():
                await work
                return True
            if reconciliation.progress == before:
                return False
    finally:
        work.cancel()
        await asyncio.wait({work})


async def _progress(reconciliation: Reconciliation, say: Callable[[str], object]) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        sent, told, held, dead = reconciliation.progress
        still_open = reconciliation.open
        say(f"{sent:,} sent, {told:,} told, {held:,} in AEP, {dead:,} dead, {still_open:,} open")
