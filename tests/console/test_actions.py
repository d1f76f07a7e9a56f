"""The page on a running pipeline: what people do there, and what they see of an event."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from local.console.fault_injection import FaultKind, Injection
from local.console.run import Running, run_with_console
from local.pipeline import EVENTS, PROJECT_ID, PUSH
from local.samples import load_samples
from tests.console.page_harness import (
    ROWS,
    body_of,
    burst,
    expect_count,
    expect_counts_of,
    row,
    send,
)
from tests.delivery_harness import source_with

pytestmark = pytest.mark.slow

# Production waits longer, so that an outage is not made worse.
SHORT_PAUSES = {
    "pendo_aep.aep.circuit_breaker._FIRST_PAUSE_SECONDS": 0.2,
    "pendo_aep.aep.circuit_breaker._LONGEST_PAUSE_SECONDS": 0.4,
    "pendo_aep.aep.retry._LAST_CEILING": 0.4,
}
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "fault_cases.json").read_bytes())


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The pipeline with its console, once for the module: its functions are slow to start."""
    source = source_with(tmp_path_factory.mktemp("source"), SHORT_PAUSES)
    with pytest.MonkeyPatch.context() as patched:
        # Nothing here asks the data lake.
        patched.setattr("local.query_service.find_postgres", lambda: None)
        async with run_with_console(function_settings=source, ingest_after_seconds=0.1) as parts:
            yield parts


@pytest.fixture
def url(running: Running) -> Iterator[str]:
    """The console of the pipeline, without failures afterwards."""
    yield running.url
    running.actions.injector.clear()


async def test_every_sample_can_be_sent(page: Page) -> None:
    """Each sample is in the menu; the result of sending it links to the event."""
    samples = load_samples()
    options = page.get_by_label("Sample").locator("option")
    await expect(options).to_have_count(len(samples))
    for sample in samples:
        await page.get_by_label("Sample").select_option(sample.name)
        await expect(page.locator("#body")).to_have_value(sample.body.decode())
    await send(page)
    await expect(page.locator("#sent")).to_contain_text("receive answered 200")
    await page.get_by_role("button", name="Open the event").click()
    await expect(page.locator("#detail h2")).to_have_text("visitor.created")


async def test_an_edited_body_is_sent(page: Page) -> None:
    """The body in the form is sent, unchanged if it is not to be a new event."""
    body = body_of("guide_displayed", visitorId="edited@hand", uniqueId="exactly-this")
    await page.get_by_text("Edit before sending").click()
    await page.get_by_label("send as a new event, with a new ID").uncheck()
    await send(page, body=body)
    await page.get_by_role("button", name="Open the event").click()
    panel = page.locator("#detail")
    await expect(panel).to_contain_text("exactly-this")
    shown = panel.get_by_role("region", name="Body sent by Pendo")
    assert json.loads(await shown.inner_text()) == json.loads(body)

    await panel.get_by_role("button", name="Edit and send again").click()
    form = page.get_by_label("Body of the webhook")
    await expect(form).to_be_focused()
    text = await form.input_value()
    await send(page, body=text.replace("edited@hand", "twice@hand").replace("exactly", "another"))
    await expect(row(page, "twice@hand")).to_have_count(1)


async def test_a_wrong_signature_is_rejected(page: Page, running: Running) -> None:
    """`receive` answers 401, and nothing is stored; without a signature, too."""
    counts = running.state.counts
    stored, rejected = counts.stored, counts.rejected
    for number, signature in enumerate(("wrong", "missing"), rejected + 1):
        await send(page, sample="guide_displayed", signature=signature)
        await expect(page.locator("#sent")).to_contain_text("receive answered 401")
        await expect_count(page, "rejected", number)
    assert counts.stored == stored


