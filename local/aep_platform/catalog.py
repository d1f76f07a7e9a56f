"""Catalog: datasets, and the batches that say whether a dataset holds data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from local.aep_platform import assumed, batches, errors
from local.aep_platform.call import Call, InvalidPatch, Permission, Route, apply_json_patch
from local.aep_platform.state import Dataset, Json, PlatformState, now_ms
from local.http_server import ApiError, JsonResponse

BASE = "/data/foundation/catalog"
JSON_PATCH = "application/json-patch+json"
_SERVICE = "catalog"
# Adobe, "Enable a dataset for Profile": these need a schema that is part of the union.
_PROFILE_TAGS = ("unifiedProfile", "unifiedIdentity")
_CONTENT_TYPE = re.compile(r"application/vnd\.adobe\.xed(-full)?(-notext)?\+json; ?version=1")


def routes() -> tuple[Route, ...]:
    """The operations on datasets and batches."""
    path, one = f"{BASE}/dataSets", f"{BASE}/dataSets/{{id}}"
    view, manage = Permission.VIEW_DATASETS, Permission.MANAGE_DATASETS
    return (
        Route("GET", path, _list, view),
        Route("POST", path, _create, manage, changes=True),
        Route("GET", one, _look_up, view),
        Route("PATCH", one, _patch, manage, changes=True),
        Route("DELETE", one, _delete, manage, changes=True),
        *batches.routes(BASE, _page),
    )


def _shown(state: PlatformState, dataset: Dataset) -> Json:
    """Returns a dataset as Catalog shows it."""
    return {
        "tags": {},
        **dataset.body,
        "imsOrg": state.ims_org_id,
        "sandboxId": f"sandbox-{state.sandbox}",
        "version": dataset.version,
        "created": dataset.created,
        "updated": dataset.updated,
    }


def _list(call: Call) -> JsonResponse:
    items = {key: _shown(call.state, found) for key, found in call.state.datasets.items()}
    if (name := call.query.get("name")) is not None:
        if set(name) & set(",!*"):  # Adobe: alternatives, negation, wildcards
            raise errors.not_simulated(f"name={name}")
        items = {key: item for key, item in items.items() if item["name"] == name}
    return JsonResponse(200, _page(call, items))


def _page(call: Call, items: Mapping[str, Json]) -> Json:
    """Returns what a list shows (Adobe, "Filter Catalog data using query parameters").

    Raises:
        ApiError: `limit` or `start` is out of range.
    """
    found = [(key, item) for key, item in items.items() if call.matches(item)]
    direction, _, name = call.query.get("orderBy", "").partition(":")
    if name:
        found.sort(key=lambda entry: _rank(entry[1].get(name)), reverse=direction == "desc")
    limit = call.query.get("limit", "20")
    start = call.query.get("start", call.query.get("offset", "0"))
    if not limit.isdecimal() or not 1 <= int(limit) <= 100:
        raise _error(400, f"limit '{limit}' is not a number from 1 to 100")
    if not start.isdecimal():
        raise _error(400, f"start '{start}' is not a number")
    size = min(int(limit), call.state.page_size or int(limit))
    shown = dict(found[int(start) : int(start) + size])
    names = set(filter(None, call.query.get("properties", "").split(",")))
    if not names:
        return shown
    return {k: {n: v for n, v in item.items() if n in names} for k, item in shown.items()}


def _rank(value: Any) -> tuple[int, str]:
    return (value, "") if isinstance(value, int) else (0, str(value))


def _find(call: Call) -> Dataset:
    found = call.state.datasets.get(call.params["id"])
    if found is None:
        raise _error(404, f"No dataset {call.params['id']}")
    return found


def _look_up(call: Call) -> JsonResponse:
    dataset = _find(call)
    return JsonResponse(200, {dataset.id: _shown(call.state, dataset)}, {"E-Tag": dataset.version})


def _create(call: Call) -> JsonResponse:
    body = call.fields(_SERVICE, "name", "schemaRef")
    _check(call, body, {})
    body["tags"] = {
        assumed.TABLE_TAG: [_free_table(call.state, body["name"])],
        **body.get("tags", {}),
    }
    dataset = Dataset(id=uuid4().hex[:24], body=body)
    call.state.datasets[dataset.id] = dataset
    reference = f"@/dataSets/{dataset.id}"
    return JsonResponse(201, [reference], {"Location": reference, "E-Tag": dataset.version})


def _patch(call: Call) -> JsonResponse:
    dataset = _find(call)
    _check_version(call, dataset)
    if call.headers.get("Content-Type", "").startswith(JSON_PATCH):
        try:
            body = apply_json_patch({"tags": {}, **dataset.body}, call.json(_SERVICE))
        except InvalidPatch as invalid:
            raise _error(400, str(invalid)) from None
    else:
        body = {**dataset.body, **call.fields(_SERVICE)}
    _check(call, body, dataset.body)
    body["tags"] = {
        assumed.TABLE_TAG: dataset.body["tags"][assumed.TABLE_TAG],
        **body.get("tags", {}),
    }
    dataset.body = body
    dataset.revision += 1
    dataset.updated = now_ms()
    return JsonResponse(200, [f"@/dataSets/{dataset.id}"], {"E-Tag": dataset.version})


def _delete(call: Call) -> JsonResponse:
    dataset = call.state.datasets.get(call.params["id"])
    if dataset is None:  # Adobe: 200 with an empty list
        return JsonResponse(200, [], changed=False)
    _check_version(call, dataset)
    del call.state.datasets[dataset.id]
    for batch in list(call.state.batches.values()):
        if batch.dataset_id == dataset.id:
            del call.state.batches[batch.id]
    return JsonResponse(200, [f"@/dataSets/{dataset.id}"])


def _free_table(state: PlatformState, name: str) -> str:
    """Returns the name of a new dataset's table, in the way of Adobe's examples."""
    base = re.sub(assumed.NOT_IN_A_TABLE_NAME, "_", name.lower()).strip("_") or "dataset"
    taken = {dataset.table for dataset in state.datasets.values()}
    names = (base, *(f"{base}_{number}" for number in range(1, len(taken) + 1)))
    return next(one for one in names if one not in taken)


def _error(status: int, detail: str) -> ApiError:
    return errors.service(_SERVICE, status, detail)


def _check_version(call: Call, dataset: Dataset) -> None:
    if (seen := call.headers.get("If-Match")) is not None and seen != dataset.version:
        raise _error(412, f"The dataset is at version {dataset.version}, not {seen}")


def _check(call: Call, body: Json, old: Json) -> None:
    reference = body.get("schemaRef")
    if not isinstance(reference, dict) or reference.get("id") not in call.state.schemas:
        raise _error(400, "'schemaRef.id' names no schema")
    if not _CONTENT_TYPE.fullmatch(str(reference.get("contentType"))):
        raise _error(400, "'schemaRef.contentType' is no media type of a schema with its version")
    if assumed.DATASET_SCHEMA_IS_FIXED and old and old["schemaRef"] != reference:
        raise _error(400, "The schema of a dataset cannot change")
    _check_tags(call, body.get("tags", {}), reference["id"], old)


def _check_tags(call: Call, tags: Any, schema_id: str, old: Json) -> None:
    if not isinstance(tags, dict) or not all(
        isinstance(values, list) and all(isinstance(value, str) for value in values)
        for values in tags.values()
    ):
        raise _error(400, "'tags' must be an object of lists of texts")
    if not tags.get(assumed.TABLE_TAG, ["table"]):
        raise _error(400, f"The tag {assumed.TABLE_TAG} must name a table")
    for name in _PROFILE_TAGS:
        values = {value.replace(" ", "") for value in tags.get(name, [])}
        if not values <= {"enabled:true", "enabled:false"}:
            raise _error(400, f"The tag {name} must be enabled:true")
        if "enabled:true" not in values:
            continue
        if "union" not in call.state.schemas[schema_id].body.get("meta:immutableTags", []):
            raise _error(400, f"The tag {name} needs a schema that is enabled for Profile")
        is_new = old.get("tags", {}).get(name) != tags[name]
        if is_new and Permission.MANAGE_PROFILES not in call.permissions:
            raise errors.missing_permission(_SERVICE, Permission.MANAGE_PROFILES)
