"""For whose sake AEP refuses a whole batch: the culprit alone pays for it."""

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


def because_of(culprits: Messages, status: int) -> Script:
    """An AEP that refuses whatever has a culprit in it."""
    guilty = set(culprits)

    def script(messages: Messages) -> Reply:
        return accept(messages) if guilty.isdisjoint(messages) else Response(status, b"{}")

    return script


def until_request(number: int, before: Script, after: Script) -> Script:
    """An AEP that changes with its request of this number, counted from 1."""
    seen = 0

    def script(messages: Messages) -> Reply:
        nonlocal seen
        seen += 1
        return (before if seen < number else after)(messages)

    return script


def fails(_: Messages) -> Reply:
    """An AEP that answers 500 to everything."""
    return Response(500, b"{}")


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("case", cases("searches"))
def test_culprits_alone_are_refused(case: Case, status: int) -> None:
    """Culprits are refused, all others delivered, and a search costs few requests."""
    messages = numbered_messages(case["count"])
    culprits = [messages[place] for place in case["culprits"]]
    inlet = FakeClient(because_of(culprits, status))
    outcomes = run_simulated(send(inlet, messages))
    refused = [place for place, one in enumerate(outcomes) if isinstance(one, Rejected)]
    assert refused == case["culprits"]
    assert counts(outcomes) == {
        REASONS[status]: len(culprits),
        "delivered": len(messages) - len(culprits),
    }
    assert len(inlet.requests) - 1 <= case["extra_500" if status == 500 else "extra"]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_all_are_culprits(status: int) -> None:
    """When every message is refused, the search ends with the twentieth: it is a setting then."""
    messages = numbered_messages(100)
    inlet = FakeClient(because_of(messages, status))
    assert counts(run_simulated(send(inlet, messages))) == {
        REASONS[status]: 20,
        "configuration": 80,
    }
    assert len(inlet.requests) <= 60


def test_every_second_is_a_culprit() -> None:
    """Culprits everywhere among accepted messages: each costs log2(n) + 2 requests at most."""
    messages = numbered_messages(200)
    inlet = FakeClient(because_of(messages[::2], 400))
    assert counts(run_simulated(send(inlet, messages))) == {"rejected": 100, "delivered": 100}
    assert len(inlet.requests) <= 100 * (math.log2(200) + 2)


@pytest.mark.parametrize(
    "after", [Response(503, b""), Response(500, b""), NoResponse(RetryReason.TIMEOUT)]
)
@pytest.mark.parametrize("number", [2, 3, 7, 11, 12])
def test_search_is_interrupted(number: int, after: Reply) -> None:
    """When AEP fails in the middle of a search, only what was found alone before is refused."""
    messages = numbered_messages(1000)
    script = until_request(number, because_of([messages[617]], 400), lambda _: after)
    outcomes = run_simulated(send(FakeClient(script), messages))
    assert all(
        not isinstance(outcome, Rejected) or place == 617 for place, outcome in enumerate(outcomes)
    )
    assert counts(outcomes).get("delivered", 0) < 1000


@pytest.mark.parametrize("together", STATUSES)
@pytest.mark.parametrize("alone", [400, 413, 422])
def test_culprits_of_two_kinds(together: int, alone: int) -> None:
    """What AEP says of one message alone is no reason to refuse another."""
    messages = numbered_messages(8)

    def script(sent: Messages) -> Reply:
        if messages[0] in sent:
            return Response(together if len(sent) > 1 else alone, b"{}")
        return accept(sent)

    outcomes = run_simulated(send(FakeClient(script), messages))
    assert [one for one in outcomes[1:] if isinstance(one, Rejected)] == []


def test_two_causes_in_one_batch() -> None:
    """A message that is too large and another that is invalid: each is refused for its own."""
    messages = numbered_messages(8)

    def script(sent: Messages) -> Reply:
        if messages[2] in sent:
            return Response(413, b"{}")
        return Response(400, b"{}") if messages[5] in sent else accept(sent)

    outcomes = run_simulated(send(FakeClient(script), messages))
    assert counts(outcomes) == {"too_large": 1, "rejected": 1, "delivered": 6}


