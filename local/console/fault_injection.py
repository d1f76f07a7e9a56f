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


@dataclass(frozen=True, slots=True)
class Injection:
    """One injected fault.

    Attributes:
        share: of the requests that are affected; of the messages, for a partial 207.
        seconds: how long a slow answer takes.
    """

    kind: FaultKind
    share: float = 1.0
    seconds: float = 2.0

    @property
    def text(self) -> str:
        """Describes the fault in a few words."""
        every = "all" if self.share >= 1 else f"{self.share:.0%} of"
        match self.kind:
            case FaultKind.THROTTLE:
                return f"AEP throttles {every} requests (429)"
            case FaultKind.FAIL:
                return f"AEP fails {every} requests (503)"
            case FaultKind.PARTIAL:
                return f"AEP refuses {every} messages inside its 207"
            case FaultKind.SLOW:
                return f"AEP takes {self.seconds:g} s for each request"
            case FaultKind.DOWN:
                return "AEP is down: connections are cut"
            case FaultKind.NEEDS_TOKEN:
                return "AEP requires a token, and every old token has expired"
            case FaultKind.TOKEN_DOWN:
                return "Adobe's token endpoint is down (503), and every old token has expired"
            case FaultKind.PUBSUB_DOWN:
                return "Pub/Sub accepts no messages (UNAVAILABLE)"


class FaultInjector:
    """The injected faults, and the servers that they affect."""

    def __init__(self, aep: AepServer, pubsub: PubSubServer, on_change: Callable[[], None]) -> None:
        """Takes the servers; AEP's present behaviour is restored when all faults are cleared."""
        self._aep = aep
        self._pubsub = pubsub
        self._on_change = on_change
        self._normal: Final = aep.behaviour
        self._active: dict[FaultKind, Injection] = {}

    @property
    def active(self) -> list[Injection]:
        """Returns the injected faults, oldest first."""
        return list(self._active.values())

    def inject(self, injection: Injection) -> None:
        """Injects a fault, instead of one of the same kind."""
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
        aep, pubsub = self._aep.faults, self._pubsub.faults
        aep.clear()
        pubsub.clear()
        behaviour = self._normal
        for injection in self._active.values():
            match injection.kind:
                case FaultKind.THROTTLE:
                    aep.add(throttled().with_probability(injection.share))
                case FaultKind.FAIL:
                    aep.add(answering(503).with_probability(injection.share))
                case FaultKind.PARTIAL:
                    aep.add(refusing(id_share(injection.share)))
                case FaultKind.DOWN:
                    aep.add(cut_before_body())
                case FaultKind.SLOW:
                    behaviour = replace(behaviour, latency_seconds=injection.seconds)
                case FaultKind.NEEDS_TOKEN:
                    behaviour = replace(behaviour, needs_token=True)
                case FaultKind.TOKEN_DOWN:
                    behaviour = replace(behaviour, needs_token=True)
                    aep.add(token_endpoint_down())
                case FaultKind.PUBSUB_DOWN:
                    pubsub.add(failing("Publish", grpc.StatusCode.UNAVAILABLE))
        self._aep.behaviour = behaviour
        self._on_change()
