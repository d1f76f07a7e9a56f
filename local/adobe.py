"""Adobe's side of the local pipeline: the inlets, AEP's APIs, a dataflow, and the data lake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias

from local.aep import AepServer
from local.aep_platform import PlatformServer, errors
from local.aep_platform.lake import RecordFailed, RecordStored
from local.dataflow import Dataflow, MessageFormat, make_dataflow, platform_env
from local.pipeline import FLOW_ID, INLET
from local.query_service import Json, LakeUnavailable, PostgresLake, run_lake

Outcome: TypeAlias = RecordStored | RecordFailed

HOW_TO_INSTALL: Final = "pip install -e '.[local]'"
_SERVICE_UNAVAILABLE: Final = 503


class BackgroundLake:
    """A data lake whose PostgreSQL starts while other things do. Use it with `async with`.

    Without PostgreSQL it keeps nothing, and says why to whoever wants to query it.
    """

    def __init__(self) -> None:
        self._lake: PostgresLake | None = None
        self._problem = "it is still starting"
        self._stack = ExitStack()

    async def __aenter__(self) -> Self:
        self._starting = asyncio.create_task(self._start())
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await asyncio.shield(self._starting)
        finally:
            self._stack.close()  # takes a tenth of a second, and nothing else is left to do

    async def started(self) -> str:
        """Waits until it has started; returns why it cannot be queried, nothing if it can."""
        await asyncio.shield(self._starting)
        return self._problem

    @property
    def address(self) -> str:
        """Where it can be queried, in a few words; empty if it cannot."""
        if self._lake is None:
            return ""
        found = self._lake.connection_parameters()
        return f"PostgreSQL on {found['host']}:{found['port']}"

    def write(self, table: str, schema: Json, rows: Sequence[Json]) -> None:
        """Adds rows to a table."""
        if self._lake is not None:
            self._lake.write(table, schema, rows)

    def connection_parameters(self) -> Json:
        """Returns what a driver connects with.

        Raises:
            ApiError: there is nothing to connect to.
        """
        if self._lake is None:
            raise errors.service("query", _SERVICE_UNAVAILABLE, self._problem)
        return self._lake.connection_parameters()

    async def _start(self) -> None:
        try:
            self._lake = await asyncio.to_thread(self._stack.enter_context, run_lake())
        except LakeUnavailable as error:
            self._problem = f"{error}; {HOW_TO_INSTALL} brings one"
        else:
            self._problem = ""


class RecordLog:
    """What became of the records that AEP accepted, by the id of their event.

    Attributes:
        outcomes: the last one of each event.
    """

    def __init__(self, observer: Callable[[Outcome], None] | None = None) -> None:
        """Takes who else is told."""
        self.outcomes: dict[str, Outcome] = {}
        self._observer = observer
        self._changed = asyncio.Event()

    def __call__(self, outcome: Outcome) -> None:
        """Takes an outcome."""
        self.outcomes[outcome.id] = outcome
        if self._observer is not None:
            self._observer(outcome)
        self._changed.set()

    @property
    def stored(self) -> int:
        """How many events lie in the data lake."""
        return sum(isinstance(outcome, RecordStored) for outcome in self.outcomes.values())

    async def outcome_of(self, event_id: str) -> Outcome:
        """Waits for the outcome of an event."""
        while event_id not in self.outcomes:
            self._changed.clear()  # whoever waits has been scheduled by then
            await self._changed.wait()
        return self.outcomes[event_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adobe:
    """The running parts.

    Attributes:
        aep: has the inlets, and issues tokens.
        platform: AEP's other APIs.
        dataflow: what stores the events.
        lake: what can be queried.
        records: what became of accepted events.
    """

    aep: AepServer
    platform: PlatformServer
    dataflow: Dataflow
    lake: BackgroundLake
    records: RecordLog = field(default_factory=RecordLog)

    @property
    def settings(self) -> dict[str, str]:
        """With which `pendo-aep` finds AEP, the dataflow and the dataset."""
        return {
            **platform_env(self.aep, self.platform),
            "AEP_FLOW_ID": self.dataflow.flow_id,
            "AEP_DATASET_ID": self.dataflow.dataset_id,
        }


@asynccontextmanager
async def run_adobe(
    aep: AepServer,
    message_format: MessageFormat = "raw",
    *,
    ingest_after_seconds: float,
    observer: Callable[[Outcome], None] | None = None,
) -> AsyncIterator[Adobe]:
    """Runs AEP's APIs beside its inlets, with a dataflow for Pendo's events.

    The lake may still be starting: wait for `lake.started()` before anything is sent.

    Args:
        aep: the inlets, running.
        message_format: what `deliver` will send.
        ingest_after_seconds: how long after it was accepted a message is stored or fails.
        observer: is told what became of each record.
    """
    records = RecordLog(observer)
    async with (
        BackgroundLake() as lake,
        PlatformServer(
            aep,
            lake=lake,
            observer=records,
            ingest_after_seconds=ingest_after_seconds,
            flow_ids=(FLOW_ID,),
            inlets=(INLET,),
        ) as platform,
    ):
        dataflow = await make_dataflow(aep, platform, message_format)
        yield Adobe(aep=aep, platform=platform, dataflow=dataflow, lake=lake, records=records)
