"""The token source as a state machine: callers, answers, rejections and time in any order.

Not modelled: a body in pieces, TLS, and a rotated secret. `tests/security`, `tests/hostile` and
`tests/functions` test those.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, TypeAlias, cast, get_args

import aiohttp
import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from local.simulated_time import SimulatedTimeLoop
from pendo_aep.aep import auth
from pendo_aep.aep.auth import Credentials, TokenSource, TokenUnavailable
from pendo_aep.http import http_connection
from pendo_aep.settings import Secret
from tests.model.stores import OpenCall
from tests.simulated_time import settle

pytestmark = pytest.mark.slow

FORM = {
    "grant_type": "client_credentials",
    "client_id": "client",
    "client_secret": "secret",
    "scope": "openid,AdobeID",
}
FETCH_SECONDS = 10.0
# A token has at least this much time left, or half of its lifetime if that is shorter.
MARGIN_SECONDS = 60.0
Disposition: TypeAlias = Literal[
    "token", "refused", "throttled", "failing", "not JSON", "no time", "reset"
]
# Of an answer that is no token: its status, its body, and the reason.
FAILURES: dict[Disposition, tuple[int, bytes, str]] = {
    "refused": (401, b'{"error": "invalid_client"}', "credentials"),
    "throttled": (429, b"", "token_endpoint"),
    "failing": (503, b"", "token_endpoint"),
    "not JSON": (200, b"<html>", "token_endpoint"),
    "no time": (200, b'{"access_token": "t"}', "token_endpoint"),
}


@dataclass(slots=True)
class Token:
    """A token that IMS has issued."""

    text: str
    until: float
    least: float  # seconds that it must have left
    is_rejected: bool = False

    def is_good(self, now: float) -> bool:
        """Returns whether AEP will accept it for a while."""
        return not self.is_rejected and self.until - now > self.least


class ImsModel:
    """The token endpoint, in place of an HTTP session."""

    def __init__(self) -> None:
        self.open: OpenCall | None = None
        self.requests: list[dict[str, Any]] = []
        self.last_failure = ""

    @asynccontextmanager
    async def post(self, url: str, **options: Any) -> AsyncIterator[Any]:
        """Stands for `aiohttp.ClientSession.post`."""
        assert self.open is None, "two requests at the same time"
        self.requests.append({"url": url, **options})
        self.open = OpenCall(None)
        self.last_failure = "token_endpoint"  # unless it answers something else
        try:
            status, body = await asyncio.wait_for(self.open.answer, options["timeout"].total)
        finally:
            self.open = None

        async def pieces() -> AsyncIterator[bytes]:
            yield body

        yield SimpleNamespace(status=status, content=SimpleNamespace(iter_any=pieces))


class TokenMachine(RuleBasedStateMachine):
    """The real token source, with an IMS that answers as the rules say."""

    @initialize()
    def begin(self) -> None:
        """Starts without a token."""
        self.to_close = ExitStack()
        self.runner = self.to_close.enter_context(asyncio.Runner(loop_factory=SimulatedTimeLoop))
        self.loop = self.runner.get_loop()
        patches = self.to_close.enter_context(pytest.MonkeyPatch.context())
        patches.setattr(auth, "time", SimpleNamespace(monotonic=self.loop.time))
        self.ims = ImsModel()
        session = cast("aiohttp.ClientSession", self.ims)
        self.source = TokenSource(
            http_connection("IMS", lambda: session),
            Credentials("https://ims", "client", Secret("secret"), "openid,AdobeID"),
        )
        self.tokens: list[Token] = []
        self.callers: list[asyncio.Task[None]] = []

    @rule()
    def caller_comes(self) -> None:
        """A caller asks for a token; if there is a good one, no request is sent."""
        has_one = bool(self.tokens) and self.tokens[-1].is_good(self.loop.time())
        asked_before = len(self.ims.requests)
        self.callers.append(self.loop.create_task(self.take()))
        self.become_idle()
        if has_one:
            assert len(self.ims.requests) == asked_before
            assert self.callers[-1].done()

    @precondition(lambda self: self.ims.open)
    @rule(
        how=st.sampled_from(("token", *get_args(Disposition))),
        seconds=st.sampled_from([1, 90, 3600]),
    )
    def ims_answers(self, how: Disposition, seconds: int) -> None:
        """IMS answers the request, or its connection breaks."""
        assert self.ims.open
        if how == "token":
            text = f"token-{len(self.tokens)}"
            least = min(MARGIN_SECONDS, seconds / 2)
            self.tokens.append(Token(text, self.loop.time() + seconds, least))
            body = orjson.dumps({"access_token": text, "expires_in": seconds})
            self.ims.open.end((200, body))
        elif how == "reset":
            self.ims.open.end(aiohttp.ServerDisconnectedError())
        else:
            status, body, self.ims.last_failure = FAILURES[how]
            self.ims.open.end((status, body))
        self.become_idle()

    @precondition(lambda self: self.tokens)
    @rule(is_latest=st.booleans())
    def aep_rejects(self, is_latest: bool) -> None:
        """AEP rejects a token; perhaps one that has been renewed since it was sent."""
        token = self.tokens[-1] if is_latest else self.tokens[-min(len(self.tokens), 2)]
        token.is_rejected = True
        self.source.reject(token.text)

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(min_value=0))
    def caller_is_cancelled(self, which: int) -> None:
        """A caller is cancelled, perhaps the one that fetches for all."""
        self.waiting[which % len(self.waiting)].cancel()
        self.become_idle()

    @rule(seconds=st.sampled_from([0.5, 20.0, 50.0, 1900.0, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        """Time passes."""
        self.runner.run(asyncio.sleep(seconds))
        self.become_idle()

    @invariant()
    def callers_got_good_tokens(self) -> None:
        """No caller got a bad token, or another failure than IMS answered."""
        for caller in self.callers:
            if caller.done() and not caller.cancelled():
                caller.result()
        self.callers = self.waiting

    @invariant()
    def requests_are_sent_for_callers(self) -> None:
        """There is a request in flight exactly while a caller waits."""
        assert bool(self.waiting) == (self.ims.open is not None)

    @invariant()
    def requests_are_valid(self) -> None:
        """Each request has the credentials, follows no redirect, and has a timeout."""
        for request in self.ims.requests:
            assert request["url"] == "https://ims/ims/token/v3"
            assert request["data"] == FORM
            assert request["allow_redirects"] is False
            assert request["timeout"].total <= FETCH_SECONDS

    def teardown(self) -> None:
        """Once IMS answers, every caller gets a token."""
        with self.to_close:
            if self.ims.open:
                self.ims_answers("token", 3600)
            assert not self.waiting
            self.callers_got_good_tokens()

    @property
    def waiting(self) -> list[asyncio.Task[None]]:
        """The callers without a token yet."""
        return [caller for caller in self.callers if not caller.done()]

    def become_idle(self) -> None:
        """Lets the loop become idle; callers that wait for the same token get it one by one."""
        for _ in range(1 + len(self.waiting)):
            self.runner.run(settle())

    async def take(self) -> None:
        """Asks for a token, and checks it at once."""
        try:
            text = await self.source.token()
        except TokenUnavailable as error:
            assert error.reason == self.ims.last_failure  # noqa: PT017 (it need not be raised)
            return
        [token] = [token for token in self.tokens if token.text == text]
        assert token.is_good(self.loop.time())


TokenMachine.TestCase.settings = settings(deadline=None, stateful_step_count=30)
TestTokens = TokenMachine.TestCase
