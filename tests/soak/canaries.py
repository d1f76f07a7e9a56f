"""What must never be seen in a log line, an error or a traceback; it is looked for in all of them.

A secret or a visitor is known by what is in it here, so a leak is found wherever it comes out.
"""

from __future__ import annotations

from typing import Final

from local.aep.server import CLIENT_SECRET
from local.pipeline import SECRET

VISITOR: Final = "canary-visitor"
COMMENT: Final = "canary comment"
# "token-" begins each token of the AEP stand-in.
_CANARIES: Final = (SECRET, CLIENT_SECRET, "Bearer ", "token-", VISITOR, COMMENT)


def leaks_in(text: str) -> bool:
    """Does a secret or personal data show in it?"""
    return any(canary in text for canary in _CANARIES)
