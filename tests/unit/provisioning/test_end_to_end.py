"""From an empty platform to rows: `aep apply`, `aep show`, and the pipeline with its settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from local.pipeline import run_pipeline
from local.pubsub import PubSubServer
from local.samples import load_samples
from tests.unit.cli.cli_harness import AepCli
from tests.unit.provisioning.harness import new_harness, only
from tests.webhooks import send_signed

pytestmark = pytest.mark.process

SAMPLES = [sample for sample in load_samples() if sample.event is not None]
CHOICES = {
    "pendo": [],
    "http raw": ["--source", "http"],
    "authenticated xdm": ["--source", "http", "--format", "xdm", "--authenticated", "--profile"],
}


@asynccontextmanager
async def set_up(*choices: str) -> AsyncIterator[tuple[AepCli, dict[str, str]]]:
    """Runs `apply` on an empty platform, and yields what `show` prints for `deliver`."""
    async with new_harness() as harness:
        cli = AepCli(harness)
        applied = await cli.run("apply", "--no-wait", *choices)
        assert applied.code == 0, applied.err
        shown = await cli.run("show")
        assert shown.code == 0, shown.err
        yield cli, dict(line.split("=", 1) for line in shown.out.splitlines())


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
async def test_every_sample_event_becomes_a_row(
    server: PubSubServer,
    project: str,
    http: aiohttp.ClientSession,
    choices: list[str],
) -> None:
    """Each is stored once, as its expected XDM, mapped by the dataflow or by `deliver`."""
    async with set_up(*choices) as (cli, environment):
        harness = cli.adobe
        credentials = {
            name: value
            for name, value in harness.environ.items()
            if name in ("AEP_CLIENT_ID", "AEP_CLIENT_SECRET", "AEP_IMS_URL")
        }
        rows: list[dict[str, Any]] = only(harness.state.datasets).rows
        async with run_pipeline(
            server.host,
            harness.aep,
            project=project,
            deliver_settings=environment | credentials,
        ) as pipeline:
            answers = await asyncio.gather(
                *(send_signed(http, pipeline.receive.url, sample.body) for sample in SAMPLES)
            )
            assert {answer.status for answer in answers} == {200}
            await harness.aep.wait_for(lambda: len(harness.aep.accepted) >= len(SAMPLES), 30)

        assert len(SAMPLES) > 10
        assert (harness.state.lost, only(harness.state.flows).errors) == ([], [])
        stored = {row["_id"]: without_receipt(row) for row in rows}
        assert stored == {
            sample.event["id"]: without_receipt(sample.xdm)
            for sample in SAMPLES
            if sample.event and sample.xdm
        }
        assert len(rows) == len(stored)


def without_receipt(row: dict[str, Any]) -> dict[str, Any]:
    """Removes the time at which `receive` got the event, which is today's."""
    own = row["_acme"]["pendo"]
    pendo = {name: value for name, value in own.items() if name != "receivedAt"}
    return row | {"_acme": {"pendo": pendo}}
