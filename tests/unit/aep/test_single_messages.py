"""Each message in a request of its own: bounded, and one policy with a batch of one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from local.simulated_time import run_simulated
from pendo_aep.aep.circuit_breaker import CircuitBreaker
from pendo_aep.aep.client import Response
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.outcome import Outcome, Retry
from tests.cases import Case, cases
from tests.fake_inlet import (
    FakeInlet,
    Messages,
    Said,
    now,
    numbered,
    one_after_another,
    tally,
)

TAKEN = Response(200, b'{"inletId":"i","xactionId":"1:2:0","receivedTimeMs":1}')


class StreamingClient(FakeInlet):
    """Takes single messages only, and counts how many requests run at the same time."""

    running = most = 0

    async def post(self, messages: Messages, until: float) -> Response:
        """Answers one message."""
        assert len(messages) == 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await super().post(messages, until)
        finally:
            self.running -= 1


def accept(_: Messages) -> Said:
    """AEP takes it."""
    return TAKEN


def of(places: Sequence[int], messages: Messages, answer: Response) -> StreamingClient:
    """An inlet that answers so for some of the messages, and takes the others."""
    chosen = [messages[place] for place in places]
    return StreamingClient(lambda sent: answer if sent[0] in chosen else TAKEN, seconds=0.05)


async def send(
    inlet: StreamingClient, *batches: Messages, at_once: int = 4, seconds: float = 30.0
) -> list[Outcome]:
    """Sends some batches at the same time."""
    sender = BatchSender(inlet, CircuitBreaker(), singles_at_once=at_once)
    until = now() + seconds
    sending = (sender.send([PendingMessage(one, until) for one in batch]) for batch in batches)
    return [outcome for outcomes in await asyncio.gather(*sending) for outcome in outcomes]


def test_requests_at_a_time_are_bounded() -> None:
    """However many batches there are, so many requests run at once, and no fewer."""
    inlet = StreamingClient(accept, seconds=0.05)
    batches = [numbered(50)] * 3
    assert tally(run_simulated(send(inlet, *batches, at_once=7))) == {"delivered": 150}
    assert inlet.most == 7
    assert inlet.sizes == [1] * 150


def test_each_message_has_its_own_outcome() -> None:
    """A refusal is the message's own; only what may pass soon is sent again."""
    messages = numbered(10)
    answers = {2: Response(400, b""), 5: Response(413, b""), 7: Response(401, b"")}

    def script(sent: Messages) -> Said:
        return answers.get(messages.index(sent[0]), TAKEN)

    inlet = StreamingClient(script)
    outcomes = run_simulated(send(inlet, messages))
    assert tally(outcomes) == {"delivered": 7, "rejected": 1, "too_large": 1, "credentials": 1}
    assert [place for place, one in enumerate(outcomes) if isinstance(one, Retry)] == [7]
    assert len(inlet.requests) == 10


@pytest.mark.parametrize("case", cases("retries"))
def test_a_status_means_what_it_means_of_a_batch_of_one(case: Case) -> None:
    """What a moment may mend is tried again; what it may not goes back, with the same reason."""
    inlet = StreamingClient(one_after_another(Response(case["status"], b""), *[TAKEN] * 9))
    outcomes = run_simulated(send(inlet, numbered(5), at_once=1))
    back = {} if case["again"] else {case["why"]: 1}
    assert tally(outcomes) == {"delivered": 5 - len(back)} | back


def test_a_message_that_waits_for_its_turn_keeps_its_deadline() -> None:
    """What has no turn in time is not sent at all, and goes back to Pub/Sub."""
    inlet = StreamingClient(accept, seconds=1.0)
    outcomes = run_simulated(send(inlet, numbered(10), at_once=2, seconds=2.5))
    assert tally(outcomes)["deadline"] >= 4
    assert len(inlet.requests) <= 6


def test_an_outage_is_noticed() -> None:
    """Requests that fail together are one failure; after three nothing but probes is sent."""
    inlet = StreamingClient(lambda _: Response(503, b""), seconds=0.05)
    outcomes = run_simulated(send(inlet, numbered(500), at_once=4))
    assert set(tally(outcomes)) <= {"braked", "aep_failing"}
    assert len(inlet.requests) <= 3 * 4 + 5


def test_a_wrong_setting_is_asked_about_by_one_message() -> None:
    """Once everything is refused for a setting, one request asks; when it is mended, all go."""
    said = Response(400, b'{"message": "The \'header\' field is mandatory"}')

    async def test() -> None:
        inlet = StreamingClient(lambda _: said, seconds=0.01)
        sender = BatchSender(inlet, CircuitBreaker(), singles_at_once=4)

        async def some() -> dict[str, int]:
            return tally(await sender.send([PendingMessage(m, now() + 30) for m in numbered(100)]))

        assert await some() == {"configuration": 100}
        assert len(inlet.requests) <= 20 + 4
        asked = len(inlet.requests)
        await asyncio.sleep(11)
        assert await some() == {"configuration": 100}
        assert len(inlet.requests) == asked + 1
        inlet.script = accept
        await asyncio.sleep(11)
        assert await some() == {"delivered": 100}

    run_simulated(test())
