"""What can go wrong at AEP, as strikes: faults of the stand-in that come and go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from local import aep
from local.aep import AepServer, Behaviour, Fault, RateLimit, Shape
from local.aep.messages import problem
from tests.soak.plan import Strike
from tests.soak.webhooks import refusal

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
KINDS: Final = (*_FAULTS, *_MANNERS, _PARTIAL, _REVOKED)
CLOCKS: Final = (_LEAP,)
SETTINGS: Final = (_ALL_REQUESTS, _ALL_MESSAGES)
_LEAP_SECONDS: Final = 60.0


@dataclass(slots=True)
class AepFaults:
    """Lets strikes begin and end at one stand-in."""

    aep: AepServer
    random: Random
    _faults: dict[Strike, Fault] = field(default_factory=dict)
    _manners: dict[Strike, Mapping[str, Any]] = field(default_factory=dict)

    def begin(self, strike: Strike) -> None:
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

    def end(self, strike: Strike) -> None:
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

    def _fault(self, strike: Strike) -> Fault:
        if strike.kind == _ALL_REQUESTS:
            said = problem(self.aep.inlet, 400, "Bad Request", _SAID_OF_A_SETTING)
            return aep.answering(400, body=said)
        if strike.kind == _ALL_MESSAGES:
            return aep.refusing(lambda _: True, reason=_SAID_OF_A_SETTING)
        if strike.kind == _PARTIAL:
            return aep.refusing(lambda _: self.random.random() < strike.share, status=503)
        return _FAULTS[strike.kind]().with_probability(strike.share)
