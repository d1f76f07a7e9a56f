"""How many push requests are open at once (Google: Pub/Sub push docs, "push delivery rate")."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PushFlow:
    """The bounds of the push window and of the push backoff (seconds).

    Google: "the system starts with a small single-digit window size"; `initial` is larger so that a
    first burst shows how it is batched. Google names no end: the window grows exponentially up to
    3,000 outstanding messages in a region, linearly above. `maximum` is what the four instances of
    `deliver` hold that `deploy/config.env` allows, 250 each. The backoff is as Google documents it.
    """

    initial: int = 64
    maximum: int = 1_000
    minimum_backoff: float = 0.1
    maximum_backoff: float = 60.0


class PushWindow:
    """Grows by one with each success, so it doubles each round trip; is halved by failure.

    Requests that were open together fail together: a burst of failures counts once, by the epoch
    in which each began. When even a single request at a time fails, delivery pauses, each time for
    twice as long.
    """

    __slots__ = ("_flow", "_pauses", "epoch", "size")

    def __init__(self, flow: PushFlow) -> None:
        self._flow = flow
        self._pauses = 0
        self.size = flow.initial
        self.epoch = 0

    def succeeded(self) -> None:
        """Count an acknowledged push."""
        self.size = min(self._flow.maximum, self.size + 1)
        self._pauses = 0

    def failed(self, epoch: int) -> float:
        """Count a refused push that began in `epoch`.

        Returns:
            How many seconds to deliver nothing; 0 while there is room to shrink.
        """
        if epoch != self.epoch:
            return 0.0
        self.epoch += 1
        if self.size > 1:
            self.size //= 2
            return 0.0
        pause = min(self._flow.maximum_backoff, self._flow.minimum_backoff * 2.0**self._pauses)
        # Once at the maximum there is nothing to count, and floats overflow.
        self._pauses += pause < self._flow.maximum_backoff
        return pause
