"""The records that AEP could not store, and why.

Adobe: "Retrieving failed batches", "Retrieving data ingestion error diagnostics". A failed batch
has files with a record a line. Of streamed events, each line holds the message's `body` and
`header` and the `_errors`, which may be JSON or the text of JSON. The reasons may also be in files
of their own (`row_errors`); without error diagnostics there are none.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

import orjson

from pendo_aep.aep.misconfiguration import mask_values
from pendo_aep.lake.batches import Batch
from pendo_aep.provisioning.client import Client, Operation, Query
from pendo_aep.provisioning.errors import Permission, RequestRejected
from pendo_aep.provisioning.resource import Json

WITHOUT_DIAGNOSTICS: Final = "INGEST-1211-400"
"""AEP's code for failures whose reasons it has not kept (Adobe: "Retrieving ... diagnostics")."""
NO_REASON: Final = "AEP has not kept the reason: error diagnostics were off"
SUMMARY: Final = "INGEST-1212-400"
"""Says only how many records failed (Adobe, the same page)."""
_ROW_ERRORS: Final = "row_errors"
_PAGE_SIZE: Final = 100
_MAX_CHARACTERS: Final = 1024
# So many reasons of files of their own are held at a time, of some 200 bytes each.
_MAX_REASONS: Final = 100_000
# What AEP adds to a record, besides the header that masking leaves alone.
_OF_AEP: Final = frozenset({"_errors", "_filename"})
# By the beginning of a code, in Adobe's samples; "DCVS" is the streaming validation's.
_STAGES: Final = {
    "MAPPER": "mapping",
    "DPMAP": "mapping",
    "DCVS": "validation",
    "INGEST-1212": "validation",
    "INGEST-1401": "validation",
    "INGEST-1555": "validation",
    "1401": "validation",
}


@dataclass(frozen=True, slots=True)
class FailedRecord:
    """One event that AEP could not store.

    Attributes:
        event_id: empty where AEP does not say.
        stage: `mapping`, `validation`, `identity`, `profile` or `ingestion`.
        code: open text, such as `MAPPER-3700-400`.
        message: AEP's own words, printable, without values of the event.
        batch: the id of the failed batch.
    """

    event_id: str
    stage: str
    code: str
    message: str
    batch: str


@dataclass(frozen=True, slots=True)
class _Reason:
    code: str
    message: str


async def read_failed_records(client: Client, batch: Batch) -> AsyncGenerator[FailedRecord, None]:
    """Yields the failed records of a batch as far as AEP has kept them, which it does for 30 days.

    `batch.failed` may be more. The files are read while they arrive: their size does not matter.
    Close the iterator (`contextlib.aclosing`) if you leave it early.

    Raises:
        RequestRejected: AEP rejects the call.
        Unreachable: AEP does not answer, or an answer broke off.
    """
    path = f"/data/foundation/export/batches/{quote(batch.id, safe='')}"
    failed = _operation("read the failed records of", batch, f"{path}/failed")
    meta = _operation("read the error diagnostics of", batch, f"{path}/meta")
    rows: dict[str, _Reason] | None = None
    is_empty = True
    for name in await _list(client, failed, ()):
        async with aclosing(_records(client, failed, name)) as records:
            async for record in records:
                is_empty = False
                reason, event_id = _reason(record), _event_id(record)
                if reason is None:
                    if rows is None:
                        rows = await _row_reasons(client, meta)
                    reason = rows.get(event_id)
                yield _failed(batch, event_id, reason)
    if is_empty:  # only the rows in error were kept
        for name in await _list(client, meta, (("path", _ROW_ERRORS),)):
            async with aclosing(_records(client, meta, f"{_ROW_ERRORS}/{name}")) as records:
                async for record in records:
                    yield _failed(batch, _event_id(record), _reason(record))


def _operation(verb: str, batch: Batch, path: str) -> Operation:
    return Operation(f"{verb} the batch {batch.id}", "GET", path, Permission.VIEW_DATASETS)


