"""The fuzzer's targets without the fuzzer: on their seeds, and on bytes at random."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases import randomly
from tests.fuzz.targets import TARGETS

_BYTES = st.binary(max_size=200)


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target: str) -> None:
    """Whatever a target starts from keeps its promises; it starts from more than a little."""
    seeds = list(TARGETS[target].seeds())
    for seed in seeds:
        TARGETS[target].check(seed)
    assert len(seeds) > 20


@pytest.mark.parametrize("target", TARGETS)
@randomly
@given(data=st.data())
def test_seeds_cut_and_joined(target: str, data: st.DataObject) -> None:
    """So does what is made of two seeds and of bytes that nobody thought of."""
    seeds = st.sampled_from(list(TARGETS[target].seeds())) | _BYTES
    first, second = data.draw(seeds), data.draw(seeds)
    cut = data.draw(st.integers(0, len(first)))
    TARGETS[target].check(first[:cut] + data.draw(_BYTES) + second[cut:])
