"""Signature verification: over the exact bytes, with every active secret, for one strict header."""

from __future__ import annotations

import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pendo_aep.pendo.signature import SignatureMissing, SignatureWrong, verify
from tests.cases import Case, cases, randomly

# RFC 4231, test case 2: a vector that is independent of this code.
SECRET = b"Jefe"
BODY = b"what do ya want for nothing?"
RIGHT = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def sign(body: bytes, secret: bytes = SECRET) -> str:
    """Returns the header that Pendo would send."""
    return hmac.new(secret, body, "sha256").hexdigest()


def is_verified(body: bytes, signatures: list[str], secrets: list[bytes]) -> bool:
    """Returns whether the body is accepted, and returned unchanged."""
    try:
        return verify(body, signatures, secrets) == body
    except SignatureWrong:
        return False


@pytest.mark.parametrize("case", cases("signatures"))
def test_headers(case: Case) -> None:
    """Exactly one header with the HMAC in hex is accepted, in either case and with a prefix."""
    signatures = [
        text.format(right=RIGHT, RIGHT=RIGHT.upper(), short=RIGHT[:-1])
        for text in case["signatures"]
    ]
    if case["outcome"] == "verified":
        assert verify(BODY, signatures, [SECRET]) == BODY
    else:
        expected = SignatureMissing if case["outcome"] == "missing" else SignatureWrong
        with pytest.raises(expected):
            verify(BODY, signatures, [SECRET])


@pytest.mark.parametrize("position", [0, 1, 2])
def test_every_active_secret_verifies(position: int) -> None:
    """During a rotation each active secret verifies, wherever it is listed."""
    secrets = [b"old", b"older", b"oldest"]
    secrets[position] = SECRET
    assert is_verified(BODY, [RIGHT], secrets)


def test_secrets_are_utf8() -> None:
    """A secret with characters beyond ASCII is used as its UTF-8 bytes."""
    secret = "gehéim".encode()
    assert is_verified(BODY, [sign(BODY, secret)], [b"other", secret])


@pytest.mark.parametrize("secrets", [[], [b"other"], [SECRET.lower()], [SECRET + b"\n"]])
def test_other_secrets_do_not_verify(secrets: list[bytes]) -> None:
    """Without a secret, or with only others, nothing verifies."""
    assert not is_verified(BODY, [RIGHT], secrets)


def test_no_secret_is_not_the_empty_secret() -> None:
    """With no active secret, even the HMAC under the empty key is wrong."""
    assert not is_verified(BODY, [sign(BODY, b"")], [])


@randomly
@given(body=st.binary(min_size=1, max_size=200), bit=st.integers(min_value=0))
def test_one_bit_of_the_body(body: bytes, bit: int) -> None:
    """A body that differs in one bit from what was signed is rejected."""
    bit %= len(body) * 8
    altered = bytearray(body)
    altered[bit // 8] ^= 1 << bit % 8
    assert is_verified(body, [sign(body)], [SECRET])
    assert not is_verified(bytes(altered), [sign(body)], [SECRET])


@pytest.mark.parametrize("place", range(len(RIGHT)))
def test_one_digit_of_the_signature(place: int) -> None:
    """A signature that differs in any one digit is rejected."""
    digit = "1" if RIGHT[place] == "0" else "0"
    assert not is_verified(BODY, [RIGHT[:place] + digit + RIGHT[place + 1 :]], [SECRET])


def test_the_raw_bytes_are_verified() -> None:
    """The same JSON, serialised again, does not match: the raw bytes are signed."""
    raw = b'{"event": "ping", "app": {"name": "caf\\u00e9"}}'
    again = json.dumps(json.loads(raw), separators=(",", ":")).encode()
    assert is_verified(raw, [sign(raw)], [SECRET])
    assert not is_verified(again, [sign(raw)], [SECRET])


def test_an_empty_body_can_be_signed() -> None:
    """An empty body is verified like any other."""
    assert is_verified(b"", [sign(b"")], [SECRET])
    assert not is_verified(b"", [sign(b" ")], [SECRET])
