"""Data Prep's API: mapping sets with every version kept, and previews.

Bodies are taken in the notation of Adobe's OpenAPI of Data Prep (`source`, `destination`,
`outputSchema`), which `aep` sends, and shown in that and in the one of Adobe's tutorials for
sources (`sourceAttribute`, `destinationXdmPath`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args
from uuid import uuid4

from local.aep_platform import assumed, errors
from local.aep_platform.call import Call, Route
from local.aep_platform.expressions import InvalidExpression
from local.aep_platform.mapping import Mapping, SourceType, apply_mappings, compile_mapping
from local.aep_platform.schema_resources import find, resolve
from local.aep_platform.state import Json, MappingSet, PlatformState, Resource, now_ms
from local.http_server import ApiError, JsonResponse

BASE = "/data/foundation/conversion"
_SERVICE = "conversion"
# As it is sent, and as it is shown.
_TYPES: dict[str, SourceType] = {
    **{name: name for name in get_args(SourceType)},
    **{shown: sent for sent, shown in assumed.STORED_TYPES.items()},
}


def routes() -> tuple[Route, ...]:
    """The operations on `mappingSets`; Adobe lists no permission of Data Prep's own."""
    path, one = f"{BASE}/mappingSets", f"{BASE}/mappingSets/{{id}}"
    return (
        Route("GET", path, _list, None),
        Route("POST", path, _create, None, changes=True),
        Route("POST", f"{path}/preview", _preview, None),
        Route("GET", one, _look_up, None),
        Route("PUT", one, _replace, None, changes=True),
        Route("DELETE", one, _delete, None, changes=True),
    )


def compiled(state: PlatformState, version: Json) -> list[Mapping]:
    """Returns the mappings of one version of a set, ready to be applied."""
    resolved = resolve(state, state.schemas[version["schema"]].body)
    return [_compiled(row, resolved) for row in _rows(version["body"])]


def _find(call: Call) -> MappingSet:
    found = call.state.mapping_sets.get(call.params["id"])
    if found is None:
        raise _error(f"There is no mapping set {call.params['id']}", 404)
    return found


def _summary(found: MappingSet) -> Json:
    return {
        "id": found.id,
        "version": len(found.versions) - 1,
        "createdDate": found.created,
        "modifiedDate": found.updated,
    }


def _shown(found: MappingSet, number: int) -> Json:
    version = found.versions[number]
    body = version["body"]
    return {
        **_summary(found),
        **{key: body[key] for key in ("name", "description") if key in body},
        "version": number,
        "outputSchema": {"schemaRef": body["outputSchema"]["schemaRef"]},
        "mappings": version["mappings"],
    }


def _list(call: Call) -> JsonResponse:
    limit, start = call.query.get("limit", ""), call.query.get("start", "")
    if not limit.isdecimal() or not start.isdecimal():
        raise _error("'limit' and 'start' are required", 400)
    found = sorted(call.state.mapping_sets.values(), key=lambda one: one.created)
    if (name := call.query.get("name")) is not None:
        found = [one for one in found if one.versions[-1]["body"].get("name") == name]
    first = int(start) * (int(limit) if assumed.MAPPING_SET_START_COUNTS_PAGES else 1)
    data = [_shown(one, len(one.versions) - 1) for one in found[first : first + int(limit)]]
    if not assumed.MAPPING_SET_LIST_HAS_NAMES:
        data = [{key: value for key, value in one.items() if key != "name"} for one in data]
    return JsonResponse(200, {"data": data, "_page": {"count": len(data), "limit": int(limit)}})


def _create(call: Call) -> JsonResponse:
    version = _checked(call.state, call.fields(_SERVICE))
    made = MappingSet(id=uuid4().hex, versions=[version])
    call.state.mapping_sets[made.id] = made
    return JsonResponse(200, _summary(made))


def _look_up(call: Call) -> JsonResponse:
    found = _find(call)
    default = 0 if assumed.MAPPING_SET_IS_READ_AT_FIRST_VERSION else len(found.versions) - 1
    number = call.query.get("version", str(default))
    if not number.isdecimal() or int(number) >= len(found.versions):
        raise _error(f"The mapping set has no version {number}", 404)
    return JsonResponse(200, _shown(found, int(number)))


def _replace(call: Call) -> JsonResponse:
    found = _find(call)
    found.versions.append(_checked(call.state, call.fields(_SERVICE)))
    found.updated = now_ms()
    return JsonResponse(200, _shown(found, len(found.versions) - 1))


