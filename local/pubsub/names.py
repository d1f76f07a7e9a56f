"""Resource names (Google: Pub/Sub resource name guidelines)."""

import re
from typing import Literal

from local.pubsub.errors import InvalidArgumentError

_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~%+-]{2,254}")


def check_name(name: str, kind: Literal["topics", "subscriptions"]) -> None:
    """Refuse what is not `projects/PROJECT/{kind}/ID` with an id that Google allows.

    Raises:
        InvalidArgumentError: It is not.
    """
    match name.split("/"):
        case ["projects", project, given, id_] if project and given == kind and _ID.fullmatch(id_):
            return
    raise InvalidArgumentError(
        f"Invalid resource name given (name={name}). Refer to "
        "https://cloud.google.com/pubsub/docs/admin#resource_names for more information."
    )


def split_name(name: str) -> tuple[str, str]:
    """The project and the id in a full resource name."""
    _, project, _, id_ = name.split("/")
    return project, id_
