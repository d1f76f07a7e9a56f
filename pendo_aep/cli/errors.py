"""What goes wrong around a command, in one line that says what to do."""

from __future__ import annotations

from google.api_core import exceptions


class CommandFailed(Exception):
    """The command cannot go on; the text is for the person who called it."""


def explain(error: exceptions.GoogleAPIError) -> str:
    """An error of Pub/Sub's as one line."""
    cause = error.cause if isinstance(error, exceptions.RetryError) else error
    said = " ".join(str(getattr(cause, "message", cause)).split())
    match cause:
        case exceptions.PermissionDenied():
            return f"no permission: {said} (the roles that suffice: roles/pubsub.viewer and, on \
the subscription, roles/pubsub.subscriber; to replay, roles/pubsub.publisher on PUBSUB_TOPIC)"
        case exceptions.Unauthenticated():
            return f"Google does not know you: {said} (gcloud auth application-default login)"
        case exceptions.NotFound():
            return f"Pub/Sub has no such thing: {said}"
        case exceptions.FailedPrecondition():
            return f"Pub/Sub cannot do this: {said} (only a pull subscription can be read)"
        case exceptions.ServiceUnavailable() | exceptions.DeadlineExceeded():
            return f"Pub/Sub is out of reach: {said}"
    return f"Pub/Sub refused: {type(cause).__name__}: {said}"
