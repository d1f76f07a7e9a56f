"""The signature header: nothing but the right HMAC, spelled as Pendo may, verifies a body."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Final

from pendo_aep.pendo.signature import SignatureMissing, SignatureWrong, verify
from tests.fuzz.tables import rows

SECRETS: Final = (b"first-secret", "zweites-geheimnis-é".encode())
# Where a fuzzer's header may hold the right digest, which it could never guess.
_RIGHT: Final = b"@"
_OTHERS: Final = b"~"


def check(data: bytes) -> None:
    """Lines are headers, what follows an empty one is the body; `@` stands for its right digest.

    Raises:
        AssertionError: verified without the right digest, or refused with it.
    """
    head, _, body = data.partition(b"\n\n")
    right = hmac.new(SECRETS[len(body) % 2], body, hashlib.sha256).hexdigest()
    others = hmac.new(SECRETS[0], body + b"x", hashlib.sha256).hexdigest()
    headers = [
        line.replace(_RIGHT, right.encode()).replace(_OTHERS, others.encode()).decode("latin-1")
        for line in (head.split(b"\n") if head else [])
    ]
    try:
        is_verified = verify(body, headers, SECRETS) == body
    except SignatureMissing:
        assert not headers
        return
    except SignatureWrong:
        is_verified = False
    assert is_verified == (len(headers) == 1 and _spells(headers[0], right))


def _spells(header: str, digest: str) -> bool:
    """Is it the digest, in either case, behind `sha256=` or nothing, with white space around?"""
    text = header.strip().lower()
    return text in {digest, f"sha256={digest}"}


def seeds() -> Iterator[bytes]:
    """The spellings of the tests' table, over some bodies."""
    for row in rows_of_signatures():
        yield "\n".join(row).encode("latin-1", "replace") + b'\n\n{"event":"ping"}'
    yield b"\n\n"
    yield b"sha256=@\n\n"
    yield b"@\n@\n\nbody"
    yield b"~\n\nbody"


def rows_of_signatures() -> Iterator[list[str]]:
    """The headers of each row, with marks for digests."""
    for row in rows("signatures"):
        yield [
            text.replace("{right}", "@").replace("{RIGHT}", "@").replace("{short}", "@")
            for text in row["signatures"]
        ]
