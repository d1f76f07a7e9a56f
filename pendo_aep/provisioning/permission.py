"""What a role in AEP must allow, by the names that Adobe's UI shows."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """A permission (Adobe: "Access control overview").

    Which call needs which is inferred from their descriptions: Adobe has no table of it.
    """

    VIEW_SANDBOXES = "View Sandboxes"
    VIEW_SCHEMAS = "View Schemas"
    MANAGE_SCHEMAS = "Manage Schemas"
    VIEW_DATASETS = "View Datasets"
    MANAGE_DATASETS = "Manage Datasets"
    MANAGE_PROFILES = "Manage Datasets, and Manage Profiles for a dataset of Profile"
    VIEW_NAMESPACES = "View Identity Namespaces"
    MANAGE_NAMESPACES = "Manage Identity Namespaces"
    VIEW_SOURCES = "View Sources"
    MANAGE_SOURCES = "Manage Sources"
