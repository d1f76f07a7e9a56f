"""The metrics count what the functions really log: each kind of line once, and no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import grpc
import pytest

from local.aep import AepServer, answering, has_id, refusing
from local.functions import Function, FunctionFailed, Line
from local.pipeline import deliver_env, run_pipeline
from local.pubsub import PubSubServer, failing
from tests.monitoring import files
from tests.monitoring.files import DASHBOARD, FOLDER, METRICS, Json, every, extracted, read
from tests.webhooks import event, push_body, send, send_signed, unique_id, webhook

pytestmark = pytest.mark.process

# What each metric counts: the function that writes the line, and the line's message.
_COUNTED = {
    "pendo-received": {("receive", "webhook accepted")},
    "pendo-rejected": {("receive", "webhook rejected")},
    "pendo-verified": {("receive", "webhook accepted"), ("receive", "webhook rejected")},
    "pendo-not-stored": {("receive", "webhook not stored")},
    "pendo-quarantined": {("receive", "dead letter stored")},
    "pendo-delivered": {("deliver", "message delivered")},
    "pendo-retried": {("deliver", "message returned")},
    "pendo-refused": {("deliver", "dead letter stored")},
    "pendo-batch-size": {("deliver", "batch sent")},
    "pendo-aep-latency": {("deliver", "batch sent")},
}
# Of these lines only those with one of these reasons; None is none.
_REASONS = {"pendo-verified": {None, "signature_wrong"}}
# What Cloud Run writes itself: tests/monitoring/test_files.py.
_OF_CLOUD_RUN = "pendo-turned-away"
_OF_LINES = [path for path in METRICS if path.stem != _OF_CLOUD_RUN]


class Log:
    """What the functions have logged, as Cloud Logging stores it."""

    def __init__(self) -> None:
        self.entries: list[Json] = []
        self._more = asyncio.Event()

    def add(self, function: str, line: Line) -> None:
        """Stores one line. Google: "Structured logging", `severity` leaves the payload."""
        payload = {name: value for name, value in line.items() if name != "severity"}
        labels = {"service_name": function}
        resource = {"type": "cloud_run_revision", "labels": labels}
        entry = {"severity": line["severity"], "resource": resource, "jsonPayload": payload}
        self.entries.append(entry)
        self._more.set()

    async def has(self, message: str, **fields: object) -> None:
        """Waits for a line."""

        def is_there() -> bool:
            wanted = {"message": message, **fields}.items()
            return any(wanted <= entry["jsonPayload"].items() for entry in self.entries)

        async with asyncio.timeout(60):
            while not is_there():
                self._more.clear()
                await self._more.wait()


@pytest.fixture(scope="module")
async def log(http: aiohttp.ClientSession) -> Log:
    """The log of both functions, after every outcome of a webhook and a message."""
    log = Log()
    async with PubSubServer() as server, AepServer() as aep:
        settings = {"MAX_BODY_BYTES": "4096"}, {"DELIVER_DEADLINE_SECONDS": "4"}
        async with run_pipeline(
            server.host,
            aep,
            receive_settings=settings[0],
            deliver_settings=settings[1],
            on_line=log.add,
        ) as pipeline:
            await _send_webhooks(http, pipeline.receive.url, server, log)
            await _push_messages(http, pipeline.deliver.url, aep, log)
        await _with_wrong_settings(http, server, aep, log)
    return log


async def _send_webhooks(
    http: aiohttp.ClientSession, url: str, server: PubSubServer, log: Log
) -> None:
    await send_signed(http, url, webhook(1))
    await log.has("message delivered", eventId=unique_id(1))
    await send(http, url, webhook(2))
    await send(http, url, webhook(2), **{"X-Pendo-Signature": "00"})
    await send_signed(http, url, webhook(2, userAgent="x" * 4096))
    await send_signed(http, url, b"{nope")
    server.faults.add(failing("Publish", grpc.StatusCode.PERMISSION_DENIED))
    await send_signed(http, url, webhook(2))
    server.faults.clear()
    await log.has("webhook not stored")


async def _push_messages(http: aiohttp.ClientSession, url: str, aep: AepServer, log: Log) -> None:
    for number, fault, message in (
        (3, refusing(has_id(unique_id(3))), "dead letter stored"),
        (4, answering(404), "message returned"),
        (5, answering(503), "message returned"),
    ):
        aep.faults.add(fault)
        await send(http, url, push_body(event(unique_id(number)), eventId=unique_id(number)))
        aep.faults.clear()
        await log.has(message, eventId=unique_id(number))


async def _with_wrong_settings(
    http: aiohttp.ClientSession, server: PubSubServer, aep: AepServer, log: Log
) -> None:
    credentials = {"AEP_CLIENT_ID": "x", "AEP_CLIENT_SECRET": "wrong", "AEP_IMS_URL": aep.url}
    env = deliver_env(server.host, aep, settings=credentials)
    async with Function("deliver", env, on_line=log.add) as deliver:
        await send(http, deliver.url, push_body(event(unique_id(6)), eventId=unique_id(6)))
        await log.has("message returned", eventId=unique_id(6))
    with pytest.raises(FunctionFailed):
        async with Function("deliver", {}, on_line=log.add):
            pass


def source_of(entry: Json) -> tuple[str, str]:
    """Returns the function that wrote an entry, and its message."""
    return entry["resource"]["labels"]["service_name"], entry["jsonPayload"]["message"]


def is_counted(metric: str, entry: Json) -> bool:
    """Returns whether a metric should count an entry."""
    reasons = _REASONS.get(metric)
    is_it = reasons is None or entry["jsonPayload"].get("reason") in reasons
    return is_it and source_of(entry) in _COUNTED[metric]


def filter_of(document: Json) -> str:
    """Returns its filter, with the name of the function."""
    return str(document["filter"]).replace("${RECEIVE_FUNCTION}", "receive")


def test_every_metric_is_tested() -> None:
    """None is left out of the table above."""
    assert {path.stem for path in METRICS} == {*_COUNTED, _OF_CLOUD_RUN}


@pytest.mark.parametrize("path", _OF_LINES, ids=lambda path: str(path.stem))
async def test_a_metric_counts_its_lines_and_no_others(path: Path, log: Log) -> None:
    """Its filter matches the lines that it should count, of all that the functions log."""
    metric = read(path)
    counted = [entry for entry in log.entries if files.matches(filter_of(metric), entry)]
    wanted = [entry for entry in log.entries if is_counted(path.stem, entry)]

    assert counted
    assert counted == wanted


@pytest.mark.parametrize("path", _OF_LINES, ids=lambda path: str(path.stem))
async def test_what_a_metric_extracts_is_in_the_lines(path: Path, log: Log) -> None:
    """Labels are words, values are numbers, in every line that it counts."""
    metric = read(path)
    for entry in (entry for entry in log.entries if files.matches(filter_of(metric), entry)):
        for extractor in metric.get("labelExtractors", {}).values():
            word = extracted(extractor, entry)
            # Google: "Configure log-based metrics", a missing value becomes an empty label.
            assert isinstance(word, str) or word in _REASONS.get(path.stem, ())
        if "valueExtractor" in metric:
            assert isinstance(extracted(metric["valueExtractor"], entry), (int, float))


async def test_reasons_of_the_alerts_are_logged(log: Log) -> None:
    """The alert on signatures filters by what `receive` logs."""
    reasons = {
        entry["jsonPayload"]["reason"]
        for entry in log.entries
        if source_of(entry) == ("receive", "webhook rejected")
    }

    assert reasons == {"signature_missing", "signature_wrong", "too_large"}


async def test_the_alert_on_settings_matches_each_error(log: Log) -> None:
    """A start that fails, an inlet that is not there, a credential that is refused; no more."""
    [found] = every(read(FOLDER / "alerts" / "aep-configuration.json"), "conditionMatchedLog")
    matched = [entry for entry in log.entries if files.matches(found["filter"], entry)]
    beginnings = ("AEP configuration error", "deliver cannot start", "token refused")

    assert {
        next(one for one in beginnings if entry["jsonPayload"]["message"].startswith(one))
        for entry in matched
    } == set(beginnings)
    assert {entry["severity"] for entry in matched} == {"ERROR", "CRITICAL"}


async def test_the_log_panel_shows_errors(log: Log) -> None:
    """The dashboard's log lines are those of severity ERROR and worse, of our functions."""
    [panel] = every(read(DASHBOARD), "logsPanel")
    names = (("RECEIVE", "receive"), ("DELIVER", "deliver"), ("DRAIN", "drain"))
    asked = panel["filter"]
    for name, function in names:
        asked = asked.replace(f"${{{name}_FUNCTION}}", function)

    shown = [entry for entry in log.entries if files.matches(asked, entry)]

    assert shown == [e for e in log.entries if e["severity"] in ("ERROR", "CRITICAL")]
    assert shown