async def _list(client: Client, operation: Operation, query: Query) -> list[str]:
    """Returns the names of the files; none where AEP has kept none.

    Adobe's samples show one page, with `limit` and `count`. How the next one is asked for is
    assumed: by its link, or by the number of files before it.
    """
    names: dict[str, None] = {}
    page: Query = ()
    while True:
        try:
            answer = await client.read(operation, [*query, ("limit", str(_PAGE_SIZE)), *page])
        except RequestRejected as rejected:
            if rejected.status != 404:
                raise
            return list(names)
        entries = answer.get("data") if isinstance(answer, dict) else None
        found = [str(one["name"]) for one in entries or [] if "name" in one]
        before = len(names)
        names.update(dict.fromkeys(found))
        link: Any = ((answer or {}).get("_links") or {}).get("next") or {}
        asked = dict(parse_qsl(urlsplit(str(link.get("href", ""))).query))
        if len(names) == before or not ("start" in asked or len(found) >= _PAGE_SIZE):
            return list(names)
        page = (("start", asked.get("start", str(len(names)))),)


async def _records(client: Client, operation: Operation, name: str) -> AsyncGenerator[Json, None]:
    """Yields the lines of a file; one that is not JSON is empty, and counts as a record too."""
    try:
        async with aclosing(client.stream_lines(operation, [("path", name)])) as lines:
            async for line in lines:
                record = _as_json(line)
                yield record if isinstance(record, dict) else {}
    except RequestRejected as rejected:
        if rejected.status != 404:  # removed since it was listed
            raise


async def _row_reasons(client: Client, meta: Operation) -> dict[str, _Reason]:
    """Returns the reasons that are in files of their own, by the ids of their events."""
    reasons: dict[str, _Reason] = {}
    known: dict[_Reason, _Reason] = {}  # most are alike
    for name in await _list(client, meta, (("path", _ROW_ERRORS),)):
        async with aclosing(_records(client, meta, f"{_ROW_ERRORS}/{name}")) as records:
            async for record in records:
                reason, event_id = _reason(record), _event_id(record)
                if reason is not None and event_id:
                    reasons[event_id] = known.setdefault(reason, reason)
                if len(reasons) >= _MAX_REASONS:
                    return reasons
    return reasons


def _as_json(text: object) -> Any:
    """Returns the value of JSON text; the text itself where it is none; else what was given."""
    if not isinstance(text, str | bytes):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _event_id(record: Json) -> str:
    """Returns the event's id: of XDM `body.xdmEntity._id`, of a raw event `body.id`."""
    body = _as_json(record.get("body"))
    body = body if isinstance(body, dict) else {}
    entity = _as_json(body.get("xdmEntity"))
    for one in (entity if isinstance(entity, dict) else {}, body, record):
        for name in ("_id", "id"):
            value = one.get(name)
            if isinstance(value, str) and value:
                return value
    return ""


def _reason(record: Json) -> _Reason | None:
    """Returns the first error of a record; None if it has none.

    Adobe shows a list of `{code, message}`, and for streaming an object with such a list for each
    check, such as `_streamingValidation`.
    """
    errors = _as_json(record.get("_errors"))
    if isinstance(errors, dict):
        lists = [_as_json(value) for value in errors.values()]
        flat = [one for value in lists if isinstance(value, list) for one in value]
        errors = flat or [errors]
    for error in errors if isinstance(errors, list) else [errors]:
        if isinstance(error, dict) and (error.get("code") or error.get("message")):
            said = " ".join(str(error.get("message") or error.get("description") or "").split())
            return _Reason(str(error.get("code", "")), _without_values(said, record))
        if isinstance(error, str) and error:
            return _Reason("", _without_values(error, record))
    return None


def _without_values(said: str, record: Json) -> str:
    values = {name: _as_json(one) for name, one in record.items() if name not in _OF_AEP}
    return _printable(mask_values(said, values))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_MAX_CHARACTERS]


def _failed(batch: Batch, event_id: str, reason: _Reason | None) -> FailedRecord:
    if reason is None:
        reason = reason_of(batch)
    return FailedRecord(
        event_id, stage_of(batch, reason.code), reason.code, reason.message, batch.id
    )


def reason_of(batch: Batch) -> _Reason:
    """Returns why records of a batch failed of which AEP has kept no reason."""
    precise = [error for error in batch.errors if error.code != SUMMARY]
    # Of several, none is known to be the one; their sum is.
    summaries = [error for error in batch.errors if error.code == SUMMARY]
    for error in precise if len(precise) == 1 else summaries:
        return _Reason(error.code, _printable(error.description))
    return _Reason(WITHOUT_DIAGNOSTICS, NO_REASON)


def stage_of(batch: Batch, code: str) -> str:
    """Returns where a record failed: by the metrics of its batch, or by the code."""
    by_code = (stage for start, stage in _STAGES.items() if code.upper().startswith(start))
    return batch.stage or next(by_code, "ingestion")
