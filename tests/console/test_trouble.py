"""Letting something go wrong: each switch does what it says, says so at the top, and goes off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from local.console.injections import Kind
from local.console.run import Running
from tests.console.desk import agrees, send, shows

pytestmark = pytest.mark.slow

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "trouble.json").read_bytes())


def test_every_kind_has_its_switch() -> None:
    """The table below names everything that can be made to go wrong."""
    assert {case["kind"] for case in CASES} == set(Kind)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"])
async def test_a_switch_breaks_and_mends(
    page: Page, running: Running, case: dict[str, Any]
) -> None:
    """What is switched on is at the top and strikes; what is cleared there goes right again."""
    if "much" in case:
        await page.get_by_label(f"{case['name']}: how much").select_option(case["much"])
    switch = page.get_by_role("switch", name=case["name"], exact=True)
    await switch.click()
    top = page.get_by_role("region", name="What goes wrong on purpose")
    await expect(top.locator("li span")).to_have_text([case["banner"]])
    await expect(switch).to_be_checked()

    requests, stored = running.state.counts.requests, running.state.counts.stored
    await page.get_by_role("tab", name="Batches").click()
    newest = page.locator("#batch-list .body [role=row]").first
    await send(page, sample="guide_displayed")
    if case["batch"] is None:
        await expect(page.locator("#sent")).to_contain_text("receive answered 503")
    else:
        await shows(page, "stored", stored + 1)
        await expect(newest.locator(".status")).to_contain_text(case["batch"])
        assert running.state.counts.requests > requests or case["kind"] == "slow"
    if case["retried"]:
        await expect(page.locator("[data-count=waiting]")).to_have_text("1")

    await top.get_by_role("button", name=f"Clear: {case['banner']}").click()
    await expect(top).to_be_hidden()
    await expect(switch).not_to_be_checked()
    await shows(page, "waiting", 0)
    await shows(page, "delivering", 0)
    await agrees(page, running)


async def test_how_much_can_be_changed_while_it_strikes(page: Page, running: Running) -> None:
    """Another choice beside a switch that is on takes effect at once."""
    await page.get_by_role("switch", name="AEP throttles").click()
    top = page.get_by_role("region", name="What goes wrong on purpose")
    await expect(top).to_contain_text("all requests")
    await page.get_by_label("AEP throttles: how much").select_option("half")
    await expect(top).to_contain_text("50% of requests")
    [injection] = running.hands.injections.in_force
    assert injection.share == 0.5


async def test_all_is_cleared_at_once(page: Page, running: Running) -> None:
    """Several at a time are all at the top, in another page too; one button ends them."""
    for name in ("AEP throttles", "AEP is slow"):
        await page.get_by_role("switch", name=name).click()
    top = page.get_by_role("region", name="What goes wrong on purpose")
    await expect(top.get_by_role("listitem")).to_have_count(2)
    await expect(page).to_have_title("⚠ pendo-to-aep, local")
    await top.get_by_role("button", name="Clear all").click()
    await expect(top).to_be_hidden()
    assert running.hands.injections.in_force == []
