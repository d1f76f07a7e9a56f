"""Every event has its exact verdict, whatever becomes of it; planted bugs are found by this."""

from __future__ import annotations

import random
from typing import Final

import pytest

from local.aep.faults import refusing
from local.aep_platform import Answering
from local.query_service import PostgresLake
from pendo_aep import clock
from pendo_aep.lake.failed_records import WITHOUT_DIAGNOSTICS
from tests.lake.world import INGEST_SECONDS, World, fine, invalid, run_world, unmappable

HOUR: Final = 3600.0
ROUNDS: Final = 4
# What becomes of an event, by the beginning of its id; of all others, nothing special.
SPECIAL: Final = ("unmappable", "invalid", "lost", "twice", "late", "dead", "waiting")
VERDICTS: Final = {
    "unmappable": ("failed", 0),
    "invalid": ("failed", 0),
    "lost": ("missing", 0),
    "twice": ("stored", 2),
    "late": ("stored", 1),
    "dead": ("dead_letter", 0),
    "waiting": ("waiting", 0),
    "fine": ("stored", 1),
}


def is_kind(kind: str, key: str) -> bool:
    """Returns whether an event is of this kind."""
    return key.startswith(f"{kind}-")


def event_of(key: str) -> bytes:
    """Returns the event of an id."""
    if is_kind("unmappable", key):
        return unmappable(key)
    return invalid(key) if is_kind("invalid", key) else fine(key, clock.now())


def ids(count: int, special: int) -> list[str]:
    """Returns so many ids, of which so many are of each special kind."""
    kinds = [kind for kind in SPECIAL for _ in range(special)]
    kinds += ["fine"] * (count - len(kinds))
    numbered = [f"{kind}-{number}" for number, kind in enumerate(kinds)]
    random.Random(count).shuffle(numbered)  # noqa: S311 (no secret)
    return numbered


async def follow(world: World, keys: list[str]) -> None:
    """Publishes, delivers and ingests the events, and asserts every verdict on the way."""
    faults = world.platform.record_faults
    faults.lost = lambda key: is_kind("lost", key)
    faults.duplicated = lambda key: is_kind("twice", key)
    faults.late = lambda key: is_kind("late", key)
    faults.late_seconds = 2 * HOUR
    faults.replay_seconds = 2 * HOUR
    world.aep.faults.add(refusing(lambda message: is_kind("dead", message["id"])))
    resources = world.resources

    delivered = [key for key in keys if not is_kind("waiting", key)]
    parts = [delivered[start::ROUNDS] for start in range(ROUNDS)]
    for number, part in enumerate(parts):
        faults.diagnostics_off = number == 2
        faults.replayed_batches = int(number == 3)
        world.publish(map(event_of, part))
        await world.deliver(len(part))
        world.advance(INGEST_SECONDS + 1)
    faults.diagnostics_off = False
    world.platform.compact()
    world.publish(event_of(key) for key in keys if is_kind("waiting", key))

    # Within three hours, what is not stored is late. One batch is still to be replayed.
    found = await world.reconcile()
    expected = {key: VERDICTS[key.partition("-")[0]] for key in keys}
    is_later = {key for key in keys if is_kind("late", key) or is_kind("lost", key)}
    is_later |= {key for key in parts[3] if expected[key][0] in ("stored", "failed")}
    early = {key: ("late", 0) if key in is_later else one for key, one in expected.items()}
    assert found.verdicts == early
    assert world.resources == resources

    world.advance(4 * HOUR)
    world.platform.compact()
    world.platform.fail(Answering(429, headers={"Retry-After": "0"}), times=3)
    found = await world.reconcile(replays=True)
    assert found.verdicts == expected
    assert found.replayed == sum(is_kind("lost", key) for key in keys)
    assert world.resources == resources
    for key, one in found.events.items():
        stage = {"unmappable": "mapping", "invalid": "validation"}.get(key.partition("-")[0])
        if stage is not None:
            is_explained = key not in parts[2]
            assert (one.code != WITHOUT_DIAGNOSTICS) == is_explained, one
            assert one.stage == stage or not is_explained, one
            assert one.batch in world.platform.state.batches, one
            assert one.message, one
        elif is_kind("dead", key):
            assert (one.stage, one.code) == ("deliver", "rejected"), one
        else:
            assert (one.stage, one.code, one.message, one.batch) == (None,) * 4, one
    await agrees_with_counts(world, expected)

    # What is missing was published again, and what waits is delivered: all that can be is stored.
    world.platform.heal()
    again = {key for key in keys if is_kind("lost", key) or is_kind("waiting", key)}
    await world.deliver(len(again))
    world.advance(INGEST_SECONDS + 1)
    expected |= dict.fromkeys(again, ("stored", 1))
    found = await world.reconcile(replays=True)
    assert found.verdicts == expected
    assert found.replayed == 0
    assert world.resources == resources


async def agrees_with_counts(world: World, expected: dict[str, tuple[str, int]]) -> None:
    """`status` counts the same records: each once, though batches were compacted and replayed."""
    rows = sum(times for verdict, times in expected.values() if verdict == "stored")
    failed = sum(verdict == "failed" for verdict, _ in expected.values())
    status, batches = await world.counts()
    assert sum(hour.stored for hour in status.hours) == rows
    assert sum(hour.failed for hour in status.hours) == failed
    assert sum(failure.records for failure in status.failures) == failed
    assert sum(batch.stored for batch in batches) == rows
    assert sum(batch.failed for batch in batches) == failed


async def test_200_events(lake: PostgresLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """In small pages of Query Service; planted bugs are looked for with this one."""
    async with run_world(lake, monkeypatch, query_rows=20) as world:
        await follow(world, ids(200, special=10))


@pytest.mark.slow
async def test_10_000_events(lake: PostgresLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with pages as they come in a deployment."""
    async with run_world(lake, monkeypatch, query_rows=3_000) as world:
        await follow(world, ids(10_000, special=100))
