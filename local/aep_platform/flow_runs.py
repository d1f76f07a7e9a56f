"""Runs of dataflows: one an hour, with counts and errors of what was ingested in it.

Adobe, "Monitor dataflows for sources using the Flow Service API": the shape, and where errors are.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import orjson
from multidict import MultiDict

from local.aep_platform import assumed, failures, flow_rules
from local.aep_platform.call import Call, Permission, Route
from local.aep_platform.state import FlowRun, Json, PlatformState
from local.http_server import JsonResponse

BASE = "/data/foundation/flowservice"
_HOUR_MS = 3_600_000


def routes() -> tuple[Route, ...]:
    """The operations on runs."""
    return (Route("GET", f"{BASE}/runs", _list, Permission.VIEW_SOURCES),)


def run_of(state: PlatformState, flow_id: str, at: float) -> FlowRun:
    """Returns the run of a flow that a moment lies in, which may begin with it.

    Args:
        state: of the sandbox.
        flow_id: of the dataflow.
        at: in seconds since the epoch.
    """
    now = int(at * 1000)
    start = now - now % _HOUR_MS
    for run in reversed(state.runs):
        if (run.flow_id, run.start) == (flow_id, start):
            run.updated = max(run.updated, now)
            return run
    made = FlowRun(id=str(uuid4()), flow_id=flow_id, start=start, updated=now)
    state.runs.append(made)
    return made


def _list(call: Call) -> JsonResponse:
    query, start = _query(call)
    items = [_shown(call.state, run) for run in call.state.runs]
    items = [item for item in items if call.matches(item, query)]
    order = query.get("orderby", "")
    if order:
        name = order.removeprefix("-")
        if name not in {"createdAt", "updatedAt"}:
            raise flow_rules.error(400, f"'orderby' names '{name}', which no run is ordered by")
        items.sort(key=lambda item: int(item[name]), reverse=order.startswith("-"))
    limit = query.get("limit", str(assumed.FLOW_SERVICE_PAGE))
    if not limit.isdecimal() or not int(limit):
        raise flow_rules.error(400, f"'limit' is '{limit}', not a number above 0")
    end = start + min(int(limit), call.state.page_size or int(limit))
    body: Json = {"items": items[start:end], "_links": {}}
    if end < len(items):
        href = assumed.RUNS_NEXT_PAGE.format(token=_token(query, end))
        body["_links"] = {"next": {"href": href}}
    return JsonResponse(200, body)


def _token(query: Mapping[str, Any], start: int) -> str:
    """Returns a token that stands for the whole query: a client may send it alone."""
    pairs = [pair for pair in query.items() if pair[0] != "continuationToken"]
    return urlsafe_b64encode(orjson.dumps([pairs, start])).decode().rstrip("=")


def _query(call: Call) -> tuple[MultiDict[str], int]:
    """Returns what is asked for, and the place of the first item that is."""
    token = call.query.get("continuationToken")
    if token is None:
        return MultiDict(call.query), 0
    try:
        pairs, start = orjson.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (NotBase64, ValueError):
        raise flow_rules.error(400, "'continuationToken' is not one of this service") from None
    return MultiDict(pairs), start


def _shown(state: PlatformState, run: FlowRun) -> Json:
    records = {
        "inputRecordCount": run.received,
        "outputRecordCount": run.stored,
        "failedRecordCount": run.failed,
    }
    duration = {"startedAtUTC": run.start, "completedAtUTC": run.updated}
    status = {"status": _status(run)}
    wrong = [
        {("message" if key == "description" else key): value for key, value in error.items()}
        for error in failures.errors_of(run.failures, run.stored, has_diagnostics=True)
    ]
    reference = {"type": "Batch", "ids": list(run.batches)}
    return {
        "id": run.id,
        "flowId": run.flow_id,
        "createdAt": run.start,
        "updatedAt": run.updated,
        "createdBy": "local@AdobeID",
        "sandboxId": f"sandbox-{state.sandbox}",
        "sandboxName": state.sandbox,
        "imsOrgId": state.ims_org_id,
        "etag": f'"{run.id}-{run.received}"',
        "metrics": {
            "durationSummary": duration,
            "recordSummary": {
                **records,
                "createdRecordCount": run.stored,
                "skippedRecordCount": 0,
                "warningCount": run.warnings,
            },
            "statusSummary": {**status, "errors": wrong},
        },
        "activities": [
            {
                "id": "streamingIngestion",
                "name": "Ingestion",
                "updatedAtUTC": run.updated,
                "durationSummary": duration,
                "recordSummary": records,
                "statusSummary": {**status, "errors": wrong, "extensions": {"errors": wrong}},
                "targetInfo": [{"type": "TargetConnection", "reference": reference}],
            }
        ],
    }


def _status(run: FlowRun) -> str:
    if not run.failed:
        return "success"
    return "partialSuccess" if run.stored else "failed"
