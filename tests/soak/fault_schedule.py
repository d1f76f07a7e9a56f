"""The fault schedule: which faults happen when, drawn from a seed, and how each one is injected."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

import grpc

from local import aep
from local.aep import AepServer, Behaviour, Fault, RateLimit, Shape
from local.aep.messages import problem
from local.pipeline import DEAD, PROJECT_ID
from local.pubsub import PubSubServer, closed_topic
from tests.soak.webhooks import refusal

if TYPE_CHECKING:
    from tests.soak.environment import Environment

# The texts are keys of `results.json`. The carrier is the function under test that carries events
# to AEP: `deliver` or `drain`.
KILL_RECEIVE: Final = "kill receive"
KILL_CARRIER: Final = "kill carrier"
PUBSUB_GONE: Final = "Pub/Sub restarts"
FREEZE_RECEIVE: Final = "receive freezes"
FREEZE_CARRIER: Final = "carrier freezes"
SILENT_PUBSUB: Final = "connections to Pub/Sub go silent"
SILENT_AEP: Final = "connections to AEP go silent"
DEAD_LETTERS_DENIED: Final = "dead-letter topic denies the right to publish"
DEAD_LETTERS_GONE: Final = "dead-letter topic is out of reach"
FREEZES: Final = (FREEZE_RECEIVE, FREEZE_CARRIER)
SILENCES: Final = (SILENT_PUBSUB, SILENT_AEP)
DEAD_LETTER_FAULTS: Final = (DEAD_LETTERS_DENIED, DEAD_LETTERS_GONE)
# CLOUD_RUN_TIMEOUT_SECONDS of the functions: short, so that a freeze need not last a minute.
WORKER_TIMEOUT_SECONDS: Final = 4
NORMAL: Final = Behaviour(
    needs_token=True, token_seconds=20, latency_seconds=0.02, rate_limit=RateLimit()
)

_FAULTS: Final[Mapping[str, Callable[[], Fault]]] = {
    "AEP answers 429": aep.throttled,
    "AEP answers 429 with Retry-After": lambda: aep.throttled(retry_after=1),
    "AEP answers 500": lambda: aep.answering(500),
    "AEP answers 503": lambda: aep.answering(503),
    "AEP answers, garbled": aep.not_json,
    "AEP is silent": lambda: aep.silent(3.0),
    "AEP accepts, and is silent": lambda: aep.silent(3.0, accepting=True),
    "AEP hangs up before the body": aep.cut_before_body,
    "AEP accepts, and hangs up": aep.cut_after_accepting,
    "AEP accepts, and hangs up in its answer": aep.cut_mid_answer,
    "AEP answers with entries missing": aep.fewer_responses,
    "AEP answers with statuses as text": aep.statuses_as_text,
    "IMS issues no tokens": aep.token_endpoint_down,
}
_BEHAVIOURS: Final[Mapping[str, Mapping[str, Any]]] = {
    "AEP is slow": {"latency_seconds": 1.5},
    "AEP answers 207 as logged": {"shape": Shape.LOG},
    "AEP answers 207 as to its Kafka sink": {"shape": Shape.SINK},
}
_PARTIAL: Final = "AEP takes some of a batch, the rest is 503"
_REVOKED: Final = "IMS revokes all tokens"
_CLOCK_LEAP: Final = "AEP's clock leaps a minute ahead, and back"
_LEAP_SECONDS: Final = 60.0
# AEP's message for events in another format than its inlet takes (seen in a public log, 2024). It
# names a setting, so nothing may become a dead letter because of it.
_SETTING_MESSAGE: Final = "The 'header' field is mandatory and cannot be empty"
_ALL_REQUESTS: Final = "AEP refuses all requests, for a wrong setting"
_ALL_MESSAGES: Final = "AEP refuses all messages, for a wrong setting"
AEP_FAULTS: Final = (*_FAULTS, *_BEHAVIOURS, _PARTIAL, _REVOKED)
CLOCK_FAULTS: Final = (_CLOCK_LEAP,)
SETTING_FAULTS: Final = (_ALL_REQUESTS, _ALL_MESSAGES)

_DEAD_LETTER_STATUSES: Final = {
    DEAD_LETTERS_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    DEAD_LETTERS_GONE: grpc.StatusCode.UNAVAILABLE,
}
_DEAD_LETTER_TOPIC: Final = f"projects/{PROJECT_ID}/topics/{DEAD}"


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """One fault.

    Attributes:
        at: when it begins, in seconds from the start.
        kind: which fault.
        seconds: how long it lasts; 0 for one that has no duration.
        share: of the requests that it affects, for faults that affect only some.
    """

    at: float
    kind: str
    seconds: float
    share: float

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s, {self.share:.0%}" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.kind}{lasts}"


@dataclass(frozen=True, slots=True)
class FaultSource:
    """A source of faults, independent of the others: one fault after another, with pauses.

    Attributes:
        kinds: to draw from; each comes once before any comes again.
        pause: the shortest and the longest time between two, in seconds.
        lasts: the shortest and the longest duration; zeros for faults without one.
        until: the share of the run after which there are no more.
    """

    kinds: Sequence[str]
    pause: tuple[float, float]
    lasts: tuple[float, float] = (0.0, 0.0)
    until: float = 1.0


_SOURCES: Final = (
    FaultSource(AEP_FAULTS, (0.5, 3.0), (1.0, 4.0)),
    # A function that is killed every few seconds has no time to grow, so the end of the run has no
    # kills. Ten minutes have some seventy, with room to recover from each.
    FaultSource((KILL_RECEIVE, KILL_CARRIER), (4.0, 8.0), until=0.7),
    FaultSource((PUBSUB_GONE,), (15.0, 30.0), (0.5, 3.0)),
    FaultSource(CLOCK_FAULTS, (8.0, 16.0), (3.0, 8.0)),
    FaultSource(SETTING_FAULTS, (10.0, 30.0), (2.0, 5.0)),
    # Longer than the timeout of a worker, `WORKER_TIMEOUT_SECONDS`.
    FaultSource(FREEZES, (10.0, 30.0), (5.0, 8.0)),
    FaultSource(SILENCES, (5.0, 20.0)),
    FaultSource(DEAD_LETTER_FAULTS, (4.0, 20.0), (2.0, 6.0)),
)


def fault_sources(*, has_dead_letter_faults: bool = True) -> tuple[FaultSource, ...]:
    """Returns the sources; in Google's emulator the dead-letter topic alone cannot fail."""
    return _SOURCES if has_dead_letter_faults else _SOURCES[:-1]


