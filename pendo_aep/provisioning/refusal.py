"""AEP's refusals as a text: what is wrong, what AEP said, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from pendo_aep.provisioning.permission import Permission

_LONGEST_DETAIL: Final = 400
_PRODUCT: Final = (
    "in Adobe's Developer Console, add the Experience Platform API (OAuth Server-to-Server, "
    "product profile AEP-Default-All-Users) to the project of the credential"
)
# Adobe: "Platform troubleshooting", the gateway's codes.
_GATEWAY: Final = {
    "403000": ("no API key was sent", "set AEP_CLIENT_ID"),
    "403003": (
        "the API key (AEP_CLIENT_ID) has no access to the Experience Platform API",
        _PRODUCT,
    ),
    "400003": ("a header is missing", "set AEP_IMS_ORG_ID, AEP_SANDBOX and AEP_CLIENT_ID"),
    "403025": (
        "the credential does not belong to the organisation AEP_IMS_ORG_ID",
        "copy both from the same project of Adobe's Developer Console",
    ),
    "403010": ("no token was sent", "set AEP_CLIENT_ID and AEP_CLIENT_SECRET"),
    "401013": ("the token is not valid", "check AEP_SCOPES, and that AEP_IMS_URL is Adobe's"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error body says, whichever of AEP's shapes it has."""

    code: str
    detail: str


def read_problem(body: bytes) -> Problem:
    """The code and the text of an error body; empty where it has none.

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
    detail = next(
        (
            str(text)
            for text in (
                answer.get("detail"),
                answer.get("description"),
                answer.get("message"),
                report.get("detailed-message"),
                report.get("message"),
                answer.get("title"),
            )
            if text
        ),
        "",
    )
    plain = " ".join("".join(c if c.isprintable() else " " for c in detail).split())
    return Problem(str(code), plain[:_LONGEST_DETAIL])


def explain(
    status: int, problem: Problem, action: str, needs: Permission | None, sandbox: str
) -> str:
    """The text for a refusal.

    Args:
        status: of HTTP.
        problem: what the body says.
        action: what was being done, such as `create schema`.
        needs: the permission that it takes.
        sandbox: where.
    """
    why, next_step = _cause(status, problem, needs, sandbox)
    said = f" (AEP: {status} {problem.detail})" if problem.detail else f" (AEP: {status})"
    return f"{action}: {why}{said}: {next_step}"


def _cause(
    status: int, problem: Problem, needs: Permission | None, sandbox: str
) -> tuple[str, str]:
    if found := _GATEWAY.get(problem.code):
        return found
    if status == 401:
        return "the token lacks the product Experience Platform", _PRODUCT
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
        return "it is gone, or never was there", "run the command again"
    if status in {409, 412}:
        return "somebody else has changed it meanwhile", "run the command again"
    return (
        "AEP does not take it",
        "compare with Adobe's documentation of this call, and report it as a defect",
    )
