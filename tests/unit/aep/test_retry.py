"""A batch on its way: tried again until its deadline, each message with one honest outcome."""

from __future__ import annotations

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
from tests.fake_inlet import (
    FakeInlet,
    Messages,
    Said,
    entries,
    now,
    numbered,
    one_after_another,
    send,
    tally,
)

Turn: TypeAlias = tuple[int, list[int], float]  # status, statuses of the entries, seconds it takes


def test_only_the_rest_is_sent_again() -> None:
    """What a 207 says was taken or refused is not sent again; what it says may pass soon is."""
    messages = numbered(5)
    inlet = FakeInlet(one_after_another(entries([200, 503, 400, 429, 401])))
    outcomes = run_simulated(send(inlet, messages))
    assert inlet.requests[1].messages == (messages[1], messages[3])
    assert tally(outcomes) == {"delivered": 3, "rejected": 1, "credentials": 1}
    assert isinstance(outcomes[2], Rejected)
    assert len(inlet.requests) == 2


@pytest.mark.parametrize("case", cases("retries"))
def test_what_is_tried_again(case: Case) -> None:
    """What a moment may mend is tried again within the request; a wrong setting is not."""
    inlet = FakeInlet(one_after_another(Response(case["status"], b"")))
    [outcome] = run_simulated(send(inlet, numbered(1)))
    assert outcome == (DELIVERED if case["again"] else Retry(RetryReason(case["why"])))
    assert len(inlet.requests) == 1 + case["again"]


@pytest.mark.parametrize("case", cases("retries"))
def test_what_never_passes(case: Case) -> None:
    """What does not pass in time goes back to Pub/Sub, with the reason, and is never refused."""
    answers = [Response(case["status"], b"")] * 1000
    [outcome] = run_simulated(send(FakeInlet(one_after_another(*answers)), numbered(1)))
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
def test_no_answer(failure: Said, again: bool) -> None:
    """Silence and a failing token endpoint are tried again, refused credentials are not."""
    inlet = FakeInlet(one_after_another(failure))
    outcomes = run_simulated(send(inlet, numbered(3)))
    assert tally(outcomes) == ({"delivered": 3} if again else {"credentials": 3})


def test_pauses_are_fully_jittered() -> None:
    """The pauses are anything from nothing to a ceiling that doubles."""
    gaps: list[tuple[float, float]] = []
    for _ in range(60):
        inlet = FakeInlet(one_after_another(Response(503, b""), Response(503, b"")))
        run_simulated(send(inlet, numbered(1)))
        first, second, third = (request.at for request in inlet.requests)
        gaps.append((second - first, third - second))
    for number, ceiling in enumerate((0.4, 0.8)):
        pauses = [gap[number] for gap in gaps]
        assert 0 <= min(pauses) < ceiling / 2 < max(pauses) <= ceiling + 0.001


@pytest.mark.parametrize("answer", [Response(429, b"", 5.0), entries([503, 503], 5.0)])
def test_retry_after(answer: Response) -> None:
    """AEP is left alone as long as it asked, also when it asked within a 207."""
    inlet = FakeInlet(one_after_another(answer))
    assert tally(run_simulated(send(inlet, numbered(2)))) == {"delivered": 2}
    assert 5.0 <= inlet.requests[1].at - inlet.requests[0].at <= 5.5


def test_retry_after_beyond_the_deadline() -> None:
    """A pause that does not fit is not waited for: the batch goes back at once."""
    inlet = FakeInlet(one_after_another(Response(429, b"", 31.0)))

    async def test() -> float:
        began = now()
        assert await send(inlet, numbered(2)) == [Retry(RetryReason.THROTTLED)] * 2
        return now() - began

    assert run_simulated(test()) == 0
    assert len(inlet.requests) == 1


def test_retry_after_of_a_partial_207() -> None:
    """A pause that AEP asks for beside what it took holds back other batches too."""

    async def test() -> None:
        brake = CircuitBreaker()
        inlet = FakeInlet(one_after_another(entries([200, 429], 20.0)))
        await send(inlet, numbered(2), seconds=10.0, brake=brake)
        began = now()
        assert tally(await send(inlet, numbered(1), brake=brake)) == {"delivered": 1}
        assert now() - began == pytest.approx(20.0)

    run_simulated(test())


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_deadline_that_has_passed(seconds: float) -> None:
    """A batch whose deadline has passed is not sent."""
    inlet = FakeInlet()
    assert tally(run_simulated(send(inlet, numbered(2), seconds=seconds))) == {"deadline": 2}
    assert inlet.requests == []


def test_earliest_deadline() -> None:
    """The message with the least time left decides how long its batch is tried."""

    async def test() -> None:
        batch = [PendingMessage(b"{}", now() + seconds) for seconds in (30.0, 2.0, 30.0)]
        until = now() + 2.0
        inlet = FakeInlet(one_after_another(*[Response(207, b"")] * 1000))
        assert (
            await BatchSender(inlet, CircuitBreaker()).send(batch)
            == [Retry(RetryReason.UNKNOWN_OUTCOME)] * 3
        )
        assert now() <= until
        assert max(request.at for request in inlet.requests) < until

    run_simulated(test())


@pytest.mark.parametrize("seconds", [1.5, 3.0, 7.0])
def test_search_ends_by_the_deadline(seconds: float) -> None:
    """A search for a culprit asks nothing of AEP after the deadline."""
    messages = numbered(64)

    def script(sent: Messages) -> Said:
        return Response(400, b"") if messages[33] in sent else entries([200] * len(sent))

    async def test() -> None:
        inlet = FakeInlet(script, seconds=seconds)
        until = now() + 10.0
        outcomes = await send(inlet, messages, seconds=10.0)
        assert now() <= until + 0.01
        assert max(request.at for request in inlet.requests) < until
        assert tally(outcomes)["timeout"] > 0

    run_simulated(test())


class Journal:
    """An inlet's script that remembers what AEP has said of each message."""

    def __init__(self, turns: list[Turn]) -> None:
        self.turns = turns
        self.number = 0
        self.inlet = FakeInlet(self)
        self.taken: dict[bytes, int] = {}
        self.refused: set[bytes] = set()
        self.failed_alone: dict[bytes, int] = {}

    def __call__(self, messages: Messages) -> Said:
        """The next turn, over and over."""
        status, statuses, self.inlet.seconds = self.turns[self.number % len(self.turns)]
        self.number += 1
        if status == 0:
            return NoResponse(RetryReason.TIMEOUT)
        if status == 1:
            return TokenUnavailable(RetryReason.TOKEN_ENDPOINT)
        if status == 207:
            said = [statuses[place % len(statuses)] for place in range(len(messages))]
            for message, one in zip(messages, said, strict=True):
                self._note(message, one)
            return entries(said)
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
        """Has AEP said what the outcome says, and of this very message?"""
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
def test_any_answers(count: int, turns: list[Turn]) -> None:
    """Whatever AEP answers: one outcome a message, in time, that AEP's own answers justify."""
    messages = numbered(count)
    journal = Journal(turns)

    async def test() -> list[Outcome]:
        until = now() + 10.0
        outcomes = await send(journal.inlet, messages, seconds=10.0)
        assert now() <= until + 0.01
        assert all(request.at < until for request in journal.inlet.requests)
        return outcomes

    for message, outcome in zip(messages, run_simulated(test()), strict=True):
        assert journal.justifies(message, outcome)