def make_schedule(
    seed: int, seconds: float, sources: Sequence[FaultSource] = _SOURCES
) -> list[FaultWindow]:
    """Returns the faults of a run of so many seconds, in order; the same for the same seed.

    Every fault is over before the end, so that the events still open then can be delivered.
    """
    windows: list[FaultWindow] = []
    for number, source in enumerate(sources):
        # Each source has its own random numbers, so that adding one changes no other.
        windows += _drawn(Random(f"{seed}/{number}"), source, seconds * source.until)  # noqa: S311
    return sorted(windows, key=lambda window: window.at)


def _drawn(random: Random, source: FaultSource, until: float) -> Iterator[FaultWindow]:
    at = 0.0
    while True:
        for kind in random.sample(source.kinds, len(source.kinds)):
            at += random.uniform(*source.pause)
            lasts = random.uniform(*source.lasts)
            if at + lasts > until:
                return
            share = random.uniform(0.1, 1.0)
            yield FaultWindow(round(at, 2), kind, round(lasts, 2), round(share, 2))
            at += lasts


def count_kinds(schedule: Sequence[FaultWindow]) -> Mapping[str, int]:
    """Returns how often each kind happens, the most frequent first."""
    return dict(Counter(sorted(window.kind for window in schedule)).most_common())


