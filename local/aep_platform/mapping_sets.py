"""Data Prep's API: mapping sets, with every version kept; validate and preview."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from local.aep_platform import assumed
from local.aep_platform.call import Answer, Call, Route
from local.aep_platform.data_prep.errors import ExpressionWrong
from local.aep_platform.data_prep.mapping import apply_mappings
from local.aep_platform.data_prep.parser import parse
from local.aep_platform.mapping_versions import SERVICE, checked, compiled, failures_of, refused
from local.aep_platform.state import Json, MappingSet, now_ms

BASE = "/data/foundation/conversion"


def routes() -> tuple[Route, ...]:
    """Everything under `mappingSets`; Adobe lists no permission of Data Prep's own."""
    path, one = f"{BASE}/mappingSets", f"{BASE}/mappingSets/{{id}}"
    return (
        Route("GET", path, _list, None),
        Route("POST", path, _create, None, changes=True),
        Route("POST", f"{path}/validate", _validate, None),
        Route("POST", f"{path}/preview", _preview, None),
        Route("POST", f"{BASE}/languages/el/validate", _validate_expression, None),
        Route("GET", one, _look_up, None),
        Route("PUT", one, _replace, None, changes=True),
        Route("DELETE", one, _delete, None, changes=True),
        Route("GET", f"{one}/mappings", _mappings, None),
        Route("GET", f"{one}/mappings/{{mapping}}", _mapping, None),
    )


def _find(call: Call) -> MappingSet:
    found = call.state.mapping_sets.get(call.params["id"])
    if found is None:
        raise refused(f"There is no mapping set {call.params['id']}", 404)
    return found


def _short(found: MappingSet) -> Json:
    return {
        "id": found.id,
        "version": len(found.versions) - 1,
        "createdDate": found.created,
        "modifiedDate": found.updated,
        "createdBy": "local@AdobeID",
        "modifiedBy": "local@AdobeID",
    }


def _whole(found: MappingSet, number: int) -> Json:
    version = found.versions[number]
    kept = {k: v for k, v in version["body"].items() if k in {"name", "description"}}
    return {
        **_short(found),
        **kept,
        "version": number,
        "outputSchema": {"schemaRef": {"id": version["schema"], **_content_type(version)}},
        "mappings": version["mappings"],
    }


def _content_type(version: Json) -> Json:
    schema = version["body"].get("outputSchema", {}).get("schemaRef", {})
    default = "application/vnd.adobe.xed-full+json;version=1"
    return {"contentType": schema.get("contentType", default)}


def _list(call: Call) -> Answer:
    limit, start = call.query.get("limit", ""), call.query.get("start", "")
    if not limit.isdecimal() or not start.isdecimal():
        raise refused("'limit' and 'start' are required", 400)
    found = list(call.state.mapping_sets.values())
    if (name := call.query.get("name")) is not None:
        found = [one for one in found if one.versions[-1]["body"].get("name") == name]
    order = call.query.get("orderBy", "createdDate").strip()
    by_update = order.lstrip("+-") == "updatedDate"
    found.sort(key=lambda one: one.updated if by_update else one.created)
    if order.startswith("-"):
        found.reverse()
    first = int(start) * (int(limit) if assumed.MAPPING_SET_START_COUNTS_PAGES else 1)
    shown = found[first : first + int(limit)]
    data = [_whole(one, len(one.versions) - 1) for one in shown]
    if not assumed.MAPPING_SET_LIST_HAS_NAMES:
        data = [{key: value for key, value in one.items() if key != "name"} for one in data]
    return Answer(200, {"data": data, "_page": {"count": len(data), "limit": int(limit)}})


def _create(call: Call) -> Answer:
    version = checked(call.state, call.fields(SERVICE))
    made = MappingSet(id=uuid4().hex, versions=[version])
    call.state.mapping_sets[made.id] = made
    return Answer(200, _short(made))


def _look_up(call: Call) -> Answer:
    found = _find(call)
    default = 0 if assumed.MAPPING_SET_IS_READ_AT_FIRST_VERSION else len(found.versions) - 1
    number = call.query.get("version", str(default))
    if not number.isdecimal() or int(number) >= len(found.versions):
        raise refused(f"The mapping set has no version {number}", 404)
    return Answer(200, _whole(found, int(number)))


def _replace(call: Call) -> Answer:
    found = _find(call)
    found.versions.append(checked(call.state, call.fields(SERVICE)))
    found.updated = now_ms()
    return Answer(200, _whole(found, len(found.versions) - 1))


def _delete(call: Call) -> Answer:
    found = _find(call)
    for flow in call.state.flows.values():
        for step in flow.body.get("transformations") or []:
            if step["params"]["mappingId"] == found.id:
                raise refused(f"{found.id} is in use by the flow {flow.id}")
    del call.state.mapping_sets[found.id]
    return Answer(assumed.MAPPING_SET_DELETE_STATUS)


def _mappings(call: Call) -> Answer:
    return Answer(200, {"data": _find(call).versions[-1]["mappings"]})


def _mapping(call: Call) -> Answer:
    for mapping in _find(call).versions[-1]["mappings"]:
        if mapping["id"] == call.params["mapping"]:
            return Answer(200, mapping)
    raise refused(f"There is no mapping {call.params['mapping']}", 404)


def _validate(call: Call) -> Answer:
    failures = failures_of(call.state, call.fields(SERVICE))
    status = "FAILED" if failures else "SUCCESS"
    return Answer(200, {"validationResponse": [{"status": status, "errors": failures or None}]})


def _validate_expression(call: Call) -> Answer:
    expression: Any = call.fields(SERVICE, "expression")["expression"]
    try:
        parse(str(expression))
    except ExpressionWrong as wrong:
        return Answer(200, {"valid": False, "errors": [str(wrong)]})
    return Answer(200, {"valid": True, "errors": None})


def _preview(call: Call) -> Answer:
    body = call.fields(SERVICE, "data", "mappingSet")
    mappings = compiled(call.state, checked(call.state, body["mappingSet"]))
    shown: list[Json] = []
    for record in body["data"]:
        row, errors = apply_mappings(mappings, record)
        wrong = [{"destination": e.mapping.destination, "exception": e.reason} for e in errors]
        shown.append({"data": row, "errors": wrong or None})
    return Answer(200, shown)
