"""The schema: Adobe's ExperienceEvent, the field groups of Adobe's that are used, and ours."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

# Adobe: the XDM repository (adobe/xdm), the class and `components/fieldgroups/experience-event`.
# The class brings `_id`, `timestamp`, `eventType` and `identityMap` along.
EXPERIENCE_EVENT: Final = "https://ns.adobe.com/xdm/context/experienceevent"
ADOBE_FIELD_GROUPS: Final[tuple[str, ...]] = (
    "https://ns.adobe.com/xdm/mixins/experienceevent-survey-response-details",
    "https://ns.adobe.com/xdm/context/experienceevent-application",
    "https://ns.adobe.com/xdm/context/experienceevent-environment-details",
)


def schema(title: str, field_group_id: str) -> Json:
    """The body that creates the schema.

    Args:
        title: of the schema; Adobe: unique among all that the tenant has in the registry.
        field_group_id: the `$id` of the tenant's field group.
    """
    parts = (EXPERIENCE_EVENT, *ADOBE_FIELD_GROUPS, field_group_id)
    return {
        "title": title,
        "description": "One Pendo event, as pendo-to-aep sends it.",
        "type": "object",
        "allOf": [{"$ref": part} for part in parts],
    }
