"""Retries until the deadline: each message has one outcome, which AEP's answers justify."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.simulated_time import run_simulated
from pendo_aep.aep.auth import TokenUnavailable
from pendo_aep.aep.circuit_breaker import CircuitBreaker
from pendo_aep.aep.client import NoResponse, Response
from pendo_aep.aep.response import is_permanent
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.dead_letters import Reason
from pendo_aep.outcome import DELIVERED, Outcome, Rejected, Retry, RetryReason
from tests.cases import Case, cases, randomly
from tests.simulated_time import now, simulated
from tests.unit.aep.fake_client import (
    FakeClient,
    Messages,
    Reply,
    counts,
    in_turn,
    multi_status,
    numbered_messages,
    send,
)

Turn: TypeAlias = tuple[int, list[int], float]  # status, statuses of the entries, seconds it takes


def test_only_unsettled_messages_are_sent_again() -> None:
    """Messages that a 207 accepts or rejects are not sent again; those that may pass soon are."""
    messages = numbered_messages(5)
    client = FakeClient(in_turn(multi_status([200, 503, 400, 429, 401])))
    outcomes = run_simulated(send(client, messages))
    assert client.requests[1].messages == (messages[1], messages[3])
    assert counts(outcomes) == {"delivered": 3, "rejected": 1, "credentials": 1}
    assert isinstance(outcomes[2], Rejected)
    assert len(client.requests) == 2


@pytest.mark.parametrize("case", cases("retries"))
def test_passing_failures_are_retried(case: Case) -> None:
    """A failure that may pass is retried within the deadline; a wrong setting is not."""
    client = FakeClient(in_turn(Response(case["status"], b"")))
    [outcome] = run_simulated(send(client, numbered_messages(1)))
    assert outcome == (DELIVERED if case["again"] else Retry(RetryReason(case["why"])))
    assert len(client.requests) == 1 + case["again"]


@pytest.mark.parametrize("case", cases("retries"))
def test_lasting_failures_come_again(case: Case) -> None:
    """A failure that lasts beyond the deadline returns the message, with the reason."""
    answers = [Response(case["status"], b"")] * 1000
    [outcome] = run_simulated(send(FakeClient(in_turn(*answers)), numbered_messages(1)))
    assert outcome in (Retry(RetryReason(case["why"])), Retry(RetryReason.CIRCUIT_OPEN))


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (NoResponse(RetryReason.TIMEOUT), True),
        (NoResponse(RetryReason.OUT_OF_REACH), True),
        (TokenUnavailable(RetryReason.TOKEN_ENDPOINT), True),
        (TokenUnavailable(RetryReason.CREDENTIALS), False),
    ],
)
def test_retries_without_an_answer(failure: Reply, again: bool) -> None:
    """Silence and a failing token endpoint are retried; rejected credentials are not."""
    client = FakeClient(in_turn(failure))
    outcomes = run_simulated(send(client, numbered_messages(3)))
    assert counts(outcomes) == ({"delivered": 3} if again else {"credentials": 3})


def test_pauses_are_fully_jittered() -> None:
    """The pauses are random, from zero to a ceiling that doubles."""
    gaps: list[tuple[float, float]] = []
    for _ in range(60):
        client = FakeClient(in_turn(Response(503, b""), Response(503, b"")))
        run_simulated(send(client, numbered_messages(1)))
        first, second, third = (request.at for request in client.requests)
        gaps.append((second - first, third - second))
    for number, ceiling in enumerate((0.4, 0.8)):
        pauses = [gap[number] for gap in gaps]
        assert 0 <= min(pauses) < ceiling / 2 < max(pauses) <= ceiling + 0.001


@pytest.mark.parametrize("answer", [Response(429, b"", 5.0), multi_status([503, 503], 5.0)])
def test_retry_after(answer: Response) -> None:
    """The next request waits as long as AEP asked, also within a 207."""
    client = FakeClient(in_turn(answer))
    assert counts(run_simulated(send(client, numbered_messages(2)))) == {"delivered": 2}
    assert 5.0 <= client.requests[1].at - client.requests[0].at <= 5.5


def test_retry_after_beyond_the_deadline() -> None:
    """A pause beyond the deadline returns the batch at once."""
    client = FakeClient(in_turn(Response(429, b"", 31.0)))

    async def test() -> float:
        began = now()
        assert await send(client, numbered_messages(2)) == [Retry(RetryReason.THROTTLED)] * 2
        return now() - began

    assert run_simulated(test()) == 0
    assert len(client.requests) == 1


@simulated
async def test_retry_after_of_a_partial_207() -> None:
    """A pause that AEP asks for in a partial success applies to other batches too."""
    breaker = CircuitBreaker()
    client = FakeClient(in_turn(multi_status([200, 429], 20.0)))
    await send(client, numbered_messages(2), seconds=10.0, breaker=breaker)
    began = now()
    assert counts(await send(client, numbered_messages(1), breaker=breaker)) == {"delivered": 1}
    assert now() - began == pytest.approx(20.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_batch_past_its_deadline_is_not_sent(seconds: float) -> None:
    """A batch whose deadline has passed is not sent."""
    client = FakeClient()
    assert counts(run_simulated(send(client, numbered_messages(2), seconds=seconds))) == {
        "deadline": 2
    }
    assert client.requests == []


@simulated
async def test_the_earliest_deadline_counts() -> None:
    """The earliest deadline of its messages limits the attempts of a batch."""
    batch = [PendingMessage(b"{}", now() + seconds) for seconds in (30.0, 2.0, 30.0)]
    until = now() + 2.0
    client = FakeClient(in_turn(*[Response(207, b"")] * 1000))
    assert (
        await BatchSender(client, CircuitBreaker()).send(batch)
        == [Retry(RetryReason.UNKNOWN_OUTCOME)] * 3
    )
    assert now() <= until
    assert max(request.at for request in client.requests) < until


@pytest.mark.parametrize("seconds", [1.5, 3.0, 7.0])
@simulated
async def test_a_bisection_ends_by_the_deadline(seconds: float) -> None:
    """A bisection sends nothing after the deadline."""
    messages = numbered_messages(64)

    def script(sent: Messages) -> Reply:
        return Response(400, b"") if messages[33] in sent else multi_status([200] * len(sent))

    client = FakeClient(script, seconds=seconds)
    until = now() + 10.0
    outcomes = await send(client, messages, seconds=10.0)
    assert now() <= until + 0.01
    assert max(request.at for request in client.requests) < until
    assert counts(outcomes)["timeout"] > 0


class RecordingScript:
    """A client's script that records what AEP has said about each message."""

    def __init__(self, turns: list[Turn]) -> None:
        self.turns = turns
        self.number = 0
        self.client = FakeClient(self)
        self.taken: dict[bytes, int] = {}
        self.refused: set[bytes] = set()
        self.failed_alone: dict[bytes, int] = {}

    def __call__(self, messages: Messages) -> Reply:
        """Returns the next reply, cyclically."""
        status, statuses, self.client.seconds = self.turns[self.number % len(self.turns)]
        self.number += 1
        if status == 0:
            return NoResponse(RetryReason.TIMEOUT)
        if status == 1:
            return TokenUnavailable(RetryReason.TOKEN_ENDPOINT)
        if status == 207:
            said = [statuses[place % len(statuses)] for place in range(len(messages))]
            for message, one in zip(messages, said, strict=True):
                self._note(message, one)
            return multi_status(said)
        if len(messages) == 1:
            self._note(messages[0], status)
        return Response(status, b"")

    def _note(self, message: bytes, status: int) -> None:
        if status == 200:
            self.taken[message] = self.number
        if is_permanent(status):
            self.refused.add(message)
        if status == 500:
            self.failed_alone.setdefault(message, self.number)

    def justifies(self, message: bytes, outcome: Outcome) -> bool:
        """Returns whether AEP has said so about this very message."""
        if outcome == DELIVERED:
            return message in self.taken
        if isinstance(outcome, Rejected) and outcome.reason == Reason.POISON:
            last_taken = max(self.taken.values(), default=0)
            return self.failed_alone.get(message, last_taken) < last_taken
        return message in self.refused or isinstance(outcome, Retry)


