"""The stand-in on HTTP: `async with AepServer() as aep`."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count
from typing import Self

import orjson
from aiohttp import web

from local.aep.event_log import (
    AcceptedMessage,
    EventLog,
    Observer,
    ReceivedRequest,
    RefusedMessage,
    RequestStarted,
    TokenRequested,
)
from local.aep.faults import Answer, Fault, Stage, fault_plan
from local.aep.inlet import Call, Credentials, Inlet, OnAccepted, Reply, TokenService
from local.aep.messages import Behaviour, MessageFormat

INLET = "0c61859cc71939a0caf01123f91b2fc52589018800ad46b6c76c2dff3595ee95"
CLIENT_ID = "local-client"
CLIENT_SECRET = "local-secret"  # noqa: S105 - of a stand-in on 127.0.0.1

# Larger than AEP's limit, so that a request above it is still answered and counted.
_READ_LIMIT_BYTES = 64 * 1024 * 1024
_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Further:
    """A further inlet, and the behaviour that is its own."""

    inlet: Inlet
    format: MessageFormat
    needs_token: bool


class AepServer:
    """Adobe Experience Platform's streaming endpoint and token endpoint, on 127.0.0.1.

    Attributes:
        behaviour: how it behaves; may be replaced at any time.
        faults: the active faults; may be changed at any time.
        inlet: the ID of the first inlet, which always exists.
        tokens: issues and checks tokens; the platform's APIs accept the same ones.
        url: its URL without a trailing slash; the token endpoint has the same host.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        faults: Iterable[Fault] = (),
        seed: int = 0,
        observer: Observer | None = None,
        port: int = 0,
        inlet: str = INLET,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
    ) -> None:
        """Sets the server up; it listens within `async with`.

        Args:
            behaviour: The initial behaviour.
            faults: The initial faults.
            seed: Seed of faults with a probability.
            observer: Called with every event.
            port: Its port; 0 for any free one.
            inlet: The ID of the first inlet.
            client_id: The client that the token endpoint knows.
            client_secret: The secret of that client.
        """
        self.behaviour = behaviour or Behaviour()
        self.faults = fault_plan(seed)
        self.faults.add(*faults)
        self.inlet = inlet
        self.client_id = client_id
        self.client_secret = client_secret
        self.url = ""
        self._port = port
        self._numbers = count()
        self._log = EventLog(observer)
        self.tokens = TokenService(Credentials(client_id, client_secret))
        self._first = Inlet(inlet, self._log, self.faults, self.tokens)
        self._further: dict[str, _Further] = {}
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_READ_LIMIT_BYTES)
        app.router.add_post("/collection/batch/{inlet}", self._batch)
        app.router.add_post("/collection/{inlet}", self._single)
        app.router.add_post("/ims/token/v3", self._token)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        # Releases requests that are being held; otherwise the clean-up would wait for them.
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def endpoint(self) -> str:
        """Returns the streaming endpoint as AEP shows it, for single messages."""
        return f"{self.url}/collection/{self.inlet}"

    @property
    def accepted(self) -> list[AcceptedMessage]:
        """Returns every accepted message in order, including duplicates."""
        return self._log.accepted

    @property
    def distinct_ids(self) -> set[str]:
        """Returns the event IDs accepted at least once."""
        return self._log.distinct_ids

    @property
    def refused(self) -> list[RefusedMessage]:
        """Returns every message refused individually."""
        return self._log.refused

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Returns every finished request to an inlet, in the order of finishing."""
        return self._log.requests

    @property
    def in_flight(self) -> int:
        """Returns how many requests to an inlet are in progress."""
        return self._log.in_flight

    @property
    def token_requests(self) -> list[TokenRequested]:
        """Returns every request to the token endpoint."""
        return self._log.token_requests

    @property
    def tokens_issued(self) -> int:
        """Returns how many tokens have been issued."""
        return self.tokens.issued

    def open_inlet(
        self, inlet: str, *, take: OnAccepted, expects: MessageFormat, needs_token: bool
    ) -> None:
        """Opens a further inlet, which accepts any JSON object as a raw record.

        Args:
            inlet: Its ID.
            take: Called with each accepted message.
            expects: What it accepts, regardless of the behaviour.
            needs_token: Whether it requires authentication, even if the behaviour does not.
        """
        opened = Inlet(inlet, self._log, self.faults, self.tokens, take=take, raw_id=None)
        self._further[inlet] = _Further(opened, expects, needs_token)

    def close_inlet(self, inlet: str) -> None:
        """Closes a further inlet."""
        del self._further[inlet]

    def revoke_tokens(self) -> None:
        """Revokes every token issued so far, as if it had expired."""
        self.tokens.revoke()

    async def wait_for(
        self,
        predicate: Callable[[], bool],
        timeout: float = 5.0,  # noqa: ASYNC109 - so that no caller forgets it
    ) -> None:
        """Waits until the predicate holds; it is checked after every event.

        Args:
            predicate: For example `lambda: len(aep.distinct_ids) == 3`.
            timeout: In seconds.

        Raises:
            TimeoutError: It does not hold in time.
        """
        async with asyncio.timeout(timeout):
            await self._log.wait_for(predicate)

    async def _single(self, request: web.Request) -> web.StreamResponse:
        return await self._collect(request, is_batch=False)

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        return await self._collect(request, is_batch=True)

    async def _collect(self, request: web.Request, *, is_batch: bool) -> web.StreamResponse:
        number, started = next(self._numbers), time.time()
        self._log.add(RequestStarted(number, started))
        body, reply = b"", Reply(None)
        try:
            if not self.faults.take(Stage.BEFORE_BODY):
                body = await request.read()
                await self._pause(self.behaviour.latency_seconds)
                inlet = request.match_info["inlet"]
                call = Call(number, inlet, is_batch, request.headers, request.query, body)
                reply = self._receive(call)
                await self._pause(reply.hold_seconds)
            return await _respond(request, reply)
        except ConnectionError:  # the client has gone: nobody reads this response
            return web.Response()
        finally:
            self._log.add(
                ReceivedRequest(
                    number,
                    request.path,
                    request.headers,
                    request.query,
                    len(body),
                    reply.messages,
                    None if reply.is_truncated else reply.status,
                    started,
                    time.time(),
                )
            )

    def _receive(self, call: Call) -> Reply:
        further = self._further.get(call.inlet)
        if further is None:
            return self._first.receive(call, self.behaviour)
        needs_token = further.needs_token or self.behaviour.needs_token
        behaviour = replace(self.behaviour, format=further.format, needs_token=needs_token)
        return further.inlet.receive(call, behaviour)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        down = [e for e in self.faults.take(Stage.TOKEN) if isinstance(e, Answer)]
        if down:
            status, body = down[0].status, down[0].body
        else:
            status, answer = self.tokens.request(form, self.behaviour.token_seconds)
            body = orjson.dumps(answer)
        scopes = tuple(s for s in str(form.get("scope", "")).split(",") if s)
        self._log.add(TokenRequested(str(form.get("client_id", "")), scopes, status, time.time()))
        return web.Response(status=status, body=body, content_type="application/json")

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            try:
                await asyncio.wait_for(self._closing.wait(), seconds)
            except TimeoutError:
                return


async def _respond(request: web.Request, reply: Reply) -> web.StreamResponse:
    headers = {"Content-Type": "application/json", **reply.headers}
    if reply.status is not None and not reply.is_truncated:
        return web.Response(status=reply.status, body=reply.body, headers=headers)
    response = web.StreamResponse(status=reply.status or 500, headers=headers)
    if reply.is_truncated:
        response.content_length = len(reply.body)
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
