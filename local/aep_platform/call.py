"""A call of AEP's platform APIs as its handler sees it, the routes, and what a role allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jsonpatch
import orjson

from local import http_server
from local.aep_platform import errors
from local.aep_platform.state import Json, PlatformState


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

    def matches(self, item: Mapping[str, Any]) -> bool:
        """Returns whether an item passes every `property` filter of the query."""
        return all(_passes(item, one) for one in self.query.getall("property", []))


@dataclass(frozen=True)
class Route(http_server.Route[Call]):
    """One operation; `needs` is the permission that it takes, None where Adobe lists none."""

    needs: Permission | None


_PATCH_OPERATIONS = frozenset({"add", "remove", "replace"})


class InvalidPatch(Exception):
    """A patch that is not JSON Patch, or does not fit the document; the text says why."""


def apply_json_patch(document: Json, operations: object) -> Json:
    """Returns a patched copy of a document. Adobe's APIs take add, remove and replace only.

    Raises:
        InvalidPatch: the operations are malformed, or one of them finds nothing at its path.
    """
    if not isinstance(operations, list) or not operations:
        raise InvalidPatch("the body must be a list of operations")
    patched: Any = document
    for operation in operations:
        if not isinstance(operation, dict) or operation.get("op") not in _PATCH_OPERATIONS:
            raise InvalidPatch("each operation must be one of add, remove, replace")
        try:
            patched = jsonpatch.apply_patch(patched, [operation])
        except jsonpatch.InvalidJsonPatch as invalid:
            raise InvalidPatch(str(invalid)) from None
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
            raise InvalidPatch(f"nothing at {operation.get('path')}") from None
    if not isinstance(patched, dict):
        raise InvalidPatch("the document must stay an object")
    return patched


# The filters of the registry, Catalog and Flow Service: `name`, `!name`, `name==value`, ...
_FILTER = re.compile(r"(?P<name>.+?)(?P<operator>==|!=|<=|>=|<|>|~)(?P<value>.*)", re.DOTALL)
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<=": lambda a, b: _number(a) <= _number(b),
    ">=": lambda a, b: _number(a) >= _number(b),
    "<": lambda a, b: _number(a) < _number(b),
    ">": lambda a, b: _number(a) > _number(b),
    "~": lambda a, b: re.search(b, a) is not None,
}


def _number(value: str) -> tuple[float, str]:
    try:
        return float(value), ""
    except ValueError:
        return 0.0, value


def _passes(item: Mapping[str, Any], text: str) -> bool:
    found = _FILTER.fullmatch(text)
    if found is None:
        return bool(_values(item, text.removeprefix("!"))) is not text.startswith("!")
    holds: Iterable[bool] = (
        _OPERATORS[found["operator"]](value, found["value"])
        for value in _values(item, found["name"])
    )
    return all(holds) if found["operator"] == "!=" else any(holds)


def _values(item: Mapping[str, Any], name: str) -> list[str]:
    """Returns the values at a key or a dotted path; of a list, its elements."""
    value: Any = item.get(name)
    if value is None:
        value = item
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
    if value is None:
        return []
    return [_text(one) for one in value] if isinstance(value, list) else [_text(value)]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
