"""The stand-in on HTTP: `async with AepServer() as aep`."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count
from typing import Self

import orjson
from aiohttp import web

from local.aep.behaviour import Behaviour, MessageFormat
from local.aep.faults import Answer, Fault, FaultPlan, Stage
from local.aep.inlet import Call, Inlet, Reply, Taker
from local.aep.journal import (
    AcceptedMessage,
    Journal,
    Observer,
    ReceivedRequest,
    RefusedMessage,
    RequestStarted,
    TokenRequested,
)
from local.aep.tokens import Credentials, TokenService

INLET = "0c61859cc71939a0caf01123f91b2fc52589018800ad46b6c76c2dff3595ee95"
CLIENT_ID = "local-client"
CLIENT_SECRET = "local-secret"  # noqa: S105 - of a stand-in that listens on 127.0.0.1 only

# What is read of a body at most, so that a request over AEP's limit is still answered and counted.
_READ_LIMIT_BYTES = 64 * 1024 * 1024
_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Further:
    """An inlet beyond the first, and what is its own of the behaviour."""

    inlet: Inlet
    format: MessageFormat
    needs_token: bool


class AepServer:
    """Adobe Experience Platform's streaming endpoint and token endpoint, on 127.0.0.1.

    Attributes:
        behaviour: the manners in force; replace it at any time.
        faults: the faults in force; add to it and clear it at any time.
        inlet: the id of the first inlet, which is always there.
        tokens: says which tokens are good; the platform's APIs take the same ones.
        url: where it listens, without a trailing slash; also the URL of the token endpoint's host.
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
        """Set the server up; it listens from `async with` on.

        Args:
            behaviour: the manners to start with.
            faults: the faults to start with.
            seed: for the random of the faults that strike with a probability.
            observer: is told of everything that happens.
            port: 0 for a free one.
            inlet: the id of the first inlet.
            client_id: the client that the token endpoint knows.
            client_secret: that client's secret.
        """
        self.behaviour = behaviour or Behaviour()
        self.faults = FaultPlan(seed)
        self.faults.add(*faults)
        self.inlet = inlet
        self.client_id = client_id
        self.client_secret = client_secret
        self.url = ""
        self._port = port
        self._numbers = count()
        self._journal = Journal(observer)
        self.tokens = TokenService(Credentials(client_id, client_secret))
        self._first = Inlet(inlet, self._journal, self.faults, self.tokens)
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
        # Whoever is being kept waiting is let go first; else the clean-up would wait for them.
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def endpoint(self) -> str:
        """The streaming endpoint as AEP shows it, for single messages."""
        return f"{self.url}/collection/{self.inlet}"

    @property
    def accepted(self) -> list[AcceptedMessage]:
        """Every message taken, duplicates included, in the order of taking."""
        return self._journal.accepted

    @property
    def distinct_ids(self) -> set[str]:
        """The event ids taken at least once."""
        return self._journal.distinct_ids

    @property
    def refused(self) -> list[RefusedMessage]:
        """Every message refused by itself."""
        return self._journal.refused

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Every request to an inlet that has ended, in the order of ending."""
        return self._journal.requests

    @property
    def in_flight(self) -> int:
        """How many requests to an inlet are being read, held or answered right now."""
        return self._journal.in_flight

    @property
    def token_requests(self) -> list[TokenRequested]:
        """Every request to the token endpoint."""
        return self._journal.token_requests

    @property
    def tokens_issued(self) -> int:
        """How many tokens the token endpoint has given out."""
        return self.tokens.issued

    def open_inlet(
        self, inlet: str, *, take: Taker, expects: MessageFormat, needs_token: bool
    ) -> None:
        """Open a further inlet, which takes any JSON object as a raw record.

        Args:
            inlet: its id.
            take: is given each message that it accepts.
            expects: what it takes, whatever the behaviour in force says.
            needs_token: whether it is an authenticated one, likewise.
        """
        opened = Inlet(inlet, self._journal, self.faults, self.tokens, take=take, raw_id=None)
        self._further[inlet] = _Further(opened, expects, needs_token)

    def close_inlet(self, inlet: str) -> None:
        """Make a further inlet unknown again."""
        del self._further[inlet]

    def revoke_tokens(self) -> None:
        """Make every token issued so far worthless, as when it has expired."""
        self.tokens.revoke()

    async def wait_for(
        self,
        predicate: Callable[[], bool],
        timeout: float = 5.0,  # noqa: ASYNC109 - a bound of its own, so that no caller forgets it
    ) -> None:
        """Wait until the predicate holds, asking it again after everything that happens.

        Args:
            predicate: for example `lambda: len(aep.distinct_ids) == 3`.
            timeout: in seconds.

        Raises:
            TimeoutError: if it does not hold in time.
        """
        async with asyncio.timeout(timeout):
            await self._journal.wait_for(predicate)

    async def _single(self, request: web.Request) -> web.StreamResponse:
        return await self._collect(request, is_batch=False)

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        return await self._collect(request, is_batch=True)

    async def _collect(self, request: web.Request, *, is_batch: bool) -> web.StreamResponse:
        number, started = next(self._numbers), time.time()
        self._journal.note(RequestStarted(number, started))
        body, reply = b"", Reply(None)
        try:
            if not self.faults.strike(Stage.BEFORE_BODY):
                body = await request.read()
                await self._pause(self.behaviour.latency_seconds)
                inlet = request.match_info["inlet"]
                call = Call(number, inlet, is_batch, request.headers, request.query, body)
                reply = self._receive(call)
                await self._pause(reply.hold_seconds)
            return await _respond(request, reply)
        except ConnectionError:  # the client left half-way: nobody reads what is returned here
            return web.Response()
        finally:
            self._journal.note(
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
        behaviour = replace(self.behaviour, format=further.format, needs_token=further.needs_token)
        return further.inlet.receive(call, behaviour)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        down = [e for e in self.faults.strike(Stage.TOKEN) if isinstance(e, Answer)]
        if down:
            status, body = down[0].status, down[0].body
        else:
            status, answer = self.tokens.request(form, self.behaviour.token_seconds)
            body = orjson.dumps(answer)
        scopes = tuple(s for s in str(form.get("scope", "")).split(",") if s)
        self._journal.note(
            TokenRequested(str(form.get("client_id", "")), scopes, status, time.time())
        )
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
