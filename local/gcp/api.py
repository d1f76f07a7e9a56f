"""What all APIs share: calls, responses, errors, routes, and how slowly Google notices changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias, TypeVar

import orjson

from local.gcp.state import Json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call and its result.

    Attributes:
        path: with the name of the API in front, as in `pubsub/v1/projects/P/topics/T`.
        changed: whether it changes something, and succeeded.
    """

    method: str
    path: str
    status: int
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of an API that is enabled.

    Attributes:
        params: the parts of the path that the route's template names.
        headers: case-insensitive.
        body: as sent.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    params: Mapping[str, str]
    body: bytes

    def fields(self) -> Json:
        """Returns the body, which must be a JSON object; none is an empty one.

        Raises:
            ApiError: it is something else.
        """
        try:
            document = orjson.loads(self.body or b"{}")
        except orjson.JSONDecodeError:
            raise invalid("Invalid JSON payload received.") from None
        if not isinstance(document, dict):
            raise invalid("Invalid JSON payload received: not an object.")
        return document


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a call that succeeded."""

    body: object = field(default_factory=dict)


Handler: TypeAlias = Callable[[Call], Response]


@dataclass(frozen=True)
class Route:
    """One operation of an API.

    Attributes:
        method: in capitals.
        template: a path with the API's name in front; `{name}` stands for one segment, or for what
            is before the colon of a verb.
        handler: does it.
        changes: whether it changes something.
        lane: calls of the same lane must not overlap; empty if they may.
    """

    method: str
    template: str
    handler: Handler
    changes: bool = False
    lane: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", self.template))

    def match(self, path: str) -> dict[str, str] | None:
        """Returns the params of a path, or None if it does not match."""
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None


# Google: google.rpc.Code, by the status that HTTP has for it.
_CODES: Final = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    501: "UNIMPLEMENTED",
}


class ApiError(Exception):
    """A call is refused, with the status and the body of the response."""

    def __init__(self, status: int, message: str, /, **more: Any) -> None:
        """Takes the HTTP status, what is wrong, and more keys of the error, or other values."""
        super().__init__(message)
        self.status = status
        error = {"code": status, "message": message, "status": _CODES[status], **more}
        self.body = {"error": error}


def invalid(message: str) -> ApiError:
    """Returns that the call itself is wrong."""
    return ApiError(400, message)


def not_found(name: str) -> ApiError:
    """Returns that there is no such resource."""
    return ApiError(404, f"Resource not found (resource={name}).")


def find(kept: Mapping[str, T], call: Call, param: str) -> T:
    """Returns what a param of the path names.

    Raises:
        ApiError: it does not exist.
    """
    name = call.params[param]
    if name not in kept:
        raise not_found(name)
    return kept[name]


def already_exists(name: str) -> ApiError:
    """Returns that there is such a resource already."""
    return ApiError(409, f"Resource already exists in the project (resource={name}).")


def api_disabled(service: str, project: str) -> ApiError:
    """Returns that the API has not been enabled.

    Google: Service Usage, error details of `SERVICE_DISABLED`.
    """
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
        "metadata": {"service": service, "consumer": f"projects/{project}"},
    }
    message = f"{service} has not been used in project {project} before or it is disabled."
    return ApiError(403, message, details=[detail])


class Propagation:
    """How long Google takes to notice what was created or granted, counted in refusals.

    Google: IAM "access change propagation", typically 2 minutes; "service accounts overview", 60
    seconds or more; Cloud Monitoring, up to 10 minutes for a new metric. What each API says
    meanwhile is the text of public deployment logs, named where it is used.

    Attributes:
        refusals: for each thing that is created or granted from now on; 0 is at once.
    """

    def __init__(self) -> None:
        """Google notices everything at once, until it is told otherwise."""
        self.refusals = 0
        self._left: dict[str, int] = {}

    def begin(self, thing: str) -> None:
        """Marks something as just created or granted."""
        if self.refusals:
            self._left[thing] = self.refusals

    def check(self, thing: str, refused: ApiError) -> None:
        """Refuses what depends on something that Google has not noticed yet.

        Raises:
            ApiError: the one that was given.
        """
        if self._left.get(thing):
            self._left[thing] -= 1
            raise refused
