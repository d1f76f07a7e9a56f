"""Fault injection for the console: each kind of fault once, visible, and cleared with one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import grpc

from local.aep import (
    AepServer,
    answering,
    cut_before_body,
    id_share,
    refusing,
    throttled,
    token_endpoint_down,
)
from local.console.lake_faults import LakeFaults
from local.pubsub import PubSubServer, failing


class FaultKind(StrEnum):
    """The kinds of faults that can be injected."""

    THROTTLE = "throttle"
    FAIL = "fail"
    PARTIAL = "partial"
    SLOW = "slow"
    DOWN = "down"
    NEEDS_TOKEN = "token"  # noqa: S105 (no secret)
    TOKEN_DOWN = "token_down"  # noqa: S105 (no secret)
    PUBSUB_DOWN = "pubsub_down"
    MAPPING = "mapping"
    SCHEMA = "schema"
    LOST = "lost"
    DUPLICATED = "duplicated"
    LATE = "late"
    DIAGNOSTICS_OFF = "diagnostics_off"


AFTER_ACCEPTING: Final = (
    FaultKind.MAPPING,
    FaultKind.SCHEMA,
    FaultKind.LOST,
    FaultKind.DUPLICATED,
    FaultKind.LATE,
    FaultKind.DIAGNOSTICS_OFF,
)
"""What goes wrong between AEP's answer and its data lake."""


_TEXTS: Final = {
    FaultKind.THROTTLE: "AEP throttles {every} requests (429)",
    FaultKind.FAIL: "AEP fails {every} requests (503)",
    FaultKind.PARTIAL: "AEP refuses {every} messages inside its 207",
    FaultKind.SLOW: "AEP takes {seconds:g} s for each request",
    FaultKind.DOWN: "AEP is down: connections are cut",
    FaultKind.NEEDS_TOKEN: "AEP requires a token, and every old token has expired",
    FaultKind.TOKEN_DOWN: "Adobe's token endpoint is down (503), and every old token has expired",
    FaultKind.PUBSUB_DOWN: "Pub/Sub accepts no messages (UNAVAILABLE)",
    FaultKind.MAPPING: "AEP's mapping of a required field fails",
    FaultKind.SCHEMA: "AEP's schema requires a field that no event has",
    FaultKind.LOST: "AEP loses {every} accepted events without a word",
    FaultKind.DUPLICATED: "AEP stores {every} events twice",
    FaultKind.LATE: "AEP stores events {seconds:g} s later",
    FaultKind.DIAGNOSTICS_OFF: "AEP keeps no reasons of failures: error diagnostics are off",
}


@dataclass(frozen=True, slots=True)
class Injection:
    """One injected fault.

    Attributes:
        share: of the requests that are affected; of the events, where single ones are.
        seconds: how long a slow answer takes, or how much later an event is stored.
    """

    kind: FaultKind
    share: float = 1.0
    seconds: float = 2.0

    @property
    def text(self) -> str:
        """Describes the fault in a few words."""
        every = "all" if self.share >= 1 else f"{self.share:.0%} of"
        return _TEXTS[self.kind].format(every=every, seconds=self.seconds)


class NothingToBreak(Exception):
    """What the fault affects is not there; the text says why."""


class FaultInjector:
    """The injected faults, and the servers that they affect."""

    def __init__(
        self,
        aep: AepServer,
        pubsub: PubSubServer,
        on_change: Callable[[], None],
        lake: LakeFaults | None = None,
    ) -> None:
        """Takes the servers; AEP's present behaviour is restored when all faults are cleared.

        Args:
            aep: The inlets.
            pubsub: The topics.
            on_change: Called after each change.
            lake: What comes after an inlet's answer; None if there is no data lake.
        """
        self._aep = aep
        self._pubsub = pubsub
        self._lake = lake
        self._on_change = on_change
        self._normal: Final = aep.behaviour
        self._active: dict[FaultKind, Injection] = {}

    @property
    def active(self) -> list[Injection]:
        """Returns the injected faults, oldest first."""
        return list(self._active.values())

    def inject(self, injection: Injection) -> None:
        """Injects a fault, instead of one of the same kind.

        Raises:
            NothingToBreak: It would change nothing.
        """
        if injection.kind in AFTER_ACCEPTING and self._lake is None:
            raise NothingToBreak("there is no data lake here")
        if injection.kind is FaultKind.MAPPING and self._lake is not None and not self._lake.maps:
            raise NothingToBreak("deliver sends XDM, which AEP does not map: use --format raw")
        self._active[injection.kind] = injection
        self._apply()
        if injection.kind in {FaultKind.NEEDS_TOKEN, FaultKind.TOKEN_DOWN}:
            self._aep.revoke_tokens()

    def clear(self, kind: FaultKind | None = None) -> None:
        """Clears the faults of one kind, or all of them."""
        if kind is None:
            self._active.clear()
        else:
            self._active.pop(kind, None)
        self._apply()

    def _apply(self) -> None:
        self._aep.faults.clear()
        self._pubsub.faults.clear()
        if self._lake is not None:
            self._lake.clear()
        self._aep.behaviour = self._normal
        for injection in self._active.values():
            self._break_inlets(injection)
            if self._lake is not None:
                _break_lake(self._lake, injection)
        self._on_change()

    def _break_inlets(self, injection: Injection) -> None:
        aep = self._aep
        match injection.kind:
            case FaultKind.THROTTLE:
                aep.faults.add(throttled().with_probability(injection.share))
            case FaultKind.FAIL:
                aep.faults.add(answering(503).with_probability(injection.share))
            case FaultKind.PARTIAL:
                aep.faults.add(refusing(id_share(injection.share)))
            case FaultKind.SLOW:
                aep.behaviour = replace(aep.behaviour, latency_seconds=injection.seconds)
            case FaultKind.DOWN:
                aep.faults.add(cut_before_body())
            case FaultKind.NEEDS_TOKEN:
                aep.behaviour = replace(aep.behaviour, needs_token=True)
            case FaultKind.TOKEN_DOWN:
                aep.behaviour = replace(aep.behaviour, needs_token=True)
                aep.faults.add(token_endpoint_down())
            case FaultKind.PUBSUB_DOWN:
                self._pubsub.faults.add(failing("Publish", grpc.StatusCode.UNAVAILABLE))


def _break_lake(lake: LakeFaults, injection: Injection) -> None:
    share = id_share(injection.share)

    def affected(event_id: str) -> bool:
        return share({"id": event_id})

    match injection.kind:
        case FaultKind.MAPPING:
            lake.break_mapping()
        case FaultKind.SCHEMA:
            lake.require_absent_field()
        case FaultKind.LOST:
            lake.records.lost = affected
        case FaultKind.DUPLICATED:
            lake.records.duplicated = affected
        case FaultKind.LATE:
            lake.records.late = lambda _event_id: True
            lake.records.late_seconds = injection.seconds
        case FaultKind.DIAGNOSTICS_OFF:
            lake.records.diagnostics_off = True
