"""What a role allows (Adobe, "Access control overview"), by the names that Adobe's UI shows.

Which call needs which permission is inferred from their descriptions: Adobe tabulates none of it.
"""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """A permission of a role."""

    VIEW_SANDBOXES = "View Sandboxes"
    VIEW_SCHEMAS = "View Schemas"
    MANAGE_SCHEMAS = "Manage Schemas"
    MANAGE_IDENTITY_METADATA = "Manage Identity Metadata"
    VIEW_DATASETS = "View Datasets"
    MANAGE_DATASETS = "Manage Datasets"
    VIEW_IDENTITY_NAMESPACES = "View Identity Namespaces"
    MANAGE_IDENTITY_NAMESPACES = "Manage Identity Namespaces"
    VIEW_SOURCES = "View Sources"
    MANAGE_SOURCES = "Manage Sources"
    MANAGE_PROFILES = "Manage Profiles"


# Inferred from Adobe's descriptions ("read, create, edit and delete"): managing includes viewing.
_INCLUDED = {
    Permission.VIEW_SCHEMAS: Permission.MANAGE_SCHEMAS,
    Permission.VIEW_DATASETS: Permission.MANAGE_DATASETS,
    Permission.VIEW_IDENTITY_NAMESPACES: Permission.MANAGE_IDENTITY_NAMESPACES,
    Permission.VIEW_SOURCES: Permission.MANAGE_SOURCES,
}


def allows(granted: set[Permission], needed: Permission) -> bool:
    """Say whether a role with these permissions has the one that is needed."""
    return needed in granted or _INCLUDED.get(needed) in granted
