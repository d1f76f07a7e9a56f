"""Status: hours and failures from runs and batches, each failure once, none left out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from pendo_aep.lake.advice import ADVICE, advice_for
from pendo_aep.lake.batches import Batch, BatchError
from pendo_aep.lake.flow_runs import FlowRun
from pendo_aep.lake.status import (
    UNEXPLAINED,
    Failure,
    Hour,
    Status,
    failures_by_errors,
    failures_of_runs,
    hours_of,
    read_status,
)
from pendo_aep.lake.target import Target
from pendo_aep.provisioning.errors import RequestRejected
from tests.cases import Case, cases
from tests.unit.lake.adobe import (
    DATASET,
    FLOW,
    Adobe,
    at,
    batch_pages,
    denied,
    files,
    ms,
    run_of,
    run_pages,
)

TARGET = Target(FLOW, DATASET, "pendo_events")
RUNS = "flowservice/runs"
BATCHES = "catalog/batches"
OFF = BatchError("INGEST-1211-400", "Encountered errors. Resend with error diagnostics")


def batch(key: str, created: str, stored: int, failed: int, *errors: BatchError) -> Batch:
    """Returns a batch."""
    return Batch(key, "success", at(created), stored + failed, stored, failed, errors)


def flow_run(start: str, stored: int, failed: int, *errors: BatchError, **more: Any) -> FlowRun:
    """Returns a run."""
    return FlowRun(start, at(start), "success", stored + failed, stored, failed, errors, **more)


def counts(hours: list[Hour]) -> list[tuple[int, int, int, int]]:
    """Returns the hours with records."""
    return [(h.start.hour, h.received, h.stored, h.failed) for h in hours if h.received]


def test_hours_are_those_of_the_runs() -> None:
    """Batches tell of the same records: they count only where no run does."""
    runs = [flow_run("09:00", 10, 2, batches=("b", "c")), flow_run("10:00", 5, 0)]
    batches = [
        batch("a", "09:10", 10, 2),  # in the hour of a run
        batch("b", "11:01", 3, 0),  # after it, but of a run
        batch("d", "11:30", 7, 1),  # the hour that has no run yet
    ]

    hours = hours_of(runs, batches, at("08:00"), at("11:59"))

    assert counts(hours) == [(9, 12, 10, 2), (10, 5, 5, 0), (11, 8, 7, 1)]
    assert [hour.start.hour for hour in hours] == [8, 9, 10, 11]
    assert [hour.is_from_batches for hour in hours] == [False, False, False, True]


def test_several_runs_in_an_hour_are_added_up() -> None:
    """A dataflow that was changed begins another run."""
    hours = hours_of(
        [flow_run("09:00", 1, 0), flow_run("09:30", 2, 1)], [], at("09:00"), at("10:00")
    )

    assert counts(hours) == [(9, 4, 3, 1)]


@pytest.mark.parametrize("case", cases("lake_failures_of_runs"))
def test_failures_of_runs_are_those_of_no_batch(case: Case) -> None:
    """Each failure once, though both tell of it."""
    runs = [
        flow_run("09:00", 5, run["failed"], *(BatchError(*error) for error in run["errors"]))
        for run in case["runs"]
    ]
    known = [Failure("MAPPER-3700-400", "x", case["listed"], "b1")] if case["listed"] else []

    failures = failures_of_runs(runs, known)

    assert [[one.code, one.records] for one in failures] == case["found"]
    assert all(one.message == UNEXPLAINED for one in failures if not one.code)


@pytest.mark.parametrize("case", cases("lake_failures_by_errors"))
def test_a_failed_batch_without_records_is_a_failure(case: Case) -> None:
    """It is never taken for none."""
    errors = (BatchError(*error) for error in case["errors"])

    failures = failures_by_errors(batch("b1", "09:10", 0, case["failed"], *errors))

    assert [[one.code, one.records] for one in failures] == case["found"]


async def status(adobe: Adobe, since: str = "08:00", until: str = "12:00") -> Status:
    """Reads the status of a span."""
    async with adobe.client() as client:
        return await read_status(client, TARGET, at(since), at(until))


def answer_one_failure(adobe: Adobe, records: str) -> None:
    """An hour with three stored and two failed records, of which both tell."""
    run = run_of(ms("09:00"), inputRecordCount=5, outputRecordCount=3, failedRecordCount=2)
    adobe.answers[RUNS] = run_pages([run], 10)
    adobe.answers[BATCHES] = batch_pages(
        {
            "a": {"created": ms("09:10"), "status": "success", "metrics": {"outputRecordCount": 3}},
            "b": {
                "created": ms("09:11"),
                "status": "failed",
                "metrics": {"inputRecordCount": 2, "failedRecordCount": 2},
                "errors": [{"code": OFF.code, "description": OFF.description}],
            },
        }
    )
    adobe.answers["export/batches/b/failed"] = files({"part-0": records})


async def test_a_failure_counts_once(adobe: Adobe) -> None:
    """Run, batch and records tell of the same two."""
    line = json.dumps({"body": {"id": "e"}, "_errors": [{"code": "A", "message": "why"}]})
    answer_one_failure(adobe, f"{line}\n{line}\n")

    found = await status(adobe, since="08:59")

    assert found.since == at("08:00")
    assert counts(list(found.hours)) == [(9, 5, 3, 2)]
    assert found.failures == (Failure("A", "why", 2, "b"),)
    assert (found.is_success, found.lacks_reasons) == (False, False)


@pytest.mark.parametrize("records", ["", '{"body":{"id":"e1"}}\n{"body":{"id":"e2"}}\n'])
async def test_diagnostics_off_is_a_failure_and_says_so(adobe: Adobe, records: str) -> None:
    """Whether the records were kept or not."""
    answer_one_failure(adobe, records)

    found = await status(adobe)

    assert found.failures == (Failure(OFF.code, OFF.description, 2, "b"),)
    assert (found.is_success, found.lacks_reasons) == (False, True)


async def test_without_the_right_to_runs_batches_count(adobe: Adobe) -> None:
    """It says which permission is missing."""
    answer_one_failure(adobe, "")
    adobe.first = [denied()]

    found = await status(adobe)

    assert counts(list(found.hours)) == [(9, 5, 3, 2)]
    assert [hour.is_from_batches for hour in found.hours] == [False, True, False, False]
    assert ["View Sources" in text for text in found.unread] == [True]


async def test_without_the_right_to_batches_runs_tell_why(adobe: Adobe) -> None:
    """As far as they do."""
    answer_one_failure(adobe, "")
    adobe.answers[BATCHES] = lambda _: denied().to_http()

    found = await status(adobe)

    assert counts(list(found.hours)) == [(9, 5, 3, 2)]
    assert found.failures == (Failure("", UNEXPLAINED, 2, ""),)
    assert ["View Datasets" in text for text in found.unread] == [True]


async def test_without_both_rights_it_fails(adobe: Adobe) -> None:
    """There is nothing to show."""
    adobe.answers[RUNS] = adobe.answers[BATCHES] = lambda _: denied().to_http()

    with pytest.raises(RequestRejected, match="View Sources"):
        await status(adobe)


async def test_without_the_right_to_records_the_batch_tells(adobe: Adobe) -> None:
    """The failures are known; only the precise reasons are not."""
    answer_one_failure(adobe, "")
    adobe.answers["export/batches/b/failed"] = lambda _: denied().to_http()

    found = await status(adobe)

    assert found.failures == (Failure(OFF.code, OFF.description, 2, "b"),)
    assert ["View Datasets" in text for text in found.unread] == [True]


async def test_a_batch_with_very_many_failures(
    adobe: Adobe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all are read; all are counted."""
    monkeypatch.setattr("pendo_aep.lake.status._MAX_RECORDS", 10)
    line = json.dumps({"body": {"id": "e"}, "_errors": [{"code": "A", "message": "why"}]})
    body = {"created": ms("09:10"), "status": "failed", "metrics": {"failedRecordCount": 500}}
    adobe.answers[RUNS] = run_pages([], 10)
    adobe.answers[BATCHES] = batch_pages({"b": body})

    def endless(request: web.Request) -> Any:
        return "\n".join([line] * 500) if "path" in request.query else {"data": [{"name": "f"}]}

    adobe.answers["export/batches/b/failed"] = endless

    found = await status(adobe)

    assert {one.code: one.records for one in found.failures} == {"A": 10, OFF.code: 490}


def test_every_code_has_advice() -> None:
    """Also one that nobody has seen; and no entry is hidden by one before it."""
    assert advice_for("NEW-1-400") == advice_for("") == ADVICE[-1][1]
    assert advice_for("dcvs-1106-400") == advice_for("INGEST-1555-400")
    for number, (start, _) in enumerate(ADVICE):
        assert not any(start.startswith(before) for before, _ in ADVICE[:number])
