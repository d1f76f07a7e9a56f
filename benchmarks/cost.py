"""Computes what a million events cost on Google Cloud, by push and by drain.

The CPU comes from `results.json`, Google's list prices from `prices.json`. The assumptions are in
the constants, each with its reason. `python -m benchmarks.cost` writes the tables of
`docs/cost.md`; `make bench` does, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks import scaling
from benchmarks.figures import RESULTS
from benchmarks.load import event
from benchmarks.tables import fill, table
from local.functions import PROJECT
from pendo_aep.event import message_attributes
from pendo_aep.settings import LEAST_SECONDS, POLL_SECONDS

PAGE: Final = PROJECT / "docs" / "cost.md"
_PRICES: Final = Path(__file__).with_name("prices.json")
_LOG_ENTRIES: Final = Path(__file__).with_name("log_entries.json")

RATES: Final = (0.1, 1, 10, 100, 1_000)
"""Events a second."""

_MONTH_SECONDS: Final = 30 * 86_400
_MILLION: Final = 1_000_000
# What the deployment asks for: one CPU (fewer allow no concurrency), half a gigabyte.
_VCPUS: Final = 1.0
_GIB: Final = 0.5
# Cloud Run aims at 60 % of an instance's CPU before it adds another.
_BUSY: Final = 0.6
# How long a webhook waits for Pub/Sub, and a message for AEP after the linger of 20 ms. Google and
# Adobe promise neither: these are usual between regions of one continent.
_PUBLISH_SECONDS: Final = 0.03
_DELIVER_SECONDS: Final = 0.02 + 0.15
# A call of `drain` ends when a pull has waited this long for nothing (`pipeline/drain.py`).
_DRAIN_TAIL_SECONDS: Final = 2.0
_DRAIN_EVERY_SECONDS: Final = 60
# An instance has at most four batches in flight, each for as long as AEP takes.
_BATCHES_PER_SECOND: Final = 4 / 0.15
# What a topic keeps by default (`EVENTS_RETENTION`), as a share of a month.
_KEPT_MONTHS: Final = 7 / 30
# Pub/Sub bills these with a message: its id and its time.
_MESSAGE_ID_BYTES: Final = 16
_TIME_BYTES: Final = 20


@dataclass(frozen=True, slots=True)
class Prices:
    """Google's list prices in USD, from `prices.json`; free amounts are left out."""

    vcpu_second: float
    gib_second: float
    million_requests: float
    billed_seconds: float
    pubsub_tib: float
    pubsub_least_bytes: int
    scheduler_job_month: float
    secret_10000_accesses: float
    logging_gib: float
    pubsub_kept_gib_month: float

    @property
    def secret_access(self) -> float:
        """The price of one read of a secret."""
        return self.secret_10000_accesses / 10_000

    @property
    def instance_second(self) -> float:
        """The price of a second of an instance that is handling requests."""
        return _VCPUS * self.vcpu_second + _GIB * self.gib_second


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU of one event in microseconds, and of drain's speed in events a second."""

    receive: float
    deliver: float
    drain: float
    drain_rate: float

    def times(self, factor: float) -> Cpu:
        """Returns the same on a slower processor, or with unmeasured work, such as TLS."""
        return Cpu(
            self.receive * factor,
            self.deliver * factor,
            self.drain * factor,
            self.drain_rate / factor,
        )


@dataclass(frozen=True, slots=True)
class Bill:
    """USD for a million events, by purpose, in the order of the table's columns."""

    receive: float
    to_aep: float
    requests: float
    pubsub: float
    kept: float
    logs: float
    secrets: float
    scheduler: float = 0.0

    @property
    def total(self) -> float:
        """The sum."""
        total: float = sum(astuple(self))
        return total


def active_instances(rate: float, cpu_us: float, seconds: float, billed: float) -> float:
    """Returns how many instances are billed on average, with `rate` requests a second.

    With few requests, an instance is billed while at least one is in progress, each rounded up to
    whole steps of `billed` seconds (Google: rounded up to 100 ms). For requests at random times
    that share of the time is 1 - exp(-rate * seconds). With many, the CPU decides.
    """
    step = math.ceil(seconds / billed) * billed
    return max(1 - math.exp(-rate * step), rate * cpu_us / 1e6 / _BUSY)


