"""What is wrong with the settings, the rights or the way to Pub/Sub: one line, and no traceback."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from local.functions import free_port
from local.pubsub import PubSubServer, failing
from tests.unit.cli.desk import Desk, refused

PROG = "python -m pendo_aep dead-letters list: "


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        pytest.param({"GOOGLE_CLOUD_PROJECT": ""}, "GOOGLE_CLOUD_PROJECT: is missing", id="none"),
        pytest.param({"DEAD_LETTER_TOPIC": "a/b"}, "DEAD_LETTER_TOPIC: write", id="topic"),
        pytest.param({"REDACT": "a..b"}, "REDACT: 'a..b' is not a path", id="redact"),
        pytest.param({"DEAD_LETTER_TOPIC": "nobody"}, "Pub/Sub has no such thing: ", id="missing"),
    ],
)
async def test_a_wrong_setting_is_named(
    quick_desk: Desk, settings: dict[str, str], problem: str
) -> None:
    """The line names the setting, or what is not there; settings of the functions do not matter."""
    listed = await quick_desk.run("list", PENDO_EVENTS="nonsense", **settings)

    assert (listed.code, listed.out) == (1, "")
    assert listed.err.startswith(PROG + problem)
    assert listed.err.count("\n") == 1


async def test_a_missing_subscription_is_named(quick_desk: Desk) -> None:
    """--subscription with a name that is none."""
    listed = await quick_desk.run("list", "--subscription", "nobody-has-it")

    assert (listed.code, listed.err.count("\n")) == (1, 1)
    assert "Pub/Sub has no such thing: " in listed.err
    assert "nobody-has-it" in listed.err


@pytest.mark.parametrize("rpc", ["ListTopicSubscriptions", "Pull"])
async def test_no_permission_says_which_roles(
    quick: PubSubServer, quick_desk: Desk, rpc: str
) -> None:
    """Pub/Sub says no: the line tells the roles that suffice, and letters stay."""
    await quick_desk.put(refused(1))
    quick.faults.add(failing(rpc, grpc.StatusCode.PERMISSION_DENIED))

    replayed = await quick_desk.run("replay")

    assert replayed.code == 1
    assert "no permission: injected PERMISSION_DENIED" in replayed.err
    assert "roles/pubsub.subscriber" in replayed.err
    assert replayed.err.count("\n") == 1
    assert quick.stats(quick_desk.kept).waiting == 1


async def test_an_acknowledgement_that_fails_is_told(quick: PubSubServer, quick_desk: Desk) -> None:
    """The event is there, and so is the letter: it may come twice, but it is not lost."""
    await quick_desk.put(refused(1))
    quick.faults.add(failing("Acknowledge", grpc.StatusCode.PERMISSION_DENIED).times(1))

    replayed = await quick_desk.run("replay")

    assert replayed.code == 1
    assert "no permission" in replayed.err
    assert len(quick.published(quick_desk.events_topic)) == 1
    assert quick.stats(quick_desk.kept).waiting == 1


async def test_what_cannot_be_reached_is_told(quick_desk: Desk, tmp_path: Path) -> None:
    """No server at the address, or no credentials for Google's own: a line each."""
    no_key = {
        "PUBSUB_EMULATOR_HOST": "",
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "no-such-key.json"),
    }
    away, unknown = await asyncio.gather(
        quick_desk.run("list", PUBSUB_EMULATOR_HOST=f"127.0.0.1:{free_port()}"),
        quick_desk.run("list", **no_key),
    )

    assert (away.code, away.out) == (1, "")
    assert away.err == PROG + "Pub/Sub is out of reach: no connection within 5 s\n"
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith(PROG + "there are no Google credentials: run `gcloud auth ")
    assert unknown.err.count("\n") == 1


async def test_a_bound_on_what_is_held_is_told(quick: PubSubServer, quick_desk: Desk) -> None:
    """A list that holds as many as it may says that there may be more."""
    await quick_desk.put(*map(refused, range(5)))

    listed = await quick_desk.run("list", "--json", "--hold", "2")

    assert (listed.code, len(listed.lines)) == (0, 2)
    assert "there may be more letters" in listed.err
    assert quick.stats(quick_desk.kept).waiting == 5


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["replay", "--since", "yesterday"], id="time"),
        pytest.param(["list", "--reason", "because"], id="reason"),
        pytest.param(["list", "--wait", "0"], id="wait"),
        pytest.param(["show"], id="no id"),
    ],
)
async def test_wrong_usage_exits_with_2(quick_desk: Desk, arguments: list[str]) -> None:
    """As argparse does it, with the usage."""
    async with quick_desk.start(*arguments) as process:
        out, err = await process.communicate()

    assert (process.returncode, out) == (2, b"")
    assert err.startswith(b"usage: python -m pendo_aep dead-letters ")
