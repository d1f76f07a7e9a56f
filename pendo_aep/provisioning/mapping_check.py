"""Tries the mapping set on our sample events, before anything is made that uses it.

Adobe: "Mapping sets endpoint", `POST /mappingSets/preview` maps a record and stores nothing. What
it makes of a sample must be the XDM that `deliver` makes of the same event.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import orjson

from pendo_aep.aep.format import Raw, Xdm
from pendo_aep.aep.mapping import FIELDS
from pendo_aep.data_files import data_file
from pendo_aep.event import Event, read_event
from pendo_aep.provisioning import data_prep
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.errors import OutOfReach, PlatformError, Refused
from pendo_aep.provisioning.mapping_set import mapping_set
from pendo_aep.provisioning.part import Json
from pendo_aep.provisioning.standard_groups import missing_groups
from pendo_aep.provisioning.wanted import Tenant

_SAMPLES: Final = data_file("sample_events")
_SUFFIX: Final = ".event.json"
# What says that the credential or the API cannot try a mapping set; anything else is about the set.
_NO_PREVIEW: Final = frozenset({401, 403, 404, 405, 501})
_DIFFERS: Final = "AEP's mapping makes other XDM of our sample events than pendo-to-aep does:"
_MOST_DIFFERENCES: Final = 20
_LONGEST_VALUE: Final = 120
_DATE_FIELDS: Final = frozenset(
    field.xdm.rpartition(".")[2] for field in FIELDS if field.type == "date-time"
)


class CannotTry(PlatformError):
    """The mapping cannot be tried here, which says nothing of the mapping."""


class MappingDiffers(PlatformError):
    """AEP maps a sample to something else than `deliver` does, or does not take the mapping set."""


async def check_mapping(client: Client, tenant: Tenant, schema_id: str) -> int:
    """Compares what AEP makes of every sample with what `deliver` makes of it.

    Args:
        client: to ask with.
        tenant: whose mapping set it is.
        schema_id: the `$id` of a schema that has all fields.

    Returns:
        The number of samples, all of which are equal.

    Raises:
        MappingDiffers: some are not, or AEP does not take the mapping set.
        CannotTry: the API does not do it, or the samples are not installed.
    """
    body = mapping_set(
        "Pendo", schema_id, tenant.id, tenant.identity_namespace, groups=tenant.groups
    )
    differences: list[str] = []
    samples = _samples()
    for name, event in samples.items():
        made = await _preview(client, event, body)
        found = (*_failures(made), *_compare(_our_xdm(tenant, event), _filled(made["data"]), ""))
        differences += [f"{name}: {difference}" for difference in found]
    if differences:
        raise MappingDiffers("\n".join([_DIFFERS, *_first(differences)]))
    return len(samples)


def _samples() -> dict[str, Event]:
    found = {
        path.name.removesuffix(_SUFFIX): read_event(path.read_bytes())
        for path in sorted(_SAMPLES.glob(f"*{_SUFFIX}"))
    }
    if not found:
        raise CannotTry(f"there are no sample events in {_SAMPLES}")
    return found


async def _preview(client: Client, event: Event, body: Json) -> Json:
    record: Json = orjson.loads(Raw().encode(orjson.dumps(event), event))
    try:
        made = await data_prep.preview(client, record, body)
    except Refused as refused:
        if refused.status in _NO_PREVIEW:
            raise CannotTry(str(refused)) from None
        raise MappingDiffers(str(refused)) from None
    except OutOfReach as error:
        raise CannotTry(str(error)) from None
    if not isinstance(made, dict) or not isinstance(made.get("data"), dict):
        raise CannotTry("try the mapping set: AEP's answer has no data")
    return made


def _our_xdm(tenant: Tenant, event: Event) -> Json:
    """The XDM that `deliver` makes, without the field groups that the registry does not have."""
    xdm = Xdm(
        schema_id="",
        dataset_id="",
        ims_org_id="",
        tenant_id=tenant.id,
        identity_namespace=tenant.identity_namespace,
        flow_id="",
    )
    missing = {group.root for group in missing_groups(tenant.groups)}
    entity: Json = orjson.loads(orjson.dumps(xdm.entity(event)))
    return {key: value for key, value in entity.items() if key not in missing}


def _filled(value: Any) -> Any:
    """The same without nulls and without what is empty then: AEP stores neither."""
    if not isinstance(value, dict):
        return [_filled(one) for one in value] if isinstance(value, list) else value
    filled = {key: _filled(one) for key, one in value.items()}
    return {key: one for key, one in filled.items() if one is not None and one != {}}


def _failures(made: Json) -> Iterator[str]:
    for error in made.get("errors") or []:
        yield f"{error.get('destination')}: AEP cannot map it: {error.get('exception')}"


def _compare(ours: Any, aeps: Any, path: str) -> Iterator[str]:
    """Yields the path of each difference, with both values. They are those of made-up events."""
    if isinstance(ours, dict) and isinstance(aeps, dict):
        for key in sorted({*ours, *aeps}):
            yield from _compare(ours.get(key), aeps.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(ours, list) and isinstance(aeps, list) and len(ours) == len(aeps):
        for number, (one, other) in enumerate(zip(ours, aeps, strict=True)):
            yield from _compare(one, other, f"{path}[{number}]")
    elif not _is_same(ours, aeps, path):
        yield f"{path}: pendo-to-aep makes {_shown(ours)}, AEP makes {_shown(aeps)}"


def _is_same(ours: Any, aeps: Any, path: str) -> bool:
    if path.rpartition(".")[2] in _DATE_FIELDS and isinstance(aeps, str):
        try:  # Adobe does not say how many digits and which offset a date is written with
            return datetime.fromisoformat(ours) == datetime.fromisoformat(aeps)
        except (ValueError, TypeError):
            return False
    return bool(ours == aeps) and isinstance(ours, bool) is isinstance(aeps, bool)


def _first(differences: list[str]) -> list[str]:
    """As many as a person reads."""
    more = len(differences) - _MOST_DIFFERENCES
    return [*differences[:_MOST_DIFFERENCES], *([f"and {more} more"] if more > 0 else [])]


def _shown(value: Any) -> str:
    text = "nothing" if value is None else orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