@dataclass(frozen=True, slots=True)
class Entries:
    """Log entries for one event, on average.

    Attributes:
        received: lines of `receive`.
        delivered: lines of `deliver` or `drain`, one for each message.
        batches: their lines about requests to AEP.
        requests: Cloud Run's own entries.
    """

    received: float
    delivered: float
    batches: float
    requests: float

    def bytes(self, *, with_requests: bool) -> float:
        """Returns what Cloud Logging stores: whole entries, in JSON without spaces (assumed)."""

        def line(name: str) -> int:
            return len(orjson.dumps({**log_entry("line"), "jsonPayload": log_entry(name)}))

        lines = (
            self.received * line("receive")
            + self.delivered * line("deliver")
            + self.batches * line("batch")
        )
        if not with_requests:
            return lines
        return lines + self.requests * len(orjson.dumps(log_entry("request")))


@cache
def log_entry(name: str) -> dict[str, Any]:
    """Returns an example of `log_entries.json`: a whole entry, or only what a line says."""
    found: dict[str, Any] = orjson.loads(_LOG_ENTRIES.read_bytes())[name]
    return found


def pushed_entries(rate: float) -> Entries:
    """Returns the entries by push: at a low rate, each message is a batch of its own."""
    return Entries(1, 1, min(1.0, _BATCHES_PER_SECOND / rate), 2)


def drained_entries(rate: float) -> Entries:
    """Returns the entries by drain: of a run, the requests to AEP and its last line."""
    calls = 1 / _DRAIN_EVERY_SECONDS / rate
    return Entries(1, 1, 2 * calls, 1 + calls)


def push(rate: float, cpu: Cpu, prices: Prices) -> Bill:
    """Returns the bill for a million events, each pushed to `deliver`."""
    return Bill(
        receive=_receive(rate, cpu, prices),
        to_aep=_million_of(
            rate,
            active_instances(rate, cpu.deliver, _DELIVER_SECONDS, prices.billed_seconds),
            prices,
        ),
        pubsub=_pubsub(prices),
        kept=_kept(prices),
        requests=2 * prices.million_requests,
        secrets=_secrets(rate, cpu, prices),
        logs=_logs(pushed_entries(rate), prices),
    )


def drain(rate: float, cpu: Cpu, prices: Prices) -> Bill:
    """Returns the bill for a million events, pulled by `drain` once a minute."""
    seconds = _DRAIN_TAIL_SECONDS + rate * _DRAIN_EVERY_SECONDS / cpu.drain_rate
    calls = 1 / _DRAIN_EVERY_SECONDS
    return Bill(
        receive=_receive(rate, cpu, prices),
        to_aep=_million_of(rate, min(seconds * calls, 1.0), prices),
        pubsub=_pubsub(prices),
        kept=_kept(prices),
        requests=prices.million_requests * (1 + calls / rate),
        secrets=_secrets(rate, cpu, prices),
        logs=_logs(drained_entries(rate), prices),
        scheduler=prices.scheduler_job_month / (rate * _MONTH_SECONDS) * _MILLION,
    )


def cheaper_from(cpu: Cpu, prices: Prices) -> float:
    """Returns the rate in events a second from which drain costs less than push."""
    low, high = 1e-4, 1e4
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        if drain(middle, cpu, prices).total < push(middle, cpu, prices).total:
            high = middle
        else:
            low = middle
    return high


def _receive(rate: float, cpu: Cpu, prices: Prices) -> float:
    active = active_instances(rate, cpu.receive, _PUBLISH_SECONDS, prices.billed_seconds)
    return _million_of(rate, active, prices)


def _million_of(rate: float, instances: float, prices: Prices) -> float:
    return instances * prices.instance_second / rate * _MILLION


def _pubsub(prices: Prices) -> float:
    """Publishing once and delivering once; a message costs the same in a batch as alone."""
    size = max(_message_bytes(), prices.pubsub_least_bytes)
    return 2 * size * _MILLION / 2**40 * prices.pubsub_tib


def _kept(prices: Prices) -> float:
    """Keeping the message in the topic, for replays."""
    return _message_bytes() * _MILLION / 2**30 * prices.pubsub_kept_gib_month * _KEPT_MONTHS


def _message_bytes() -> int:
    message = event()
    size = len(orjson.dumps(message)) + _MESSAGE_ID_BYTES + _TIME_BYTES
    return size + sum(len(name) + len(value) for name, value in message_attributes(message).items())


