"""Errors of the set-up: what AEP's refusals mean, and what the person should do next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson


class PlatformError(Exception):
    """The set-up cannot continue; the text says what is wrong and what to do."""


class Unreachable(PlatformError):
    """AEP or its token endpoint does not answer, or asks for a longer pause than we wait."""


class RequestRejected(PlatformError):
    """AEP rejected a call, so nothing has changed; `status` is the HTTP status."""

    def __init__(self, status: int, code: str, text: str) -> None:
        """Takes the status, AEP's own code, and what is wrong with what to do."""
        super().__init__(text)
        self.status = status
        self.code = code

    @property
    def is_permission(self) -> bool:
        """Whether a permission is missing. The gateway, whose codes are numbers, has none."""
        return self.status == 403 and not self.code.isdecimal()


class UncertainOutcome(PlatformError):
    """A write got no answer: it may have taken effect, or not.

    Never repeat it blindly: names are not unique in AEP, so look first.
    """

    def __init__(self, text: str, retry_after: float = 0.0) -> None:
        """Takes what happened, and the seconds that AEP asks to wait."""
        super().__init__(text)
        self.retry_after = retry_after


class Conflict(PlatformError):
    """An existing resource cannot be changed into the desired one; nothing has been changed."""


class NameTaken(Conflict):
    """Something else has a name that must be unique, so the resource cannot be created."""


class NotKept(PlatformError):
    """AEP accepts a change, and does not show it afterwards."""


class Permission(StrEnum):
    """A permission that a role in AEP must have, as Adobe's UI calls it.

    Adobe: "Access control overview". Which call needs which permission is inferred from their
    descriptions: Adobe has no table of it.
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
    MANAGE_QUERIES = "Manage Queries"
    # "Manage data usage labels in the UI"; an older table has it as Apply Data Usage Labels.
    MANAGE_LABELS = "Manage Schemas, and Manage Usage Labels"


@dataclass(frozen=True, slots=True)
class Problem:
    """The code and the text of an error body, in whichever of AEP's shapes it came."""

    code: str
    detail: str


_MAX_DETAIL_CHARACTERS: Final = 400


def read_problem(body: bytes) -> Problem:
    """Returns the code and the text of an error body; empty if it has none.

    Adobe: the gateway answers `error_code` and `message`; the registry `type` and `detail`;
    the Identity Service `title`, `description` and `report`.
    """
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Problem("", "")
    if not isinstance(answer, dict):
        return Problem("", "")
    report: Any = answer.get("report")
    report = report if isinstance(report, dict) else {}
    code = answer.get("error_code") or str(answer.get("type", "")).rpartition("/")[2]
    texts = (
        answer.get("detail"),
        answer.get("description"),
        answer.get("message"),
        report.get("detailed-message"),
        report.get("message"),
        answer.get("title"),
    )
    detail = next((str(text) for text in texts if text), "")
    plain = " ".join("".join(c if c.isprintable() else " " for c in detail).split())
    return Problem(str(code), plain[:_MAX_DETAIL_CHARACTERS])


_ADD_PRODUCT: Final = (
    "in Adobe's Developer Console, add the Experience Platform API (OAuth Server-to-Server, "
    "product profile AEP-Default-All-Users) to the project of the credential"
)
# Adobe: "Platform troubleshooting", the gateway's codes.
_GATEWAY_CODES: Final = {
    "403000": ("no API key was sent", "set AEP_CLIENT_ID"),
    "403003": (
        "the API key (AEP_CLIENT_ID) has no access to the Experience Platform API",
        _ADD_PRODUCT,
    ),
    "400003": ("a header is missing", "set AEP_IMS_ORG_ID, AEP_SANDBOX and AEP_CLIENT_ID"),
    "403025": (
        "the credential does not belong to the organisation AEP_IMS_ORG_ID",
        "copy both from the same project of Adobe's Developer Console",
    ),
    "403010": ("no token was sent", "set AEP_CLIENT_ID and AEP_CLIENT_SECRET"),
    "401013": ("the token is not valid", "check AEP_SCOPES, and that AEP_IMS_URL is Adobe's"),
}


def explain(
    status: int, problem: Problem, action: str, needs: Permission | None, sandbox: str
) -> str:
    """Returns one line for a rejected call: what is wrong, what AEP said, what to do next.

    Args:
        status: the HTTP status.
        problem: what the body says.
        action: what was being done, such as `create schema`.
        needs: the permission that it takes.
        sandbox: the sandbox of the call.
    """
    cause, next_step = _cause(status, problem, needs, sandbox)
    said = f" (AEP: {status} {problem.detail})" if problem.detail else f" (AEP: {status})"
    return f"{action}: {cause}{said}: {next_step}"


def _cause(
    status: int, problem: Problem, needs: Permission | None, sandbox: str
) -> tuple[str, str]:
    if found := _GATEWAY_CODES.get(problem.code):
        return found
    if status == 401:
        return "the token lacks the product Experience Platform", _ADD_PRODUCT
    if status == 403:
        role = f"a role that includes the sandbox {sandbox}"
        wanted = f"the permission {needs}" if needs else "access to this API"
        return (
            f"no permission in the sandbox {sandbox}",
            f"in AEP, Permissions > Roles, give the API credential {role} and has {wanted}",
        )
    if "XDM-1521" in problem.code:
        return "the title is taken in the Schema Registry", "choose another --name"
    if status == 404:
        return "it does not exist (any more)", "run the command again"
    if status in {409, 412}:
        return "somebody else has changed it meanwhile", "run the command again"
    return (
        "AEP does not accept the request",
        "compare it with Adobe's documentation of this call, and report it as a defect",
    )
