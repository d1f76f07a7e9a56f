"""Wrong settings: recognised by AEP's words, or because AEP rejects everything."""

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
from tests.simulated_time import now, simulated
from tests.unit.aep.fake_client import (
    FakeClient,
    Messages,
    Reply,
    Script,
    accept,
    counts,
    multi_status,
    numbered_messages,
)
from tests.webhooks import COMMENT, VISITOR


@pytest.mark.parametrize("case", cases("configuration_errors"))
def test_texts_about_settings_are_recognised(case: Case) -> None:
    """The advice names the setting that a text is about; a text about an event is no such text."""
    assert is_configuration_error(case["said"]) is (case["setting"] is not None)
    assert (case["setting"] or "AEP refuses every event") in advice(400, case["said"])


@pytest.mark.parametrize(
    ("status", "named"), [(401, "AEP_CLIENT_SECRET"), (403, "rights"), (404, "AEP_ENDPOINT")]
)
def test_advice_by_status(status: int, named: str) -> None:
    """If AEP's words are unknown, its status says which settings to check."""
    assert named in advice(status, "")


def test_values_of_the_event_are_masked() -> None:
    """Values of the event that AEP quotes are masked in the log; its own words are not."""
    event = {"visitorId": VISITOR, "nps": {"rating": 42, "reason": COMMENT}, "list": [{"a": 4711}]}
    said = f"'{VISITOR}' and \"{COMMENT}\" and 4711: expected type: Number, {VISITOR}."

    for message in (event, {"header": {"x": "expected"}, "body": {"xdmEntity": event}}):
        masked = without_values(said, orjson.dumps(message))
        assert masked == "'...' and \"... ... of a ...\" and ...: expected type: Number, ...."


# If AEP rejects everything, a setting is wrong: events are retried, not dead-lettered.


_HEADER = "The 'header' field is mandatory and cannot be empty"


class Process:
    """One process that sends batches."""

    def __init__(self, client: FakeClient) -> None:
        self.client = client
        self.sender = BatchSender(client, CircuitBreaker())

    async def send(self, messages: Messages) -> dict[str, int]:
        """Sends one batch with a deadline in 30 seconds, and counts the outcomes."""
        return counts(await self.outcomes(messages))

    async def outcomes(self, messages: Messages) -> Sequence[Outcome]:
        """Returns the outcomes of one such batch."""
        deadline = now() + 30
        return await self.sender.send([PendingMessage(message, deadline) for message in messages])


def whole(_: Messages) -> Reply:
    """AEP rejects each request as a whole."""
    return Response(400, b'{"message": "no"}')


def each(messages: Messages) -> Reply:
    """AEP rejects each message within a 207."""
    return multi_status([400] * len(messages))


def no_header(messages: Messages) -> Reply:
    """AEP rejects each message for a wrong setting."""
    failed = [{"status": 400, "message": _HEADER}] * len(messages)
    return Response(207, json.dumps({"responses": failed}).encode())


REJECTIONS = pytest.mark.parametrize("reject", [whole, each])


@REJECTIONS
@simulated
async def test_rejecting_everything_is_a_wrong_setting(reject: Script) -> None:
    """At most 20 messages are rejected; the others come again, with few requests."""
    client = FakeClient(reject)
    process = Process(client)
    batches = [numbered_messages(300)[start : start + 50] for start in range(0, 300, 50)]
    outcomes = await asyncio.gather(*map(process.send, batches))
    assert sum(one.get("rejected", 0) for one in outcomes) == 20
    assert sum(one.get("configuration", 0) for one in outcomes) == 280
    assert len(client.requests) < 150


@REJECTIONS
@simulated
async def test_one_message_probes_at_a_time(reject: Script) -> None:
    """While it lasts, one message probes every ten seconds, whatever arrives meanwhile."""
    client = FakeClient(reject)
    process = Process(client)
    await process.send(numbered_messages(50))
    client.requests.clear()
    began = now()
    while now() < began + 60:
        for _ in range(3):
            assert await process.send(numbered_messages(50)) == {"configuration": 50}
        await asyncio.sleep(1)
    assert set(client.sizes) == {1}
    gaps = [b.at - a.at for a, b in zip(client.requests, client.requests[1:], strict=False)]
    assert gaps
    assert all(10 <= gap < 12 for gap in gaps)


@REJECTIONS
@simulated
async def test_an_accepted_probe_ends_it(reject: Script) -> None:
    """Once a probe is accepted, the rest of its batch is sent, and everything after that."""
    client = FakeClient(reject)
    process = Process(client)
    await process.send(numbered_messages(50))
    client.script = accept
    await asyncio.sleep(10)
    assert await process.send(numbered_messages(50)) == {"delivered": 50}
    assert client.sizes[-2:] == [1, 49]
    assert await process.send(numbered_messages(50)) == {"delivered": 50}