def test_refused_after_a_server_error() -> None:
    """A message that failed alone and is then refused has the reason and the words of AEP."""
    messages = numbered_messages(2)

    def refuses(sent: Messages) -> Reply:
        return Response(422, b'{"message": "wrong"}') if messages[1] in sent else accept(sent)

    # 1: both; 2, 3: each alone; 4: the first again, accepted; 5: the second, refused.
    inlet = FakeClient(until_request(5, because_of([messages[1]], 500), refuses))
    outcomes = run_simulated(send(inlet, messages))
    assert outcomes == [DELIVERED, Rejected(Reason.REJECTED, "422 wrong")]


def test_outage_of_500s() -> None:
    """An outage that answers 500 to everything refuses nothing and costs few requests."""
    inlet = FakeClient(fails)
    assert "poison" not in counts(run_simulated(send(inlet, numbered_messages(1000))))
    assert len(inlet.requests) <= 12


@pytest.mark.parametrize("number", [3, 4, 5, 9, 14, 15, 16])
def test_outage_begins_in_a_search(number: int) -> None:
    """An outage of 500s in the middle of a search refuses nobody else, and ends it soon."""
    messages = numbered_messages(1000)
    script = until_request(number, because_of([messages[617]], 500), fails)
    inlet = FakeClient(script)
    outcomes = run_simulated(send(inlet, messages))
    assert {place for place, one in enumerate(outcomes) if isinstance(one, Rejected)} <= {617}
    assert len(inlet.requests) <= 40


@pytest.mark.parametrize("length", [2, 8, 9, 10, 20, 40])
def test_outage_passes_in_a_search(length: int) -> None:
    """Who failed alone only because AEP was failing is not refused when it is back."""
    messages = numbered_messages(1000)
    healthy = because_of([messages[617]], 500)
    script = until_request(4, healthy, until_request(length + 1, fails, healthy))
    outcomes = run_simulated(send(FakeClient(script), messages))
    assert {place for place, one in enumerate(outcomes) if isinstance(one, Rejected)} <= {617}


def test_one_message_that_fails_alone() -> None:
    """A single message that gets 500 is tried again later: nothing says whose fault it is."""
    outcomes = run_simulated(send(FakeClient(fails), numbered_messages(1)))
    assert "poison" not in counts(outcomes)
    assert "delivered" not in counts(outcomes)


def test_poison_needs_a_witness_after_it() -> None:
    """A 500 alone is held against a message only once AEP has accepted something after it."""
    messages = numbered_messages(2)
    alive = until_request(4, because_of([messages[1]], 500), fails)
    # 1, 2: both; 3: the first alone, accepted; 4: the second alone, fails; 5: no witness.
    assert "poison" not in counts(run_simulated(send(FakeClient(alive), messages)))


def test_witness_that_is_not_accepted_again() -> None:
    """A witness that AEP answers with a failure inside a 207 is no witness."""
    messages = numbered_messages(2)

    def late(sent: Messages) -> Reply:
        return Response(207, b'{"responses": [{"status": 503}]}') if len(sent) == 1 else fails(sent)

    script = until_request(5, because_of([messages[1]], 500), late)
    outcomes = run_simulated(send(FakeClient(script), messages))
    assert "poison" not in counts(outcomes)


@pytest.mark.parametrize("share", [1 / 3, 0.5, 0.7])
def test_an_aep_that_fails_now_and_then_refuses_nobody(share: float) -> None:
    """A 500 that strikes any request, as one bad server of several does, is held against none."""
    # The same luck in every run: it befell an innocent message with each of these shares.
    luck = Random(1)  # noqa: S311 (no secret)

    def script(sent: Messages) -> Reply:
        return Response(500, b"{}") if luck.random() < share else accept(sent)

    outcomes = [run_simulated(send(FakeClient(script), numbered_messages(50))) for _ in range(300)]
    assert [one for batch in outcomes for one in batch if isinstance(one, Rejected)] == []


@randomly
@given(
    st.integers(2, 40).flatmap(
        # Fewer than 20: so many refusals in a row are a wrong setting.
        lambda count: st.tuples(st.just(count), st.sets(st.integers(0, count - 1), max_size=19))
    ),
    st.sampled_from([400, 413, 422]),
)
def test_any_culprits(batch: tuple[int, set[int]], status: int) -> None:
    """Whoever the culprits are: exactly they are refused."""
    count, culprits = batch
    messages = numbered_messages(count)
    inlet = FakeClient(because_of([messages[place] for place in culprits], status))
    outcomes = run_simulated(send(inlet, messages))
    for place, outcome in enumerate(outcomes):
        assert isinstance(outcome, Rejected) if place in culprits else outcome == DELIVERED