_STATUSES = st.sampled_from([0, 1, 207, 207, 207, 400, 413, 422, 401, 404, 429, 500, 500, 503])
_ENTRIES = st.lists(st.sampled_from([200, 200, 200, 400, 413, 429, 500, 503]), min_size=1)
_SECONDS = st.sampled_from([0.0, 0.0, 0.1, 1.0, 4.0])


@randomly
@given(
    st.integers(1, 12), st.lists(st.tuples(_STATUSES, _ENTRIES, _SECONDS), min_size=1, max_size=20)
)
@example(2, [(400, [200], 0.0), (413, [200], 0.0)])
@example(5, [(400, [200], 1.0)])
def test_outcomes_are_justified_by_any_answers(count: int, turns: list[Turn]) -> None:
    """Whatever AEP answers, each message has one outcome, in time, that its answers justify."""
    messages = numbered_messages(count)
    recorded = RecordingScript(turns)

    async def test() -> list[Outcome]:
        until = now() + 10.0
        outcomes = await send(recorded.client, messages, seconds=10.0)
        assert now() <= until + 0.01
        assert all(request.at < until for request in recorded.client.requests)
        return outcomes

    for message, outcome in zip(messages, run_simulated(test()), strict=True):
        assert recorded.justifies(message, outcome)


