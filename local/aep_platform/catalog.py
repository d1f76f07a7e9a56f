"""Catalog: datasets, and the batches that say whether a dataset holds data."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from local.aep_platform import assumed
from local.aep_platform.batches import list_batches
from local.aep_platform.call import Answer, Call, Route
from local.aep_platform.catalog_query import SERVICE, is_named, is_tagged, page, refused
from local.aep_platform.json_patch import PatchWrong, apply_patch
from local.aep_platform.permissions import Permission
from local.aep_platform.state import Dataset, Json, PlatformState, now_ms

BASE = "/data/foundation/catalog"
JSON_PATCH = "application/json-patch+json"
# Adobe, "Enable a dataset for Profile": these need a schema that is part of the union.
_PROFILE_TAGS = ("unifiedProfile", "unifiedIdentity")
_CONTENT_TYPE = re.compile(r"application/vnd\.adobe\.xed(-full)?(-notext)?\+json; ?version=1")


def routes() -> tuple[Route, ...]:
    """Datasets and batches."""
    path, one = f"{BASE}/dataSets", f"{BASE}/dataSets/{{id}}"
    view, manage = Permission.VIEW_DATASETS, Permission.MANAGE_DATASETS
    return (
        Route("GET", path, _list, view),
        Route("POST", path, _create, manage, changes=True),
        Route("GET", one, _look_up, view),
        Route("PATCH", one, _patch, manage, changes=True),
        Route("DELETE", one, _delete, manage, changes=True),
        Route("GET", f"{BASE}/batches", list_batches, view),
    )


def show(state: PlatformState, dataset: Dataset) -> Json:
    """A dataset as Catalog shows it."""
    batches = {}
    if dataset.batch_id is not None:
        batches = {
            "lastBatchId": dataset.batch_id,
            "lastBatchStatus": "success",
            "lastSuccessfulBatch": dataset.batch_id,
        }
    return {
        "tags": {},
        **dataset.body,
        "imsOrg": state.ims_org_id,
        "sandboxId": f"sandbox-{state.sandbox}",
        "version": dataset.version,
        "created": dataset.created,
        "updated": dataset.updated,
        "viewId": f"{dataset.id}-view",
        "files": f"@/dataSetFiles?dataSetId={dataset.id}",
        **batches,
    }


def _list(call: Call) -> Answer:
    items = {key: show(call.state, found) for key, found in call.state.datasets.items()}
    if (names := call.query.get("name")) is not None:
        items = {key: item for key, item in items.items() if is_named(item["name"], names)}
    for pair in filter(None, call.query.get("tags", "").split(",")):
        items = {key: item for key, item in items.items() if is_tagged(item, pair)}
    return Answer(200, page(call, items))


def _find(call: Call) -> Dataset:
    found = call.state.datasets.get(call.params["id"])
    if found is None:
        raise refused(404, f"No dataset {call.params['id']}")
    return found


def _look_up(call: Call) -> Answer:
    dataset = _find(call)
    return Answer(200, {dataset.id: show(call.state, dataset)}, {"E-Tag": dataset.version})


def _create(call: Call) -> Answer:
    body = call.fields(SERVICE, "name", "schemaRef")
    _check(call, body, {})
    dataset = Dataset(id=uuid4().hex[:24], body=body)
    call.state.datasets[dataset.id] = dataset
    reference = f"@/dataSets/{dataset.id}"
    return Answer(201, [reference], {"Location": reference, "E-Tag": dataset.version})


def _patch(call: Call) -> Answer:
    dataset = _find(call)
    _check_version(call, dataset)
    if call.headers.get("Content-Type", "").startswith(JSON_PATCH):
        try:
            body = apply_patch({"tags": {}, **dataset.body}, call.document(SERVICE))
        except PatchWrong as wrong:
            raise refused(400, str(wrong)) from None
    else:
        body = {**dataset.body, **call.fields(SERVICE)}
    _check(call, body, dataset.body)
    dataset.body = body
    dataset.revision += 1
    dataset.updated = now_ms()
    return Answer(200, [f"@/dataSets/{dataset.id}"], {"E-Tag": dataset.version})


def _delete(call: Call) -> Answer:
    dataset = call.state.datasets.get(call.params["id"])
    if dataset is None:  # Adobe: 200 with an empty list
        return Answer(200, [], changed=False)
    _check_version(call, dataset)
    del call.state.datasets[dataset.id]
    call.state.batches.pop(dataset.batch_id or "", None)
    return Answer(200, [f"@/dataSets/{dataset.id}"])


def _check_version(call: Call, dataset: Dataset) -> None:
    if (seen := call.headers.get("If-Match")) is not None and seen != dataset.version:
        raise refused(412, f"The dataset is at version {dataset.version}, not {seen}")


def _check(call: Call, body: Json, old: Json) -> None:
    reference = body.get("schemaRef")
    if not isinstance(reference, dict) or reference.get("id") not in call.state.schemas:
        raise refused(400, "'schemaRef.id' names no schema")
    if not _CONTENT_TYPE.fullmatch(str(reference.get("contentType"))):
        raise refused(400, "'schemaRef.contentType' is no media type of a schema with its version")
    if assumed.DATASET_SCHEMA_IS_FIXED and old and old["schemaRef"] != reference:
        raise refused(400, "The schema of a dataset cannot change")
    _check_tags(call, body.get("tags", {}), reference["id"], old)


def _check_tags(call: Call, tags: Any, schema_id: str, old: Json) -> None:
    if not isinstance(tags, dict) or not all(
        isinstance(values, list) and all(isinstance(value, str) for value in values)
        for values in tags.values()
    ):
        raise refused(400, "'tags' must be an object of lists of texts")
    for name in _PROFILE_TAGS:
        values = tags.get(name, [])
        if any(value.replace(" ", "") not in {"enabled:true", "enabled:false"} for value in values):
            raise refused(400, f"The tag {name} must be enabled:true")
        if any(value.replace(" ", "") == "enabled:true" for value in values):
            union = call.state.schemas[schema_id].body.get("meta:immutableTags", [])
            if "union" not in union:
                raise refused(400, f"The tag {name} needs a schema that is enabled for Profile")
            if old.get("tags", {}).get(name) != values and (
                Permission.MANAGE_PROFILES not in call.permissions
            ):
                detail = assumed.PERMISSION_DETAIL.format(permission=Permission.MANAGE_PROFILES)
                raise refused(assumed.PERMISSION_STATUS, detail)
