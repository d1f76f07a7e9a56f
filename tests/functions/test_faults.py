"""The fault matrix: whatever AEP does, every event ends accepted, or dead with the right reason."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest

from local import aep
from local.aep import Behaviour, Fault, Shape
from tests.cases import Case, cases
from tests.conftest import PubSub
from tests.delivery_harness import SECRET, Carriage, Way, carriage
from tests.webhooks import COMMENT, VISITOR

pytestmark = pytest.mark.slow
EVENTS = 500
# What the batch endpoint said in a log of 2024, when an inlet for XDM got raw events.
NO_HEADER = b'{"message": "The \'header\' field is mandatory"}'
_numbers = count()


def new_ids(how_many: int) -> list[str]:
    """Event ids that nothing else has."""
    return [
        hashlib.sha1(b"fault %d" % n, usedforsecurity=False).hexdigest()
        for n in (next(_numbers) for _ in range(how_many))
    ]


@pytest.fixture(scope="class")
async def running(
    pubsub: PubSub, project_ids: Iterator[str], request: pytest.FixtureRequest
) -> AsyncIterator[Carriage]:
    """One way on one server, for all cases."""
    way: Way = request.cls.way
    async with carriage(pubsub.host, next(project_ids)) as carried:
        async with carried.running(way):
            yield carried
        # After all of it: no secret and no personal data in anything that was printed.
        printed = "\n".join(carried.output)
        for canary in (VISITOR, COMMENT, SECRET, "Bearer"):
            assert canary not in printed


class Matrix:
    """The cases, for one way; a class each, so that the two run side by side."""

    way: Way

    @pytest.mark.parametrize("case", cases("faults"))
    async def test_every_event_comes_to_its_end(
        self,
        running: Carriage,
        case: Case,
        record_property: Callable[[str, object], None],
    ) -> None:
        """Nothing is lost, and nothing dead-lettered that a later try would have delivered."""
        way, stand_in = self.way, running.aep
        ids = new_ids(case.get("events", EVENTS))
        victims = set(victims_of(case, ids)) if "dead" in case else set()
        before, accepted_before = len(stand_in.requests), len(stand_in.accepted)
        stand_in.behaviour = replace(
            Behaviour(needs_token=True), shape=Shape(case.get("shape", "docs"))
        )
        stand_in.faults.clear()
        stand_in.faults.add(*faults_of(case, ids))
        if case.get("revoked"):
            stand_in.revoke_tokens()

        await running.publish(way, ids)
        if mended_after := case.get("mended_after"):
            await running.until(way, lambda: len(stand_in.requests) >= before + mended_after)
            assert not running.dead.keys() & set(ids)
            stand_in.faults.clear()
            stand_in.behaviour = Behaviour(needs_token=True)
        await running.until(way, lambda: running.ended(ids), 90)

        dead = running.dead.keys() & set(ids)
        accepted = [message.id for message in stand_in.accepted[accepted_before:]]
        row = {
            "fault": case["case"],
            "way": way,
            "events": len(ids),
            "accepted": len(set(accepted)),
        }
        row |= {"again": len(accepted) - len(set(accepted)), "dead": len(dead)}
        record_property("faults of AEP", row | {"requests": len(stand_in.requests) - before})
        assert dead == victims
        assert {running.dead[i]["reason"] for i in dead} == ({case["dead"]} if victims else set())
        assert set(ids) - dead <= stand_in.distinct_ids


class TestPush(Matrix):
    """Pushed to `deliver`."""

    way = "push"


class TestDrain(Matrix):
    """ReceivedMessage by `drain`."""

    way = "drain"


def victims_of(case: Case, ids: list[str]) -> list[str]:
    """The events that are to end as dead letters."""
    kinds = {kind for kind, _, _ in case.get("faults", [])}
    if "poison" in kinds:
        return [ids[len(ids) // 3]]
    return ids[17::50] if "one_in_fifty" in kinds else []


def faults_of(case: Case, ids: list[str]) -> list[Fault]:
    """The faults of a case, made for these events."""
    which = aep.has_id(*victims_of(case, ids))
    kinds: dict[str, Callable[..., Fault]] = {
        "throttled": aep.throttled,
        "answering": aep.answering,
        "wrong_setting": lambda: aep.answering(400, body=NO_HEADER),
        "poison": lambda status: aep.answering(status).when(which),
        "too_many": lambda: aep.answering(413).of_at_least(2),
        "one_in_fifty": lambda: aep.refusing(which),
        "cut_before_body": aep.cut_before_body,
        "cut_after_accepting": aep.cut_after_accepting,
        "cut_mid_answer": aep.cut_mid_answer,
        "silent": aep.silent,
        "not_json": aep.not_json,
        "fewer_responses": aep.fewer_responses,
        "reordered": aep.reordered,
        "statuses_as_text": aep.statuses_as_text,
        "token_endpoint_down": aep.token_endpoint_down,
    }
    faults = []
    for kind, arguments, times in case.get("faults", []):
        fault = kinds[kind](**arguments)
        faults.append(fault if times is None else fault.times(times))
    return faults
