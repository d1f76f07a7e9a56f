"""Connections: when one counts as silent, and what is opened and closed then."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import inf

import pytest

from pendo_aep.connection import Connection
from tests.simulated_time import simulated

SILENT_SECONDS, CALL_SECONDS = 2.0, 8.0


@dataclass(eq=False)
class Transport:
    """Answers each call after `seconds`; infinite ones are silent."""

    seconds: float
    calls: int = 0
    is_closed: bool = False

    async def ask(self, seconds: float) -> Transport:
        """Makes one call, which times out after so many seconds."""
        assert not self.is_closed
        self.calls += 1
        async with asyncio.timeout(seconds):
            await asyncio.sleep(self.seconds)
        assert not self.is_closed
        return self

    async def close(self) -> None:
        """Closes it: nothing may use it afterwards."""
        assert not self.is_closed
        self.is_closed = True


@dataclass
class Peer:
    """The peer. Each new connection to it answers after `seconds`.

    Attributes:
        opened: All connections, in order.
    """

    seconds: float = 0.05
    is_multiplexed: bool = False
    opened: list[Transport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = Connection(
            "peer",
            self.open,
            Transport.close,
            silent_seconds=SILENT_SECONDS,
            is_multiplexed=self.is_multiplexed,
        )

    def open(self) -> Transport:
        """Opens a connection."""
        self.opened.append(Transport(self.seconds))
        return self.opened[-1]

    async def call(self) -> Transport:
        """Makes a call, and returns the connection that answered."""
        until = asyncio.get_running_loop().time() + CALL_SECONDS
        return await self.connection.call(Transport.ask, until=until, attempt_seconds=4.0)


@simulated
async def test_calls_share_one_connection() -> None:
    """As long as it answers, all calls use one connection."""
    peer = Peer()
    await peer.call()
    await asyncio.gather(*(peer.call() for _ in range(10)))
    assert [transport.calls for transport in peer.opened] == [11]


@simulated
async def test_a_silent_connection_is_replaced_once_for_all() -> None:
    """Ten waiting calls are repeated on one new connection, and the old one is closed."""
    peer = Peer()
    silent = await peer.call()
    silent.seconds = float("inf")
    started = asyncio.get_running_loop().time()
    answered = await asyncio.gather(*(peer.call() for _ in range(10)))
    assert asyncio.get_running_loop().time() - started < 3.0
    assert set(answered) == {peer.opened[1]}
    assert await peer.call() is peer.opened[1]
    assert [transport.is_closed for transport in peer.opened] == [True, False]


@simulated
async def test_a_replaced_connection_completes_calls_in_flight() -> None:
    """A call that the old connection still answers is not cut off."""
    peer = Peer()
    old = await peer.call()
    old.seconds = 2.5
    first = asyncio.create_task(peer.call())
    await asyncio.sleep(1.0)
    old.seconds = 1.5
    second = asyncio.create_task(peer.call())
    assert await first is peer.opened[1]
    assert not old.is_closed
    assert await second is old
    await asyncio.sleep(0)
    assert old.is_closed


@simulated
async def test_a_call_without_an_answer_times_out() -> None:
    """If the new connection is silent too, the call fails in time, without a third connection."""
    peer = Peer()
    (await peer.call()).seconds = peer.seconds = float("inf")
    started = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await peer.call()
    assert asyncio.get_running_loop().time() - started <= CALL_SECONDS
    assert len(peer.opened) == 2


@simulated
async def test_a_slow_peer_gets_a_new_connection_every_ten_seconds() -> None:
    """A peer that takes 3 s answers every call; at most one in ten seconds is repeated."""
    peer = Peer(seconds=3.0)
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(20):
        await peer.call()
    seconds = loop.time() - started
    assert len(peer.opened) <= 1 + seconds / 10
    assert sum(transport.calls for transport in peer.opened) == 20 + len(peer.opened) - 1


@simulated
async def test_an_idle_connection_is_replaced() -> None:
    """After a minute without an answer the next call uses a new connection from the start."""
    peer = Peer()
    old = await peer.call()
    await asyncio.sleep(59)
    assert await peer.call() is old
    old.seconds = float("inf")  # a frozen CPU would look like this
    await asyncio.sleep(60)
    started = asyncio.get_running_loop().time()
    assert await peer.call() is peer.opened[1]
    assert asyncio.get_running_loop().time() - started < 0.1
    assert old.is_closed


@pytest.mark.parametrize("is_multiplexed", [True, False])
@simulated
async def test_an_answer_proves_that_a_multiplexed_connection_works(
    is_multiplexed: bool,
) -> None:
    """One slow call does not replace it; in a pool, the other call had its own connection."""
    peer = Peer(is_multiplexed=is_multiplexed)
    one = await peer.call()
    one.seconds = 3.0
    slow = asyncio.create_task(peer.call())
    await asyncio.sleep(1.0)
    one.seconds = 0.05
    await peer.call()
    one.seconds = 3.0
    await slow
    assert len(peer.opened) == (1 if is_multiplexed else 2)


@pytest.mark.parametrize(("silent_seconds", "calls"), [(SILENT_SECONDS, 3), (inf, 2)])
@simulated
async def test_a_shared_transport_stays_open(silent_seconds: float, calls: int) -> None:
    """A transport that the opener returns again is not closed, even if it was silent.

    With infinite `silent_seconds`, the slow call is not cut short either.
    """
    peer = Peer()
    only = peer.open()
    connection = Connection("peer", lambda: only, Transport.close, silent_seconds=silent_seconds)
    loop = asyncio.get_running_loop()
    for seconds in (0.05, 2.5):
        only.seconds = seconds
        until = loop.time() + CALL_SECONDS
        await connection.call(Transport.ask, until=until, attempt_seconds=4.0)
    assert not only.is_closed
    assert only.calls == calls
