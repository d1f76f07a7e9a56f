"""What a publish request may hold (Google: Pub/Sub quotas and limits, resource limits)."""

from collections.abc import Sequence

from local.pubsub.errors import InvalidArgumentError
from local.pubsub.messages import Draft

MAX_REQUEST_BYTES = 10_000_000
MAX_MESSAGES = 1_000
MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1_024


def check(drafts: Sequence[Draft]) -> None:
    """Refuse what Google refuses; the size of the request is checked where it is known.

    Raises:
        InvalidArgumentError: Naming the rule that is broken.
    """
    if not drafts:
        raise InvalidArgumentError("a publish request needs a message")
    if len(drafts) > MAX_MESSAGES:
        raise InvalidArgumentError(f"a publish request holds at most {MAX_MESSAGES} messages")
    for data, attributes in drafts:
        if not data and not attributes:
            raise InvalidArgumentError("a message needs data or an attribute")
        if len(attributes) > MAX_ATTRIBUTES:
            raise InvalidArgumentError(f"a message has at most {MAX_ATTRIBUTES} attributes")
        for key, value in attributes.items():
            if not 0 < len(key.encode()) <= MAX_KEY_BYTES:
                raise InvalidArgumentError(f"an attribute key has 1 to {MAX_KEY_BYTES} bytes")
            if len(value.encode()) > MAX_VALUE_BYTES:
                raise InvalidArgumentError(
                    f"an attribute value has at most {MAX_VALUE_BYTES} bytes"
                )
