"""Data Access: the files of a batch, its failed records, and the diagnostics of its rows.

Adobe, "Data Access API", "Retrieving failed batches", "Error diagnostics": the paths, the list of
files, and the row errors. What a line of failed streaming records looks like is in `assumed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import orjson
from aiohttp import web

from local.aep_platform import assumed, errors
from local.aep_platform.batches import find_batch
from local.aep_platform.call import Call, Permission, Route
from local.aep_platform.state import Batch, FailedRecord, Json
from local.http_server import ApiError, JsonResponse

BASE = "/data/foundation/export"
_SERVICE = "dataaccess"
_ROW_ERRORS = "row_errors"


@dataclass(frozen=True, slots=True)
class FileContent(JsonResponse):
    """The content of a file instead of JSON."""

    content: bytes = b""

    def to_http(self) -> web.Response:
        """Returns it for aiohttp."""
        return web.Response(body=self.content, content_type="application/octet-stream")


def routes() -> tuple[Route, ...]:
    """The operations on the files of a batch."""
    one, view = f"{BASE}/batches/{{id}}", Permission.VIEW_DATASETS
    return (
        Route("GET", f"{one}/failed", _failed, view),
        Route("GET", f"{one}/meta", _meta, view),
    )


def failed_line(record: FailedRecord, *, has_diagnostics: bool) -> bytes:
    """Returns the line of a failed streaming record, without its end."""
    line: Json = {"body": record.body, "header": record.header}
    if has_diagnostics:
        found: dict[str, list[Json]] = {}
        for failure in record.failures:
            entry = {"code": failure.code, "message": failure.message}
            found.setdefault(assumed.ERRORS_KEYS[failure.stage], []).append(entry)
        line["_errors"] = found
    if assumed.FAILED_RECORD_IS_ESCAPED:
        line = {name: orjson.dumps(value).decode() for name, value in line.items()}
    return orjson.dumps(line)


def _row_error(record: FailedRecord, file: str) -> bytes:
    """Returns the line of a row of error diagnostics: its columns, the errors, the file's name."""
    body = record.body
    row = body.get("xdmEntity", body) if isinstance(body, dict) else {"value": body}
    found = [{"code": one.code, "message": one.message} for one in record.failures]
    return orjson.dumps({**row, "_errors": found, "_filename": file})


def _failed(call: Call) -> JsonResponse:
    batch = find_batch(call, _SERVICE)
    files = {
        assumed.FAILED_FILE_NAME.format(number=number): partial(_failed_lines, batch, part)
        for number, part in enumerate(_parts(batch.failed))
    }
    name = call.query.get("path")
    if name is None:
        return _listing(call, {key: make() for key, make in files.items()}, "failed", "")
    return _content(files[name]() if name in files else None, name)


def _failed_lines(batch: Batch, part: Sequence[FailedRecord]) -> bytes:
    return _lines(failed_line(one, has_diagnostics=batch.has_diagnostics) for one in part)


def _meta(call: Call) -> JsonResponse:
    batch = find_batch(call, _SERVICE)
    folder, _, name = call.query.get("path", "").partition("/")
    if folder not in {"", _ROW_ERRORS}:
        raise errors.not_simulated(f"meta?path={folder}")
    files: dict[str, bytes] = {}
    if batch.has_diagnostics:
        for number, part in enumerate(_parts(batch.failed)):
            file = assumed.ROW_ERRORS_FILE.format(number=number)
            files[file] = _lines(_row_error(one, file) for one in part)
    if not folder:
        entry = {"name": _ROW_ERRORS, "length": str(sum(map(len, files.values())))}
        return JsonResponse(200, {"data": [entry], "_page": {"limit": 100, "count": 1}})
    if not name:
        return _listing(call, files, "meta", f"{_ROW_ERRORS}/")
    return _content(files.get(name), name)


def _listing(call: Call, files: Mapping[str, bytes], operation: str, folder: str) -> JsonResponse:
    """Returns a page of a list of files (Adobe, "Data Access API": `limit` and `start`)."""
    limit, start = call.query.get("limit", "100"), call.query.get("start", "0")
    if not limit.isdecimal() or not int(limit) or not start.isdecimal():
        raise _error(400, "'limit' or 'start' is no number")
    size = min(int(limit), call.state.page_size or int(limit))
    end = int(start) + size
    path = f"{BASE}/batches/{call.params['id']}/{operation}"
    data = [
        {
            "name": name,
            "length": str(len(content)),
            "_links": {"self": {"href": f"{path}?path={quote(folder + name, '')}"}},
        }
        for name, content in list(files.items())[int(start) : end]
    ]
    body: Json = {"data": data, "_page": {"limit": size, "count": len(files)}}
    if end < len(files):
        query = f"path={quote(folder.rstrip('/'), '')}&" if folder else ""
        body["_links"] = {"next": {"href": f"{path}?{query}start={end}&limit={size}"}}
    return JsonResponse(200, body)


def _content(content: bytes | None, name: str) -> JsonResponse:
    if content is None:
        raise _error(404, f"The batch has no file {name}")
    return FileContent(content=content)


def _parts(failed: Sequence[FailedRecord]) -> Iterator[Sequence[FailedRecord]]:
    for start in range(0, len(failed), assumed.FAILED_FILE_RECORDS):
        yield failed[start : start + assumed.FAILED_FILE_RECORDS]


def _lines(lines: Iterator[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _error(status: int, detail: str) -> ApiError:
    return errors.service(_SERVICE, status, detail)
