"""What goes wrong on purpose: each kind once, visible, and cleared with one call."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import grpc

from local.aep import (
    AepServer,
    answering,
    cut_before_body,
    refusing,
    throttled,
    token_endpoint_down,
)
from local.aep.messages import id_of
from local.pubsub import PubSubServer


class Kind(StrEnum):
    """What can be made to go wrong."""

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
    """One thing that goes wrong.

    Attributes:
        share: of the requests that it hits; of the messages, for a partial 207.
        seconds: how long a slow answer takes.
    """

    kind: Kind
    share: float = 1.0
    seconds: float = 2.0

    @property
    def text(self) -> str:
        """What is the case, in a few words."""
        every = "all" if self.share >= 1 else f"{self.share:.0%} of"
        match self.kind:
            case Kind.THROTTLE:
                return f"AEP throttles {every} requests (429)"
            case Kind.FAIL:
                return f"AEP fails {every} requests (503)"
            case Kind.PARTIAL:
                return f"AEP refuses {every} messages inside its 207"
            case Kind.SLOW:
                return f"AEP takes {self.seconds:g} s for each request"
            case Kind.DOWN:
                return "AEP is down: connections are cut"
            case Kind.NEEDS_TOKEN:
                return "AEP wants a token, and every old one has expired"
            case Kind.TOKEN_DOWN:
                return "Adobe's token endpoint is down (503), and every old token has expired"
            case Kind.PUBSUB_DOWN:
                return "Pub/Sub takes no message (UNAVAILABLE)"


class Injections:
    """What goes wrong now, and the servers where it does."""

    def __init__(self, aep: AepServer, pubsub: PubSubServer, on_change: Callable[[], None]) -> None:
        """Takes the servers, which have their manners of before back when all is cleared."""
        self._aep = aep
        self._pubsub = pubsub
        self._on_change = on_change
        self._manners: Final = aep.behaviour
        self._in_force: dict[Kind, Injection] = {}

    @property
    def in_force(self) -> list[Injection]:
        """What goes wrong now, oldest first."""
        return list(self._in_force.values())

    def put(self, injection: Injection) -> None:
        """This goes wrong from now on, instead of what went wrong of its kind."""
        self._in_force[injection.kind] = injection
        self._apply()
        if injection.kind in {Kind.NEEDS_TOKEN, Kind.TOKEN_DOWN}:
            self._aep.revoke_tokens()

    def clear(self, kind: Kind | None = None) -> None:
        """This goes right again; without a kind, everything does."""
        if kind is None:
            self._in_force.clear()
        else:
            self._in_force.pop(kind, None)
        self._apply()

    def _apply(self) -> None:
        self._aep.faults.clear()
        self._pubsub.faults.clear()
        behaviour = self._manners
        for injection in self._in_force.values():
            match injection.kind:
                case Kind.THROTTLE:
                    self._aep.faults.add(throttled().with_probability(injection.share))
                case Kind.FAIL:
                    self._aep.faults.add(answering(503).with_probability(injection.share))
                case Kind.PARTIAL:
                    self._aep.faults.add(refusing(_one_in(injection.share)))
                case Kind.DOWN:
                    self._aep.faults.add(cut_before_body())
                case Kind.SLOW:
                    behaviour = replace(behaviour, latency_seconds=injection.seconds)
                case Kind.NEEDS_TOKEN:
                    behaviour = replace(behaviour, needs_token=True)
                case Kind.TOKEN_DOWN:
                    behaviour = replace(behaviour, needs_token=True)
                    self._aep.faults.add(token_endpoint_down())
                case Kind.PUBSUB_DOWN:
                    code = grpc.StatusCode.UNAVAILABLE
                    self._pubsub.faults.fail("Publish", code, times=None)
        self._aep.behaviour = behaviour
        self._on_change()


def _one_in(share: float) -> Callable[[object], bool]:
    """Hits that share of the messages, and the same ones each time: a refusal is for good."""

    def hits(message: object) -> bool:
        digest = hashlib.sha256((id_of(message) or "").encode()).digest()
        return int.from_bytes(digest[:4], "big") < share * 2**32

    return hits
