"""How long Google takes to notice what was made or granted: refusals are counted, not seconds.

Google: IAM "access change propagation", typically 2 minutes; "service accounts overview", 60
seconds or more; Cloud Monitoring, up to 10 minutes for a new metric. What each API says meanwhile
is that of public deployment logs, named where it is answered.
"""

from __future__ import annotations

from local.gcp.problems import Refused


class Propagation:
    """What is new, and how often whatever depends on it is still refused.

    Attributes:
        refusals: for each thing that is made or granted from now on; 0 is at once.
    """

    def __init__(self) -> None:
        """At first Google notices everything at once."""
        self.refusals = 0
        self._left: dict[str, int] = {}

    def begin(self, thing: str) -> None:
        """It was made or granted just now."""
        if self.refusals:
            self._left[thing] = self.refusals

    def check(self, thing: str, refused: Refused) -> None:
        """Refuses what depends on a thing that has not been noticed yet.

        Raises:
            Refused: the one that was given.
        """
        if self._left.get(thing):
            self._left[thing] -= 1
            raise refused
