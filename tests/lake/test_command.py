"""`pendo-aep reconcile`: what it prints, its exit codes, bad input, and an interruption."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

import pytest

from local.aep.faults import refusing
from local.aep.messages import id_of
from local.aep_platform.call import Permission
from local.pubsub import hanging
from local.query_service import PostgresLake
from pendo_aep.__main__ import main
from pendo_aep.cli import reconcile
from tests.lake.world import QUICK, World, fine, invalid, run_world, unmappable
from tests.unit.cli.cli_harness import Ran, start
from tests.webhooks import COMMENT, VISITOR

KEYS: Final = {
    "id",
    "type",
    "verdict",
    "times",
    "publishedAt",
    "stage",
    "code",
    "message",
    "batch",
}
SPAN: Final = ("--since", "1h", "--late-after", "0s")


@pytest.fixture(scope="module")
async def world(lake: PostgresLake) -> AsyncIterator[World]:
    """A deployment whose events were delivered; AEP has lost one of them, and stored one twice."""
    with pytest.MonkeyPatch.context() as patch:
        async with run_world(lake, patch, ingest_seconds=0) as running:
            yield await _delivered(running, patch)


async def _delivered(running: World, patch: pytest.MonkeyPatch) -> World:
    running.platform.record_faults.lost = lambda key: key == "lost"
    running.platform.record_faults.duplicated = lambda key: key == "twice"
    running.aep.faults.add(refusing(lambda message: id_of(message) == "dead"))
    at = running.began
    events = [fine(key, at) for key in ("fine", "twice", "lost", "dead")]
    events += [unmappable("unmappable"), invalid("invalid")]
    running.publish(events)
    await running.deliver(len(events))
    running.publish([fine("waiting", at)])
    for name, text in running.environ.items():
        patch.setenv(name, text)
    loop = asyncio.get_running_loop()

    def run_here(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    # The command is in a thread, which gets no signals; gRPC wants all calls in one loop.
    patch.setattr(reconcile, "run_interruptibly", run_here)
    patch.setattr(reconcile, "_patience", lambda: QUICK)
    return running


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs the command in a thread, beside the servers."""

    async def run_command(*arguments: str) -> Ran:
        capsys.readouterr()
        code = await asyncio.to_thread(main, ["reconcile", *arguments])
        return Ran(code, *capsys.readouterr())

    return run_command


