"""Apply and destroy, cut off at each of their calls in turn and run again: always the same end."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from local.aep_platform import Drop
from pendo_aep.provisioning.choices import Choices
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.plan import Action
from tests.unit.provisioning.desk import ALL_CHOICES, Desk, ids_of, new_desk, shape

BOTH = pytest.mark.parametrize("drop", Drop)


@pytest.mark.parametrize("choices", ALL_CHOICES.values(), ids=ALL_CHOICES)
@BOTH
async def test_apply_always_ends_the_same(choices: Choices, drop: Drop) -> None:
    """From the cut on AEP is out of reach; what was made was told, and the next run goes on."""
    expected, calls = await _undisturbed(choices)

    for number in range(calls):
        async with new_desk() as desk:
            desk.go_dark(drop, number)
            with pytest.raises(PlatformError):
                await desk.apply(choices)
            assert len(desk.state.changing_calls) == number + (drop is Drop.AFTER)
            _assert_told(desk)

            desk.platform.heal()
            await desk.apply(choices)

            assert shape(desk.state) == expected, number
            again = await desk.apply(choices)
            assert {step.action for step in again} == {Action.KEEP}, number


@pytest.mark.parametrize("choices", ALL_CHOICES.values(), ids=ALL_CHOICES)
@BOTH
async def test_apply_looks_after_a_lost_answer(choices: Choices, drop: Drop) -> None:
    """One call is cut, and repeated only if it had no effect: nothing is made twice."""
    expected, calls = await _undisturbed(choices)

    for number in range(calls):
        async with new_desk() as desk:
            desk.platform.fail(drop, after=number)

            steps = await desk.apply(choices)

            assert shape(desk.state) == expected, number
            assert {step.id for step in steps} == ids_of(desk.state), number
            assert Action.UNKNOWN not in {step.action for step in steps}, number


async def _undisturbed(choices: Choices) -> tuple[dict[str, list[Any]], int]:
    """What apply makes, and in how many changing calls."""
    async with new_desk() as desk:
        await desk.apply(choices)
        return shape(desk.state), len(desk.state.changing_calls)


def _assert_told(desk: Desk) -> None:
    """All that exists was told; the one call that got no answer, as one that may have been made."""
    made = {step.id for step in desk.told if step.action is Action.CREATE}
    (unknown,) = [step for step in desk.told if step.action is Action.UNKNOWN]
    assert unknown == desk.told[-1]
    assert made <= ids_of(desk.state)
    assert len(ids_of(desk.state) - made) <= 1


@BOTH
async def test_destroy_always_ends_the_same(drop: Drop) -> None:
    """The same of taking down: the next run takes down what is left, and nothing is left."""
    for number in count():
        async with new_desk() as desk:
            await desk.apply(ALL_CHOICES["http raw"])
            before = len(desk.state.changing_calls)
            desk.go_dark(drop, number)
            try:
                await desk.destroy()
            except PlatformError:
                assert desk.told[-1].action is Action.UNKNOWN
            else:  # it has fewer calls: all of them have been cut
                assert number == len(desk.state.changing_calls) - before > 5
                return

            desk.platform.heal()
            await desk.destroy()

            assert desk.is_complete, number
            left = {kind for kind, found in shape(desk.state).items() if found}
            assert left == {"namespaces"}, number
