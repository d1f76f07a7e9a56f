"""One call of an API, as its handler sees it, and what the handler answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote

import orjson
from multidict import MultiMapping

from local.aep_platform import problems
from local.aep_platform.permissions import Permission
from local.aep_platform.state import PlatformState

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that has passed the gateway.

    Attributes:
        method: in capitals.
        path: as sent, percent-encoding included.
        params: what stands in the path for the names of the route's template, decoded.
        query: may hold a name several times.
        headers: case-insensitive.
        body: as sent.
        state: of the sandbox that the call names.
        permissions: of the role that the credential has.
    """

    method: str
    path: str
    query: MultiMapping[str]
    headers: Mapping[str, str]
    body: bytes = b""
    state: PlatformState
    permissions: set[Permission] = field(default_factory=set)
    params: Mapping[str, str] = field(default_factory=dict)

    def document(self, service: str) -> Any:
        """The body, read.

        Raises:
            Refused: it is not JSON.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise problems.service(service, 400, "The request body is not JSON") from None

    def fields(self, service: str, *required: str) -> Json:
        """The body, which must be an object that has these keys.

        Raises:
            Refused: it is something else.
        """
        document = self.document(service)
        if not isinstance(document, dict):
            raise problems.service(service, 400, "The request body is not a JSON object")
        for name in required:
            if document.get(name) in (None, "", {}, []):
                raise problems.service(service, 400, f"'{name}' is required")
        return document


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call that succeeded is told; `changed` False where there was nothing to change."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    changed: bool = True


Handler: TypeAlias = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of an API.

    Attributes:
        method: in capitals.
        template: a path; `{name}` stands for one segment, which may hold an encoded slash.
        handler: does it.
        needs: the permission that the role must have; None where Adobe lists none.
        changes: whether it changes what exists, when it succeeds.
    """

    method: str
    template: str
    handler: Handler
    needs: Permission | None
    changes: bool = False

    def match(self, path: str) -> dict[str, str] | None:
        """The params of a path as sent; None where it is another's."""
        wanted, found = self.template.split("/"), path.rstrip("/").split("/")
        if len(wanted) != len(found):
            return None
        params: dict[str, str] = {}
        for name, segment in zip(wanted, found, strict=True):
            if name.startswith("{"):
                params[name[1:-1]] = unquote(segment)
            elif name != segment:
                return None
        return params
