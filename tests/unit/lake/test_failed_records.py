"""Failed records: whose, why, in whichever shape; large files in little memory."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from local.http_server import JsonResponse, drop_connection
from pendo_aep.lake.batches import Batch, BatchError
from pendo_aep.lake.failed_records import FailedRecord, read_failed_records
from pendo_aep.provisioning.client import Operation
from pendo_aep.provisioning.errors import Unreachable
from tests.cases import Case, cases
from tests.unit.lake.adobe import Adobe, at, files

OFF = BatchError("INGEST-1211-400", "Encountered errors. Resend with error diagnostics")
BATCH = Batch("b1", "failed", at("09:10"), 1, 0, 1, (OFF,))
FAILED = "export/batches/b1/failed"
META = "export/batches/b1/meta"
LINES = Operation("read lines", "GET", "/data/foundation/lines")


async def read(adobe: Adobe, batch: Batch = BATCH) -> list[FailedRecord]:
    """Reads the failed records of a batch."""
    async with adobe.client() as client:
        return [record async for record in read_failed_records(client, batch)]


@pytest.mark.parametrize("case", cases("lake_failed_records"))
async def test_whose_and_why(adobe: Adobe, case: Case) -> None:
    """The shapes of Adobe's pages and of aepp's `decodeStreamBatch`."""
    adobe.answers[FAILED] = files({"part-0": case.get("text") or json.dumps(case["line"])})

    (record,) = await read(adobe)

    assert [record.event_id, record.stage, record.code, record.message] == case["record"]
    assert record.batch == "b1"


async def test_a_long_message_is_cut(adobe: Adobe) -> None:
    """AEP lists every alternative of a schema."""
    line = {"body": {"id": "e1"}, "_errors": [{"code": "A", "message": "x" * 5000}]}
    adobe.answers[FAILED] = files({"part-0": json.dumps(line)})

    assert len((await read(adobe))[0].message) == 1024


async def test_reasons_in_files_of_their_own(adobe: Adobe) -> None:
    """Adobe, "Retrieving data ingestion error diagnostics": `row_errors` has what is not here."""
    reason = [{"code": "INGEST-1555-400", "message": "missing"}]
    adobe.answers[FAILED] = files({"part-0": '{"body":{"id":"e1"}}\n{"body":{"id":"e2"}}\n'})
    row = json.dumps({"id": "e2", "_errors": reason})
    adobe.answers[META] = files({"conversion_errors_0.json": row}, "row_errors")

    found = await read(adobe)

    assert [(one.event_id, one.code) for one in found] == [
        ("e1", "INGEST-1211-400"),
        ("e2", "INGEST-1555-400"),
    ]


async def test_only_rows_in_error(adobe: Adobe) -> None:
    """A batch that was stored in part keeps no whole records, and counts none twice."""
    rows = [{"_id": f"e{n}", "_errors": [{"code": "1401", "message": "no"}]} for n in range(2)]
    adobe.answers[META] = files(
        {"parsing_errors_0.json": "\n".join(map(json.dumps, rows))}, "row_errors"
    )

    assert [one.event_id for one in await read(adobe)] == ["e0", "e1"]


async def test_nothing_kept(adobe: Adobe) -> None:
    """After 30 days AEP has no files, and answers 404."""
    assert await read(adobe) == []


async def test_every_file_of_every_page_is_read(
    adobe: Adobe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be more files than one page shows."""
    monkeypatch.setattr("pendo_aep.lake.failed_records._PAGE_SIZE", 10)
    contents = {f"part-{n}": json.dumps({"body": {"id": f"e{n}"}}) for n in range(23)}

    def answer(request: web.Request) -> Any:
        if "path" in request.query:
            return contents[request.query["path"]]
        start = int(request.query.get("start", "0"))
        names = list(contents)[start : start + int(request.query["limit"])]
        return {"data": [{"name": name} for name in names]}

    adobe.answers[FAILED] = answer

    assert len({one.event_id for one in await read(adobe)}) == 23


async def test_the_stage_is_that_of_the_metrics(adobe: Adobe) -> None:
    """Where a batch failed in one stage, its records did; whatever their codes."""
    line = {"body": {"id": "e1"}, "_errors": [{"code": "NEW-1", "message": "x"}]}
    adobe.answers[FAILED] = files({"part-0": json.dumps(line)})
    batch = Batch("b1", "failed", at("09:10"), 1, 0, 1, (), "identity")

    assert [one.stage for one in await read(adobe, batch)] == ["identity"]


@asynccontextmanager
async def lines_of(adobe: Adobe, longest: int = 2**20) -> AsyncIterator[list[bytes]]:
    """Yields all lines of the answer of `LINES`."""
    async with (
        adobe.client() as client,
        aclosing(client.stream_lines(LINES, longest=longest)) as lines,
    ):
        yield [line async for line in lines]


async def test_lines_wherever_the_chunks_end(adobe: Adobe) -> None:
    """Empty ones are left out; a long one is cut, and the next is whole."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in (b"on", b"e\ntw", b"o\n\n\r\n", b"x" * 30, b"y" * 30 + b"\nlast"):
            await response.write(chunk)
            await asyncio.sleep(0)
        return response

    adobe.answers["lines"] = answer

    async with lines_of(adobe, longest=40) as lines:
        assert lines == [b"one", b"two", b"x" * 30 + b"y" * 10, b"last"]


async def test_a_stream_is_repeated_until_it_has_begun(adobe: Adobe) -> None:
    """Throttled, then cut off, then there; a token that is no good is renewed on the way."""
    calls: list[str] = []

    def answer(request: web.Request) -> Any:
        calls.append(request.path)
        return drop_connection(request) if len(calls) == 1 else "one\ntwo\n"

    adobe.answers["lines"] = answer
    adobe.first = [JsonResponse(429, {}, {"Retry-After": "0"})]
    found = []
    async with adobe.client() as client:
        adobe.aep.revoke_tokens()
        async with aclosing(client.stream_lines(LINES)) as lines:
            found = [line async for line in lines]

    assert found == [b"one", b"two"]
    assert (len(calls), adobe.aep.tokens_issued) == (2, 2)


async def test_a_stream_that_breaks_off_is_no_end(adobe: Adobe) -> None:
    """What came is not all, and asking again would count it twice."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\ntwo\nthr")
        assert request.transport is not None
        request.transport.close()
        return response

    adobe.answers["lines"] = answer

    with pytest.raises(Unreachable, match="broke off"):
        async with lines_of(adobe):
            pass
    assert len(adobe.asked) == 1


async def test_a_stream_gives_up_as_a_read_does(adobe: Adobe) -> None:
    """After some tries."""
    adobe.answers["lines"] = lambda _: JsonResponse(503, {}).to_http()

    with pytest.raises(Unreachable, match="in 3 tries"):
        async with lines_of(adobe):
            pass


async def test_a_large_file_takes_little_memory(adobe: Adobe) -> None:
    """4 MB of failed records, of which a few are held at a time."""
    line = json.dumps({"body": {"id": "e1", "text": "x" * 10_000}, "_errors": [{"code": "A"}]})
    data = f"{line}\n".encode() * 100

    async def answer(request: web.Request) -> Any:
        if "path" not in request.query:
            return {"data": [{"name": "part-0"}]}
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(4):
            await response.write(data)
        return response

    adobe.answers[FAILED] = answer
    count = 0
    tracemalloc.start()
    try:
        async with (
            adobe.client() as client,
            aclosing(read_failed_records(client, BATCH)) as records,
        ):
            async for record in records:
                count += record.code == "A"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 400
    assert peak < 2_500_000  # the server sends 1 MB at a time
