"""One version of a mapping set: checked against its schema, kept, made ready to be applied."""

from __future__ import annotations

from local.aep_platform import assumed, problems
from local.aep_platform.data_prep.errors import ExpressionWrong
from local.aep_platform.data_prep.mapping import Mapping, compile_mapping
from local.aep_platform.mapping_body import Line, lines, reference, stored
from local.aep_platform.problems import Refused
from local.aep_platform.registry.resolve import find, resolve
from local.aep_platform.state import Json, PlatformState, Resource

SERVICE = "conversion"


def refused(detail: str, status: int = assumed.MAPPING_SET_STATUS) -> Refused:
    """A refusal of Data Prep."""
    return problems.service(SERVICE, status, detail)


def compiled(state: PlatformState, version: Json) -> list[Mapping]:
    """The mappings of one version of a set, ready to be applied."""
    resolved = resolve(state, state.schemas[version["schema"]].body)
    return [_compiled(line, resolved) for line in lines(version["body"])]


def checked(state: PlatformState, body: Json) -> Json:
    """A version of a mapping set, as it is kept.

    Raises:
        Refused: the schema does not exist, or a mapping does not fit it.
    """
    schema, found = _read(state, body)
    if failures := _failures(state, schema, found):
        raise refused("; ".join(f"{f['destination']}: {f['exception']}" for f in failures))
    return {"schema": schema.id, "body": body, "mappings": [stored(line) for line in found]}


def failures_of(state: PlatformState, body: Json) -> list[Json]:
    """The mappings of a body that cannot be, each with the reason.

    Raises:
        Refused: there is nothing to be looked at, or no schema.
    """
    return _failures(state, *_read(state, body))


def _read(state: PlatformState, body: Json) -> tuple[Resource, list[Line]]:
    try:
        found, schema_id = lines(body), reference(body)
    except ExpressionWrong as wrong:
        raise refused(str(wrong)) from None
    schema = find(state, schema_id)
    if schema is None or schema.kind != "schemas":
        raise refused(f"There is no schema {schema_id}")
    return schema, found


def _failures(state: PlatformState, schema: Resource, found: list[Line]) -> list[Json]:
    resolved, seen = resolve(state, schema.body), set[str]()
    failures: list[Json] = []
    for line in found:
        if (reason := _wrong_in(line, resolved, seen)) is not None:
            failures.append(
                {
                    "destination": line.destination,
                    "source": line.source,
                    "exception": reason,
                    "sourceType": line.source_type,
                }
            )
        seen.add(line.destination)
    return failures


def _wrong_in(line: Line, resolved: Json, seen: set[str]) -> str | None:
    if assumed.DUPLICATE_DESTINATION_REFUSED and line.destination in seen:
        return "two mappings have this destination"
    try:
        _compiled(line, resolved)
    except ExpressionWrong as wrong:
        return str(wrong)
    return None


def _compiled(line: Line, resolved: Json) -> Mapping:
    return compile_mapping(line.source_type, line.source, line.destination, resolved)
