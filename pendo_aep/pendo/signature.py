"""Is this body from Pendo? Decided over the raw bytes, before anything reads them.

Pendo: "Webhooks", X-Pendo-Signature: the hex HMAC-SHA256 of the raw body, keyed with the secret as
typed. There is no signed time and no documented rotation, hence the list of active secrets.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import NewType

VerifiedBody = NewType("VerifiedBody", bytes)
"""Bytes whose signature was right, or that the settings accept unsigned. Only these are parsed."""

_PREFIX = b"sha256="


class SignatureMissing(Exception):
    """The request carries no signature at all."""


class SignatureWrong(Exception):
    """The request carries a signature that no active secret explains."""


def verify(body: bytes, signatures: Sequence[str], secrets: Iterable[bytes]) -> VerifiedBody:
    """The same bytes, now known to be Pendo's.

    Args:
        body: the raw bytes of the request, not re-serialised.
        signatures: the values of every signature header; more than one is an attempt to confuse.
        secrets: the active secrets, each tried in turn.

    Raises:
        SignatureMissing: there is no signature.
        SignatureWrong: there is one, and it is not right under any of the secrets.
    """
    if not signatures:
        raise SignatureMissing
    if len(signatures) > 1:
        raise SignatureWrong
    given = signatures[0].strip().lower().encode("utf-8", "replace").removeprefix(_PREFIX)
    right = False
    for secret in secrets:
        expected = hmac.digest(secret, body, "sha256").hex().encode()
        # No early exit: how long this takes says nothing of which secret was right.
        right |= hmac.compare_digest(expected, given)
    if not right:
        raise SignatureWrong
    return VerifiedBody(body)
