"""Adobe's token endpoint (IMS): OAuth server-to-server credentials in, a bearer token out."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one client that the token endpoint knows."""

    client_id: str
    client_secret: str


class TokenService:
    """Issues tokens, and says which of them are good."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._expiry: dict[str, float] = {}
        self.issued = 0

    def request(
        self, form: Mapping[str, object], lifetime_seconds: int
    ) -> tuple[int, dict[str, object]]:
        """Answer a token request with a status and a body (OAuth 2.0, RFC 6749, section 5)."""
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        if Credentials(str(form.get("client_id")), str(form.get("client_secret"))) != (
            self._credentials
        ):
            return 401, {"error": "invalid_client"}
        if not form.get("scope"):  # assumed: Adobe shows no request without
            return 400, {"error": "invalid_scope"}
        self.issued += 1
        token = f"token-{self.issued}-{uuid4().hex}"
        self._expiry[token] = time.monotonic() + lifetime_seconds
        return 200, {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": lifetime_seconds,
        }

    def wrong_in(self, authorization: str | None) -> str | None:
        """Return what is wrong with an `Authorization` header, None where nothing is."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "Ims service token is empty"
        if self._expiry.get(token, 0.0) <= time.monotonic():
            return "Ims service token is invalid or expired"
        return None

    def revoke(self) -> None:
        """Make every token issued so far worthless."""
        self._expiry.clear()
