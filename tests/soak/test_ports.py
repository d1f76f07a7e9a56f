"""The ports of a soak: its own until it ends."""

from __future__ import annotations

from contextlib import closing

from tests.soak.ports import lasting_ports


def test_two_soaks_have_ports_of_their_own() -> None:
    """A port that a soak waits for is none that another takes, until that soak has ended."""
    with closing(lasting_ports()) as one, closing(lasting_ports()) as another:
        first = next(one)
        assert next(another) != first
    with closing(lasting_ports()) as again:
        assert next(again) == first
