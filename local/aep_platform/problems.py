"""How the APIs say no: one body shape for the gateway, and one for each service behind it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from local.aep_platform import assumed


class Refused(Exception):
    """The call is answered with this status and body, and has changed nothing."""

    def __init__(self, status: int, body: object) -> None:
        """Takes the HTTP status and the JSON body."""
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


def gateway(error_code: str, message: str) -> Refused:
    """Adobe, "Platform troubleshooting": the status is the first three digits of the code."""
    return Refused(int(error_code[:3]), {"error_code": error_code, "message": message})


def registry(code: str, title: str, detail: str) -> Refused:
    """Adobe, "XDM System troubleshooting"; `code` such as `XDM-1521-400` ends in the status."""
    status = int(code[-3:])
    return Refused(
        status,
        {
            "type": f"http://ns.adobe.com/aep/errors/{code}",
            "title": title,
            "status": status,
            "report": {
                "registryRequestId": str(uuid4()),
                "timestamp": f"{datetime.now(UTC):%m-%d-%Y %H:%M:%S}",
                "detailed-message": detail,
                "sub-errors": [],
            },
            "detail": detail,
        },
    )


def wrong_content_type() -> Refused:
    """Adobe, an older page of the registry: what it says of a body that is not said to be JSON."""
    return Refused(
        400,
        {
            "type": "/placeholder/type/uri",
            "status": 400,
            "title": "BadRequestError",
            "detail": "A valid content-type must be specified",
        },
    )


def namespace(status: int, title: str, description: str, code: str) -> Refused:
    """Adobe's OpenAPI of the Identity Service."""
    return Refused(
        status,
        {
            "timestamp": datetime.now(UTC).isoformat(),
            "type": "http://ns.adobe.com/adobecloud/problem/namespacevalidation",
            "status": status,
            "description": description,
            "title": title,
            "report": {"code": code},
        },
    )


def service(name: str, status: int, detail: str) -> Refused:
    """A problem of Catalog, Flow Service or Data Prep, whose error bodies Adobe does not print."""
    return Refused(
        status,
        {
            "type": assumed.PROBLEM_TYPE.format(service=name, status=status),
            "title": assumed.PROBLEM_TITLES.get(status, "Error"),
            "status": status,
            "detail": detail,
        },
    )