# Each message in a request of its own: bounded, with the same policy as a batch of one.


TAKEN = Response(200, b'{"inletId":"i","xactionId":"1:2:0","receivedTimeMs":1}')


class SingleMessageClient(FakeClient):
    """Accepts single messages only, and counts concurrent requests."""

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


def accept_one(_: Messages) -> Reply:
    """AEP accepts it."""
    return TAKEN


def client_answering(
    places: Sequence[int], messages: Messages, answer: Response
) -> SingleMessageClient:
    """Returns a client with this answer to some of the messages; it accepts the others."""
    chosen = [messages[place] for place in places]
    return SingleMessageClient(lambda sent: answer if sent[0] in chosen else TAKEN, seconds=0.05)


async def send_singly(
    client: SingleMessageClient, *batches: Messages, at_once: int = 4, seconds: float = 30.0
) -> list[Outcome]:
    """Sends some batches concurrently."""
    sender = BatchSender(client, CircuitBreaker(), singles_at_once=at_once)
    until = now() + seconds
    sending = (sender.send([PendingMessage(one, until) for one in batch]) for batch in batches)
    return [outcome for outcomes in await asyncio.gather(*sending) for outcome in outcomes]


def test_concurrent_requests_are_bounded() -> None:
    """However many batches there are, exactly so many requests run at once."""
    client = SingleMessageClient(accept_one, seconds=0.05)
    batches = [numbered_messages(50)] * 3
    assert counts(run_simulated(send_singly(client, *batches, at_once=7))) == {"delivered": 150}
    assert client.most == 7
    assert client.sizes == [1] * 150


def test_entries_of_a_207_has_its_own_outcome() -> None:
    """A rejection concerns one message; only one that may pass soon is sent again."""
    messages = numbered_messages(10)
    answers = {2: Response(400, b""), 5: Response(413, b""), 7: Response(401, b"")}

    def script(sent: Messages) -> Reply:
        return answers.get(messages.index(sent[0]), TAKEN)

    client = SingleMessageClient(script)
    outcomes = run_simulated(send_singly(client, messages))
    assert counts(outcomes) == {"delivered": 7, "rejected": 1, "too_large": 1, "credentials": 1}
    assert [place for place, one in enumerate(outcomes) if isinstance(one, Retry)] == [7]
    assert len(client.requests) == 10


@pytest.mark.parametrize("case", cases("retries"))
def test_a_status_means_the_same_as_for_a_batch_of_one(case: Case) -> None:
    """A failure that may pass is retried; any other returns the message with the same reason."""
    client = SingleMessageClient(in_turn(Response(case["status"], b""), *[TAKEN] * 9))
    outcomes = run_simulated(send_singly(client, numbered_messages(5), at_once=1))
    back = {} if case["again"] else {case["why"]: 1}
    assert counts(outcomes) == {"delivered": 5 - len(back)} | back


def test_a_queued_message_keeps_its_deadline() -> None:
    """A message whose turn comes too late is not sent, and is returned."""
    client = SingleMessageClient(accept_one, seconds=1.0)
    outcomes = run_simulated(send_singly(client, numbered_messages(10), at_once=2, seconds=2.5))
    assert counts(outcomes)["deadline"] >= 4
    assert len(client.requests) <= 6


def test_an_outage_opens_the_circuit() -> None:
    """Requests that fail together are one failure; after three only probes are sent."""
    client = SingleMessageClient(lambda _: Response(503, b""), seconds=0.05)
    outcomes = run_simulated(send_singly(client, numbered_messages(500), at_once=4))
    assert set(counts(outcomes)) <= {"braked", "aep_failing"}
    assert len(client.requests) <= 3 * 4 + 5


@simulated
async def test_a_wrong_setting_is_probed_with_one_message() -> None:
    """While everything is rejected for a setting, one message probes; then all are sent."""
    said = Response(400, b'{"message": "The \'header\' field is mandatory"}')
    client = SingleMessageClient(lambda _: said, seconds=0.01)
    sender = BatchSender(client, CircuitBreaker(), singles_at_once=4)

    async def some() -> dict[str, int]:
        return counts(
            await sender.send([PendingMessage(m, now() + 30) for m in numbered_messages(100)])
        )

    assert await some() == {"configuration": 100}
    assert len(client.requests) <= 20 + 4
    asked = len(client.requests)
    await asyncio.sleep(11)
    assert await some() == {"configuration": 100}
    assert len(client.requests) == asked + 1
    client.script = accept_one
    await asyncio.sleep(11)
    assert await some() == {"delivered": 100}
