"""What Flow Service refuses: unknown specifications, and connections that do not fit together."""

from __future__ import annotations

from typing import Any, Final

from local.aep_platform import assumed, errors
from local.aep_platform.state import Connection, Json, PlatformState
from local.http_server import ApiError

SERVICE: Final = "flowservice"

# The specifications of a Pendo pipeline, by Adobe's fixed ids.
# Adobe, "Create a streaming connection for Pendo using the Flow Service API".
STREAMING_PROVIDER: Final = "521eee4d-8cbe-4906-bb48-fb6bd4450033"
PENDO: Final = "6ff5654f-19d5-427d-bd3e-c0ebc802389a"
PENDO_FLOW: Final = "e77fde5a-22a8-11ed-861d-0242ac120002"
# Adobe, "Create an HTTP API streaming connection".
HTTP: Final = "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb"
HTTP_RAW_FLOW: Final = "c1a19761-d2c7-4702-b9fa-fe91f0613e81"
HTTP_XDM_FLOW: Final = "d8a6f005-7eaf-4153-983e-e8574508b877"
DATA_LAKE: Final = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"

SOURCE_OF_FLOW: Final = {PENDO_FLOW: PENDO, HTTP_RAW_FLOW: HTTP, HTTP_XDM_FLOW: HTTP}
MAPPING_FLOWS: Final = frozenset({PENDO_FLOW, HTTP_RAW_FLOW})
VERSION: Final = "1.0"


def error(status: int, detail: str) -> ApiError:
    """A refusal by Flow Service."""
    return errors.service(SERVICE, status, detail)


def _mismatch(detail: str) -> ApiError:
    return error(assumed.MISMATCH_STATUS, detail)


def check_name(body: Json) -> None:
    """Checks that there is a name.

    Raises:
        ApiError: there is none.
    """
    name = body.get("name")
    if assumed.FLOW_SERVICE_NAME_REQUIRED and (not isinstance(name, str) or not name):
        raise error(400, "'name' is required")


def _spec_of(body: Json, key: str, *known: str) -> str:
    """Returns the id under `connectionSpec` or `flowSpec`, which must be one of the known."""
    spec_id = _at(body, key, "id")
    if spec_id not in known:
        raise _mismatch(f"'{key}.id' {spec_id} is not known here")
    if _at(body, key, "version") != VERSION:
        raise _mismatch(f"'{key}.version' must be {VERSION}")
    return str(spec_id)


def check_base(_: PlatformState, body: Json) -> None:
    """Checks a base connection: what data it takes, and whether with a token.

    Raises:
        ApiError: it is invalid.
    """
    check_name(body)
    _spec_of(body, "connectionSpec", HTTP)
    if _at(body, "auth", "specName") != "Streaming Connection":
        raise _mismatch("'auth.specName' must be 'Streaming Connection'")
    if _at(body, "auth", "params", "dataType") not in {"raw", "xdm"}:
        raise _mismatch("'auth.params.dataType' must be raw or xdm")
    if not isinstance(body["auth"]["params"].get("authenticationRequired", False), bool):
        raise _mismatch("'auth.params.authenticationRequired' must be true or false")


def check_source(state: PlatformState, body: Json) -> None:
    """Checks a source connection: Pendo's, or an HTTP one on a base connection.

    Raises:
        ApiError: it is neither.
    """
    check_name(body)
    spec = _spec_of(body, "connectionSpec", PENDO, HTTP)
    if body.get("providerId", STREAMING_PROVIDER) != STREAMING_PROVIDER:
        raise _mismatch("'providerId' is not known here")
    if spec == HTTP:
        if body.get("baseConnectionId") not in state.connections:
            raise _mismatch("'baseConnectionId' names no connection")
    elif "baseConnectionId" in body:
        raise _mismatch("a Pendo source has no base connection")
    if not isinstance(body.get("data"), dict) and (
        spec == PENDO or assumed.SOURCE_DATA_REQUIRED_FOR_HTTP
    ):
        raise error(400, "'data' is required")


def check_target(state: PlatformState, body: Json) -> None:
    """Checks a target connection: a dataset in the data lake, and that dataset's schema.

    Raises:
        ApiError: it is invalid.
    """
    check_name(body)
    _spec_of(body, "connectionSpec", DATA_LAKE)
    dataset = state.datasets.get(str(_at(body, "params", "dataSetId")))
    if dataset is None:
        raise _mismatch("'params.dataSetId' names no dataset")
    schema = _at(body, "data", "schema")
    if not isinstance(schema, dict) or schema.get("id") not in state.schemas:
        raise _mismatch("'data.schema.id' names no schema")
    if not str(schema.get("version", "")).startswith("application/vnd.adobe.xed"):
        raise _mismatch("'data.schema.version' must be the media type of a schema")
    if schema["id"] != dataset.schema_id:
        raise _mismatch("'data.schema.id' is not the schema of the dataset")


def check_flow(state: PlatformState, body: Json) -> Connection:
    """Checks a flow: one source and one target, with a mapping where the data is raw.

    Returns:
        The source connection.

    Raises:
        ApiError: something does not exist, or does not fit.
    """
    check_name(body)
    spec = _spec_of(body, "flowSpec", *SOURCE_OF_FLOW)
    source = _one(body, "sourceConnectionIds", state.source_connections)
    target = _one(body, "targetConnectionIds", state.target_connections)
    if source.body["connectionSpec"]["id"] != SOURCE_OF_FLOW[spec]:
        raise _mismatch("'flowSpec.id' is not for this source")
    base = state.connections.get(source.body.get("baseConnectionId", ""))
    if base is not None:
        is_raw = base.body["auth"]["params"]["dataType"] == "raw"
        if is_raw is not (spec in MAPPING_FLOWS):
            raise _mismatch("'flowSpec.id' is not for the data type of the base connection")
    check_transformations(state, body, target)
    return source


def check_transformations(state: PlatformState, body: Json, target: Connection) -> None:
    """Checks that a flow with mapping has one: a version of a mapping set for its schema.

    Raises:
        ApiError: it has not, or has one where none can be.
    """
    found = body.get("transformations") or []
    if body["flowSpec"]["id"] not in MAPPING_FLOWS:
        if found:
            raise _mismatch("a flow without mapping has no 'transformations'")
        return
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        raise _mismatch("'transformations' must have one entry")
    if found[0].get("name") != "Mapping":
        raise _mismatch("the name of a transformation must be 'Mapping'")
    mapping_set = state.mapping_sets.get(str(_at(found[0], "params", "mappingId")))
    if mapping_set is None:
        raise _mismatch("'mappingId' names no mapping set")
    version = _at(found[0], "params", "mappingVersion")
    if not isinstance(version, int) or not 0 <= version < len(mapping_set.versions):
        raise _mismatch(f"the mapping set has no version {version}")
    if mapping_set.versions[version]["schema"] != target.body["data"]["schema"]["id"]:
        raise _mismatch("the mapping set is for another schema than the target's")


def _one(body: Json, key: str, known: dict[str, Connection]) -> Connection:
    ids = body.get(key)
    if not isinstance(ids, list) or len(ids) != 1:
        raise _mismatch(f"'{key}' must have one id")
    if ids[0] not in known:
        raise _mismatch(f"'{key}' names what does not exist: {ids[0]}")
    return known[ids[0]]


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