async def run_schedule(schedule: Sequence[FaultWindow], environment: Environment) -> None:
    """Injects each fault at its time; faults overlap as scheduled.

    Raises:
        FunctionFailed: A function that was killed did not start again.
    """
    started = asyncio.get_running_loop().time()
    # A function is killed or frozen only while it runs, not while it starts or is frozen.
    running = {name: asyncio.Lock() for name in environment.pipeline.functions}
    async with asyncio.TaskGroup() as group:
        for window in schedule:
            group.create_task(_inject(window, environment, started, running))


async def _inject(
    window: FaultWindow,
    environment: Environment,
    started: float,
    running: Mapping[str, asyncio.Lock],
) -> None:
    await asyncio.sleep(started + window.at - asyncio.get_running_loop().time())
    kind, seconds = window.kind, window.seconds
    is_receive = kind in (KILL_RECEIVE, FREEZE_RECEIVE)
    function = environment.pipeline.receive if is_receive else environment.carrier
    if kind in (KILL_RECEIVE, KILL_CARRIER):
        async with running[function.target]:
            function.kill()
            await function.restart()
    elif kind in FREEZES:
        async with running[function.target]:
            function.freeze()
            try:
                await asyncio.sleep(seconds)
            finally:
                function.thaw()  # a frozen function could not end
    elif kind == PUBSUB_GONE:
        environment.to_pubsub.shut()
        await asyncio.sleep(seconds)
        await environment.to_pubsub.open()
    elif kind in SILENCES:
        (environment.to_pubsub if kind == SILENT_PUBSUB else environment.to_aep).silence()
    elif kind in DEAD_LETTER_FAULTS:
        assert isinstance(environment.pubsub, PubSubServer)
        faults = environment.pubsub.faults
        faults.add(closed_topic(_DEAD_LETTER_TOPIC, _DEAD_LETTER_STATUSES[kind]))
        await asyncio.sleep(seconds)
        faults.clear()
    else:
        environment.aep_faults.begin(window)
        await asyncio.sleep(seconds)
        environment.aep_faults.end(window)


@dataclass(slots=True)
class AepFaults:
    """Begins and ends faults at one AEP stand-in."""

    aep: AepServer
    random: Random
    _faults: dict[FaultWindow, Fault] = field(default_factory=dict)
    _behaviours: dict[FaultWindow, Mapping[str, Any]] = field(default_factory=dict)

    def begin(self, window: FaultWindow) -> None:
        """Begins a fault."""
        if window.kind == _REVOKED:
            self.aep.revoke_tokens()
        elif window.kind == _CLOCK_LEAP:
            self.aep.revoke_tokens()  # a minute later, all of them have expired
            self._behaviours[window] = {"clock_seconds": _LEAP_SECONDS}
        elif window.kind in _BEHAVIOURS:
            self._behaviours[window] = _BEHAVIOURS[window.kind]
        else:
            self._faults[window] = self._fault(window)
        self.apply()

    def end(self, window: FaultWindow) -> None:
        """Ends a fault; others that have begun continue."""
        self._behaviours.pop(window, None)
        self._faults.pop(window, None)
        self.apply()

    def apply(self) -> None:
        """Sets the faults in force, and that AEP always refuses the events made to be refused."""
        changes: dict[str, Any] = {}
        for behaviours in self._behaviours.values():
            changes |= behaviours
        self.aep.behaviour = replace(NORMAL, **changes)
        self.aep.faults.clear()
        self.aep.faults.add(refusal(), *self._faults.values())

    def _fault(self, window: FaultWindow) -> Fault:
        if window.kind == _ALL_REQUESTS:
            body = problem(self.aep.inlet, 400, "Bad Request", _SETTING_MESSAGE)
            return aep.answering(400, body=body)
        if window.kind == _ALL_MESSAGES:
            return aep.refusing(lambda _: True, reason=_SETTING_MESSAGE)
        if window.kind == _PARTIAL:
            return aep.refusing(lambda _: self.random.random() < window.share, status=503)
        return _FAULTS[window.kind]().with_probability(window.share)
