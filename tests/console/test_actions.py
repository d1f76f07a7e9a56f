"""The actions in the browser: send, edit, restart, replay dead letters, and inject failures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from local.console.fault_injection import FaultKind
from local.console.run import Running
from local.samples import load_samples
from tests.console.page_harness import (
    ObservedPage,
    body_of,
    burst,
    edit_body,
    expect_count,
    expect_counts_of,
    row,
    send,
)

pytestmark = pytest.mark.slow


async def test_every_sample_can_be_sent(page: Page) -> None:
    """Each sample is in the menu, is signed and is accepted; the result links to the event."""
    names = [sample.name for sample in load_samples()]
    options = page.get_by_label("Sample").locator("option")
    await expect(options).to_have_count(len(names))
    assert await options.evaluate_all("all => all.map(each => each.value)") == names
    for sample in load_samples():
        await send(page, sample=sample.name)
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


async def test_a_body_that_is_not_json_is_refused(page: Page, console: ObservedPage) -> None:
    """A body that cannot get a new ID is refused with the place of the error."""
    await edit_body(page, "{oops")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator("#message")).to_contain_text("this is not JSON")
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    console.forgive("409")


@pytest.mark.parametrize("signature", ["wrong", "missing"])
async def test_a_wrong_signature_is_rejected(page: Page, running: Running, signature: str) -> None:
    """`receive` answers 401, and nothing is stored."""
    stored = running.state.counts.stored
    await send(page, sample="guide_displayed", signature=signature)
    await expect(page.locator("#sent")).to_contain_text("receive answered 401")
    assert running.state.counts.stored == stored


async def test_a_burst_sends_new_events(page: Page, running: Running) -> None:
    """Each webhook of a burst is a new event, and all arrive."""
    accepted = len(running.aep.distinct_ids)
    await page.get_by_label("Sample").select_option("poll_displayed")
    await burst(page, 120)
    await expect(page.locator("#sent")).to_have_text("The burst of 120 has finished.")
    await expect_count(page, "accepted", accepted + 120)
    assert len(running.aep.distinct_ids) == accepted + 120


async def test_a_burst_can_be_stopped(page: Page, running: Running) -> None:
    """Stop ends it before all are sent."""
    received = running.state.counts.received
    await burst(page, 10_000)
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#progress")).to_be_hidden()
    assert running.state.counts.received < received + 10_000


@pytest.mark.parametrize("how", ["Restart", "Crash"])
async def test_a_function_is_restarted(page: Page, running: Running, how: str) -> None:
    """It is a new process at the same address, and the next event arrives."""
    assert running.pipeline is not None
    printed = len(running.pipeline.deliver.output)
    await page.get_by_role("button", name=f"{how} deliver").click()
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
    await page.get_by_role("tab", name="Dead letters").click()
    letter = page.locator("#letter-list .body [role=row]")
    await expect(letter).to_have_count(1)
    await page.get_by_role("button", name="Replay all 1").click()
    await expect(page.locator("#message")).to_contain_text("unreadable, not replayed")
    await letter.click()
    await expect(page.locator("#detail .timeline")).to_contain_text("Dead letter")
    await expect(page.locator("#detail")).to_contain_text("unreadable@hand")


async def test_batches_show_their_size_and_fill(page: Page, running: Running) -> None:
    """Each request to AEP has a row with its events, bytes, fill and answer."""
    await burst(page, 200)
    await page.get_by_role("tab", name="Batches").click()
    await expect(page.locator("#sent")).to_have_text("The burst of 200 has finished.")
    await expect_count(page, "waiting", 0)
    await expect_count(page, "delivering", 0)
    newest = running.aep.requests[-5:]  # rows further down are not drawn
    largest = max(newest, key=lambda request: request.messages)
    line = page.locator(f"#batch-list [data-key='{largest.number}']")
    await expect(line.locator(".count")).to_have_text(str(largest.messages))
    await expect(line.locator(".fill")).to_have_text(re.compile(r"^(< 1|\d+)%$"))
    await expect(line.locator(".size")).to_have_text(re.compile(r"^[\d.]+ (k|M)?B$"))
    await expect(line.locator(".status")).to_contain_text(str(largest.status))


CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "fault_cases.json").read_bytes())


def test_every_kind_has_a_case() -> None:
    """The cases contain every kind of fault."""
    assert {case["kind"] for case in CASES} == set(FaultKind)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"])
async def test_a_switch_injects_and_clears_a_failure(
    page: Page, running: Running, case: dict[str, Any]
) -> None:
    """An injected failure is shown at the top and takes effect until it is cleared there."""
    if "much" in case:
        await page.get_by_label(f"{case['name']}: how much").select_option(case["much"])
    switch = page.get_by_role("switch", name=case["name"], exact=True)
    await switch.click()
    top = page.get_by_role("region", name="Injected failures")
    await expect(top.locator("li span")).to_have_text([case["banner"]])
    await expect(switch).to_be_checked()

    requests, stored = running.state.counts.requests, running.state.counts.stored
    await page.get_by_role("tab", name="Batches").click()
    newest = page.locator("#batch-list .body [role=row]").first
    await send(page, sample="guide_displayed")
    if case["batch"] is None:
        await expect(page.locator("#sent")).to_contain_text("receive answered 503")
    else:
        await expect_count(page, "stored", stored + 1)
        await expect(newest.locator(".status")).to_contain_text(case["batch"])
        assert running.state.counts.requests > requests or case["kind"] == "slow"
    if case["retried"]:
        await expect(page.locator("[data-count=waiting]")).to_have_text("1")

    await top.get_by_role("button", name=f"Clear: {case['banner']}").click()
    await expect(top).to_be_hidden()
    await expect(switch).not_to_be_checked()
    await expect_count(page, "waiting", 0)
    await expect_count(page, "delivering", 0)
    await expect_counts_of(page, running)


async def test_the_share_can_be_changed_while_active(page: Page, running: Running) -> None:
    """Another choice next to an active switch takes effect at once."""
    await page.get_by_role("switch", name="AEP throttles").click()
    top = page.get_by_role("region", name="Injected failures")
    await expect(top).to_contain_text("all requests")
    await page.get_by_label("AEP throttles: how much").select_option("half")
    await expect(top).to_contain_text("50% of requests")
    [injection] = running.actions.injector.active
    assert injection.share == 0.5


async def test_all_failures_are_cleared_at_once(page: Page, running: Running) -> None:
    """Several failures are all shown at the top; one button clears them."""
    for name in ("AEP throttles", "AEP is slow"):
        await page.get_by_role("switch", name=name).click()
    top = page.get_by_role("region", name="Injected failures")
    await expect(top.get_by_role("listitem")).to_have_count(2)
    await expect(page).to_have_title("⚠ pendo-to-aep, local")
    await top.get_by_role("button", name="Clear all").click()
    await expect(top).to_be_hidden()
    assert running.actions.injector.active == []