@pytest.mark.parametrize("reject", [whole, each, no_header])
@simulated
async def test_an_accepted_message_resets_the_count(reject: Script) -> None:
    """Rejections before the last accepted message do not count."""
    client = FakeClient(reject)
    process = Process(client)
    await process.send(numbered_messages(50))
    client.script = accept
    await asyncio.sleep(10)
    await process.send(numbered_messages(1))
    client.script = each
    await asyncio.sleep(3600)
    assert await process.send(numbered_messages(19)) == {"rejected": 19}


@REJECTIONS
@simulated
async def test_rejections_soon_after_an_acceptance_are_final(reject: Script) -> None:
    """Within a minute of an accepted message, many rejections in a row are bad events."""
    client = FakeClient()
    process = Process(client)
    await process.send(numbered_messages(1))
    client.script = reject
    await asyncio.sleep(59)
    assert await process.send(numbered_messages(30)) == {"rejected": 30}
    await asyncio.sleep(1)
    assert await process.send(numbered_messages(30)) == {"configuration": 30}


def test_bad_events_among_good_ones_are_rejected() -> None:
    """Rejections beside accepted messages are no wrong setting, however many they are."""

    def every_second(messages: Messages) -> Reply:
        return multi_status([400 if place % 2 else 200 for place in range(len(messages))])

    process = Process(FakeClient(every_second))
    outcomes = run_simulated(process.send(numbered_messages(200)))
    assert outcomes == {"delivered": 100, "rejected": 100}


@REJECTIONS
@simulated
async def test_rare_bad_events_are_rejected(reject: Script) -> None:
    """A bad event that arrives alone, hours after the last one, is rejected."""
    client = FakeClient(reject)
    process = Process(client)
    for number in range(19):
        await asyncio.sleep(3600)
        assert await process.send([b'{"n":%d}' % number]) == {"rejected": 1}


@simulated
async def test_the_probe_is_chosen_at_random() -> None:
    """A bad event at the head of a batch does not hold back the good ones forever."""
    bad = numbered_messages(1)[0]
    client = FakeClient(each)
    process = Process(client)
    await process.send(numbered_messages(50))
    client.script = lambda messages: (each if bad in messages else accept)(messages)
    delivered = 0
    for _ in range(100):  # a fair coin does not fall on one side so often
        await asyncio.sleep(10)
        delivered += (await process.send(numbered_messages(2))).get("delivered", 0)
        if delivered:
            break
    assert delivered == 1


@pytest.mark.parametrize("count", [1, 50])
@simulated
async def test_a_named_setting_rejects_no_message(count: int) -> None:
    """When AEP names a setting, not even the first message is rejected."""
    client = FakeClient(no_header)
    process = Process(client)
    for _ in range(30):
        assert await process.send(numbered_messages(count)) == {"configuration": count}
    assert len(client.requests) < 25


@simulated
async def test_a_named_setting_stops_requests_at_once() -> None:
    """When AEP names a setting, requests stop at once, also just after an acceptance."""
    client = FakeClient()
    process = Process(client)
    await process.send(numbered_messages(1))
    client.script = no_header
    for _ in range(30):
        assert await process.send(numbered_messages(50)) == {"configuration": 50}
    assert len(client.requests) <= 3


@simulated
async def test_drain_pulls_one_message_for_the_probe() -> None:
    """While it lasts `drain` pulls one message for the probe, or none when no probe is due."""
    client = FakeClient(each)
    process = Process(client)
    assert not process.sender.only_probes
    await process.send(numbered_messages(50))
    assert (process.sender.only_probes, process.sender.rejects_now) == (True, False)
    await process.send(numbered_messages(1))
    assert (process.sender.only_probes, process.sender.rejects_now) == (True, True)


def test_the_log_quotes_aep_once_a_minute(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """The line is CRITICAL, names the settings to check, and quotes AEP."""
    run_simulated(Process(FakeClient(no_header)).send(numbered_messages(50)))
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    [line] = [line for line in lines if line["severity"] == "CRITICAL"]
    assert line["message"].startswith("AEP configuration error: ")
    assert "AEP_FORMAT" in line["message"]
    assert line["said"] == f"400 {_HEADER}"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"responses": []}', b"<html>"])
def test_a_success_without_message_names_is_not_retried(
    body: bytes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Each further request would make a copy in the data lake; the messages come again later."""
    client = FakeClient(lambda _: Response(200, body))
    assert run_simulated(Process(client).send(numbered_messages(50))) == {"unknown_outcome": 50}
    assert len(client.requests) == 1
    assert b'"CRITICAL"' in capfdbinary.readouterr().out


def test_an_ambiguous_answer_to_one_message_is_not_retried() -> None:
    """No smaller batch could make it less ambiguous."""
    client = FakeClient(lambda _: multi_status([200, 200]))
    assert run_simulated(Process(client).send(numbered_messages(1))) == {"unknown_outcome": 1}
    assert len(client.requests) == 1