def _logs(entries: Entries, prices: Prices, *, with_requests: bool = False) -> float:
    size = entries.bytes(with_requests=with_requests)
    return size * _MILLION / 2**30 * prices.logging_gib


def secret_reads(rate: float, cpu: Cpu) -> float:
    """Returns how often a second the webhook secret is read, with `rate` webhooks a second.

    Each instance of `receive` reads it with the first webhook that comes once the last read is
    POLL_SECONDS old; for webhooks at random times that takes 1 / rate more on average.
    """
    instances = math.ceil(rate * cpu.receive / 1e6 / _BUSY)
    return instances / (POLL_SECONDS + instances / rate)


def _secrets(rate: float, cpu: Cpu, prices: Prices) -> float:
    return secret_reads(rate, cpu) / rate * _MILLION * prices.secret_access


def _secret_row(name: str, reads: float, prices: Prices) -> list[str]:
    month = reads * _MONTH_SECONDS
    return [name, f"{month:,.0f}", f"{month * prices.secret_access:.2f}"]


def _log_row(rate: float, way: str, prices: Prices) -> list[str]:
    entries = pushed_entries(rate) if way == "push" else drained_entries(rate)
    switch = (False, True)
    sizes = [f"{entries.bytes(with_requests=on) / 1000:.1f}" for on in switch]
    costs = [f"{_logs(entries, prices, with_requests=on):.2f}" for on in switch]
    return [f"{rate:g}", way, *sizes, *costs]


def load_prices() -> Prices:
    """Returns the prices of `prices.json`."""
    read: dict[str, Any] = orjson.loads(_PRICES.read_bytes())
    return Prices(**{name: read[name] for name in Prices.__slots__})


def load_cpu() -> Cpu:
    """Returns the medians of `results.json`."""
    results = orjson.loads(RESULTS.read_bytes())
    median = {row["name"]: row["median"] for row in results["figures"]}
    names = ("receive, us", "deliver, us", "drain, us", "drain messages/s")
    return Cpu(*(median[name] for name in names))


def cost_tables(cpu: Cpu, prices: Prices) -> Mapping[str, str]:
    """Returns the tables of the page by their markers."""
    rows = []
    for rate in RATES:
        for name, way in (("push", push), ("drain", drain)):
            bill = way(rate, cpu, prices)
            month = bill.total * rate * _MONTH_SECONDS / _MILLION
            costs = [f"{part:.2f}" for part in astuple(bill)]
            rows.append([f"{rate:g}", name, *costs, f"**{bill.total:.2f}**", f"{month:,.2f}"])
    head = ["events/s", "", "`receive`", "to AEP", "requests", "Pub/Sub", "kept", "logs"]
    head += ["secret", "Scheduler", "**USD a million**", "USD a month"]
    slower = cpu.times(2)
    return {
        "secret": table(
            ["webhooks/s", "reads a month", "USD a month"],
            [
                *(_secret_row(f"{rate:g}", secret_reads(rate, cpu), prices) for rate in RATES),
                _secret_row("forged, all the time", 1 / LEAST_SECONDS, prices),
            ],
        ),
        "logs": table(
            ["events/s", "", "kB an event", "with request logs", "USD a million", "with them"],
            [_log_row(rate, way, prices) for rate in (0.1, 100) for way in ("push", "drain")],
        ),
        "bill": table(head, rows),
        "cheaper": f"**{cheaper_from(cpu, prices):.2g} events/s**",
        "slower": table(
            ["events/s", "push", "push, twice the CPU", "drain", "drain, twice the CPU"],
            [
                [
                    f"{rate:g}",
                    *(
                        f"{way(rate, used, prices).total:.2f}"
                        for way in (push, drain)
                        for used in (cpu, slower)
                    ),
                ]
                for rate in (1, 1_000)
            ],
        ),
    }


def write_page(path: Path = PAGE) -> None:
    """Writes the tables, from the measured CPU, the prices and the simulation.

    Raises:
        MarkersMissing: The page has no place for a table; nothing is written.
    """
    cpu = load_cpu()
    fill(path, {**cost_tables(cpu, load_prices()), **scaling.scaling_tables(cpu.deliver)})


if __name__ == "__main__":
    write_page()
