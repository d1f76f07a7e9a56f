"""Sends a batch to AEP until its deadline, and returns the outcome of each message.

What may succeed now is retried; a batch that AEP refuses as a whole is bisected. A general retry
library (stamina, tenacity) repeats one call until it succeeds. Here each attempt leaves other
messages over, all batches share one circuit breaker, and a repeated failure is bisected: only the
formula of the pause would be left to such a library.
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
from pendo_aep.outcome import (
    CONFIGURATION,
    DELIVERED,
    Delivered,
    Outcome,
    Rejected,
    Retry,
    RetryReason,
)

# Full jitter (AWS, "Exponential Backoff And Jitter"): anything from 0 to the ceiling, in seconds.
_FIRST_CEILING: Final = 0.4
_LAST_CEILING: Final = 8.0
_TOO_LATE: Final = Retry(RetryReason.DEADLINE)
_WRONG_SETTING: Final = frozenset({RetryReason.CONFIGURATION, RetryReason.CREDENTIALS})


class PendingMessage(NamedTuple):
    """A message to send: a JSON object, and when it goes back to Pub/Sub (event loop time)."""

    message: bytes
    deadline: float


class BatchTransport(Protocol):
    """Posts one request, once; `client.StreamingClient` is the real one."""

    async def post(self, messages: Sequence[bytes], until: float) -> Response:
        """Returns the response; raises NoResponse or TokenUnavailable."""
        ...


class BatchSender:
    """Sends batches to AEP. One per process: all batches share the circuit breaker."""

    def __init__(
        self, client: BatchTransport, breaker: CircuitBreaker, *, singles_at_once: int = 0
    ) -> None:
        """Takes the client and its circuit breaker.

        Args:
            client: posts the requests.
            breaker: rejects requests while AEP keeps failing.
            singles_at_once: 0: a batch is one request. Otherwise each message is a request of its
                own, and at most so many requests run at the same time.
        """
        self._client = client
        self._breaker = breaker
        self._sends_singly = singles_at_once > 0
        # Batches in flight are bounded by the callers.
        self._slots: AbstractAsyncContextManager[None] = (
            asyncio.Semaphore(singles_at_once) if singles_at_once else nullcontext()
        )
        self._guard = ConfigurationGuard()
        self._wrong_setting = Alarm()
        self._unnamed_messages = Alarm()

    @property
    def rejects_now(self) -> bool:
        """Whether a batch would be returned at once: AEP keeps failing or refuses everything."""
        return self._breaker.rejects_now or self._guard.rejects_now

    @property
    def only_probes(self) -> bool:
        """Whether AEP refuses everything, so that only one message at a time is of use."""
        return self._guard.is_closed

    async def send(self, batch: Sequence[PendingMessage]) -> list[Outcome]:
        """Returns the outcome of each message, in their order, by their earliest deadline."""
        if self._guard.is_closed and len(batch) > 1:
            return await self._probe(batch)
        if self._sends_singly and len(batch) > 1:
            return await self._send_singly(batch)
        loop = asyncio.get_running_loop()
        until = min(pending.deadline for pending in batch)
        outcomes: list[Outcome] = [_TOO_LATE] * len(batch)
        left = list(range(len(batch)))
        ceiling = _FIRST_CEILING
        failed_before = ambiguous_before = False
        while left:
            messages = [batch[position].message for position in left]
            attempt = partial(self._attempt, until=until)
            if failed_before and len(left) > 1:
                result = BatchResult(SERVER_ERROR, [])  # it failed as a whole a moment ago
            else:
                result = await attempt(messages, expects_error=failed_before)
            found = result.outcomes
            if len(left) > 1 and (blames_messages(result) or failed_before):
                found = await isolate_poison_messages(messages, result.status, attempt)
            elif len(left) > 1 and ambiguous_before and AMBIGUOUS_ENTRIES in found:
                found = await self._send_halves([batch[position] for position in left])
            for position, outcome in zip(left, found, strict=True):
                outcomes[position] = outcome
            left = [position for position in left if _retries_now(outcomes[position])]
            pause = max(random.uniform(0, ceiling), result.retry_after)  # noqa: S311 (no secret)
            if not left or loop.time() + pause >= until:
                break
            await asyncio.sleep(pause)
            ceiling = min(ceiling * 2, _LAST_CEILING)
            failed_before = result.status == SERVER_ERROR
            ambiguous_before = AMBIGUOUS_ENTRIES in found
        return outcomes

    async def _send_singly(self, batch: Sequence[PendingMessage]) -> list[Outcome]:
        """Sends each message as a batch of one."""
        async with asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(self.send([pending])) for pending in batch]
        return [outcome for task in sending for outcome in task.result()]

    async def _probe(self, batch: Sequence[PendingMessage]) -> list[Outcome]:
        """Sends one message, and the others only if AEP accepts it."""
        if self._guard.rejects_now:
            return [CONFIGURATION] * len(batch)
        # A random one: a message that is rejected for what it is must not be the probe for ever.
        position = random.randrange(len(batch))  # noqa: S311 (no secret)
        others = [*batch[:position], *batch[position + 1 :]]
        [outcome] = await self.send([batch[position]])
        is_accepted = outcome == DELIVERED
        outcomes = await self.send(others) if is_accepted else [CONFIGURATION] * len(others)
        return [*outcomes[:position], outcome, *outcomes[position:]]

    async def _send_halves(self, batch: Sequence[PendingMessage]) -> list[Outcome]:
        middle = len(batch) // 2
        return [*await self.send(batch[:middle]), *await self.send(batch[middle:])]

    async def _attempt(
        self, messages: Sequence[bytes], *, until: float, expects_error: bool
    ) -> BatchResult:
        """Makes one request, if the time, the guard and the circuit breaker allow it."""
        async with self._slots:
            return await self._attempt_now(messages, until=until, expects_error=expects_error)

    async def _attempt_now(
        self, messages: Sequence[bytes], *, until: float, expects_error: bool
    ) -> BatchResult:
        if not self._guard.admits(len(messages)):
            return BatchResult(0, [CONFIGURATION] * len(messages))
        try:
            permit = await self._breaker.permit(until)
        except CircuitOpen:
            return BatchResult(0, [Retry(RetryReason.CIRCUIT_OPEN)] * len(messages))
        result = None
        try:
            if asyncio.get_running_loop().time() >= until:
                return BatchResult(0, [_TOO_LATE] * len(messages))
            result = await self._post(messages, until)
        finally:
            if result is None or (expects_error and result.status == SERVER_ERROR):
                self._breaker.release(permit)
            elif _is_failing(result):
                self._breaker.failed(permit, result.retry_after)
            else:
                self._breaker.succeeded(permit, result.retry_after)
        result = replace(result, outcomes=self._guard.judge(result.outcomes))
        self._raise_alarms(result, messages)
        return result

    def _raise_alarms(self, result: BatchResult, messages: Sequence[bytes]) -> None:
        """Logs as CRITICAL what only a person can correct."""
        for message, outcome in zip(messages, result.outcomes, strict=True):
            if isinstance(outcome, Delivered):  # nearly all
                continue
            if outcome == UNKNOWN_OUTCOME:
                self._unnamed_messages.ring(
                    "AEP answers that it succeeded, and does not name the messages it accepted",
                    status=result.status,
                    count=len(messages),
                )
            elif self._is_wrong_setting(outcome) and result.status and self._wrong_setting.is_due:
                self._wrong_setting.ring(
                    ALARM.format(advice=advice(result.status, outcome.detail)),
                    status=result.status,
                    said=without_values(outcome.detail, message) or None,
                )

    def _is_wrong_setting(self, outcome: Outcome) -> TypeGuard[Rejected | Retry]:
        if isinstance(outcome, Rejected):
            return self._guard.is_closed
        return isinstance(outcome, Retry) and outcome.reason in _WRONG_SETTING

    async def _post(self, messages: Sequence[bytes], until: float) -> BatchResult:
        try:
            response = await self._client.post(messages, until)
        except (NoResponse, TokenUnavailable) as error:
            return BatchResult(0, [Retry(error.reason)] * len(messages))
        outcomes = parse_response(response.status, response.body, len(messages))
        return BatchResult(response.status, outcomes, response.retry_after)


def _is_failing(result: BatchResult) -> bool:
    """Returns whether AEP itself fails, not a message, a setting or the form of the response."""
    return not is_permanent(result.status) and all(
        isinstance(outcome, Retry) and outcome.reason.counts_as_outage
        for outcome in result.outcomes
    )


def _retries_now(outcome: Outcome) -> bool:
    return isinstance(outcome, Retry) and outcome.reason.retries_now
