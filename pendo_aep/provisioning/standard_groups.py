"""Adobe's standard field groups that our schema uses, and which of them a registry has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pendo_aep.aep.mapping import Field
from pendo_aep.provisioning import registry
from pendo_aep.provisioning.client import Client


@dataclass(frozen=True, slots=True)
class StandardGroup:
    """One field group of Adobe's.

    Attributes:
        id: its `$id`.
        title: as AEP shows it.
        root: the object that it adds to an event, the first part of its fields' paths.
    """

    id: str
    title: str
    root: str


# Adobe: the XDM repository (adobe/xdm), `components/fieldgroups/experience-event`.
STANDARD_GROUPS: Final = (
    StandardGroup(
        "https://ns.adobe.com/xdm/mixins/experienceevent-survey-response-details",
        "Survey Response Details",
        "surveyResponse",
    ),
    StandardGroup(
        "https://ns.adobe.com/xdm/context/experienceevent-application",
        "Application Details",
        "application",
    ),
    StandardGroup(
        "https://ns.adobe.com/xdm/context/experienceevent-environment-details",
        "Environment Details",
        "environment",
    ),
)


async def find_groups(client: Client) -> tuple[StandardGroup, ...]:
    """Returns those that the registry has. What an organisation has not licensed may be missing."""
    found = [group for group in STANDARD_GROUPS if await registry.has_standard(client, group.id)]
    return tuple(found)


def missing_groups(groups: Sequence[StandardGroup]) -> tuple[StandardGroup, ...]:
    """Returns the standard groups that are not among these."""
    return tuple(group for group in STANDARD_GROUPS if group not in groups)


def usable_fields(fields: Sequence[Field], groups: Sequence[StandardGroup]) -> tuple[Field, ...]:
    """Returns the rows whose place a schema with these groups has."""
    missing = {group.root for group in missing_groups(groups)}
    return tuple(field for field in fields if field.xdm.partition(".")[0] not in missing)


def titles(groups: Sequence[StandardGroup]) -> str:
    """Their titles, for a person."""
    return ", ".join(repr(group.title) for group in groups)
