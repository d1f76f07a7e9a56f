"""Faults of the stand-ins, in one form: what happens, at which operation, how often and when.

AEP and Pub/Sub define their own effects in `local/aep/faults.py` and `local/pubsub/faults.py`. A
fault affects every operation unless it is limited: `answering(503).times(2)`,
`throttled(retry_after=1).with_probability(0.1)`, `answering(500).when(has_id("poison"))`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Generic, Self, TypeVar

EffectT = TypeVar("EffectT")
MessagePredicate = Callable[[Any], bool]


@dataclass(frozen=True)  # no slots: a generic dataclass with both fails on Python 3.11
class Fault(Generic[EffectT]):
    """One fault.

    Attributes:
        effect: what happens.
        operation: where it happens; the stand-in defines the operations.
        limit: how many operations it affects; None for all.
        probability: of affecting an operation, 0 to 1.
        matching: affects only operations with a message that matches.
        least: affects only operations with at least so many messages.
        sees_messages: whether the messages are known when the fault occurs.
    """

    effect: EffectT
    operation: object
    limit: int | None = None
    probability: float = 1.0
    matching: MessagePredicate | None = None
    least: int = 0
    sees_messages: bool = True

    def times(self, operations: int) -> Self:
        """Limits the fault to so many operations."""
        return replace(self, limit=operations)

    def with_probability(self, probability: float) -> Self:
        """Affects an operation with this probability, drawn from the server's seeded random."""
        return replace(self, probability=probability)

    def when(self, predicate: MessagePredicate) -> Self:
        """Affects only operations with a message that matches.

        Raises:
            ValueError: no message is known when the fault occurs.
        """
        if not self.sees_messages:
            raise ValueError("no message is known when this fault occurs")
        return replace(self, matching=predicate)

    def of_at_least(self, messages: int) -> Self:
        """Affects only operations with at least so many messages."""
        return replace(self, least=messages)


class FaultPlan(Generic[EffectT]):
    """The active faults, in the order in which they were added, and how often each has occurred."""

    def __init__(
        self, seed: int = 0, *, is_final: Callable[[EffectT], bool] = lambda _effect: True
    ) -> None:
        """Takes the seed of the probabilities, and which effects decide an operation alone."""
        self._random = Random(seed)  # noqa: S311 - reproducible tests, no secret
        self._is_final = is_final
        self._faults: list[tuple[Fault[EffectT], list[int]]] = []

    def __bool__(self) -> bool:
        """Returns whether any fault is active."""
        return bool(self._faults)

    def add(self, *faults: Fault[EffectT]) -> None:
        """Activates faults, after those that are active."""
        self._faults += [(fault, [0]) for fault in faults]

    def clear(self) -> None:
        """Ends every fault; operations that are already affected stay so."""
        self._faults.clear()

    def take(self, operation: object, messages: Sequence[object] = ()) -> list[EffectT]:
        """Returns the effects on an operation, and counts them.

        Of the final effects, which decide the whole operation, only the first applies.
        """
        effects: list[EffectT] = []
        is_decided = False
        for fault, count in self._faults:
            is_final = self._is_final(fault.effect)
            if (
                fault.operation == operation
                and not (is_final and is_decided)
                and self._applies(fault, count[0], messages)
            ):
                count[0] += 1
                is_decided |= is_final
                effects.append(fault.effect)
        return effects

    def _applies(self, fault: Fault[EffectT], count: int, messages: Sequence[object]) -> bool:
        if fault.limit is not None and count >= fault.limit:
            return False
        if len(messages) < fault.least:
            return False
        if fault.matching is not None and not any(map(fault.matching, messages)):
            return False
        return fault.probability >= 1 or self._random.random() < fault.probability
