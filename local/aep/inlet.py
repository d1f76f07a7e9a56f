"""The inlet and the token endpoint without I/O: what they accept, refuse and answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic, time, time_ns
from typing import NamedTuple, TypeAlias
from uuid import uuid4

import orjson

from local.aep import messages as bodies
from local.aep.event_log import AcceptedMessage, EventLog, RefusedMessage, RequestRead
from local.aep.faults import Alter, Answer, Cut, Effect, Garble, Refuse, Silence, Stage
from local.aep.messages import RAW_ID, Behaviour, RateLimit, Refusal, check, id_of, is_xdm, utc_now
from local.faults import FaultPlan

MAX_REQUEST_BYTES = 1_000_000  # Adobe says "1 MB"; this is the stricter reading
UNKNOWN_INLET = 404  # assumed: Adobe does not document it
SYNC_VALIDATION_OF_BATCH = 400  # assumed: Adobe says only that it is not supported

OnAccepted: TypeAlias = Callable[[str | None, object], None]
"""Called with the flow ID of a request (None if it has none) and one accepted message."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client that the token endpoint knows."""

    client_id: str
    client_secret: str


class TokenService:
    """Issues tokens and checks them."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._expiry: dict[str, float] = {}
        self.issued = 0

    def request(
        self, form: Mapping[str, object], lifetime_seconds: int
    ) -> tuple[int, dict[str, object]]:
        """Returns the status and body of a token request (OAuth 2.0, RFC 6749, section 5)."""
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        if Credentials(str(form.get("client_id")), str(form.get("client_secret"))) != (
            self._credentials
        ):
            return 401, {"error": "invalid_client"}
        if not form.get("scope"):  # assumed: Adobe shows no request without
            return 400, {"error": "invalid_scope"}
        self.issued += 1
        token = f"token-{self.issued}-{uuid4().hex}"
        self._expiry[token] = monotonic() + lifetime_seconds
        return 200, {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": lifetime_seconds,
        }

    def wrong_in(self, authorization: str | None) -> str | None:
        """Returns what is wrong with an `Authorization` header, or None."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "Ims service token is empty"
        if self._expiry.get(token, 0.0) <= monotonic():
            return "Ims service token is invalid or expired"
        return None

    def revoke(self) -> None:
        """Revokes every token issued so far."""
        self._expiry.clear()


@dataclass(frozen=True, slots=True)
class Call:
    """A complete request to the inlet."""

    number: int
    inlet: str
    is_batch: bool
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request.

    Attributes:
        status: None closes the connection without an answer.
        messages: how many messages the request had, as far as it was read.
        hold_seconds: how long to wait before answering.
        is_truncated: whether to close the connection in the middle of the body.
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
    """One streaming connection: answers requests by the behaviour and the active faults."""

    def __init__(
        self,
        inlet: str,
        log: EventLog,
        faults: FaultPlan[Effect],
        tokens: TokenService,
        *,
        take: OnAccepted | None = None,
        raw_id: str | None = RAW_ID,
    ) -> None:
        """Sets the inlet up.

        Args:
            inlet: Its ID.
            log: Records what happens.
            faults: The active faults.
            tokens: Checks tokens.
            take: Called with each accepted message.
            raw_id: The key that a raw record must have; None for any JSON object.
        """
        self._take = take
        self._raw_id = raw_id
        self._inlet = inlet
        self._log = log
        self._faults = faults
        self._tokens = tokens
        self._window = _Window()

    def receive(self, call: Call, behaviour: Behaviour) -> Reply:
        """Answers a request and records its messages in the event log."""
        try:
            messages = self._read(call, behaviour)
        except _Rejected as rejected:
            return rejected.reply
        self._log.add(RequestRead(call.number, messages, time()))
        if behaviour.rate_limit and not self._admit(behaviour.rate_limit, len(messages)):
            return Reply(429, b"", len(messages), {"Retry-After": "1"})
        effects = self._faults.take(Stage.BATCH, messages)
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
        """Returns the request's messages, or raises if it fails as a whole."""
        if call.inlet != self._inlet:
            raise self._rejected(UNKNOWN_INLET, "Not Found", "inlet is unknown")
        if behaviour.needs_token and (
            reason := self._tokens.wrong_in(call.headers.get("Authorization"))
        ):
            raise _Rejected(Reply(401, bodies.unauthorized(reason)))
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
            # Compressed bodies are not documented; an inlet that does not know them sees no JSON.
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
            self._log.add(
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
            entries = bodies.entries(behaviour.shape, call.number, received_ms, outcomes)
            for effect in effects:
                if isinstance(effect, Alter):
                    entries = effect.change(entries)
            body = bodies.batch(self._inlet, call.number, received_ms, entries)
            return Reply(207, body, len(outcomes))
        if (refusal := outcomes[0]) is not None:
            title = "Invalid XDM Message Format"
            body = bodies.problem(self._inlet, refusal.status, title, refusal.reason)
            return Reply(refusal.status, body, 1)
        return Reply(200, bodies.single(self._inlet, call.number, received_ms), 1)

    def _bad_request(self, reason: str, messages: int = 0) -> _Rejected:
        return self._rejected(400, "Bad Request", reason, messages)

    def _rejected(self, status: int, title: str, reason: str, messages: int = 0) -> _Rejected:
        return _Rejected(
            Reply(status, bodies.problem(self._inlet, status, title, reason), messages)
        )


def _flow_id(call: Call) -> str | None:
    return call.headers.get("x-adobe-flow-id") or call.query.get("x-adobe-flow-id") or None
