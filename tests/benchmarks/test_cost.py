"""The cost model, the simulation of push, and the page that shows them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import cost
from benchmarks.cost import Cpu, Prices
from benchmarks.scaling import LOADS, simulate

CPU = Cpu(receive=100.0, deliver=80.0, drain=15.0, drain_rate=11_000.0)
PRICES = Prices(
    vcpu_second=0.00002,
    gib_second=0.000002,
    million_requests=0.4,
    billed_seconds=0.1,
    pubsub_tib=40.0,
    pubsub_least_bytes=1000,
    scheduler_job_month=0.1,
    secret_10000_accesses=0.03,
    logging_gib=0.5,
    pubsub_kept_gib_month=0.27,
)


@pytest.mark.slow
def test_the_page_shows_what_is_computed(tmp_path: Path) -> None:
    """The tables of `docs/cost.md` come from the measured CPU and the prices in the repository."""
    copy = tmp_path / "cost.md"
    copy.write_text(cost.PAGE.read_text("utf-8"), "utf-8")

    cost.write_page(copy)

    assert copy.read_text("utf-8") == cost.PAGE.read_text("utf-8")


@pytest.mark.parametrize(
    ("rate", "instances"),
    [
        (0.1, 0.019801),  # two steps of 100 ms, once in ten seconds
        (100, 1.0),  # one is always in progress
        (60_000, 8.0),  # 60,000 times 80 us are 4.8 processors, each at 60 %
    ],
)
def test_instances_that_are_billed(rate: float, instances: float) -> None:
    """Few requests cost the time they take, in whole steps; many cost the CPU they need."""
    billed = cost.active_instances(rate, cpu_us=80.0, seconds=0.17, billed=0.1)
    assert billed == pytest.approx(instances, rel=1e-3)


def test_a_bill_by_hand() -> None:
    """At one event in 1,000 seconds nothing is shared: the bill is that of each request alone."""
    paid = cost.push(0.001, CPU, PRICES)

    assert paid.receive == pytest.approx(0.1 * 0.000021 * 1e6, rel=0.001)
    assert paid.to_aep == pytest.approx(0.2 * 0.000021 * 1e6, rel=0.001)
    assert paid.requests == pytest.approx(0.8)
    assert paid.secrets == pytest.approx(1e6 * 0.000003, rel=0.011)  # each webhook causes a read
    # Three lines of some 0.9 kB: received, sent, delivered.
    assert paid.logs == pytest.approx(3 * 0.9e9 / 2**30 * 0.5, rel=0.05)
    assert paid.total == pytest.approx(
        paid.receive + paid.to_aep + 0.8 + paid.pubsub + paid.kept + paid.secrets + paid.logs
    )


def test_request_logs_would_cost_more_than_the_requests() -> None:
    """So the deployment excludes them: by push, an event has two entries of over 1 kB."""
    entries = cost.pushed_entries(100)
    more = entries.bytes(with_requests=True) - entries.bytes(with_requests=False)

    assert more > 2_000
    assert more * 1e6 / 2**30 * PRICES.logging_gib > 2 * PRICES.million_requests


@pytest.mark.parametrize(
    ("rate", "reads"),
    [
        (0.1, 0.05),  # ten seconds after a read, and ten more until the next webhook
        (1_000, 0.1),
        (12_000, 0.2),  # 12,000 times 100 us are 1.2 processors, each at 60 %: two instances
    ],
)
def test_reads_of_the_secret(rate: float, reads: float) -> None:
    """Each instance reads it with the first webhook after ten seconds."""
    assert cost.secret_reads(rate, CPU) == pytest.approx(reads, rel=0.001)


def test_drain_is_cheaper_from_some_rate() -> None:
    """Below that rate push costs less, above it drain does."""
    rate = cost.cheaper_from(CPU, PRICES)

    for way, other, at in ((cost.push, cost.drain, rate / 2), (cost.drain, cost.push, rate * 2)):
        assert way(at, CPU, PRICES).total < other(at, CPU, PRICES).total


def test_more_events_cost_less_each() -> None:
    """By push and by drain, the cost of an event falls with the rate."""
    for way in (cost.push, cost.drain):
        totals = [way(rate, CPU, PRICES).total for rate in cost.RATES]
        assert all(more <= less for less, more in pairwise(totals))


@pytest.mark.slow
def test_the_instances_limit_push() -> None:
    """One instance carries 1,000 events/s; four carry about half of 10,000."""
    few, two, many = (simulate(load, cost.load_cpu().deliver) for load in LOADS[:3])

    assert few.backlog == few.throttled == 0
    assert len(few.delays) == pytest.approx(5_000, rel=0.1)
    assert 5_000 * 5 < len(many.delays) < 6_500 * 5
    assert many.backlog > 30_000

    # Each instance batches its own pushes: two make about twice the batches.
    assert len(two.batches) == pytest.approx(2 * len(few.batches), rel=0.2)


@pytest.mark.slow
def test_aep_throttles_over_its_limit() -> None:
    """With more instances AEP's own limit is next: what exceeds it goes back to Pub/Sub."""
    limited, doubled = (simulate(load, cost.load_cpu().deliver) for load in LOADS[3:5])

    assert limited.throttled > 0
    assert limited.backlog > 0
    assert len(limited.delays) <= 10_000 * 6  # five seconds touch six of AEP's
    assert doubled.throttled == doubled.backlog == 0
