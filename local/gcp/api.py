"""What all APIs share: calls, refusals, routes, and how slowly Google notices changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import orjson

from local import http_server
from local.gcp.state import Json
from local.http_server import JsonResponse

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(http_server.Call):
    """A call of an API that is enabled."""

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


@dataclass(frozen=True)
class Route(http_server.Route[Call]):
    """One operation; its template has the API's name in front, and no slash before that.

    Attributes:
        lane: calls of the same lane must not overlap; empty if they may.
    """

    lane: str = field(default="", kw_only=True)


def collection(
    place: str, kind: str, kept: dict[str, Json], *, lane: str = ""
) -> tuple[Route, ...]:
    """Returns the operations that list resources, show one, and delete one.

    Args:
        place: the start of their template.
        kind: the name of the collection, in the path and in the list.
        kept: the resources.
        lane: of the deletion.
    """
    one = f"{place}/{kind}/{{name}}"

    def delete(call: Call) -> JsonResponse:
        take(kept, call)
        return JsonResponse(200, {})

    return (
        Route("GET", f"{place}/{kind}", lambda _: listed(kind, [*kept.values()])),
        Route("GET", one, lambda call: JsonResponse(200, find(kept, call))),
        Route("DELETE", one, delete, changes=True, lane=lane),
    )


def listed(key: str, found: list[Json]) -> JsonResponse:
    """Returns a list as Google's JSON has it: it leaves out what is empty."""
    return JsonResponse(200, {key: found} if found else {})


def find(kept: Mapping[str, T], call: Call) -> T:
    """Returns what the `name` of the path names.

    Raises:
        ApiError: it does not exist.
    """
    name = call.params["name"]
    if name not in kept:
        raise not_found(name)
    return kept[name]


def take(kept: dict[str, T], call: Call) -> T:
    """Removes what the `name` of the path names, and returns it.

    Raises:
        ApiError: it does not exist.
    """
    found = find(kept, call)
    del kept[call.params["name"]]
    return found


def update(old: Json, sent: Json, mask: str) -> Json:
    """Returns a copy of a resource with the fields of an update mask as they were sent.

    A field of the mask that was not sent is removed. The mask may spell it in snake case.
    """
    body = old
    for path in mask.split(","):
        keys = [re.sub(r"_(\w)", lambda m: m[1].upper(), key) for key in path.split(".")]
        body = _updated(body, sent, keys)
    return body


def _updated(old: Json, sent: Json, keys: list[str]) -> Json:
    key, *rest = keys
    body = dict(old)
    if rest:
        body[key] = _updated(old.get(key) or {}, sent.get(key) or {}, rest)
    elif key in sent:
        body[key] = sent[key]
    else:
        body.pop(key, None)
    return body


# Google: google.rpc.Code, by the status that HTTP has for it.
_CODES: Final = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    501: "UNIMPLEMENTED",
}


class ApiError(http_server.ApiError):
    """A refusal in Google's shape.

    Attributes:
        message: what is wrong.
    """

    def __init__(self, status: int, message: str, /, **more: Any) -> None:
        """Takes the HTTP status, what is wrong, and more keys of the error, or other values."""
        error = {"code": status, "message": message, "status": _CODES[status], **more}
        super().__init__(status, {"error": error})
        self.message = message


def invalid(message: str) -> ApiError:
    """Returns that the call itself is wrong."""
    return ApiError(400, message)


def not_found(name: str) -> ApiError:
    """Returns that there is no such resource."""
    return ApiError(404, f"Resource not found (resource={name}).")


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
