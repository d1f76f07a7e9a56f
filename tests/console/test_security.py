"""Security in the browser: HTML in a webhook is text, and other origins get nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from local.console.security import listening
from local.samples import load_samples
from tests.console.page_harness import TIMEOUT_MS, ObservedPage, row
from tests.local.console.console_harness import ConsoleHarness

pytestmark = pytest.mark.slow

HTML = (
    "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
    "<svg onload=\"document.title = 'run'\"></svg>"
)
# What a page of another origin might try; each returns the result.
ATTEMPTS = {
    "post": """url => fetch(url + "api/inject", {method: "POST", body: '{"kind": "down"}',
        headers: {"Content-Type": "application/json"}}).then(() => "answered", () => "refused")""",
    "post without asking first": """async url => {
        await fetch(url + "api/inject", {method: "POST", mode: "no-cors", body: '{"kind": "down"}'})
          .catch(() => {});
        return "refused"; }""",
    "read": """url => fetch(url + "api/samples").then(() => "answered", () => "refused")""",
    "stream": """url => new Promise((done) => {
        const source = new EventSource(url + "api/stream");
        source.onopen = () => done("answered");
        source.onerror = () => { source.close(); done("refused"); }; })""",
    "script": """url => new Promise((done) => {
        const script = document.createElement("script");
        script.src = url + "js/dom.js";
        script.onload = () => done("answered");
        script.onerror = () => done("refused");
        document.head.append(script); })""",
}


async def test_html_in_a_webhook_is_shown_and_not_run(page: Page, by_hand: ConsoleHarness) -> None:
    """As a name, type, value or key, in the list and in the details, it is shown as text."""
    by_hand.pipeline.happen("webhook", HTML, 200, {"status": "accepted", "id": "ID"}, HTML)
    [sample] = [each.event for each in load_samples() if each.name == "guide_displayed"]
    assert sample is not None
    event = sample | {"type": HTML, "visitorId": HTML, "properties": {HTML: HTML}}
    record = by_hand.pipeline.state.events.get(HTML)
    assert record is not None
    record.type = record.visitor = HTML
    record.data, record.sent = orjson.dumps(event), event
    await row(page, "<script>").first.click()
    panel = page.locator("#detail")
    for tab in ("Webhook", "Normalised", "Sent to AEP", "XDM"):
        await panel.get_by_role("tab", name=tab).click()
        block = panel.get_by_role("tabpanel", name=tab).locator("pre").first
        await expect(block).to_contain_text("<script>document.title")
    inside = page.locator("main script, main img, #event-list svg, #detail svg")
    await expect(inside).to_have_count(0)
    await expect(page.locator("#type option", has_text="<script>")).to_have_count(1)
    await expect(page).to_have_title("pendo-to-aep, local")


async def test_html_in_an_unreadable_body_is_shown_and_not_run(
    page: Page, by_hand: ConsoleHarness
) -> None:
    """A body that is not JSON is a dead letter and shown unchanged."""
    by_hand.pipeline.happen("unreadable", "e1", f"<html>{HTML}")
    await row(page, "dead").first.click()
    block = page.locator("#detail").get_by_role("region", name="Body sent by Pendo")
    await expect(block).to_have_text(f"<html>{HTML}")
    await expect(page).to_have_title("pendo-to-aep, local")


@pytest.fixture(scope="module")
async def elsewhere(browser: Browser) -> AsyncIterator[Page]:
    """A page of another origin on this machine."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(
            text="<!doctype html><title>elsewhere</title>", content_type="text/html"
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with listening(app, 0, or_any=False) as port:
        context = await browser.new_context()
        context.set_default_timeout(TIMEOUT_MS)
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{port}/")
        yield page
        await context.close()


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_another_origin_gets_nothing(
    elsewhere: Page, by_hand: ConsoleHarness, name: str
) -> None:
    """A page of another origin can neither post, read, include nor change anything."""
    assert await elsewhere.evaluate(ATTEMPTS[name], by_hand.url) == "refused"
    assert by_hand.actions.injector.active == []


async def test_the_console_cannot_be_framed(elsewhere: Page, by_hand: ConsoleHarness) -> None:
    """A frame of another origin does not show the console, so no click can be stolen."""
    await elsewhere.evaluate(
        """url => new Promise((done) => {
          const frame = document.createElement("iframe");
          frame.onload = done;  // of an error page, too
          frame.src = url;
          document.body.append(frame);
        })""",
        by_hand.url,
    )
    _, frame = elsewhere.frames
    await expect(frame.locator("#connection")).to_have_count(0)


async def test_the_page_loads_nothing_from_other_hosts(console: ObservedPage) -> None:
    """Everything on the page comes from the console; the browser allows no other host."""
    page = console.page
    said = await page.evaluate(
        "() => fetch('http://127.0.0.1:9/').then(() => 'answered', () => 'refused')"
    )
    assert said == "refused"
    console.forgive("Content Security Policy")
    console.foreign_requests.clear()
    loaded = await page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert loaded
    assert all(url.startswith(console.url) for url in loaded)
