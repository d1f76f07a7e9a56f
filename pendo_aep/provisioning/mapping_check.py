"""Previews the mapping set on our sample events, before anything is created that uses it.

Adobe: "Mapping sets endpoint", `POST /mappingSets/preview` maps a record and stores nothing. What
it makes of a sample must be the XDM that `deliver` makes of the same event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final

import orjson

from pendo_aep.aep.format import Raw, Xdm
from pendo_aep.data_files import data_file
from pendo_aep.event import Event, read_event
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.desired import Tenant
from pendo_aep.provisioning.errors import PlatformError, RequestRejected, Unreachable
from pendo_aep.provisioning.mapping_set import mapping_set_body, preview
from pendo_aep.provisioning.resource import Json
from pendo_aep.provisioning.schema import missing_groups

_SAMPLES: Final = data_file("sample_events")
_SUFFIX: Final = ".event.json"
# The credential or the API cannot preview a mapping set; any other status is about the set.
_NO_PREVIEW: Final = frozenset({401, 403, 404, 405, 501})
_MAX_DIFFERENCES: Final = 20
_MAX_VALUE_CHARACTERS: Final = 120


class PreviewUnavailable(PlatformError):
    """The mapping cannot be previewed here, which says nothing about the mapping."""


class MappingMismatch(PlatformError):
    """AEP maps a sample differently than `deliver` does, or rejects the mapping set."""


async def check_mapping(client: Client, tenant: Tenant, schema_id: str) -> int:
    """Compares what AEP makes of every sample with what `deliver` makes of it.

    Args:
        client: calls AEP's APIs.
        tenant: whose mapping set it is.
        schema_id: the `$id` of a schema that has all fields.

    Returns:
        The number of samples, all of which are equal.

    Raises:
        MappingMismatch: some are not, or AEP rejects the mapping set.
        PreviewUnavailable: the API does not do it, or the samples are not installed.
    """
    body = mapping_set_body("Pendo", schema_id, tenant.id, tenant.options, tenant.groups)
    raw = Raw(tenant.options)
    dates = frozenset(
        field.xdm.rpartition(".")[2] for field in tenant.options.fields if field.type == "date-time"
    )
    differences: list[str] = []
    samples = _samples()
    for name, event in samples.items():
        record: Json = orjson.loads(raw.encode(orjson.dumps(event), event))
        mapped = await _preview(client, record, body)
        found = [
            f"{error.get('destination')}: AEP cannot map it: {error.get('exception')}"
            for error in mapped.get("errors") or []
        ]
        found += _compare(_our_xdm(tenant, event), _without_nulls(mapped["data"]), "", dates)
        differences += [f"{name}: {difference}" for difference in found]
    if differences:
        shown = differences[:_MAX_DIFFERENCES]
        if more := len(differences) - len(shown):
            shown.append(f"and {more} more")
        head = "AEP's mapping makes other XDM of our sample events than pendo-to-aep does:"
        raise MappingMismatch("\n".join([head, *shown]))
    return len(samples)


def _samples() -> dict[str, Event]:
    found = {
        path.name.removesuffix(_SUFFIX): read_event(path.read_bytes())
        for path in sorted(_SAMPLES.glob(f"*{_SUFFIX}"))
    }
    if not found:
        raise PreviewUnavailable(f"there are no sample events in {_SAMPLES}")
    return found


async def _preview(client: Client, record: Json, body: Json) -> Json:
    try:
        mapped = await preview(client, record, body)
    except RequestRejected as rejected:
        if rejected.status in _NO_PREVIEW:
            raise PreviewUnavailable(str(rejected)) from None
        raise MappingMismatch(str(rejected)) from None
    except Unreachable as error:
        raise PreviewUnavailable(str(error)) from None
    if not isinstance(mapped, dict) or not isinstance(mapped.get("data"), dict):
        raise PreviewUnavailable("try the mapping set: AEP's answer has no data")
    return mapped


def _our_xdm(tenant: Tenant, event: Event) -> Json:
    """Returns the XDM that `deliver` makes, without field groups that the registry lacks."""
    xdm = Xdm(
        schema_id="",
        dataset_id="",
        ims_org_id="",
        tenant_id=tenant.id,
        flow_id="",
        options=tenant.options,
    )
    missing = {group.root for group in missing_groups(tenant.groups)}
    entity: Json = orjson.loads(orjson.dumps(xdm.entity(event)))
    return {key: value for key, value in entity.items() if key not in missing}


def _without_nulls(value: Any) -> Any:
    """Removes nulls, and objects that are empty without them: AEP stores neither."""
    if not isinstance(value, dict):
        return [_without_nulls(one) for one in value] if isinstance(value, list) else value
    inner = {key: _without_nulls(one) for key, one in value.items()}
    return {key: one for key, one in inner.items() if one is not None and one != {}}


def _compare(ours: Any, theirs: Any, path: str, dates: Collection[str]) -> Iterator[str]:
    """Yields the path of each difference with both values, which are those of made-up events."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            yield from _compare(ours.get(key), theirs.get(key), f"{path}.{key}".lstrip("."), dates)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _compare(one, other, f"{path}[{number}]", dates)
    elif not _is_same(ours, theirs, is_date=path.rpartition(".")[2] in dates):
        yield f"{path}: pendo-to-aep makes {_shown(ours)}, AEP makes {_shown(theirs)}"


def _is_same(ours: Any, theirs: Any, *, is_date: bool) -> bool:
    if is_date and isinstance(theirs, str):
        try:  # Adobe does not say how many digits and which offset a date is written with
            return datetime.fromisoformat(ours) == datetime.fromisoformat(theirs)
        except (ValueError, TypeError):
            return False
    return bool(ours == theirs) and isinstance(ours, bool) is isinstance(theirs, bool)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else orjson.dumps(value).decode()
    if len(text) <= _MAX_VALUE_CHARACTERS:
        return text
    return f"{text[:_MAX_VALUE_CHARACTERS]}..."
