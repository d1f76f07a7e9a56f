"""The protobuf messages of the few Pub/Sub methods that the functions call, from Google's package.

Importing `google.pubsub_v1` as it stands imports its clients and all they need (`requests`,
`cryptography`, every transport), which takes four times as long as the messages do, and a function
that starts with a webhook in its hands has no use for them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from typing import Any, Final


@contextmanager
def _without_its_clients(package: str) -> Iterator[None]:
    """Lets modules of the package be imported without running the package's own `__init__`."""
    spec = find_spec(package) if package not in sys.modules else None
    if spec is None:  # it has run already, so there is nothing left to save
        yield
        return
    sys.modules[package] = module_from_spec(spec)
    try:
        yield
    finally:
        # Whoever wants the clients later gets the real package, around the same messages.
        del sys.modules[package]


with _without_its_clients("google.pubsub_v1"):
    from google.pubsub_v1.types import pubsub

# The plain protobuf classes: Google's own wrappers around them cost more than the call.
Message: Final[Any] = pubsub.PubsubMessage.pb()
PublishRequest: Final[Any] = pubsub.PublishRequest.pb()
PublishResponse: Final[Any] = pubsub.PublishResponse.pb()
PullRequest: Final[Any] = pubsub.PullRequest.pb()
PullResponse: Final[Any] = pubsub.PullResponse.pb()
AcknowledgeRequest: Final[Any] = pubsub.AcknowledgeRequest.pb()
ModifyAckDeadlineRequest: Final[Any] = pubsub.ModifyAckDeadlineRequest.pb()
