"""The bisection: of a batch that AEP rejects as a whole, only the poison messages are rejected."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulated_time import run_simulated
from pendo_aep.aep.client import NoResponse, Response
from pendo_aep.dead_letters import Reason
from pendo_aep.outcome import DELIVERED, Rejected, RetryReason
from tests.cases import Case, cases, randomly
from tests.unit.aep.fake_client import (
    FakeClient,
    Messages,
    Reply,
    Script,
    accept,
    counts,
    numbered_messages,
    send,
)

REASONS = {400: "rejected", 413: "too_large", 422: "rejected", 500: "poison"}
STATUSES = sorted(REASONS)


def rejecting(poison: Messages, status: int) -> Script:
    """Returns an AEP that rejects every batch with one of these messages."""
    poisonous = set(poison)

    def script(messages: Messages) -> Reply:
        return accept(messages) if poisonous.isdisjoint(messages) else Response(status, b"{}")

    return script


def until_request(number: int, before: Script, after: Script) -> Script:
    """Returns an AEP that changes with its request of this number, counted from 1."""
    seen = 0

    def script(messages: Messages) -> Reply:
        nonlocal seen
        seen += 1
        return (before if seen < number else after)(messages)

    return script


def failing(_: Messages) -> Reply:
    """An AEP that answers 500 to everything."""
    return Response(500, b"{}")


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("case", cases("searches"))
def test_only_poison_messages_are_rejected(case: Case, status: int) -> None:
    """Poison messages are rejected, all others delivered, and the bisection needs few requests."""
    messages = numbered_messages(case["count"])
    poison = [messages[place] for place in case["culprits"]]
    client = FakeClient(rejecting(poison, status))
    outcomes = run_simulated(send(client, messages))
    rejected = [place for place, one in enumerate(outcomes) if isinstance(one, Rejected)]
    assert rejected == case["culprits"]
    assert counts(outcomes) == {
        REASONS[status]: len(poison),
        "delivered": len(messages) - len(poison),
    }
    assert len(client.requests) - 1 <= case["extra_500" if status == 500 else "extra"]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_of_poison_messages_is_a_wrong_setting(status: int) -> None:
    """When every message is rejected, the bisection ends with the twentieth: it is a setting."""
    messages = numbered_messages(100)
    client = FakeClient(rejecting(messages, status))
    outcomes = run_simulated(send(client, messages))
    assert counts(outcomes) == {REASONS[status]: 20, "configuration": 80}
    assert len(client.requests) <= 60


def test_every_second_message_is_poison() -> None:
    """Each poison message costs at most log2(n) + 2 requests."""
    messages = numbered_messages(200)
    client = FakeClient(rejecting(messages[::2], 400))
    assert counts(run_simulated(send(client, messages))) == {"rejected": 100, "delivered": 100}
    assert len(client.requests) <= 100 * (math.log2(200) + 2)


@pytest.mark.parametrize(
    "after", [Response(503, b""), Response(500, b""), NoResponse(RetryReason.TIMEOUT)]
)
@pytest.mark.parametrize("number", [2, 3, 7, 11, 12])
def test_an_interrupted_bisection_rejects_only_what_it_found(number: int, after: Reply) -> None:
    """When AEP failing during a bisection, only a message that was isolated before is rejected."""
    messages = numbered_messages(1000)
    script = until_request(number, rejecting([messages[617]], 400), lambda _: after)
    outcomes = run_simulated(send(FakeClient(script), messages))
    assert all(
        not isinstance(outcome, Rejected) or place == 617 for place, outcome in enumerate(outcomes)
    )
    assert counts(outcomes).get("delivered", 0) < 1000


@pytest.mark.parametrize("together", STATUSES)
@pytest.mark.parametrize("alone", [400, 413, 422])
def test_a_message_is_rejected_for_its_own_status(together: int, alone: int) -> None:
    """What AEP says about one message is no reason to reject another."""
    messages = numbered_messages(8)

    def script(sent: Messages) -> Reply:
        if messages[0] in sent:
            return Response(together if len(sent) > 1 else alone, b"{}")
        return accept(sent)

    outcomes = run_simulated(send(FakeClient(script), messages))
    assert [one for one in outcomes[1:] if isinstance(one, Rejected)] == []


def test_two_poison_messages_with_two_reasons() -> None:
    """A message that is too large and an invalid one are each rejected for their own reason."""
    messages = numbered_messages(8)

    def script(sent: Messages) -> Reply:
        if messages[2] in sent:
            return Response(413, b"{}")
        return Response(400, b"{}") if messages[5] in sent else accept(sent)

    outcomes = run_simulated(send(FakeClient(script), messages))
    assert counts(outcomes) == {"too_large": 1, "rejected": 1, "delivered": 6}


def test_a_rejection_after_a_server_error_counts() -> None:
    """A message that failed alone and is then rejected has the reason and the words of AEP."""
    messages = numbered_messages(2)

    def refuses(sent: Messages) -> Reply:
        return Response(422, b'{"message": "wrong"}') if messages[1] in sent else accept(sent)

    # 1: both; 2, 3: each alone; 4: the first again, accepted; 5: the second, rejected.
    client = FakeClient(until_request(5, rejecting([messages[1]], 500), refuses))
    outcomes = run_simulated(send(client, messages))
    assert outcomes == [DELIVERED, Rejected(Reason.REJECTED, "422 wrong")]


def test_an_outage_of_500s_rejects_nothing() -> None:
    """An outage that answers 500 to everything rejects nothing and costs few requests."""
    client = FakeClient(failing)
    assert "poison" not in counts(run_simulated(send(client, numbered_messages(1000))))
    assert len(client.requests) <= 12


@pytest.mark.parametrize("number", [3, 4, 5, 9, 14, 15, 16])
def test_an_outage_begins_during_a_bisection(number: int) -> None:
    """An outage of 500s during a bisection rejects no other message, and ends it soon."""
    messages = numbered_messages(1000)
    script = until_request(number, rejecting([messages[617]], 500), failing)
    client = FakeClient(script)
    outcomes = run_simulated(send(client, messages))
    assert {place for place, one in enumerate(outcomes) if isinstance(one, Rejected)} <= {617}
    assert len(client.requests) <= 40


@pytest.mark.parametrize("length", [2, 8, 9, 10, 20, 40])
def test_an_outage_ends_during_a_bisection(length: int) -> None:
    """A message that failed alone only because of the outage is not rejected after it."""
    messages = numbered_messages(1000)
    healthy = rejecting([messages[617]], 500)
    script = until_request(4, healthy, until_request(length + 1, failing, healthy))
    outcomes = run_simulated(send(FakeClient(script), messages))
    assert {place for place, one in enumerate(outcomes) if isinstance(one, Rejected)} <= {617}


def test_a_single_message_that_fails_comes_again() -> None:
    """A single message that gets 500 comes again: nothing shows that it is the cause."""
    outcomes = run_simulated(send(FakeClient(failing), numbered_messages(1)))
    assert "poison" not in counts(outcomes)
    assert "delivered" not in counts(outcomes)


def test_poison_needs_a_known_good_message_after_it() -> None:
    """A message that got 500 alone is poison only once AEP has accepted another after it."""
    messages = numbered_messages(2)
    alive = until_request(4, rejecting([messages[1]], 500), failing)
    # 1, 2: both; 3: the first alone, accepted; 4: the second alone, fails; 5: fails.
    assert "poison" not in counts(run_simulated(send(FakeClient(alive), messages)))


def test_a_known_good_message_must_be_accepted_again() -> None:
    """A known-good message that AEP answers with a failure inside a 207 proves nothing."""
    messages = numbered_messages(2)

    def late(sent: Messages) -> Reply:
        return (
            Response(207, b'{"responses": [{"status": 503}]}') if len(sent) == 1 else failing(sent)
        )

    script = until_request(5, rejecting([messages[1]], 500), late)
    outcomes = run_simulated(send(FakeClient(script), messages))
    assert "poison" not in counts(outcomes)


@pytest.mark.parametrize("share", [1 / 3, 0.5, 0.7])
def test_random_failures_reject_nothing(share: float) -> None:
    """Random 500s, as from one bad server of several, reject no message."""
    # One seed for every run: with it, a valid message was once rejected at each of these shares.
    random = Random(1)  # noqa: S311 (no secret)

    def script(sent: Messages) -> Reply:
        return Response(500, b"{}") if random.random() < share else accept(sent)

    outcomes = [run_simulated(send(FakeClient(script), numbered_messages(50))) for _ in range(300)]
    assert [one for batch in outcomes for one in batch if isinstance(one, Rejected)] == []


@randomly
@given(
    st.integers(2, 40).flatmap(
        # Fewer than 20: so many rejections in a row are a wrong setting.
        lambda count: st.tuples(st.just(count), st.sets(st.integers(0, count - 1), max_size=19))
    ),
    st.sampled_from([400, 413, 422]),
)
def test_any_poison_messages(batch: tuple[int, set[int]], status: int) -> None:
    """Whichever messages are poison, exactly they are rejected."""
    count, poison = batch
    messages = numbered_messages(count)
    client = FakeClient(rejecting([messages[place] for place in poison], status))
    outcomes = run_simulated(send(client, messages))
    for place, outcome in enumerate(outcomes):
        assert isinstance(outcome, Rejected) if place in poison else outcome == DELIVERED
