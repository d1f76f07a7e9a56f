"""The picture of the way: each stage with its live count, and what pressing it shows."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from local.console.injections import Injection, Kind
from local.console.run import Running
from tests.console.desk import ROWS, body_of, burst, row, send, shows

pytestmark = pytest.mark.slow


async def test_each_stage_counts_what_is_there(page: Page, running: Running) -> None:
    """Received, accepted, rejected and dead are counted as it happens, without a reload."""
    counts = running.state.counts
    received, accepted, letters = counts.received, counts.accepted, counts.letters

    await send(page, sample="nps_submitted_comment")
    await shows(page, "received", received + 1)
    await shows(page, "accepted", accepted + 1)
    rejected = counts.rejected
    await send(page, signature="wrong")
    await shows(page, "rejected", rejected + 1)
    await send(page, body=body_of("guide_displayed", event=""))
    await shows(page, "letters", letters + 1)
    await shows(page, "received", received + 3)


async def test_what_waits_is_counted_until_aep_takes_it(page: Page, running: Running) -> None:
    """While AEP takes long, events are counted in a batch or in the topic; then they are not."""
    accepted = running.state.counts.accepted
    running.hands.injections.put(Injection(Kind.SLOW, seconds=60))
    await burst(page, 20)
    await page.wait_for_function(
        "() => ['waiting', 'delivering'].reduce((sum, name) => sum +"
        " Number(document.querySelector(`[data-count=${name}]`).textContent), 0) === 20"
    )
    await expect(page.locator("[data-count=delivering]")).not_to_have_text("0")

    running.hands.injections.clear()
    await page.get_by_role("button", name="Restart deliver").click()
    await shows(page, "waiting", 0)
    await shows(page, "delivering", 0)
    await shows(page, "accepted", accepted + 20)


async def test_a_stage_that_is_pressed_shows_its_events(page: Page) -> None:
    """Pressing "rejected" lists those that were rejected; "received" lists all again."""
    await send(page, body=body_of("guide_displayed", visitorId="pressed"), signature="missing")
    await send(page, body=body_of("guide_displayed", visitorId="not pressed"))
    await page.get_by_role("button", name="rejected").click()
    await expect(row(page, "not pressed")).to_have_count(0)
    statuses = await page.locator(f"{ROWS} .status").all_inner_texts()
    assert {text.split()[-1] for text in statuses} == {"rejected"}

    await page.get_by_role("button", name="received").click()
    await expect(row(page, "not pressed")).to_have_count(1)


async def test_dead_letters_are_one_press_away(page: Page, running: Running) -> None:
    """Pressing the stage of the dead letters shows their list."""
    await send(page, body=body_of("guide_displayed", event=""))
    await page.get_by_role("button", name="dead", exact=False).filter(has_text="dead").first.click()
    await expect(page.get_by_role("tab", name="Dead letters")).to_have_attribute(
        "aria-selected", "true"
    )
    rows = page.locator("#letter-list .body [role=row]")
    await expect(rows).to_have_count(running.state.counts.letters)


async def test_the_plots_say_what_they_show(page: Page) -> None:
    """Rate, batch size and latency are drawn, and told in words with their largest values."""
    await burst(page, 50)
    for name, told in (
        ("plot-rate", r"Events a second, .*received: now .*, at most [1-9]"),
        ("plot-batch", r"Events in a batch, .*mean: now .*, at most [1-9]"),
        (
            "plot-latency",
            r"Receipt to AEP, .*median: now [\d.,]+ m?s, at most [1-9].*p95: now [1-9]",
        ),
    ):
        plot = page.locator(f"#{name} svg")
        await page.wait_for_function(
            "([name, told]) => new RegExp(told).test("
            "document.querySelector(`#${name} svg`).getAttribute('aria-label'))",
            arg=[name, told],
        )
        assert await plot.locator(".line, .dot").count()
