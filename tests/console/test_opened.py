"""One event, opened: what Pendo sent, the normalised event, what AEP got, and every step."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from local.console.injections import Injection, Kind
from local.console.run import Running
from local.samples import load_samples
from tests.console.desk import body_of, row, send

pytestmark = pytest.mark.slow


async def opened(page: Page, text: str) -> Locator:
    """Opens the event in whose row there is this text."""
    await row(page, text).first.click()
    return page.locator("#opened")


async def test_what_pendo_sent_is_shown_with_its_headers(page: Page) -> None:
    """The request's headers and its body, and what `receive` answered."""
    await send(page, body=body_of("nps_submitted_comment", visitorId="sent@open"))
    panel = await opened(page, "sent@open")
    request = panel.get_by_role("tabpanel", name="Pendo sent")
    await expect(request.get_by_text("X-Pendo-Signature")).to_be_visible()
    await expect(request.get_by_text(re.compile("^[0-9a-f]{64}$"))).to_be_visible()
    body = request.get_by_role("region", name="Body as Pendo sent it")
    sent = json.loads(await body.inner_text())
    assert sent["visitorId"] == "sent@open"
    answer = request.get_by_role("region", name="Answer of receive")
    assert json.loads(await answer.inner_text())["status"] == "accepted"


async def test_numbers_stay_as_they_were_sent(page: Page) -> None:
    """A number that JavaScript cannot hold is shown digit by digit."""
    body = body_of("track_event_received", visitorId="big@open")
    await send(page, body=body.replace('"properties": {', '"properties": {"n": 98765432109876543,'))
    panel = await opened(page, "big@open")
    shown = panel.get_by_role("region", name="Body as Pendo sent it")
    await expect(shown).to_contain_text('"n": 98765432109876543,')


async def test_the_normalised_event_and_the_xdm_are_those_of_the_sample(page: Page) -> None:
    """What is shown is what the sample says must become of it, besides its id and the time."""
    [sample] = [each for each in load_samples() if each.name == "nps_submitted_comment"]
    await send(page, sample=sample.name)
    panel = await opened(page, "oskar.lind@example.com")

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


async def test_every_step_has_its_time(page: Page) -> None:
    """From the webhook to AEP, in order, each with the time since the first."""
    await send(page, body=body_of("guide_displayed", visitorId="steps@open"))
    panel = await opened(page, "steps@open")
    steps = panel.locator(".timeline li")
    for text in ("Pendo sent it", "Stored on the topic", "Pushed to deliver", "Accepted by AEP"):
        await expect(steps.filter(has_text=text)).to_have_count(1)
    await expect(steps.locator("time").first).to_have_text("0 ms")
    times = await steps.locator("time").evaluate_all("all => all.map(each => each.dateTime)")
    assert times == sorted(times)


async def test_it_goes_on_while_it_is_open(page: Page, running: Running) -> None:
    """A try that fails and the one that does not appear in the timeline as they happen."""
    running.hands.injections.put(Injection(Kind.FAIL))
    await send(page, body=body_of("guide_displayed", visitorId="live@open"))
    panel = await opened(page, "live@open")
    await expect(panel.locator("header")).not_to_contain_text("accepted")
    await expect(panel.locator(".timeline")).to_contain_text("Back in the topic")
    running.hands.injections.clear()
    await expect(panel.locator("header")).to_contain_text("accepted")
    await expect(panel.locator(".timeline")).to_contain_text("Accepted by AEP")


async def test_an_event_can_be_edited_and_sent_again(page: Page) -> None:
    """The body goes into the form, and what is sent of it is another event."""
    await send(page, body=body_of("guide_displayed", visitorId="again@open"))
    panel = await opened(page, "again@open")
    await panel.get_by_role("button", name="Edit and send again").click()
    body = page.get_by_label("Body of the webhook")
    await expect(body).to_be_focused()
    text = await body.input_value()
    await send(page, body=text.replace("again@open", "twice@open"))
    await expect(row(page, "twice@open")).to_have_count(1)


async def test_a_rejected_webhook_says_that_it_became_nothing(page: Page) -> None:
    """What was refused at the door has its request, and no event."""
    body = body_of("guide_displayed", visitorId="nothing@open")
    await send(page, body=body, signature="wrong")
    panel = await opened(page, "nothing@open")
    await expect(panel).to_contain_text("answered 401")
    await panel.get_by_role("tab", name="Normalised").click()
    await expect(panel.get_by_text("It did not become an event.").first).to_be_visible()
