"""The list of events and the details of one: rows, order, search, keyboard, timeline, shapes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from local.console.fault_injection import FaultKind, Injection
from local.console.run import Running
from local.samples import load_samples
from tests.console.page_harness import ROWS, body_of, expect_count, row, send

pytestmark = pytest.mark.slow


async def test_a_row_describes_the_event(page: Page) -> None:
    """It has type, visitor, status, attempts, latency and time."""
    await send(page, body=body_of("poll_submitted_single", visitorId="row@example.com"))
    line = row(page, "row@example.com")
    await expect(line).to_contain_text("stored")
    await expect(line.locator(".type")).to_have_text("poll.submitted")
    await expect(line.locator(".tries")).to_have_text("1")
    await expect(line.locator(".took")).to_have_text(re.compile(r"^[\d.,]+ m?s$"))
    await expect(line.locator(".time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))


async def test_a_rejected_webhook_is_listed_too(page: Page) -> None:
    """A webhook that `receive` rejected is listed as rejected."""
    body = body_of("guide_displayed", visitorId="refused@example.com")
    await send(page, body=body, signature="wrong")
    await expect(row(page, "refused@example.com").locator(".status")).to_contain_text("rejected")


async def test_the_newest_event_is_first(page: Page) -> None:
    """Each new event is above the earlier ones."""
    for name in ("first", "second", "third"):
        await send(page, body=body_of("guide_displayed", visitorId=f"{name}@order"))
    await page.get_by_label("Search events").fill("@order")
    visitors = page.locator(f"{ROWS} .who")
    await expect(visitors).to_have_text(["third@order", "second@order", "first@order"])


async def test_filters_and_search_narrow_the_list(page: Page) -> None:
    """Status, type and words each narrow the list, also together; then all are shown again."""
    body = body_of("nps_submitted_zero", visitorId="needle@find")
    await send(page, body=body)
    await send(page, body=body, signature="wrong")
    await send(page, body=body_of("guide_displayed", visitorId="hay@find"))
    await expect(row(page, "stored")).not_to_have_count(0)

    await page.get_by_label("Search events").fill("FIND needle")
    await expect(page.locator(ROWS)).to_have_count(2)
    await expect(page.locator("#shown")).to_have_text(re.compile(r"^2 of \d+ events$"))
    await page.get_by_label("Status").select_option("rejected")
    await expect(page.locator(ROWS)).to_have_count(1)
    await page.get_by_label("Type").select_option("guide.displayed")
    await expect(page.locator(ROWS)).to_have_count(0)
    await expect(page.get_by_text("No matching events")).to_be_visible()
    await page.get_by_role("button", name="Show all").click()
    await expect(row(page, "hay@find")).to_have_count(1)
    await expect(row(page, "needle@find")).to_have_count(2)


async def test_the_keyboard_is_enough(page: Page) -> None:
    """A slash searches, arrows move, Enter opens, arrows then show the next, Escape closes."""
    for name in ("low", "middle", "top"):
        await send(page, body=body_of("guide_displayed", visitorId=f"{name}@keys"))
    await page.locator("body").press("Tab")
    await page.keyboard.press("/")
    await expect(page.get_by_label("Search events")).to_be_focused()
    await page.keyboard.type("@keys")
    await expect(page.locator(ROWS)).to_have_count(3)

    grid = page.get_by_role("grid", name="Events")
    await grid.focus()
    await grid.press("ArrowDown")
    await grid.press("Enter")
    console_page = page.get_by_role("region", name="guide.displayed")
    await expect(console_page).to_be_focused()
    await expect(console_page).to_contain_text("middle@keys")
    await grid.press("ArrowDown")
    await expect(console_page).to_contain_text("low@keys")
    await expect(grid).to_be_focused()
    await grid.press("Home")
    await expect(console_page).to_contain_text("top@keys")
    await page.keyboard.press("Escape")
    await expect(console_page).to_be_hidden()
    await expect(grid).to_be_focused()


async def test_new_events_do_not_move_the_list(page: Page, running: Running) -> None:
    """New events do not move the rows being read, and are counted."""
    for number in range(60):
        record = running.state.arrive(f"still-{number}", running.state.now())
        record.type = "guide.displayed"
    await page.get_by_label("Search events").fill("still-")
    grid = page.get_by_role("grid", name="Events")
    await expect(page.locator(f"{ROWS}[data-key=still-59]")).to_be_visible()
    await grid.evaluate("grid => { grid.scrollTop = 800; }")
    watched = page.locator(f"{ROWS}[data-key=still-35]")
    await expect(watched).to_be_visible()
    before = await watched.bounding_box()
    for number in range(60, 70):
        running.state.arrive(f"still-{number}", running.state.now())

    await expect(page.get_by_role("button", name="10 newer rows")).to_be_visible()
    assert await watched.bounding_box() == before
    await page.get_by_role("button", name="10 newer rows").click()
    await expect(page.locator(f"{ROWS}[data-key=still-69]")).to_be_visible()


# One event, console_page: what Pendo sent, the normalised event, what AEP got, and every step.


async def open_event(page: Page, text: str) -> Locator:
    """Opens the event with this text in its row."""
    await row(page, text).first.click()
    return page.locator("#detail")


async def test_the_details_show_the_request(page: Page) -> None:
    """They show the request's headers and body, and the answer of `receive`."""
    await send(page, body=body_of("nps_submitted_comment", visitorId="sent@open"))
    panel = await open_event(page, "sent@open")
    request = panel.get_by_role("tabpanel", name="Webhook")
    await expect(request.get_by_text("X-Pendo-Signature")).to_be_visible()
    await expect(request.get_by_text(re.compile("^[0-9a-f]{64}$"))).to_be_visible()
    body = request.get_by_role("region", name="Body sent by Pendo")
    sent = json.loads(await body.inner_text())
    assert sent["visitorId"] == "sent@open"
    answer = request.get_by_role("region", name="Answer of receive")
    assert json.loads(await answer.inner_text())["status"] == "accepted"


