"""`doctor` as people run it: what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from aiohttp import web

from local.functions import PROJECT, Function
from local.pipeline import SECRET
from local.pubsub import PubSubServer
from tests.delivery_harness import TOPIC, http_server
from tests.unit.cli.cli_harness import env_file, run, run_doctor, run_process, start

pytestmark = pytest.mark.process

CONFIG = PROJECT / "deploy" / "config.env"
PINGS = [
    "an unsigned ping gets pong",
    "a signed ping gets pong",
    "a ping with a wrong signature gets 401",
    "a webhook without a signature gets 401",
]


async def test_a_receive_on_this_machine_is_well(receive: Function, server: PubSubServer) -> None:
    """It answers the pings and stores the test event in Pub/Sub."""
    before = len(server.published(TOPIC))
    options = ("--receive-url", receive.url)
    ran = await run_process("doctor", *options, settings={"PENDO_WEBHOOK_SECRETS": SECRET})

    said = [
        *(f"= webhook: {text}" for text in PINGS),
        "= journey: receive has stored the test event",
    ]
    assert ran.out.splitlines() == [*said, "all is well: 5 checks"]
    assert (ran.code, ran.err) == (0, "")
    assert len(server.published(TOPIC)) == before + 1


async def test_the_same_as_json(receive: Function, tmp_path: Path) -> None:
    """One object a line and nothing else. The secret may be in a file; no event is sent."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    options = ("doctor", "--receive-url", receive.url, "--json", "--no-test-event")
    settings = {"PENDO_WEBHOOK_SECRETS_FILE": str(file)}
    config = env_file(tmp_path / "pendo-aep.env", settings)

    for ran in (
        await run(*options, settings=settings),
        await run(*options, settings={}, default_config=config),
    ):
        assert ran.lines == [
            {"subject": "webhook", "verdict": "ok", "text": text, "mend": None} for text in PINGS
        ]
        assert ran.code == 0


async def test_a_problem_is_shown_with_its_fix(receive: Function) -> None:
    """Another secret than receive's: exit code 1, and a line that says what to do."""
    ran = await run_doctor("--receive-url", receive.url, PENDO_WEBHOOK_SECRETS="canary-secret")

    assert ran.code == 1
    assert ran.out.splitlines()[1:3] == [
        "! webhook: a signed ping gets 401: receive has another secret, or the rotation has not "
        "reached it",
        "    mend: export PENDO_WEBHOOK_SECRETS=SECRET  # the same here and for receive",
    ]
    assert ran.out.endswith("\n3 ok, 1 wrong, 0 unknown\n")
    assert "canary-secret" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["--receive-url", "http://127.0.0.1:9"], {}, "PENDO_WEBHOOK_SECRETS: is missing"),
        (["--config", "no.env"], {}, "there is no file no.env: give --config FILE, "),
        (["--config", str(CONFIG)], {}, f"{CONFIG}: not set: PROJECT\n"),
        (
            ["--config", str(CONFIG), "--project=demo"],
            {"PATH": "/nowhere"},
            "gcloud is not on the PATH; see https://cloud.google.com/sdk, ",
        ),
    ],
    ids=["no secret", "no file", "no project", "no gcloud"],
)
async def test_what_prevents_the_checks_is_reported(
    arguments: list[str], settings: dict[str, str], said: str
) -> None:
    """It says so on stderr, with exit code 1: what was not checked is not known to be well."""
    ran = await run_doctor(*arguments, **settings)

    assert ran.code == 1
    assert ran.err.startswith(f"pendo-aep doctor: {said}")
    assert "Traceback" not in ran.err
    assert ran.out in ("", "0 ok, 0 wrong, 0 unknown\n")


async def test_what_was_found_is_shown_when_it_is_stopped() -> None:
    """Ctrl-C ends it at once, with exit code 130; what it found so far is printed."""
    first, second, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        if not first.is_set():
            first.set()
            return web.json_response({"status": "pong"})
        second.set()
        await over.wait()
        return web.Response()

    settings = {"PENDO_WEBHOOK_SECRETS": SECRET}
    async with (
        http_server(answer) as url,
        start("doctor", "--receive-url", url, "--json", settings=settings) as process,
    ):
        await asyncio.wait_for(second.wait(), 60)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 60)
        over.set()

    assert process.returncode == 130
    assert [json.loads(line)["text"] for line in out.splitlines()] == [PINGS[0]]
    assert err.decode() == "pendo-aep doctor: interrupted\n"