async def test_an_event_is_shown_from_pendo_to_the_data_lake(page: Page, running: Running) -> None:
    """It is counted at each stage; its row and its details have everything about it."""
    counts = running.state.counts
    received, accepted, in_lake = counts.received, counts.accepted, counts.in_lake
    [sample] = [each for each in load_samples() if each.name == "nps_submitted_comment"]
    assert sample.event is not None
    assert sample.xdm is not None
    await send(page, sample=sample.name)
    await expect_count(page, "received", received + 1)
    await expect_count(page, "accepted", accepted + 1)
    await expect_count(page, "in_lake", in_lake + 1)

    line = row(page, sample.event["visitorId"]).first
    await expect(line).to_contain_text("stored")
    await expect(line.locator(".type")).to_have_text("nps.submitted")
    await expect(line.locator(".tries")).to_have_text("1")
    await expect(line.locator(".took")).to_have_text(re.compile(r"^[\d.,]+ m?s$"))
    await expect(line.locator(".time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))

    await line.click()
    panel = page.locator("#detail")
    request = panel.get_by_role("tabpanel", name="Webhook")
    await expect(request.get_by_text("X-Pendo-Signature")).to_be_visible()
    await expect(request.get_by_text(re.compile("^[0-9a-f]{64}$"))).to_be_visible()
    body = request.get_by_role("region", name="Body sent by Pendo")
    assert json.loads(await body.inner_text())["visitorId"] == sample.event["visitorId"]
    answer = request.get_by_role("region", name="Answer of receive")
    assert json.loads(await answer.inner_text())["status"] == "accepted"

    steps = panel.locator(".timeline li")
    for text in (
        "Received from Pendo",
        "Stored on the topic",
        "Pushed to deliver",
        "Accepted by AEP",
        "Stored in the data lake",
    ):
        await expect(steps.filter(has_text=text)).to_have_count(1)
    await expect(steps.filter(has_text="Accepted by AEP")).to_contain_text("xactionId")
    await expect(steps.locator("time").first).to_have_text("0 ms")
    times = await steps.locator("time").evaluate_all("all => all.map(each => each.dateTime)")
    assert times == sorted(times)

    event = await shape(panel, "Normalised")
    assert event == sample.event | {"id": event["id"], "receivedAt": event["receivedAt"]}
    assert event["id"] in json.dumps(await shape(panel, "Sent to AEP"))
    xdm = await shape(panel, "XDM")
    assert xdm.keys() == sample.xdm.keys()
    assert xdm["_id"] == event["id"]
    assert xdm["identityMap"] == sample.xdm["identityMap"]


async def shape(panel: Locator, tab: str) -> dict[str, Any]:
    """Returns the JSON under a tab of the details."""
    await panel.get_by_role("tab", name=tab).click()
    block = panel.get_by_role("tabpanel", name=tab).locator("pre")
    await expect(block).to_be_visible()
    shown: dict[str, Any] = json.loads(await block.inner_text())
    return shown


async def test_the_details_are_updated_live(page: Page, running: Running) -> None:
    """A failed attempt and the successful one appear in the timeline as they happen."""
    running.actions.injector.inject(Injection(FaultKind.FAIL))
    await send(page, body=body_of("guide_displayed", visitorId="live@open"))
    await row(page, "live@open").click()
    panel = page.locator("#detail")
    await expect(panel.locator("header")).not_to_contain_text("stored")
    await expect(panel.locator(".timeline")).to_contain_text("Returned to the topic")
    running.actions.injector.clear()
    await expect(panel.locator("header")).to_contain_text("stored")
    await expect(panel.locator(".timeline")).to_contain_text("Accepted by AEP")


async def test_an_event_that_fails_later_says_why(page: Page, running: Running) -> None:
    """After AEP has accepted it: in the list, in its timeline, and in the count of the stage."""
    running.actions.injector.inject(Injection(FaultKind.SCHEMA))
    await send(page, body=body_of("guide_displayed", visitorId="later@open"))
    await row(page, "later@open").click()
    panel = page.locator("#detail")
    await expect(panel.locator("header")).to_contain_text("failed later")
    steps = panel.locator(".timeline li")
    await expect(steps.filter(has_text="Accepted by AEP")).to_have_count(1)
    await expect(steps.last).to_contain_text("Failed later, at validation: DCVS-1106-400")
    await expect(steps.last).to_contain_text("required key [subscriptionTier] not found")
    await expect_count(page, "failed_later", 1)

    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="failed later").click()
    await expect(row(page, "later@open")).to_contain_text("DCVS-1106-400")
    await expect(page.locator(ROWS)).to_have_count(1)


async def test_a_throttled_burst_is_counted_to_the_last(page: Page, running: Running) -> None:
    """With AEP throttling, all arrive; the page, Pub/Sub and AEP have the same numbers."""
    number = 200
    before = set(running.aep.distinct_ids)
    topic = f"projects/{PROJECT_ID}/topics/{EVENTS}"
    stored = len(running.pubsub.published(topic))  # the page may not have all of them yet
    received = running.state.counts.received  # some were not stored, in the tests before
    await page.get_by_label("AEP throttles: how much").select_option("half")
    await page.get_by_role("switch", name="AEP throttles").click()
    await expect(page.get_by_role("switch", name="AEP throttles")).to_be_checked()
    await burst(page, number)
    await expect(page.locator("#sent")).to_have_text(f"The burst of {number} has finished.")
    await expect_count(page, "stored", stored + number)
    push = f"projects/{PROJECT_ID}/subscriptions/{PUSH}"
    await running.pubsub.idle(push, within=120)

    published = running.pubsub.published(topic)
    copies = len(running.aep.accepted) - len(running.aep.distinct_ids)
    for name, expected in {
        "stored": len(published),
        "received": received + number,
        "accepted": len(running.aep.distinct_ids),
        "duplicates": copies,
        "requests": len(running.aep.requests),
        "waiting": running.pubsub.stats(push).waiting,
        "delivering": running.pubsub.stats(push).outstanding,
        "ingesting": 0,
    }.items():
        await expect_count(page, name, expected)
    await expect_counts_of(page, running)
    assert {message.attributes["eventId"] for message in published} == running.aep.distinct_ids
    assert len(running.aep.distinct_ids - before) == number

    assert any(request.status == 429 for request in running.aep.requests)
    await page.get_by_role("tab", name="Batches").click()
    newest = running.aep.requests[-5:]  # rows further down are not drawn
    largest = max(newest, key=lambda request: request.messages)
    line = page.locator(f"#batch-list [data-key='{largest.number}']")
    await expect(line.locator(".count")).to_have_text(str(largest.messages))
    await expect(line.locator(".fill")).to_have_text(re.compile(r"^(< 1|\d+)%$"))
    await expect(line.locator(".size")).to_have_text(re.compile(r"^[\d.]+ (k|M)?B$"))
    await expect(line.locator(".status")).to_contain_text(str(largest.status))


async def test_a_burst_can_be_stopped(page: Page, running: Running) -> None:
    """Stop ends it before all are sent."""
    received = running.state.counts.received
    await burst(page, 10_000)
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#progress")).to_be_hidden()
    assert running.state.counts.received < received + 10_000


async def test_waiting_events_are_counted_until_accepted(page: Page, running: Running) -> None:
    """While AEP is slow, events are in a batch or waiting; after a crash they are accepted."""
    await expect_count(page, "waiting", 0)
    await expect_count(page, "delivering", 0)
    accepted = running.state.counts.accepted
    running.actions.injector.inject(Injection(FaultKind.SLOW, seconds=60))
    await burst(page, 20)
    await page.wait_for_function(
        "() => ['waiting', 'delivering'].reduce((sum, name) => sum +"
        " Number(document.querySelector(`[data-count=${name}]`).textContent), 0) === 20"
    )
    await expect(page.locator("[data-count=delivering]")).not_to_have_text("0")

    running.actions.injector.clear()
    await page.get_by_role("button", name="Crash deliver").click()
    await expect_count(page, "waiting", 0)
    await expect_count(page, "delivering", 0)
    await expect_count(page, "accepted", accepted + 20)


async def test_a_function_is_restarted(page: Page, running: Running) -> None:
    """It is a new process at the same address, and the next event arrives."""
    assert running.pipeline is not None
    printed = len(running.pipeline.deliver.output)
    await page.get_by_role("button", name="Restart deliver").click()
    await expect(page.locator("#message")).to_have_text("deliver is running again.")
    await expect(page.locator("[data-function=deliver]")).to_contain_text("running")
    accepted = running.state.counts.accepted
    await send(page, sample="guide_displayed")
    await expect_count(page, "accepted", accepted + 1)
    assert len(running.pipeline.deliver.output) > printed


async def test_a_dead_letter_has_its_reason_and_is_replayed(page: Page) -> None:
    """A refused event is listed with its reason and stage; replayed, AEP accepts it."""
    await page.get_by_label("AEP refuses events: how much").select_option("all")
    switch = page.get_by_role("switch", name="AEP refuses events")
    await switch.click()
    await expect(switch).to_be_checked()
    await send(page, body=body_of("nps_submitted_zero", visitorId="dead@hand"))
    await expect(row(page, "dead@hand")).to_contain_text("dead")
    await page.get_by_role("tab", name="Dead letters").click()
    letter = page.locator("#letter-list .body [role=row]")
    await expect(letter).to_have_count(1)
    await expect(letter.locator(".reason")).to_have_text(re.compile("rejected .+"))
    await expect(letter.locator(".stage")).to_have_text("deliver")

    await switch.click()
    await expect(switch).not_to_be_checked()
    await letter.get_by_role("button", name="Replay").click()
    await expect(page.locator("#message")).to_contain_text("1 dead letter replayed.")
    await expect(letter).to_have_count(0)
    await expect(page.get_by_text("No dead letters.")).to_be_visible()
    await page.get_by_role("tab", name="Events").click()
    await expect(row(page, "dead@hand")).to_contain_text("stored")
    await expect_count(page, "letters", 0)


async def test_dead_letters_are_replayed_together_or_opened(page: Page) -> None:
    """All are replayed at once; an unreadable one stays, and a click opens it."""
    await send(page, body=body_of("guide_displayed", visitorId="unreadable@hand", event=""))
    await expect_count(page, "letters", 1)
    await page.get_by_role("tab", name="Dead letters").click()
    letter = page.locator("#letter-list .body [role=row]")
    await expect(letter).to_have_count(1)
    await page.get_by_role("button", name="Replay all 1").click()
    await expect(page.locator("#message")).to_contain_text("unreadable, not replayed")
    await letter.click()
    await expect(page.locator("#detail .timeline")).to_contain_text("Dead letter")
    await expect(page.locator("#detail")).to_contain_text("unreadable@hand")


def test_every_kind_has_a_case() -> None:
    """The cases contain every kind of fault."""
    assert {case["kind"] for case in CASES} == set(FaultKind)


async def test_each_switch_injects_and_clears_its_failure(page: Page, running: Running) -> None:
    """An injected failure is shown at the top until it is cleared there."""
    top = page.get_by_role("region", name="Injected failures")
    for case in CASES:
        if "much" in case:
            await page.get_by_label(f"{case['name']}: how much").select_option(case["much"])
        switch = page.get_by_role("switch", name=case["name"], exact=True)
        await switch.click()
        await expect(top.locator("li span")).to_have_text([case["banner"]])
        await expect(switch).to_be_checked()
        assert [one.kind for one in running.actions.injector.active] == [case["kind"]]

        await top.get_by_role("button", name=f"Clear: {case['banner']}").click()
        await expect(top).to_be_hidden()
        await expect(switch).not_to_be_checked()
        assert running.actions.injector.active == []
