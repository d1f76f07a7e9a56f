"""What every call passes first: its headers, its token, its organisation and its sandbox.

Adobe, "Platform troubleshooting": the gateway's error codes.
"""

from __future__ import annotations

from collections.abc import Mapping

from local.aep import AepServer
from local.aep_platform import assumed, problems, sandboxes
from local.aep_platform.state import PlatformState


class Gateway:
    """Lets calls through to the state of their sandbox.

    Attributes:
        sandboxes: the sandboxes that the credential may use, by name.
    """

    def __init__(self, aep: AepServer, states: Mapping[str, PlatformState]) -> None:
        self.sandboxes = states
        self._aep = aep

    def admit(self, path: str, headers: Mapping[str, str]) -> PlatformState:
        """The state of the sandbox that a call names.

        Raises:
            Refused: a header is missing or wrong.
        """
        authorization, key = headers.get("Authorization"), headers.get("x-api-key")
        organisation = headers.get("x-gw-ims-org-id")
        if not authorization:
            raise problems.gateway("403010", "Oauth token is missing.")
        if not key:
            raise problems.gateway("403000", "Api Key is required")
        if not organisation:
            raise problems.gateway("400003", "Missing header")
        if self._aep.tokens.wrong_in(authorization):
            raise problems.gateway("401013", "Oauth token is not valid")
        if key != self._aep.client_id:
            raise problems.gateway("403003", "Api Key is invalid")
        first = next(iter(self.sandboxes.values()))
        if organisation != first.ims_org_id:
            raise problems.gateway("403025", "Profile is not valid")
        if path.rstrip("/") == sandboxes.PATH:  # which is asked to find out what there is
            return first
        return self._sandbox(headers.get("x-sandbox-name"))

    def _sandbox(self, name: str | None) -> PlatformState:
        if not name:
            raise problems.gateway(assumed.MISSING_SANDBOX_CODE, "Missing header")
        if name not in self.sandboxes:
            raise problems.service(
                "sandbox",
                assumed.UNKNOWN_SANDBOX_STATUS,
                assumed.UNKNOWN_SANDBOX_DETAIL.format(sandbox=name),
            )
        return self.sandboxes[name]