async def test_large_numbers_are_shown_exactly(page: Page) -> None:
    """A number too large for JavaScript is shown exactly."""
    body = body_of("track_event_received", visitorId="big@open")
    await send(page, body=body.replace('"properties": {', '"properties": {"n": 98765432109876543,'))
    panel = await open_event(page, "big@open")
    shown = panel.get_by_role("region", name="Body sent by Pendo")
    await expect(shown).to_contain_text('"n": 98765432109876543,')


async def test_the_normalised_event_and_the_xdm_are_those_of_the_sample(page: Page) -> None:
    """They equal the expected ones of the sample, except for ID and time."""
    [sample] = [each for each in load_samples() if each.name == "nps_submitted_comment"]
    await send(page, sample=sample.name)
    panel = await open_event(page, "oskar.lind@example.com")

    async def shape(tab: str) -> dict[str, Any]:
        await panel.get_by_role("tab", name=tab).click()
        block = panel.get_by_role("tabpanel", name=tab).locator("pre")
        await expect(block).to_be_visible()
        shown: dict[str, Any] = json.loads(await block.inner_text())
        return shown

    event = await shape("Normalised")
    assert sample.event is not None
    assert event == sample.event | {"id": event["id"], "receivedAt": event["receivedAt"]}
    sent = await shape("Sent to AEP")
    assert event["id"] in json.dumps(sent)
    xdm = await shape("XDM")
    assert sample.xdm is not None
    assert xdm.keys() == sample.xdm.keys()
    assert xdm["_id"] == event["id"]
    assert xdm["identityMap"] == sample.xdm["identityMap"]


async def test_every_step_has_a_time(page: Page) -> None:
    """The steps are in order, each with the time since the first."""
    await send(page, body=body_of("guide_displayed", visitorId="steps@open"))
    panel = await open_event(page, "steps@open")
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


async def test_the_details_are_updated_live(page: Page, running: Running) -> None:
    """A failed attempt and the successful one appear in the timeline as they happen."""
    running.actions.injector.inject(Injection(FaultKind.FAIL))
    await send(page, body=body_of("guide_displayed", visitorId="live@open"))
    panel = await open_event(page, "live@open")
    await expect(panel.locator("header")).not_to_contain_text("stored")
    await expect(panel.locator(".timeline")).to_contain_text("Returned to the topic")
    running.actions.injector.clear()
    await expect(panel.locator("header")).to_contain_text("stored")
    await expect(panel.locator(".timeline")).to_contain_text("Accepted by AEP")


async def test_an_event_that_fails_later_says_why(page: Page, running: Running) -> None:
    """After AEP has accepted it: in the list, in its timeline, and in the count of the stage."""
    failed = running.state.counts.failed_later
    running.actions.injector.inject(Injection(FaultKind.SCHEMA))
    await send(page, body=body_of("guide_displayed", visitorId="later@open"))
    panel = await open_event(page, "later@open")
    await expect(panel.locator("header")).to_contain_text("failed later")
    steps = panel.locator(".timeline li")
    await expect(steps.filter(has_text="Accepted by AEP")).to_have_count(1)
    await expect(steps.last).to_contain_text("Failed later, at validation: DCVS-1106-400")
    await expect(steps.last).to_contain_text("required key [subscriptionTier] not found")
    await expect_count(page, "failed_later", failed + 1)

    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="failed later").click()
    line = row(page, "later@open")
    await expect(line).to_contain_text("DCVS-1106-400")
    await expect(page.locator(ROWS)).to_have_count(failed + 1)


async def test_an_event_can_be_edited_and_sent_again(page: Page) -> None:
    """The body is put into the form, and becomes another event."""
    await send(page, body=body_of("guide_displayed", visitorId="again@open"))
    panel = await open_event(page, "again@open")
    await panel.get_by_role("button", name="Edit and send again").click()
    body = page.get_by_label("Body of the webhook")
    await expect(body).to_be_focused()
    text = await body.input_value()
    await send(page, body=text.replace("again@open", "twice@open"))
    await expect(row(page, "twice@open")).to_have_count(1)


async def test_a_rejected_webhook_has_no_event(page: Page) -> None:
    """A rejected webhook shows its request, and that there is no event."""
    body = body_of("guide_displayed", visitorId="nothing@open")
    await send(page, body=body, signature="wrong")
    panel = await open_event(page, "nothing@open")
    await expect(panel).to_contain_text("answered 401")
    await panel.get_by_role("tab", name="Normalised").click()
    await expect(panel.get_by_text("It did not become an event.").first).to_be_visible()
