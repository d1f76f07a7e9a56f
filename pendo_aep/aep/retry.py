"""Sending a batch until its deadline: what may pass is tried again, what never will is found.

A general retry library (stamina, tenacity) repeats one call until it succeeds. Here each try leaves
other messages over, all batches share one brake, and a failure that comes again is searched for its
culprit: only the formula of the pause would be left to such a library.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeGuard

from pendo_aep.aep.auth import TokenUnavailable
from pendo_aep.aep.bisect import SERVER_ERROR, BatchResult, blames_messages, isolate_poison_messages
from pendo_aep.aep.circuit_breaker import CircuitBreaker, CircuitOpen
from pendo_aep.aep.client import NoResponse, Response
from pendo_aep.aep.misconfiguration import ALARM, ConfigurationGuard, advice, without_values
from pendo_aep.aep.response import AMBIGUOUS_ENTRIES, UNKNOWN_OUTCOME, is_permanent, parse_response
from pendo_aep.logs import Alarm
from pendo_aep.outcome import CONFIGURATION, DELIVERED, Outcome, Rejected, Retry, RetryReason

# Full jitter (AWS, "Exponential Backoff And Jitter"): anything from 0 to the ceiling, in seconds.
_FIRST_CEILING: Final = 0.4
_LAST_CEILING: Final = 8.0
_TOO_LATE: Final = Retry(RetryReason.DEADLINE)
_WRONG_SETTING: Final = frozenset({RetryReason.CONFIGURATION, RetryReason.CREDENTIALS})


class PendingMessage(NamedTuple):
    """One message on its way: a JSON object, and when it goes back to Pub/Sub (loop time)."""

    message: bytes
    deadline: float


class BatchTransport(Protocol):
    """What posts one request, once; `inlet.Inlet` is the real one."""

    async def post(self, messages: Sequence[bytes], until: float) -> Response:
        """The answer; raises NoResponse or TokenUnavailable."""
        ...


class BatchSender:
    """Carries batches to AEP. One for all of a process: they share the brake."""

    def __init__(
        self, inlet: BatchTransport, brake: CircuitBreaker, *, singles_at_once: int = 0
    ) -> None:
        """Takes the inlet and its brake.

        Args:
            inlet: posts the requests.
            brake: holds requests back while AEP keeps failing.
            singles_at_once: 0: a batch is one request. Otherwise each message is a request of its
                own, and at most so many requests run at the same time.
        """
        self._inlet = inlet
        self._brake = brake
        self._sends_singly = singles_at_once > 0
        # How many batches there are at the same time is bounded by those who send them.
        self._slots: AbstractAsyncContextManager[None] = (
            asyncio.Semaphore(singles_at_once) if singles_at_once else nullcontext()
        )
        self._guard = ConfigurationGuard()
        self._wrong_setting = Alarm()
        self._unnamed_messages = Alarm()

    @property
    def rejects_now(self) -> bool:
        """Would a batch be handed back at once, because AEP keeps failing or refuses everything?"""
        return self._brake.rejects_now or self._guard.rejects_now

    @property
    def only_probes(self) -> bool:
        """Is one message all that is worth bringing, because AEP refuses everything?"""
        return self._guard.is_closed

    async def send(self, batch: Sequence[PendingMessage]) -> list[Outcome]:
        """The outcome of each message, in their order, by the earliest of their deadlines."""
        if self._guard.is_closed and len(batch) > 1:
            return await self._probe(batch)
        if self._sends_singly and len(batch) > 1:
            return await self._send_singly(batch)
        loop = asyncio.get_running_loop()
        until = min(outgoing.deadline for outgoing in batch)
        outcomes: list[Outcome] = [_TOO_LATE] * len(batch)
        left = list(range(len(batch)))
        ceiling = _FIRST_CEILING
        failed_before = unclear_before = False
        while left:
            messages = [batch[place].message for place in left]
            again = partial(self._try, until=until)
            if failed_before and len(left) > 1:
                tried = BatchResult(SERVER_ERROR, [])  # it failed as a whole a moment ago
            else:
                tried = await again(messages, expects_error=failed_before)
            found = tried.outcomes
            if len(left) > 1 and (blames_messages(tried) or failed_before):
                found = await isolate_poison_messages(messages, tried.status, again)
            elif len(left) > 1 and unclear_before and AMBIGUOUS_ENTRIES in found:
                found = await self._send_halves([batch[place] for place in left])
            for place, outcome in zip(left, found, strict=True):
                outcomes[place] = outcome
            left = [place for place in left if _may_pass_soon(outcomes[place])]
            pause = max(random.uniform(0, ceiling), tried.retry_after)  # noqa: S311 (no secret)
            if not left or loop.time() + pause >= until:
                break
            await asyncio.sleep(pause)
            ceiling = min(ceiling * 2, _LAST_CEILING)
            failed_before = tried.status == SERVER_ERROR
            unclear_before = AMBIGUOUS_ENTRIES in found
        return outcomes

    async def _send_singly(self, batch: Sequence[PendingMessage]) -> list[Outcome]:
        """Sends each message as a batch of one, which retry, brake and guard treat as such."""
        async with asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(self.send([outgoing])) for outgoing in batch]
        return [outcome for task in sending for outcome in task.result()]

    async def _probe(self, batch: Sequence[PendingMessage]) -> list[Outcome]:
        """Sends one message, and the others only if AEP accepts it."""
        if self._guard.rejects_now:
            return [CONFIGURATION] * len(batch)
        # Any of them: one that is refused for what it is must not be the probe for ever.
        place = random.randrange(len(batch))  # noqa: S311 (no secret)
        others = [*batch[:place], *batch[place + 1 :]]
        [outcome] = await self.send([batch[place]])
        is_open = outcome == DELIVERED
        outcomes = await self.send(others) if is_open else [CONFIGURATION] * len(others)
        return [*outcomes[:place], outcome, *outcomes[place:]]

    async def _send_halves(self, batch: Sequence[PendingMessage]) -> list[Outcome]:
        middle = len(batch) // 2
        return [*await self.send(batch[:middle]), *await self.send(batch[middle:])]

    async def _try(
        self, messages: Sequence[bytes], *, until: float, expects_error: bool
    ) -> BatchResult:
        """One request, if there is time for it, and the guard and the brake let it."""
        async with self._slots:
            return await self._try_now(messages, until=until, expects_error=expects_error)

    async def _try_now(
        self, messages: Sequence[bytes], *, until: float, expects_error: bool
    ) -> BatchResult:
        if not self._guard.admits(len(messages)):
            return BatchResult(0, [CONFIGURATION] * len(messages))
        try:
            permit = await self._brake.permit(until)
        except CircuitOpen:
            return BatchResult(0, [Retry(RetryReason.CIRCUIT_OPEN)] * len(messages))
        tried = None
        try:
            if asyncio.get_running_loop().time() >= until:
                return BatchResult(0, [_TOO_LATE] * len(messages))
            tried = await self._post(messages, until)
        finally:
            if tried is None or (expects_error and tried.status == SERVER_ERROR):
                self._brake.release(permit)
            elif _is_failing(tried):
                self._brake.failed(permit, tried.retry_after)
            else:
                self._brake.succeeded(permit, tried.retry_after)
        tried = replace(tried, outcomes=self._guard.judge(tried.outcomes))
        self._tell(tried, messages)
        return tried

    def _tell(self, tried: BatchResult, messages: Sequence[bytes]) -> None:
        """Says loudly what only a person can mend."""
        for message, outcome in zip(messages, tried.outcomes, strict=True):
            if outcome is DELIVERED:  # nearly all
                continue
            if outcome == UNKNOWN_OUTCOME:
                self._unnamed_messages.ring(
                    "AEP answers that it succeeded, and does not name the messages it accepted",
                    status=tried.status,
                    count=len(messages),
                )
            elif self._is_wrong_setting(outcome) and tried.status and self._wrong_setting.is_due:
                self._wrong_setting.ring(
                    ALARM.format(advice=advice(tried.status, outcome.detail)),
                    status=tried.status,
                    said=without_values(outcome.detail, message) or None,
                )

    def _is_wrong_setting(self, outcome: Outcome) -> TypeGuard[Rejected | Retry]:
        if isinstance(outcome, Rejected):
            return self._guard.is_closed
        return isinstance(outcome, Retry) and outcome.reason in _WRONG_SETTING

    async def _post(self, messages: Sequence[bytes], until: float) -> BatchResult:
        try:
            answer = await self._inlet.post(messages, until)
        except (NoResponse, TokenUnavailable) as error:
            return BatchResult(0, [Retry(error.reason)] * len(messages))
        outcomes = parse_response(answer.status, answer.body, len(messages))
        return BatchResult(answer.status, outcomes, answer.retry_after)


def _is_failing(tried: BatchResult) -> bool:
    """Is it AEP that fails, rather than a message, a setting or how the answer is spelled?"""
    return not is_permanent(tried.status) and all(
        isinstance(outcome, Retry) and outcome.reason.counts_as_outage for outcome in tried.outcomes
    )


def _may_pass_soon(outcome: Outcome) -> bool:
    return isinstance(outcome, Retry) and outcome.reason.retries_now