def _delete(call: Call) -> JsonResponse:
    found = _find(call)
    for flow in call.state.flows.values():
        for step in flow.body.get("transformations") or []:
            if step["params"]["mappingId"] == found.id:
                raise _error(f"{found.id} is in use by the flow {flow.id}")
    del call.state.mapping_sets[found.id]
    return JsonResponse(assumed.MAPPING_SET_DELETE_STATUS)


def _preview(call: Call) -> JsonResponse:
    body = call.fields(_SERVICE, "data", "mappingSet")
    mappings = compiled(call.state, _checked(call.state, body["mappingSet"]))
    shown: list[Json] = []
    for record in body["data"]:
        row, failed = apply_mappings(mappings, record)
        wrong = [{"destination": e.mapping.destination, "exception": e.reason} for e in failed]
        shown.append({"data": row, "errors": wrong or None})
    return JsonResponse(200, shown)


def _error(detail: str, status: int = assumed.MAPPING_SET_STATUS) -> ApiError:
    return errors.service(_SERVICE, status, detail)


@dataclass(frozen=True, slots=True)
class _Row:
    """One mapping, as it was sent."""

    source_type: SourceType
    source: str
    destination: str
    extra: Json


def _checked(state: PlatformState, body: Json) -> Json:
    """Returns a version of a mapping set, as it is kept.

    Raises:
        ApiError: the schema does not exist, or a mapping does not fit it.
    """
    schema, rows = _parsed(state, body)
    resolved, failures, seen = resolve(state, schema.body), list[str](), set[str]()
    for row in rows:
        if assumed.DUPLICATE_DESTINATION_REFUSED and row.destination in seen:
            failures.append(f"{row.destination}: two mappings have this destination")
        seen.add(row.destination)
        try:
            _compiled(row, resolved)
        except InvalidExpression as invalid:
            failures.append(f"{row.destination}: {invalid}")
    if failures:
        raise _error("; ".join(failures))
    return {"schema": schema.id, "body": body, "mappings": [_stored(row) for row in rows]}


def _parsed(state: PlatformState, body: Json) -> tuple[Resource, list[_Row]]:
    try:
        rows, schema_id = _rows(body), _schema_id(body)
    except InvalidExpression as invalid:
        raise _error(str(invalid)) from None
    schema = find(state, schema_id)
    if schema is None or schema.kind != "schemas":
        raise _error(f"There is no schema {schema_id}")
    return schema, rows


def _rows(body: Json) -> list[_Row]:
    found = body.get("mappings")
    if not isinstance(found, list) or not found:
        raise InvalidExpression("'mappings' is required")
    return [_row(one, number) for number, one in enumerate(found)]


def _row(one: Any, number: int) -> _Row:
    if not isinstance(one, dict):
        raise InvalidExpression(f"mapping {number} is no object")
    source, destination = one.get("source"), one.get("destination")
    if not isinstance(source, str) or not isinstance(destination, str):
        raise InvalidExpression(f"mapping {number} has no source or no destination")
    source_type = _TYPES.get(str(one.get("sourceType", "ATTRIBUTE")))
    if source_type is None:
        raise InvalidExpression(f"mapping {number}: the sourceType is not known")
    extra = {key: one[key] for key in ("name", "description", "identity") if key in one}
    return _Row(source_type, source, destination, extra)


def _schema_id(body: Json) -> str:
    output: Any = body.get("outputSchema", {})
    schema = output.get("schemaRef", {}) if isinstance(output, dict) else {}
    if not isinstance(schema, dict) or not schema.get("id"):
        raise InvalidExpression("'outputSchema.schemaRef.id' is required")
    if not str(schema.get("contentType", "")).startswith("application/vnd.adobe.xed"):
        raise InvalidExpression("'outputSchema.schemaRef.contentType' is required")
    return str(schema["id"])


def _stored(row: _Row) -> Json:
    """Returns a mapping as it is shown: in both notations, with a type that the server writes."""
    return {
        "id": uuid4().hex,
        "version": 0,
        **row.extra,
        "sourceType": assumed.STORED_TYPES[row.source_type],
        "source": row.source,
        "destination": row.destination,
        "sourceAttribute": row.source,
        "destinationXdmPath": row.destination,
    }


def _compiled(row: _Row, resolved: Json) -> Mapping:
    return compile_mapping(row.source_type, row.source, row.destination, resolved)
