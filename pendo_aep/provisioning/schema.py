"""The schema: Adobe's ExperienceEvent, the field groups of Adobe's that are used, and ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from pendo_aep.provisioning.standard_groups import STANDARD_GROUPS, StandardGroup

Json: TypeAlias = dict[str, Any]

# Adobe: the XDM repository (adobe/xdm). The class brings `_id`, `timestamp`, `eventType` and
# `identityMap` along.
EXPERIENCE_EVENT: Final = "https://ns.adobe.com/xdm/context/experienceevent"


def schema(
    title: str, field_group_id: str, groups: Sequence[StandardGroup] = STANDARD_GROUPS
) -> Json:
    """The body that creates the schema.

    Args:
        title: of the schema; Adobe: unique among all that the tenant has in the registry.
        field_group_id: the `$id` of the tenant's field group.
        groups: of Adobe's, those that the registry has.
    """
    parts = (EXPERIENCE_EVENT, *(group.id for group in groups), field_group_id)
    return {
        "title": title,
        "description": "One Pendo event, as pendo-to-aep sends it.",
        "type": "object",
        "allOf": [{"$ref": part} for part in parts],
    }
