"""What Flow Service refuses: specifications that do not exist, parts that do not fit together."""

from __future__ import annotations

from typing import Any

from local.aep_platform import assumed, problems
from local.aep_platform.flow_service import specs
from local.aep_platform.problems import Refused
from local.aep_platform.state import Connection, Json, PlatformState

SERVICE = "flowservice"


def refused(status: int, detail: str) -> Refused:
    """A refusal of Flow Service."""
    return problems.service(SERVICE, status, detail)


def _wrong(detail: str) -> Refused:
    return refused(assumed.MISMATCH_STATUS, detail)


def check_name(body: Json) -> None:
    """A name is text and not empty.

    Raises:
        Refused: it is not.
    """
    name = body.get("name")
    if assumed.FLOW_SERVICE_NAME_REQUIRED and (not isinstance(name, str) or not name):
        raise refused(400, "'name' is required")


def spec_of(body: Json, key: str, *known: str) -> str:
    """The id under `connectionSpec` or `flowSpec`, which must be one of the known.

    Raises:
        Refused: it is another, or its version is.
    """
    spec = body.get(key)
    spec_id = spec.get("id") if isinstance(spec, dict) else None
    if spec_id not in known:
        raise _wrong(f"'{key}.id' {spec_id} is not known here")
    if spec.get("version") != specs.VERSION:  # type: ignore[union-attr]
        raise _wrong(f"'{key}.version' must be {specs.VERSION}")
    return str(spec_id)


def check_base(body: Json) -> None:
    """A streaming connection says what it takes and from whom.

    Raises:
        Refused: it does not.
    """
    check_name(body)
    spec_of(body, "connectionSpec", specs.HTTP)
    auth = body.get("auth")
    if not isinstance(auth, dict) or auth.get("specName") != "Streaming Connection":
        raise _wrong("'auth.specName' must be 'Streaming Connection'")
    params = auth.get("params")
    if not isinstance(params, dict) or params.get("dataType") not in {"raw", "xdm"}:
        raise _wrong("'auth.params.dataType' must be raw or xdm")
    if not isinstance(params.get("authenticationRequired", False), bool):
        raise _wrong("'auth.params.authenticationRequired' must be true or false")


def check_source(state: PlatformState, body: Json) -> None:
    """A source is Pendo's, or an HTTP one on a base connection.

    Raises:
        Refused: it is not.
    """
    check_name(body)
    spec = spec_of(body, "connectionSpec", specs.PENDO, specs.HTTP)
    if body.get("providerId", specs.STREAMING_PROVIDER) != specs.STREAMING_PROVIDER:
        raise _wrong("'providerId' is not known here")
    if spec == specs.HTTP:
        if body.get("baseConnectionId") not in state.connections:
            raise _wrong("'baseConnectionId' names no connection")
    elif "baseConnectionId" in body:
        raise _wrong("a Pendo source has no base connection")
    if not isinstance(body.get("data"), dict) and (
        spec == specs.PENDO or assumed.SOURCE_DATA_REQUIRED_FOR_HTTP
    ):
        raise refused(400, "'data' is required")


def check_target(state: PlatformState, body: Json) -> None:
    """A target is a dataset in the data lake, and that dataset's schema.

    Raises:
        Refused: it is not.
    """
    check_name(body)
    spec_of(body, "connectionSpec", specs.DATA_LAKE)
    dataset = state.datasets.get(str(_at(body, "params", "dataSetId")))
    if dataset is None:
        raise _wrong("'params.dataSetId' names no dataset")
    schema = _at(body, "data", "schema")
    if not isinstance(schema, dict) or schema.get("id") not in state.schemas:
        raise _wrong("'data.schema.id' names no schema")
    if not str(schema.get("version", "")).startswith("application/vnd.adobe.xed"):
        raise _wrong("'data.schema.version' must be the media type of a schema")
    if schema["id"] != dataset.schema_id:
        raise _wrong("'data.schema.id' is not the schema of the dataset")


def check_flow(state: PlatformState, body: Json) -> tuple[Connection, Connection]:
    """A flow joins one source with one target, with a mapping where data comes raw.

    Returns:
        The source and the target connection.

    Raises:
        Refused: something does not exist, or does not fit.
    """
    check_name(body)
    spec = spec_of(body, "flowSpec", *specs.SOURCE_OF_FLOW)
    source = _one(body, "sourceConnectionIds", state.source_connections)
    target = _one(body, "targetConnectionIds", state.target_connections)
    if source.body["connectionSpec"]["id"] != specs.SOURCE_OF_FLOW[spec]:
        raise _wrong("'flowSpec.id' is not for this source")
    base = state.connections.get(source.body.get("baseConnectionId", ""))
    if base is not None:
        is_raw = base.body["auth"]["params"]["dataType"] == "raw"
        if is_raw is not (spec in specs.MAPPING_FLOWS):
            raise _wrong("'flowSpec.id' is not for the data type of the base connection")
    check_transformations(state, body, target)
    return source, target


def check_transformations(state: PlatformState, body: Json, target: Connection) -> None:
    """A flow with mapping has one: a version of a mapping set for the target's schema.

    Raises:
        Refused: it has not, or has one where none can be.
    """
    found = body.get("transformations") or []
    if body["flowSpec"]["id"] not in specs.MAPPING_FLOWS:
        if found:
            raise _wrong("a flow without mapping has no 'transformations'")
        return
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        raise _wrong("'transformations' must have one entry")
    if found[0].get("name") != "Mapping":
        raise _wrong("the name of a transformation must be 'Mapping'")
    mapping_set = state.mapping_sets.get(str(_at(found[0], "params", "mappingId")))
    if mapping_set is None:
        raise _wrong("'mappingId' names no mapping set")
    version = _at(found[0], "params", "mappingVersion")
    if not isinstance(version, int) or not 0 <= version < len(mapping_set.versions):
        raise _wrong(f"the mapping set has no version {version}")
    if mapping_set.versions[version]["schema"] != target.body["data"]["schema"]["id"]:
        raise _wrong("the mapping set is for another schema than the target's")


def _one(body: Json, key: str, known: dict[str, Connection]) -> Connection:
    ids = body.get(key)
    if not isinstance(ids, list) or len(ids) != 1:
        raise _wrong(f"'{key}' must have one id")
    if ids[0] not in known:
        raise _wrong(f"'{key}' names what does not exist: {ids[0]}")
    return known[ids[0]]


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
