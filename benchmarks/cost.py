"""What requests cost a function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """What some requests cost.

    Attributes:
        requests: how many they were.
        cpu_seconds: of the function, all its processes.
        latencies: in seconds, in no order.
        aep_requests: what the function sent to AEP meanwhile.
    """

    requests: int
    cpu_seconds: float
    latencies: tuple[float, ...]
    aep_requests: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.requests + other.requests,
            self.cpu_seconds + other.cpu_seconds,
            self.latencies + other.latencies,
            self.aep_requests + other.aep_requests,
        )

    @property
    def cpu_us(self) -> float:
        """CPU of one request, in microseconds."""
        return self.cpu_seconds / self.requests * 1e6

    @property
    def aep_per_1000(self) -> float:
        """Requests to AEP for 1,000 requests to the function."""
        return self.aep_requests / self.requests * 1000

    def quantile_ms(self, share: float) -> float:
        """The latency, in milliseconds, that so large a share of the requests stayed within."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3
