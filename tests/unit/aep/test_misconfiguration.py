"""What AEP says of a wrong setting, told apart from what it says of an event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import orjson
import pytest

from local.simulated_time import run_simulated
from pendo_aep.aep.circuit_breaker import CircuitBreaker
from pendo_aep.aep.client import Response
from pendo_aep.aep.misconfiguration import advice, is_configuration_error, without_values
from pendo_aep.aep.retry import BatchSender, PendingMessage
from pendo_aep.outcome import Outcome
from tests.cases import Case, cases
from tests.unit.aep.fake_client import (
    FakeClient,
    Messages,
    Reply,
    Script,
    accept,
    counts,
    multi_status,
    now,
    numbered_messages,
)
from tests.webhooks import COMMENT, VISITOR


@pytest.mark.parametrize("case", cases("configuration_errors"))
def test_texts(case: Case) -> None:
    """A text about a setting names it in the advice; a text about an event is none."""
    assert is_configuration_error(case["said"]) is (case["setting"] is not None)
    assert (case["setting"] or "AEP refuses every event") in advice(400, case["said"])


@pytest.mark.parametrize(
    ("status", "named"), [(401, "AEP_CLIENT_SECRET"), (403, "rights"), (404, "AEP_ENDPOINT")]
)
def test_statuses(status: int, named: str) -> None:
    """Where AEP says nothing that is known, its status names the settings."""
    assert named in advice(status, "")


def test_values_of_the_event_are_masked() -> None:
    """What AEP quotes of an event does not reach the log; its own words do."""
    event = {"visitorId": VISITOR, "nps": {"rating": 42, "reason": COMMENT}, "list": [{"a": 4711}]}
    said = f"'{VISITOR}' and \"{COMMENT}\" and 4711: expected type: Number, {VISITOR}."

    for message in (event, {"header": {"x": "expected"}, "body": {"xdmEntity": event}}):
        masked = without_values(said, orjson.dumps(message))
        assert masked == "'...' and \"... ... of a ...\" and ...: expected type: Number, ...."


# An AEP that refuses everything is a wrong setting: events are retried, not dead-lettered.


_HEADER = "The 'header' field is mandatory and cannot be empty"


class Sending:
    """One process that sends batches to an inlet."""

    def __init__(self, inlet: FakeClient) -> None:
        self.inlet = inlet
        self.sender = BatchSender(inlet, CircuitBreaker())

    async def send(self, messages: Messages) -> dict[str, int]:
        """Sends one batch that has 30 seconds, and counts the outcomes."""
        return counts(await self.outcomes(messages))

    async def outcomes(self, messages: Messages) -> Sequence[Outcome]:
        """The outcomes of one such batch."""
        deadline = now() + 30
        return await self.sender.send([PendingMessage(message, deadline) for message in messages])


def whole(_: Messages) -> Reply:
    """AEP refuses each request as a whole."""
    return Response(400, b'{"message": "no"}')


def each(messages: Messages) -> Reply:
    """AEP refuses each message within a 207."""
    return multi_status([400] * len(messages))


def no_header(messages: Messages) -> Reply:
    """AEP refuses each message for what a setting does."""
    failed = [{"status": 400, "message": _HEADER}] * len(messages)
    return Response(207, json.dumps({"responses": failed}).encode())


REFUSALS = pytest.mark.parametrize("refuse", [whole, each])


@REFUSALS
def test_everything_is_refused(refuse: Script) -> None:
    """At most 20 messages are refused for good; the others come again, with few requests."""
    inlet = FakeClient(refuse)

    async def test() -> None:
        sending = Sending(inlet)
        batches = [numbered_messages(300)[start : start + 50] for start in range(0, 300, 50)]
        outcomes = await asyncio.gather(*map(sending.send, batches))
        assert sum(one.get("rejected", 0) for one in outcomes) == 20
        assert sum(one.get("configuration", 0) for one in outcomes) == 280
        assert len(inlet.requests) < 150

    run_simulated(test())


@REFUSALS
def test_one_small_probe_at_a_time(refuse: Script) -> None:
    """While it lasts, one message asks every ten seconds, whatever is brought meanwhile."""
    inlet = FakeClient(refuse)

    async def test() -> None:
        sending = Sending(inlet)
        await sending.send(numbered_messages(50))
        inlet.requests.clear()
        began = now()
        while now() < began + 60:
            for _ in range(3):
                assert await sending.send(numbered_messages(50)) == {"configuration": 50}
            await asyncio.sleep(1)
        assert set(inlet.sizes) == {1}
        gaps = [b.at - a.at for a, b in zip(inlet.requests, inlet.requests[1:], strict=False)]
        assert gaps
        assert all(10 <= gap < 12 for gap in gaps)

    run_simulated(test())


@REFUSALS
def test_the_first_accepted_message_ends_it(refuse: Script) -> None:
    """Once a probe is accepted, its batch goes with it, and everything after that."""
    inlet = FakeClient(refuse)

    async def test() -> None:
        sending = Sending(inlet)
        await sending.send(numbered_messages(50))
        inlet.script = accept
        await asyncio.sleep(10)
        assert await sending.send(numbered_messages(50)) == {"delivered": 50}
        assert inlet.sizes[-2:] == [1, 49]
        assert await sending.send(numbered_messages(50)) == {"delivered": 50}

    run_simulated(test())


@pytest.mark.parametrize("refuse", [whole, each, no_header])
def test_after_an_acceptance_it_counts_anew(refuse: Script) -> None:
    """What was refused before the last accepted message says nothing any more."""
    inlet = FakeClient(refuse)

    async def test() -> None:
        sending = Sending(inlet)
        await sending.send(numbered_messages(50))
        inlet.script = accept
        await asyncio.sleep(10)
        await sending.send(numbered_messages(1))
        inlet.script = each
        await asyncio.sleep(3600)
        assert await sending.send(numbered_messages(19)) == {"rejected": 19}

    run_simulated(test())


@REFUSALS
def test_soon_after_an_acceptance_refusals_are_final(refuse: Script) -> None:
    """Within a minute of an accepted message, many bad events in a row are bad events."""
    inlet = FakeClient()

    async def test() -> None:
        sending = Sending(inlet)
        await sending.send(numbered_messages(1))
        inlet.script = refuse
        await asyncio.sleep(59)
        assert await sending.send(numbered_messages(30)) == {"rejected": 30}
        await asyncio.sleep(1)
        assert await sending.send(numbered_messages(30)) == {"configuration": 30}

    run_simulated(test())


def test_bad_events_among_good_ones() -> None:
    """Refusals beside accepted messages say nothing of a setting, however many they are."""

    def every_second(messages: Messages) -> Reply:
        return multi_status([400 if place % 2 else 200 for place in range(len(messages))])

    sending = Sending(FakeClient(every_second))
    assert run_simulated(sending.send(numbered_messages(200))) == {
        "delivered": 100,
        "rejected": 100,
    }


@REFUSALS
def test_bad_events_on_a_quiet_day(refuse: Script) -> None:
    """A bad event that comes alone, hours after the last one, is refused for good."""
    inlet = FakeClient(refuse)

    async def test() -> None:
        sending = Sending(inlet)
        for number in range(19):
            await asyncio.sleep(3600)
            assert await sending.send([b'{"n":%d}' % number]) == {"rejected": 1}

    run_simulated(test())


def test_a_probe_is_not_always_the_same_message() -> None:
    """A bad event at the head of a batch does not keep the good ones back for ever."""
    bad = numbered_messages(1)[0]
    inlet = FakeClient(each)

    async def test() -> None:
        sending = Sending(inlet)
        await sending.send(numbered_messages(50))
        inlet.script = lambda messages: (each if bad in messages else accept)(messages)
        delivered = 0
        for _ in range(100):  # a fair coin never falls on one side so often
            await asyncio.sleep(10)
            delivered += (await sending.send(numbered_messages(2))).get("delivered", 0)
            if delivered:
                break
        assert delivered == 1

    run_simulated(test())


@pytest.mark.parametrize("count", [1, 50])
def test_what_speaks_of_a_setting_is_never_final(count: int) -> None:
    """Where AEP names what only a setting decides, not even the first message is refused."""
    inlet = FakeClient(no_header)

    async def test() -> None:
        sending = Sending(inlet)
        for _ in range(30):
            assert await sending.send(numbered_messages(count)) == {"configuration": count}
        assert len(inlet.requests) < 25

    run_simulated(test())


def test_an_acceptance_a_moment_ago_does_not_delay_it() -> None:
    """What speaks of a setting stops the requests at once: none of it would become final."""
    inlet = FakeClient()

    async def test() -> None:
        sending = Sending(inlet)
        await sending.send(numbered_messages(1))
        inlet.script = no_header
        for _ in range(30):
            assert await sending.send(numbered_messages(50)) == {"configuration": 50}
        assert len(inlet.requests) <= 3

    run_simulated(test())


def test_one_message_is_worth_bringing_while_it_lasts() -> None:
    """`drain` pulls one message for the probe, and stops when none is due."""
    inlet = FakeClient(each)

    async def test() -> None:
        sending = Sending(inlet)
        assert not sending.sender.only_probes
        await sending.send(numbered_messages(50))
        assert (sending.sender.only_probes, sending.sender.rejects_now) == (True, False)
        await sending.send(numbered_messages(1))
        assert (sending.sender.only_probes, sending.sender.rejects_now) == (True, True)

    run_simulated(test())


def test_it_is_said_once_a_minute_with_the_words_of_aep(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """The line is CRITICAL, names the settings to check, and quotes AEP."""
    run_simulated(Sending(FakeClient(no_header)).send(numbered_messages(50)))
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    [line] = [line for line in lines if line["severity"] == "CRITICAL"]
    assert line["message"].startswith("AEP configuration error: ")
    assert "AEP_FORMAT" in line["message"]
    assert line["said"] == f"400 {_HEADER}"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"responses": []}', b"<html>"])
def test_a_success_that_names_no_message_is_posted_once(
    body: bytes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Each further request would be a copy in the data lake; the messages go back at once."""
    inlet = FakeClient(lambda _: Response(200, body))
    assert run_simulated(Sending(inlet).send(numbered_messages(50))) == {"unknown_outcome": 50}
    assert len(inlet.requests) == 1
    assert b'"CRITICAL"' in capfdbinary.readouterr().out


def test_an_answer_to_one_message_that_does_not_fit_is_posted_once() -> None:
    """There is no smaller batch that would make it clearer."""
    inlet = FakeClient(lambda _: multi_status([200, 200]))
    assert run_simulated(Sending(inlet).send(numbered_messages(1))) == {"unknown_outcome": 1}
    assert len(inlet.requests) == 1
