"""The inlet's judgement of a request: what it takes, what it refuses, what it answers. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic, time, time_ns
from typing import NamedTuple, TypeAlias

import orjson

from local.aep import answers
from local.aep.behaviour import Behaviour, RateLimit
from local.aep.faults import Alter, Answer, Cut, Effect, FaultPlan, Garble, Refuse, Silence, Stage
from local.aep.journal import AcceptedMessage, Journal, RefusedMessage, RequestRead
from local.aep.messages import RAW_ID, Refusal, check, id_of, is_xdm, utc_now
from local.aep.tokens import TokenService

MAX_REQUEST_BYTES = 1_000_000  # Adobe says "1 MB"; this is the stricter reading
UNKNOWN_INLET = 404  # assumed: Adobe does not document it
SYNC_VALIDATION_OF_BATCH = 400  # assumed: Adobe says only that it is not supported

Taker: TypeAlias = Callable[[str | None, object], None]
"""Is given the flow id of a request (None: it has none) and one message that was accepted."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the inlet, read to its end."""

    number: int
    inlet: str
    is_batch: bool
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What becomes of a request, and how it is told.

    Attributes:
        status: None hangs up without an answer.
        messages: how many the request brought, as far as it was read.
        hold_seconds: how long to stay silent first.
        is_truncated: whether to hang up in the middle of the body.
    """

    status: int | None
    body: bytes = b""
    messages: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    hold_seconds: float = 0.0
    is_truncated: bool = False


class _Window(NamedTuple):
    second: int = 0
    requests: int = 0
    messages: int = 0


class _Rejected(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Inlet:
    """One streaming connection: judges requests by the behaviour and the faults in force."""

    def __init__(
        self,
        inlet: str,
        journal: Journal,
        faults: FaultPlan,
        tokens: TokenService,
        *,
        take: Taker | None = None,
        raw_id: str | None = RAW_ID,
    ) -> None:
        """Takes what it shares with others, and what is its own.

        Args:
            inlet: its id.
            journal: where what it does is noted.
            faults: the faults in force.
            tokens: says which tokens are good.
            take: is given each message that is accepted.
            raw_id: the key that a raw record must have; None for any JSON object.
        """
        self._take = take
        self._raw_id = raw_id
        self._inlet = inlet
        self._journal = journal
        self._faults = faults
        self._tokens = tokens
        self._window = _Window()

    def receive(self, call: Call, behaviour: Behaviour) -> Reply:
        """Judge a request, and note what it brought in the journal."""
        try:
            messages = self._read(call, behaviour)
        except _Rejected as rejected:
            return rejected.reply
        self._journal.note(RequestRead(call.number, messages, time()))
        if behaviour.rate_limit and not self._admit(behaviour.rate_limit, len(messages)):
            return Reply(429, b"", len(messages), {"Retry-After": "1"})
        effects = self._faults.strike(Stage.BATCH, messages)
        effect = next((e for e in effects if not isinstance(e, Refuse | Alter)), None)
        if isinstance(effect, Answer):
            return Reply(effect.status, effect.body, len(messages), effect.headers)
        if isinstance(effect, Silence) and not effect.accepting:
            return Reply(None, messages=len(messages), hold_seconds=effect.seconds)
        outcomes = self._judge(call, behaviour, messages, effects)
        reply = self._answer(call, behaviour, outcomes, effects)
        match effect:
            case Silence():
                return replace(reply, hold_seconds=effect.seconds)
            case Garble():
                return replace(reply, body=effect.body, headers={"Content-Type": "text/html"})
            case Cut.MID_ANSWER:
                return replace(reply, is_truncated=True)
            case Cut():
                return replace(reply, status=None)
            case _:
                return reply

    def _read(self, call: Call, behaviour: Behaviour) -> Sequence[object]:
        """Return the request's messages; what fails here fails as a whole."""
        if call.inlet != self._inlet:
            raise self._rejected(UNKNOWN_INLET, "Not Found", "inlet is unknown")
        if behaviour.needs_token and (
            reason := self._tokens.wrong_in(call.headers.get("Authorization"))
        ):
            raise _Rejected(Reply(401, answers.unauthorized(reason)))
        if len(call.body) > MAX_REQUEST_BYTES:
            raise self._rejected(413, "Payload Too Large", f"over {MAX_REQUEST_BYTES} bytes")
        messages = self._parse(call)
        if not _flow_id(call) and not all(
            is_xdm(message, behaviour.format) for message in messages
        ):
            raise self._bad_request("x-adobe-flow-id is missing for raw data", len(messages))
        return messages

    def _parse(self, call: Call) -> Sequence[object]:
        try:
            # Compressed bodies are not documented: to an inlet that does not know them, not JSON.
            document = None if "Content-Encoding" in call.headers else orjson.loads(call.body)
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise self._bad_request("Request body is not a JSON object")
        if not call.is_batch:
            return (document,)
        if call.query.get("syncValidation", "").lower() == "true":
            raise self._rejected(SYNC_VALIDATION_OF_BATCH, "Bad Request", "not for a batch")
        messages = document.get("messages")
        if not isinstance(messages, list) or not messages:
            raise self._bad_request("The 'messages' field is mandatory and cannot be empty")
        return messages

    def _admit(self, limit: RateLimit, messages: int) -> bool:
        second = int(monotonic())
        used = self._window if self._window.second == second else _Window(second)
        wanted = _Window(second, used.requests + 1, used.messages + messages)
        if wanted.requests > limit.requests or wanted.messages > limit.messages:
            return False
        self._window = wanted
        return True

    def _judge(
        self,
        call: Call,
        behaviour: Behaviour,
        messages: Sequence[object],
        effects: Sequence[Effect],
    ) -> list[Refusal | None]:
        at = time()
        now = utc_now() + timedelta(seconds=behaviour.clock_seconds)
        refusals = [effect for effect in effects if isinstance(effect, Refuse)]
        outcomes: list[Refusal | None] = []
        for message in messages:
            outcome = check(message, behaviour, now, self._raw_id, is_batch=call.is_batch)
            for refuse in refusals:
                if outcome is None and refuse.which(message):
                    outcome = Refusal(refuse.status, refuse.reason)
            outcomes.append(outcome)
            if outcome is None and self._take is not None:
                self._take(_flow_id(call), message)
            event_id = id_of(message)
            self._journal.note(
                AcceptedMessage(event_id or "", message, call.number, at)
                if outcome is None
                else RefusedMessage(
                    event_id, message, outcome.status, outcome.reason, call.number, at
                )
            )
        return outcomes

    def _answer(
        self,
        call: Call,
        behaviour: Behaviour,
        outcomes: Sequence[Refusal | None],
        effects: Sequence[Effect],
    ) -> Reply:
        received_ms = time_ns() // 1_000_000
        if call.is_batch:
            entries = answers.entries(behaviour.shape, call.number, received_ms, outcomes)
            for effect in effects:
                if isinstance(effect, Alter):
                    entries = effect.change(entries)
            body = answers.batch(self._inlet, call.number, received_ms, entries)
            return Reply(207, body, len(outcomes))
        if (refusal := outcomes[0]) is not None:
            title = "Invalid XDM Message Format"
            body = answers.problem(self._inlet, refusal.status, title, refusal.reason)
            return Reply(refusal.status, body, 1)
        return Reply(200, answers.single(self._inlet, call.number, received_ms), 1)

    def _bad_request(self, reason: str, messages: int = 0) -> _Rejected:
        return self._rejected(400, "Bad Request", reason, messages)

    def _rejected(self, status: int, title: str, reason: str, messages: int = 0) -> _Rejected:
        return _Rejected(
            Reply(status, answers.problem(self._inlet, status, title, reason), messages)
        )


def _flow_id(call: Call) -> str | None:
    return call.headers.get("x-adobe-flow-id") or call.query.get("x-adobe-flow-id") or None
