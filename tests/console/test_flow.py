"""The overview, the forms, and a pipeline that stops and comes back."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Browser, Page, expect

from local.console.state import Status
from local.functions import free_port
from tests.console.page_harness import (
    ROWS,
    ObservedPage,
    arrive,
    edit_body,
    expect_count,
    observed_page,
    row,
)
from tests.local.console.console_harness import ConsoleHarness, console_harness

pytestmark = pytest.mark.slow


async def test_a_click_on_a_stage_lists_its_events(page: Page, by_hand: ConsoleHarness) -> None:
    """The list shows rejected webhooks for "rejected", and all again for "received"."""
    by_hand.pipeline.happen("webhook", "e1", 401, {"error": "signature"})
    arrive(by_hand, "e2", status=Status.STORED)
    await expect(row(page, "stored")).to_have_count(1)
    await page.get_by_role("button", name="rejected").click()
    await expect(row(page, "stored")).to_have_count(0)
    await expect(page.locator(f"{ROWS} .status")).to_contain_text(["rejected"])

    await page.get_by_role("button", name="received").click()
    await expect(row(page, "stored")).to_have_count(1)


async def test_a_click_lists_the_dead_letters(page: Page, by_hand: ConsoleHarness) -> None:
    """The stage of the dead letters shows their list."""
    by_hand.pipeline.happen("dead_lettered", "e1", "rejected", "deliver")
    await page.get_by_role("button", name="dead", exact=False).filter(has_text="dead").first.click()
    await expect(page.get_by_role("tab", name="Dead letters")).to_have_attribute(
        "aria-selected", "true"
    )
    await expect(page.locator("#letter-list .body [role=row]")).to_have_count(1)


async def test_the_charts_describe_themselves(page: Page, by_hand: ConsoleHarness) -> None:
    """Rate, batch size and latency are drawn and described with their largest values."""
    for number in range(3):
        event = f"e{number}"
        accepted = ("webhook", event, 200, {"status": "accepted", "id": "ID"})
        for what, *more in (
            ("stored", event), accepted, ("pushed", event), ("sent", event), ("accepted", event),
            ("ended", event, 207), ("acked", event),
        ):  # fmt: skip
            by_hand.pipeline.happen(what, *more)
    by_hand.pipeline.now += 1
    by_hand.pipeline.state.changed()
    for name, told in (
        ("chart-rate", r"Events per second, .*received: now .*, at most [1-9]"),
        ("chart-batch", r"Events per batch, .*mean: now .*, at most [1-9]"),
        (
            "chart-latency",
            r"Latency to AEP, .*median: now [\d.,]+ m?s, at most [1-9].*p95: now [1-9]",
        ),
    ):
        plot = page.locator(f"#{name} svg")
        await page.wait_for_function(
            "([name, told]) => new RegExp(told).test("
            "document.querySelector(`#${name} svg`).getAttribute('aria-label'))",
            arg=[name, told],
        )
        assert await plot.locator(".line, .dot").count()


async def test_a_batch_says_what_became_of_it(page: Page, by_hand: ConsoleHarness) -> None:
    """All accepted, some refused, none accepted, or no answer."""
    happen = by_hand.pipeline.happen
    for status in (207, 429, None):
        happen("sent", "e1")
        happen("ended", "e1", status)
    happen("sent", "e1", "e2")
    happen("refused", "e2", 400, "no")
    happen("ended", "e1", 207, 2)
    happen("sent", "e1")
    await page.get_by_role("tab", name="Batches").click()
    statuses = page.locator("#batch-list .body .status")
    await expect(statuses).to_have_text(
        ["▸in progress", "◐207, 1 refused", "!no answer", "✕429", "✓207"]
    )


async def test_a_body_that_is_not_json_is_refused(page: Page, console: ObservedPage) -> None:
    """A body that cannot get a new ID is refused with the place of the error."""
    await edit_body(page, "{oops")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator("#message")).to_contain_text("this is not JSON")
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    console.forgive("409")


async def test_the_share_can_be_changed_while_active(page: Page, by_hand: ConsoleHarness) -> None:
    """Another choice next to an active switch takes effect at once."""
    await page.get_by_role("switch", name="AEP throttles").click()
    top = page.get_by_role("region", name="Injected failures")
    await expect(top).to_contain_text("all requests")
    await page.get_by_label("AEP throttles: how much").select_option("half")
    await expect(top).to_contain_text("50% of requests")
    [injection] = by_hand.actions.injector.active
    assert injection.share == 0.5


async def test_all_failures_are_cleared_at_once(page: Page, by_hand: ConsoleHarness) -> None:
    """Several failures are all shown at the top; one button clears them."""
    for name in ("AEP throttles", "AEP is slow"):
        await page.get_by_role("switch", name=name).click()
    top = page.get_by_role("region", name="Injected failures")
    await expect(top.get_by_role("listitem")).to_have_count(2)
    await expect(page).to_have_title("⚠ pendo-to-aep, local")
    await top.get_by_role("button", name="Clear all").click()
    await expect(top).to_be_hidden()
    assert by_hand.actions.injector.active == []


async def test_the_page_reports_a_stopped_pipeline_and_reconnects(browser: Browser) -> None:
    """Meanwhile it keeps its last state and says what to do; then it shows the new one."""
    port = free_port()
    async with AsyncExitStack() as opened:
        async with console_harness(port=port) as first:
            console = await opened.enter_async_context(observed_page(browser, first.url))
            page = console.page
            first.pipeline.happen("stored")
            await expect_count(page, "stored", 1)
        await expect(page.get_by_role("alert")).to_contain_text("python -m local")
        await expect(page.locator("#connection")).to_have_text("Not running")
        await expect(row(page, "nps.submitted")).to_have_count(1)
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.locator("#message")).to_contain_text("The console does not answer")

        async with console_harness(port=port) as second:
            await expect(page.locator("#connection")).to_have_text("Live")
            await expect(page.get_by_role("alert")).to_be_hidden()
            await expect_count(page, "stored", 0)
            await expect(row(page, "nps.submitted")).to_have_count(0)
            second.pipeline.happen("stored")
            await expect_count(page, "stored", 1)
            await page.goto("about:blank")
        console.forgive("net::ERR_")


async def test_an_empty_console_says_how_to_start(page: Page) -> None:
    """Each empty list says how to fill it."""
    await expect(page.get_by_text("point a webhook at there")).to_be_visible()
    await page.get_by_role("tab", name="Batches").click()
    await expect(page.get_by_text("Nothing has been sent to AEP yet.")).to_be_visible()
    await page.get_by_role("tab", name="Dead letters").click()
    await expect(page.get_by_text("No dead letters.")).to_be_visible()
    await expect(page.get_by_role("button", name="Replay all")).to_be_disabled()
