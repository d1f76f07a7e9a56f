"""A call of AEP's platform APIs as its handler sees it, the routes, and what a role allows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jsonpatch
import orjson
from multidict import MultiMapping

from local import http_server
from local.aep_platform import errors
from local.aep_platform.state import Json, PlatformState

_FILTER = re.compile(r"(?P<name>[^=<>!~]+)==(?P<value>.*)", re.DOTALL)
_PATCH_OPERATIONS = frozenset({"add", "remove", "replace"})


class Permission(StrEnum):
    """A permission of a role (Adobe, "Access control overview"), by its name in Adobe's UI.

    Which call needs which permission is inferred from their descriptions: Adobe tabulates none.
    """

    VIEW_SANDBOXES = "View Sandboxes"
    VIEW_SCHEMAS = "View Schemas"
    MANAGE_SCHEMAS = "Manage Schemas"
    VIEW_DATASETS = "View Datasets"
    MANAGE_DATASETS = "Manage Datasets"
    VIEW_IDENTITY_NAMESPACES = "View Identity Namespaces"
    MANAGE_IDENTITY_NAMESPACES = "Manage Identity Namespaces"
    VIEW_SOURCES = "View Sources"
    MANAGE_SOURCES = "Manage Sources"
    MANAGE_PROFILES = "Manage Profiles"
    MANAGE_LABELS = "Manage Usage Labels"
    MANAGE_QUERIES = "Manage Queries"


# Inferred from Adobe's descriptions ("read, create, edit and delete"): managing includes viewing.
_INCLUDED = {
    Permission.VIEW_SCHEMAS: Permission.MANAGE_SCHEMAS,
    Permission.VIEW_DATASETS: Permission.MANAGE_DATASETS,
    Permission.VIEW_IDENTITY_NAMESPACES: Permission.MANAGE_IDENTITY_NAMESPACES,
    Permission.VIEW_SOURCES: Permission.MANAGE_SOURCES,
}


def allows(granted: set[Permission], needed: Permission) -> bool:
    """Returns whether a role with these permissions has the one that is needed."""
    return needed in granted or _INCLUDED.get(needed) in granted


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(http_server.Call):
    """A call that has passed the gateway.

    Attributes:
        state: of the sandbox that the call names.
        permissions: of the role that the credential has.
    """

    state: PlatformState
    permissions: set[Permission]

    def json(self, service: str) -> Any:
        """Parses the body.

        Raises:
            ApiError: it is not JSON.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise errors.service(service, 400, "The request body is not JSON") from None

    def fields(self, service: str, *required: str) -> Json:
        """Parses the body, which must be an object with these keys.

        Raises:
            ApiError: it is not.
        """
        document = self.json(service)
        if not isinstance(document, dict):
            raise errors.service(service, 400, "The request body is not a JSON object")
        for name in required:
            if document.get(name) in (None, "", {}, []):
                raise errors.service(service, 400, f"'{name}' is required")
        return document

    def matches(self, item: Mapping[str, Any], query: MultiMapping[str] | None = None) -> bool:
        """Returns whether an item passes every `property` filter of the query, or of another one.

        Of Adobe's filters only `name==value` is simulated; of a list, one element is enough.

        Raises:
            ApiError: it is another filter.
        """
        for text in (self.query if query is None else query).getall("property", []):
            found = _FILTER.fullmatch(text)
            if found is None:
                raise errors.not_simulated(f"property={text}")
            value = item.get(found["name"])
            values = value if isinstance(value, list) else [value]
            if found["value"] not in map(str, values):
                return False
        return True


@dataclass(frozen=True)
class Route(http_server.Route[Call]):
    """One operation; `needs` is the permission that it takes, None where Adobe lists none."""

    needs: Permission | None


class InvalidPatch(Exception):
    """A patch that is not JSON Patch, or does not fit the document; the text says why."""


def apply_json_patch(document: Json, operations: object) -> Json:
    """Returns a patched copy of a document. Adobe's APIs take add, remove and replace only.

    Raises:
        InvalidPatch: the operations are malformed, or one of them finds nothing at its path.
    """
    if not isinstance(operations, list) or not operations:
        raise InvalidPatch("the body must be a list of operations")
    patched: Any = deepcopy(document)
    for operation in operations:
        if not isinstance(operation, dict) or operation.get("op") not in _PATCH_OPERATIONS:
            raise InvalidPatch("each operation must be one of add, remove, replace")
        try:
            patched = jsonpatch.apply_patch(patched, [operation], in_place=True)
        except jsonpatch.InvalidJsonPatch as invalid:
            raise InvalidPatch(str(invalid)) from None
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
            raise InvalidPatch(f"nothing at {operation.get('path')}") from None
    if not isinstance(patched, dict):
        raise InvalidPatch("the document must stay an object")
    return patched
