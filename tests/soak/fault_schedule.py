"""What goes wrong and when: drawn from a seed, so that a run can be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

import grpc

from local import aep
from local.aep import AepServer, Behaviour, Fault, RateLimit, Shape
from local.aep.answers import problem
from local.pipeline import DEAD, PROJECT_ID
from local.pubsub import PubSubServer
from tests.soak.environment import Environment
from tests.soak.webhooks import refusal

KILL_RECEIVE: Final = "kill receive"
KILL_CONSUMER: Final = "kill carrier"
PUBSUB_GONE: Final = "Pub/Sub restarts"
FREEZE_RECEIVE: Final = "receive freezes"
FREEZE_CONSUMER: Final = "carrier freezes"
SILENT_PUBSUB: Final = "connections to Pub/Sub go silent"
SILENT_AEP: Final = "connections to AEP go silent"
DEAD_LETTERS_DENIED: Final = "dead-letter topic denies the right to publish"
DEAD_LETTERS_GONE: Final = "dead-letter topic is out of reach"
FREEZES: Final = (FREEZE_RECEIVE, FREEZE_CONSUMER)
SILENCES: Final = (SILENT_PUBSUB, SILENT_AEP)
DEAD_LETTER_FAULTS: Final = (DEAD_LETTERS_DENIED, DEAD_LETTERS_GONE)
# CLOUD_RUN_TIMEOUT_SECONDS of the functions: short, so that a freeze need not last a minute.
WORKER_TIMEOUT_SECONDS: Final = 4
_ROUND_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """One thing that goes wrong.

    Attributes:
        at: when, in seconds from the start.
        kind: what.
        seconds: how long it lasts; 0 is a moment.
        share: of the requests that it befalls, for those faults that strike some of them.
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
    """A source of strikes beside others: one after the other, each after a pause.

    Attributes:
        kinds: what it draws from; each comes once before any comes again.
        pause: the shortest and the longest time between two, in seconds.
        lasts: the same of how long one lasts; zeros are moments.
        until: the share of the run after which it is quiet.
    """

    kinds: Sequence[str]
    pause: tuple[float, float]
    lasts: tuple[float, float] = (0.0, 0.0)
    until: float = 1.0


# A function that is killed every few seconds has no time to grow: it has the end of the run for
# that. Ten minutes have some seventy kills in them, and room to recover from each.
_KILLS: Final = FaultSource((KILL_RECEIVE, KILL_CONSUMER), (4.0, 8.0), until=0.7)
_PUBSUB: Final = FaultSource((PUBSUB_GONE,), (15.0, 30.0), (0.5, 3.0))
# Longer than the timeout of a worker, `WORKER_TIMEOUT_SECONDS`.
_FREEZES: Final = FaultSource(FREEZES, (10.0, 30.0), (5.0, 8.0))
_SILENCES: Final = FaultSource(SILENCES, (5.0, 20.0))
_DEAD_LETTERS: Final = FaultSource(DEAD_LETTER_FAULTS, (4.0, 20.0), (2.0, 6.0))


def fault_sources(
    of_aep: Sequence[str],
    of_clock: Sequence[str],
    of_settings: Sequence[str],
    *,
    has_letters: bool = True,
) -> tuple[FaultSource, ...]:
    """All that can go wrong, side by side.

    Args:
        of_aep: faults of AEP.
        of_clock: leaps of AEP's clock.
        of_settings: refusals of everything, as after a wrong setting.
        has_letters: whether the dead-letter topic alone can fail; on Google's emulator it cannot.
    """
    return (
        FaultSource(of_aep, (0.5, 3.0), (1.0, 4.0)),
        _KILLS,
        _PUBSUB,
        FaultSource(of_clock, (8.0, 16.0), (3.0, 8.0)),
        FaultSource(of_settings, (10.0, 30.0), (2.0, 5.0)),
        _FREEZES,
        _SILENCES,
        *[_DEAD_LETTERS] * has_letters,
    )


def make_schedule(seed: int, seconds: float, sources: Sequence[FaultSource]) -> list[FaultWindow]:
    """The strikes of a run of so many seconds, in their order; the same for the same seed.

    All is well again before the end: what is still open then is brought to its end.
    """
    strikes: list[FaultWindow] = []
    for number, source in enumerate(sources):
        # A source of random for each, so that one more of them changes nothing of the others.
        strikes += _drawn(Random(f"{seed}/{number}"), source, seconds * source.until)  # noqa: S311
    return sorted(strikes, key=lambda strike: strike.at)


def _drawn(random: Random, source: FaultSource, until: float) -> Iterator[FaultWindow]:
    at = 0.0
    while True:
        for kind in random.sample(source.kinds, len(source.kinds)):
            at += random.uniform(*source.pause)
            lasts = random.uniform(*source.lasts)
            if at + lasts > until:
                return
            yield FaultWindow(
                round(at, 2), kind, round(lasts, 2), round(random.uniform(0.1, 1.0), 2)
            )
            at += lasts


def count_kinds(strikes: Sequence[FaultWindow]) -> Mapping[str, int]:
    """How often each kind strikes, the most frequent first."""
    kinds = [strike.kind for strike in strikes]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds), key=lambda k: -kinds.count(k))}


