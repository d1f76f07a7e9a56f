"""What Google's APIs answer when they refuse: one shape of body for all of them."""

from __future__ import annotations

from typing import Any, Final

# Google: google.rpc.Code, by the status that HTTP has for it.
_CODES: Final = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    501: "UNIMPLEMENTED",
}


class Refused(Exception):
    """A call that is refused, with the status and the body of the answer."""

    def __init__(self, status: int, message: str, /, **more: Any) -> None:
        """Takes the status of HTTP, what is wrong, and other or further keys of the error."""
        super().__init__(message)
        self.status = status
        error = {"code": status, "message": message, "status": _CODES[status], **more}
        self.body = {"error": error}


def invalid(message: str) -> Refused:
    """The call itself is wrong."""
    return Refused(400, message)


def not_found(name: str) -> Refused:
    """There is no such thing."""
    return Refused(404, f"Resource not found (resource={name}).")


def exists(name: str) -> Refused:
    """There is such a thing already."""
    return Refused(409, f"Resource already exists in the project (resource={name}).")


def disabled(service: str, project: str) -> Refused:
    """The API has not been enabled.

    Google: Service Usage, error details of `SERVICE_DISABLED`.
    """
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
        "metadata": {"service": service, "consumer": f"projects/{project}"},
    }
    message = f"{service} has not been used in project {project} before or it is disabled."
    return Refused(403, message, details=[detail])
