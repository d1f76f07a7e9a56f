"""What every call passes first: headers, token, organisation, sandbox, permission, Content-Type.

Adobe, "Platform troubleshooting": the gateway's error codes.
"""

from __future__ import annotations

from collections.abc import Mapping

from local.aep import AepServer
from local.aep_platform import assumed, catalog, errors, schema_registry
from local.aep_platform.call import Call, Permission, Route, allows
from local.aep_platform.state import PlatformState
from local.http_server import ApiError, JsonResponse

_SANDBOXES = "/data/foundation/sandbox-management"
_WITH_BODY = {"POST", "PUT", "PATCH"}


class Gateway:
    """Lets calls through to the state of their sandbox."""

    def __init__(self, aep: AepServer, states: Mapping[str, PlatformState]) -> None:
        """Takes what issued the tokens, and the sandboxes that the credential may use, by name."""
        self._aep = aep
        self._states = states

    def admit(self, path: str, headers: Mapping[str, str]) -> PlatformState:
        """Returns the state of the sandbox that a call names.

        Raises:
            ApiError: a header is missing or wrong.
        """
        authorization, key = headers.get("Authorization"), headers.get("x-api-key")
        organisation = headers.get("x-gw-ims-org-id")
        if not authorization:
            raise errors.gateway("403010", "Oauth token is missing.")
        if not key:
            raise errors.gateway("403000", "Api Key is required")
        if not organisation:
            raise errors.gateway("400003", "Missing header")
        if self._aep.tokens.wrong_in(authorization):
            raise errors.gateway("401013", "Oauth token is not valid")
        if key != self._aep.client_id:
            raise errors.gateway("403003", "Api Key is invalid")
        first = next(iter(self._states.values()))
        if organisation != first.ims_org_id:
            raise errors.gateway("403025", "Profile is not valid")
        if path.rstrip("/") == _SANDBOXES:  # asked to find out which sandboxes there are
            return first
        return self._sandbox(headers.get("x-sandbox-name"))

    def _sandbox(self, name: str | None) -> PlatformState:
        if not name:
            raise errors.gateway(assumed.MISSING_SANDBOX_CODE, "Missing header")
        if name not in self._states:
            detail = assumed.UNKNOWN_SANDBOX_DETAIL.format(sandbox=name)
            raise errors.service("sandbox", assumed.UNKNOWN_SANDBOX_STATUS, detail)
        return self._states[name]

    def routes(self) -> tuple[Route, ...]:
        """Sandbox management: the one operation that is not an administrator's."""
        return (Route("GET", _SANDBOXES, self._list_sandboxes, Permission.VIEW_SANDBOXES),)

    def _list_sandboxes(self, _: Call) -> JsonResponse:
        sandboxes = [
            {"name": name, "title": name.capitalize(), "state": "active"} for name in self._states
        ]
        page = {"limit": 100, "count": len(sandboxes)}
        return JsonResponse(200, {"sandboxes": sandboxes, "_page": page})


def check_permission(route: Route, granted: set[Permission]) -> None:
    """Checks that the role has the permission that an operation needs.

    Raises:
        ApiError: it does not.
    """
    if route.needs is not None and not allows(granted, route.needs):
        raise errors.missing_permission("access-control", route.needs)


def check_content_type(call: Call) -> None:
    """Checks that a body is said to be JSON (Adobe: on every POST, PUT and PATCH).

    Raises:
        ApiError: it is not.
    """
    media_type = call.headers.get("Content-Type", "").partition(";")[0].strip()
    if call.method not in _WITH_BODY or not call.body or media_type == "application/json":
        return
    if call.path.startswith(schema_registry.BASE):
        # Adobe, an older page of the registry.
        problem = {"type": "/placeholder/type/uri", "status": 400, "title": "BadRequestError"}
        raise ApiError(400, {**problem, "detail": "A valid content-type must be specified"})
    is_patch_of_catalog = call.method == "PATCH" and call.path.startswith(catalog.BASE)
    if not is_patch_of_catalog or media_type != catalog.JSON_PATCH:
        detail = f"The Content-Type '{media_type}' is not supported here"
        raise errors.service("gateway", assumed.CONTENT_TYPE_STATUS, detail)
