"""What AEP made of what it accepted, by hour, and what failed by code.

Flow runs count by hour; batches say which records failed. Both tell of the same failures, so each
is counted from one of them: hours from the runs, codes from the batches, and from the runs only
what no batch has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pendo_aep.lake.batches import Batch, BatchError, read_batches
from pendo_aep.lake.failed_records import (
    SUMMARY,
    WITHOUT_DIAGNOSTICS,
    read_failed_records,
    reason_of,
)
from pendo_aep.lake.flow_runs import FlowRun, read_flow_runs
from pendo_aep.lake.target import Target
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.errors import RequestRejected

HOUR: Final = timedelta(hours=1)
# Of one batch: enough for every code. What is not read counts under what AEP says of the batch.
_MAX_RECORDS: Final = 20_000
UNEXPLAINED: Final = "AEP counts these failures, and gives no reason and no batch for them"


@dataclass(frozen=True, slots=True)
class Hour:
    """What the dataflow did in one hour.

    Attributes:
        start: of the hour.
        received: records that came in.
        stored: records that were stored.
        failed: records that were not, and will not be.
        is_from_batches: whether these are counts of batches, for want of a flow run.
    """

    start: datetime
    received: int = 0
    stored: int = 0
    failed: int = 0
    is_from_batches: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Records of one batch that failed with one code.

    Attributes:
        code: AEP's; empty where it gives none.
        message: AEP's own words for one of them.
        records: how many; 0 where AEP does not say.
        batch: the id; empty where AEP names none.
    """

    code: str
    message: str
    records: int
    batch: str


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the way into the data lake.

    Attributes:
        since: the beginning of an hour.
        until: the end of the span.
        target: the dataflow and the dataset.
        hours: every hour of the span, the first first.
        failures: most records first.
        unread: what could not be read, each with what to do.
    """

    since: datetime
    until: datetime
    target: Target
    hours: tuple[Hour, ...]
    failures: tuple[Failure, ...]
    unread: tuple[str, ...] = ()

    @property
    def is_success(self) -> bool:
        """Whether nothing failed."""
        return not self.failures and not any(hour.failed for hour in self.hours)

    @property
    def lacks_reasons(self) -> bool:
        """Whether AEP has not kept the reasons of failures, or will not keep those of the next."""
        is_off = self.target.has_diagnostics is False
        return is_off or any(failure.code == WITHOUT_DIAGNOSTICS for failure in self.failures)


def full_hour(moment: datetime) -> datetime:
    """Returns the beginning of its hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


async def read_status(
    client: Client,
    target: Target,
    since: datetime,
    until: datetime,
    show: Callable[[str], None] = lambda _: None,
) -> Status:
    """Returns the status in a span of time, from the beginning of its first hour.

    What the credential may not read is left out, as long as it may read runs or batches.

    Args:
        client: calls AEP's APIs.
        target: the dataflow and the dataset.
        since: the first hour has it in it.
        until: the end.
        show: is told of the progress.

    Raises:
        PlatformError: AEP does not answer, or lets the credential read neither.
    """
    since = full_hour(since)
    unread: list[RequestRejected] = []
    runs: list[FlowRun] | None = None
    batches: list[Batch] | None = None
    show("flow runs")
    try:
        runs = [run async for run in read_flow_runs(client, target.flow_id, since, until)]
    except RequestRejected as rejected:
        unread.append(_if_permission(rejected))
    show("batches")
    try:
        batches = [one async for one in read_batches(client, target.dataset_id, since, until)]
    except RequestRejected as rejected:
        unread.append(_if_permission(rejected))
    if runs is None and batches is None:
        raise unread[0]
    failures: list[Failure] = []
    failed_batches = [batch for batch in batches or [] if batch.is_failure]
    for number, batch in enumerate(failed_batches, 1):
        show(f"failed batch {number:,} of {len(failed_batches):,}")
        try:
            found = await _failures_of(client, batch)
        except RequestRejected as rejected:
            unread.append(_if_permission(rejected))
            found = failures_by_errors(batch)
        failures += found
    counted = Counter[str]()
    for failure in failures:
        counted[failure.batch] += failure.records
    batches = [_with_failed(batch, counted[batch.id]) for batch in batches or []]
    failures += failures_of_runs(runs or [], failures)
    return Status(
        since,
        until,
        target,
        tuple(hours_of(runs or [], batches, since, until)),
        tuple(sorted(failures, key=lambda one: (-one.records, one.code, one.batch))),
        tuple(dict.fromkeys(map(str, unread))),
    )


