"""What is authentic and yet no event: raised where it is found, set aside where it ends."""

from __future__ import annotations

from pendo_aep.dead_letter import Reason


class Unreadable(Exception):
    """An authentic body that is no event; it is set aside whole, with this reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """Takes the stable reason, and a detail that names places but never values."""
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