async def test_for_people(
    world: World, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is not stored, with the reason, the counts, and what to do; no personal data."""
    # As in a deployment that pushes: its configuration also names what drain would pull from.
    monkeypatch.setenv("DRAIN_SUBSCRIPTION", "pendo-events-drain")

    ran = await run(*SPAN)

    assert ran.code == 1
    assert world.resources
    rows = {line.split()[2]: line for line in ran.out.splitlines() if "-" in line}
    assert set(rows) == {"lost", "dead", "unmappable", "invalid", "waiting"}
    assert "mapping: " in rows["unmappable"]
    assert "validation: " in rows["invalid"]
    assert "(batch " in rows["invalid"]
    assert "deliver: rejected: " in rows["dead"]
    assert "          7 published\n          2 stored\n          1 of them more than" in ran.out
    assert "/subscriptions/pendo-events-drain does not exist, so nothing waits in it" in ran.err
    for advice in ("pendo-aep status", "pendo-aep dead-letters list", "--replay-missing"):
        assert advice in ran.err
    for personal in (VISITOR, COMMENT):
        assert personal not in ran.out + ran.err


async def test_without_the_right_to_query(
    world: World, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and shows the counts by hour: no guess."""
    rights = world.platform.permissions - {Permission.MANAGE_QUERIES}
    monkeypatch.setattr(world.platform, "permissions", rights)

    ran = await run(*SPAN)
    assert ran.code == 1
    assert "the permission Manage Queries" in ran.err
    assert "only the counts by hour" in ran.err
    assert "received" in ran.out
    assert "lost" not in ran.out

    ran = await run(*SPAN, "--json")
    (counts,) = ran.lines
    assert counts["dataset"] == world.dataflow.dataset_id
    assert sum(hour["failed"] for hour in counts["hours"]) == 2


async def test_wrong_deployments(
    world: World, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear sentence each, and nothing is left behind."""
    resources = world.resources

    ran = await run("--since", "30d")
    assert (ran.code, ran.out) == (1, "")
    assert "the earliest that can still be seen is " in ran.err

    for settings, words in (
        ({"AEP_CLIENT_SECRET": "wrong"}, "check AEP_CLIENT_ID, AEP_CLIENT_SECRET"),
        ({"GOOGLE_CLOUD_PROJECT": ""}, "GOOGLE_CLOUD_PROJECT is missing"),
        ({"PUBSUB_TOPIC": "no-such-topic"}, "no-such-topic"),
        ({"PUSH_SUBSCRIPTION": "no-such-subscription"}, "no-such-subscription"),
        ({"AEP_FLOW_ID": "no-such-flow"}, "no dataflow no-such-flow"),
    ):
        with monkeypatch.context() as patch:
            for name, text in settings.items():
                patch.setenv(name, text)
            ran = await run(*SPAN)
        assert (ran.code, ran.out) == (1, ""), settings
        assert words in ran.err
        assert ran.err.count("\n") == 1, ran.err

    dataset = world.platform.state.datasets[world.dataflow.dataset_id]
    monkeypatch.delitem(dataset.body, "tags")
    ran = await run(*SPAN)
    assert (ran.code, ran.out) == (1, "")
    assert "the dataset has no table in Query Service yet" in ran.err
    assert world.resources == resources


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "2999-01-01T00:00:00Z"], "is in the future"),
        (["--since", "1d", "--until", "2999-01-01T00:00:00Z"], "leave it out for now"),
        (["--since", "1d", "--until", "2d"], "the other way round?"),
        (["--since", "1d", "--source", "archive"], "there is no archive yet"),
        (["--since", "1d", "--source", "topic,archive"], "there is no archive yet"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It exits 2, before anything is connected."""
    assert main(["reconcile", *arguments]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: str(one.name))
async def test_interrupted(world: World, number: signal.Signals) -> None:
    """Exit 130, and no subscription or snapshot is left."""
    resources = world.resources
    world.pubsub.faults.add(hanging("Pull"))
    async with start("reconcile", *SPAN, settings=world.environ) as process:
        # It reads what was published, and a snapshot of what waits.
        await world.pubsub.wait_for(lambda: len(world.resources - resources) == 3, 60)
        process.send_signal(number)
        out, err = await process.communicate()
    world.pubsub.faults.clear()

    assert (process.returncode, out) == (130, b"")
    assert err == b"pendo-aep reconcile: interrupted\n"
    assert world.resources == resources


async def test_a_reader_that_we_did_not_write(world: World, run: Callable[..., Any]) -> None:
    """`aepp` finds the same rows in Query Service, through another driver."""
    pytest.importorskip("psycopg2")
    pandas = pytest.importorskip("pandas")
    from aepp.queryservice import InteractiveQuery2

    class WithoutProfile(InteractiveQuery2):  # type: ignore[misc]  # it has no types
        """Its constructor also asks for Profile's merge policies, which are not in this lake."""

        def query(self, sql: str, output: str = "dataframe") -> Any:
            """Returns what a query finds."""
            if "qsaccel." not in sql:
                return super().query(sql, output)
            row = {"IS_DEFAULT_MERGE_POLICY": True, "MERGE_POLICY_ID": 1, "MERGE_POLICY": ""}
            return pandas.DataFrame([{**row, "NAMESPACE_ID": 1, "NAMESPACE_DESCRIPTION": ""}])

    ran = await run(*SPAN, "--all", "--json")
    stored = {line["id"]: line["times"] for line in ran.lines[:-1] if line["times"]}
    table = world.platform.state.datasets[world.dataflow.dataset_id].table

    reader = WithoutProfile(world.lake.connection_parameters())
    try:
        rows = reader.query(f"SELECT _id FROM {table}")  # noqa: S608 (our own)
    finally:
        reader.close()

    assert rows["_id"].value_counts().to_dict() == stored


async def test_as_json(world: World, run: Callable[..., Any]) -> None:
    """A line for each event, the summary last; a replay is seen in the next run.

    It changes what is stored, so it is the last test of this world.
    """
    resources = world.resources

    ran = await run(*SPAN, "--all", "--json", "--replay-missing")

    *lines, last = ran.lines
    assert ran.code == 1
    assert all(set(line) == KEYS for line in lines)
    assert {line["id"]: (line["verdict"], line["times"]) for line in lines} == {
        "fine": ("stored", 1),
        "twice": ("stored", 2),
        "lost": ("missing", 0),
        "dead": ("dead_letter", 0),
        "unmappable": ("failed", 0),
        "invalid": ("failed", 0),
        "waiting": ("waiting", 0),
    }
    assert list(last) == ["summary"]
    assert list(last["summary"].items()) == [
        ("events", 7),
        ("stored", 2),
        ("duplicates", 1),
        ("failed", 2),
        ("late", 0),
        ("missing", 1),
        ("dead_letter", 1),
        ("waiting", 1),
    ]
    assert "1 missing events were published again" in ran.err
    assert world.resources == resources

    world.platform.heal()
    await world.deliver(2)
    ran = await run(*SPAN, "--json")
    assert {line["id"] for line in ran.lines[:-1]} == {"dead", "unmappable", "invalid"}
    assert ran.lines[-1]["summary"]["stored"] == 4