@dataclass(frozen=True, slots=True)
class Pace:
    """When webhooks come: for five seconds steadily, then as many again within one second.

    Attributes:
        rate: webhooks a second, in the long run.
    """

    rate: float

    def due(self, number: int) -> float:
        """When a webhook comes, in seconds from the start; the first is number 0."""
        rounds, within = divmod(number / self.rate, _ROUND_SECONDS)
        half = _ROUND_SECONDS / 2
        return rounds * _ROUND_SECONDS + (within if within < half else half + (within - half) / 5)


# What can go wrong at AEP, as strikes: faults of the stand-in that come and go.


USUAL: Final = Behaviour(
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
_MANNERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "AEP is slow": {"latency_seconds": 1.5},
    "AEP answers 207 as logged": {"shape": Shape.LOG},
    "AEP answers 207 as to its Kafka sink": {"shape": Shape.SINK},
}
_PARTIAL: Final = "AEP takes some of a batch, the rest is 503"
_REVOKED: Final = "IMS revokes all tokens"
_LEAP: Final = "AEP's clock leaps a minute ahead, and back"
# What AEP says of messages in another format than its inlet takes (seen in a public log, 2024). It
# names a setting, so nothing may become a dead letter for it.
_SAID_OF_A_SETTING: Final = "The 'header' field is mandatory and cannot be empty"
_ALL_REQUESTS: Final = "AEP refuses all requests, for a wrong setting"
_ALL_MESSAGES: Final = "AEP refuses all messages, for a wrong setting"
AEP_FAULTS: Final = (*_FAULTS, *_MANNERS, _PARTIAL, _REVOKED)
CLOCK_FAULTS: Final = (_LEAP,)
SETTING_FAULTS: Final = (_ALL_REQUESTS, _ALL_MESSAGES)
_LEAP_SECONDS: Final = 60.0


@dataclass(slots=True)
class AepFaults:
    """Lets strikes begin and end at one stand-in."""

    aep: AepServer
    random: Random
    _faults: dict[FaultWindow, Fault] = field(default_factory=dict)
    _manners: dict[FaultWindow, Mapping[str, Any]] = field(default_factory=dict)

    def begin(self, strike: FaultWindow) -> None:
        """From now on it goes wrong."""
        if strike.kind == _REVOKED:
            self.aep.revoke_tokens()
        elif strike.kind == _LEAP:
            self.aep.revoke_tokens()  # a minute later, none of them lives any more
            self._manners[strike] = {"clock_seconds": _LEAP_SECONDS}
        elif strike.kind in _MANNERS:
            self._manners[strike] = _MANNERS[strike.kind]
        else:
            self._faults[strike] = self._fault(strike)
        self.apply()

    def end(self, strike: FaultWindow) -> None:
        """That is over; what else has begun goes on."""
        self._manners.pop(strike, None)
        self._faults.pop(strike, None)
        self.apply()

    def apply(self) -> None:
        """Has the stand-in do what is in force, and always refuse what is to be refused."""
        changes: dict[str, Any] = {}
        for manners in self._manners.values():
            changes |= manners
        self.aep.behaviour = replace(USUAL, **changes)
        self.aep.faults.clear()
        self.aep.faults.add(refusal(), *self._faults.values())

    def _fault(self, strike: FaultWindow) -> Fault:
        if strike.kind == _ALL_REQUESTS:
            said = problem(self.aep.inlet, 400, "Bad Request", _SAID_OF_A_SETTING)
            return aep.answering(400, body=said)
        if strike.kind == _ALL_MESSAGES:
            return aep.refusing(lambda _: True, reason=_SAID_OF_A_SETTING)
        if strike.kind == _PARTIAL:
            return aep.refusing(lambda _: self.random.random() < strike.share, status=503)
        return _FAULTS[strike.kind]().with_probability(strike.share)


# Carries out the plan: each strike at its time, on the running rig.


_DEAD_LETTER_STATUSES: Final = {
    DEAD_LETTERS_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    DEAD_LETTERS_GONE: grpc.StatusCode.UNAVAILABLE,
}
_DEAD_LETTER_TOPIC: Final = f"projects/{PROJECT_ID}/topics/{DEAD}"


async def run_schedule(plan: Sequence[FaultWindow], rig: Environment) -> None:
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
    strike: FaultWindow, rig: Environment, started: float, running: Mapping[str, asyncio.Lock]
) -> None:
    await asyncio.sleep(started + strike.at - asyncio.get_running_loop().time())
    kind, seconds = strike.kind, strike.seconds
    if kind in (KILL_RECEIVE, KILL_CONSUMER):
        function = rig.receive if kind == KILL_RECEIVE else rig.carrier
        async with running[function.target]:
            function.kill()
            await function.restart()
    elif kind in (FREEZE_RECEIVE, FREEZE_CONSUMER):
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
    elif kind in _DEAD_LETTER_STATUSES:
        assert isinstance(rig.pubsub, PubSubServer)
        rig.pubsub.faults.close_topic(_DEAD_LETTER_TOPIC, _DEAD_LETTER_STATUSES[kind])
        await asyncio.sleep(seconds)
        rig.pubsub.faults.open_topic(_DEAD_LETTER_TOPIC)
    else:
        rig.faults.begin(strike)
        await asyncio.sleep(seconds)
        rig.faults.end(strike)
