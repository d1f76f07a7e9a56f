"""Verifies that a webhook comes from Pendo, over the raw bytes, before anything parses them.

Pendo: "Webhooks", X-Pendo-Signature: the hex HMAC-SHA256 of the raw body, keyed with the secret as
typed. There is no signed time and no documented rotation, hence the list of active secrets.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import NewType

VerifiedBody = NewType("VerifiedBody", bytes)
"""Bytes with a valid signature, or that the settings accept unsigned. Only these are parsed."""

_PREFIX = b"sha256="


class SignatureMissing(Exception):
    """The request has no signature."""


class SignatureWrong(Exception):
    """The request has a signature, and it is not valid under any active secret."""


def verify(body: bytes, signatures: Sequence[str], secrets: Iterable[bytes]) -> VerifiedBody:
    """Returns the same bytes, now known to be from Pendo.

    Args:
        body: the raw bytes of the request, not re-serialised.
        signatures: the values of all signature headers; more than one is not accepted.
        secrets: the active secrets; all are tried.

    Raises:
        SignatureMissing: there is no signature.
        SignatureWrong: it is not valid under any of the secrets.
    """
    if not signatures:
        raise SignatureMissing
    if len(signatures) > 1:
        raise SignatureWrong
    given = signatures[0].strip().lower().encode("utf-8", "replace").removeprefix(_PREFIX)
    is_valid = False
    for secret in secrets:
        expected = hmac.digest(secret, body, "sha256").hex().encode()
        # No early exit: the time this takes must not tell which secret matched.
        is_valid |= hmac.compare_digest(expected, given)
    if not is_valid:
        raise SignatureWrong
    return VerifiedBody(body)