def hours_of(
    runs: Iterable[FlowRun], batches: Iterable[Batch], since: datetime, until: datetime
) -> list[Hour]:
    """Returns every hour of the span: by its flow run, else by batches that no run names."""
    hours: dict[datetime, Hour] = {}
    named: set[str] = set()
    for run in runs:
        named.update(run.batches)
        start = full_hour(run.start)
        hours[start] = _sum(hours.get(start, Hour(start)), run)
    by_run = set(hours)
    for batch in batches:
        start = full_hour(batch.created)
        if start not in by_run and batch.id not in named:
            hour = hours.get(start, Hour(start, is_from_batches=True))
            hours[start] = _sum(hour, batch)
    count = max(0, -((since - until) // HOUR))  # rounded up
    starts = [since + number * HOUR for number in range(count)]
    return [hours.get(start, Hour(start)) for start in starts]


def _sum(hour: Hour, counts: FlowRun | Batch) -> Hour:
    return replace(
        hour,
        received=hour.received + counts.received,
        stored=hour.stored + counts.stored,
        failed=hour.failed + counts.failed,
    )


def failures_by_errors(batch: Batch) -> list[Failure]:
    """Returns the failures of a batch by what Catalog says of it, without its records."""
    counted = [error for error in batch.errors if error.records and error.code != SUMMARY]
    found = [Failure(one.code, one.description, one.records or 0, batch.id) for one in counted]
    rest = batch.failed - sum(failure.records for failure in found)
    if rest > 0 or not found:
        reason = reason_of(replace(batch, errors=tuple(set(batch.errors) - set(counted))))
        found.append(Failure(reason.code, reason.message, max(rest, 0), batch.id))
    return found


async def _failures_of(client: Client, batch: Batch) -> list[Failure]:
    """Returns the failures of a batch by the reasons of its records."""
    found: dict[str, Failure] = {}
    left = _MAX_RECORDS
    async with aclosing(read_failed_records(client, batch)) as records:
        async for record in records:
            known = found.get(record.code)
            if known is None:
                known = Failure(record.code, record.message, 0, batch.id)
            found[record.code] = replace(known, records=known.records + 1)
            left -= 1
            if not left:
                break
    rest = batch.failed - (_MAX_RECORDS - left)
    if not found:
        return failures_by_errors(batch)
    if rest > 0:
        reason = reason_of(batch)
        known = found.get(reason.code, Failure(reason.code, reason.message, 0, batch.id))
        found[reason.code] = replace(known, records=known.records + rest)
    return list(found.values())


def failures_of_runs(runs: Sequence[FlowRun], listed: Iterable[Failure]) -> list[Failure]:
    """Returns the failures that runs count and no batch has: those of batches are not repeated."""
    by_code = Counter[str]()
    for failure in listed:
        by_code[failure.code] += failure.records
    rest = sum(run.failed for run in runs) - sum(by_code.values())
    found: list[Failure] = []
    for error in _errors_of(runs):
        records = min(rest, (error.records or 0) - by_code[error.code])
        if records > 0:
            found.append(Failure(error.code, error.description, records, ""))
            rest -= records
    if rest > 0:
        found.append(Failure("", UNEXPLAINED, rest, ""))
    return found


def _errors_of(runs: Iterable[FlowRun]) -> list[BatchError]:
    """Returns the errors of all runs that have counts, the counts of each code added up."""
    found: dict[str, BatchError] = {}
    for error in (error for run in runs for error in run.errors):
        if error.records and error.code != SUMMARY:
            before = found.get(error.code, replace(error, records=0)).records or 0
            found[error.code] = replace(error, records=before + error.records)
    return list(found.values())


def _with_failed(batch: Batch, failed: int) -> Batch:
    """Returns the batch with the failures that its files have, where Catalog counts fewer."""
    failed = max(batch.failed, failed)
    return replace(batch, failed=failed, received=max(batch.received, batch.stored + failed))


def _if_permission(rejected: RequestRejected) -> RequestRejected:
    """Returns it if only the right to read this is missing.

    Raises:
        RequestRejected: something else is wrong.
    """
    if not rejected.is_permission:
        raise rejected
    return rejected
