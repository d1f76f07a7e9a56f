"""Adobe's token endpoint: what of its answers is a token, and what is none."""

from __future__ import annotations

import pytest

from pendo_aep.aep.auth import read_token
from tests.cases import Case, cases


@pytest.mark.parametrize("case", cases("tokens"))
def test_a_token(case: Case) -> None:
    """A token comes with the seconds that it lives."""
    assert read_token(case["body"].encode()) == (case["token"], case["seconds"])


@pytest.mark.parametrize("case", cases("no_tokens"))
def test_no_token(case: Case) -> None:
    """What no header could carry, and what does not say when it ends, is no token."""
    with pytest.raises(ValueError, match=r".+"):
        read_token(case["body"].encode())


def test_a_token_nested_deep() -> None:
    """A token nested without end is none; it does not exhaust the stack."""
    with pytest.raises(ValueError, match="access_token"):
        read_token(b'{"expires_in":1,"access_token":' + b"[" * 1000 + b"]" * 1000 + b"}")
