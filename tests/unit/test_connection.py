"""When a connection counts as silent, what is then opened and closed: on a clock that leaps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from local.simulated_time import run_simulated
from pendo_aep.connection import Connection

SILENT_SECONDS, CALL_SECONDS = 2.0, 8.0


@dataclass(eq=False)
class Transport:
    """Answers each call after `seconds`; infinite ones are silent."""

    seconds: float
    calls: int = 0
    is_closed: bool = False

    async def ask(self, seconds: float) -> Transport:
        """One call, which is given up after so many seconds."""
        assert not self.is_closed
        self.calls += 1
        async with asyncio.timeout(seconds):
            await asyncio.sleep(self.seconds)
        assert not self.is_closed
        return self

    async def close(self) -> None:
        """Nobody may use it from here on."""
        assert not self.is_closed
        self.is_closed = True


@dataclass
class Peer:
    """Where connections lead. Each new one answers after `seconds`.

    Attributes:
        opened: all connections, in their order.
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
        """A new connection."""
        self.opened.append(Transport(self.seconds))
        return self.opened[-1]

    async def call(self) -> Transport:
        """The connection that has answered."""
        until = asyncio.get_running_loop().time() + CALL_SECONDS
        return await self.connection.call(Transport.ask, until=until, attempt_seconds=4.0)


def test_calls_share_one_connection() -> None:
    """As long as it answers, one connection serves all, one after the other or at once."""

    async def main() -> None:
        peer = Peer()
        await peer.call()
        await asyncio.gather(*(peer.call() for _ in range(10)))
        assert [transport.calls for transport in peer.opened] == [11]

    run_simulated(main())


def test_a_silent_connection_is_replaced_once_for_all() -> None:
    """Ten calls that wait on it are repeated on one new connection, and the old one is closed."""

    async def main() -> None:
        peer = Peer()
        silent = await peer.call()
        silent.seconds = float("inf")
        started = asyncio.get_running_loop().time()
        answered = await asyncio.gather(*(peer.call() for _ in range(10)))
        assert asyncio.get_running_loop().time() - started < 3.0
        assert set(answered) == {peer.opened[1]}
        assert await peer.call() is peer.opened[1]
        assert [transport.is_closed for transport in peer.opened] == [True, False]

    run_simulated(main())


def test_a_replaced_connection_ends_the_calls_under_way_first() -> None:
    """A call that is still being answered on the old connection is not cut off."""

    async def main() -> None:
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

    run_simulated(main())


def test_what_no_connection_answers_is_given_up_in_time() -> None:
    """If the new connection is silent as well, the call fails within its time, with no third."""

    async def main() -> None:
        peer = Peer()
        (await peer.call()).seconds = peer.seconds = float("inf")
        started = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await peer.call()
        assert asyncio.get_running_loop().time() - started <= CALL_SECONDS
        assert len(peer.opened) == 2

    run_simulated(main())


def test_a_slow_peer_gets_a_new_connection_every_ten_seconds() -> None:
    """A peer that always needs 3 s answers every call, at most one in ten seconds of them twice."""

    async def main() -> None:
        peer = Peer(seconds=3.0)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for _ in range(20):
            await peer.call()
        seconds = loop.time() - started
        assert len(peer.opened) <= 1 + seconds / 10
        assert sum(transport.calls for transport in peer.opened) == 20 + len(peer.opened) - 1

    run_simulated(main())


def test_a_quiet_connection_is_not_trusted() -> None:
    """After a minute without an answer the next call uses a new one from the start."""

    async def main() -> None:
        peer = Peer()
        old = await peer.call()
        await asyncio.sleep(59)
        assert await peer.call() is old
        old.seconds = float("inf")  # a frozen CPU would notice no more than this
        await asyncio.sleep(60)
        started = asyncio.get_running_loop().time()
        assert await peer.call() is peer.opened[1]
        assert asyncio.get_running_loop().time() - started < 0.1
        assert old.is_closed

    run_simulated(main())


@pytest.mark.parametrize("is_multiplexed", [True, False])
def test_an_answer_to_another_call_shows_that_a_shared_connection_works(
    is_multiplexed: bool,
) -> None:
    """One slow call is no reason to replace it; in a pool, the other call had its own."""

    async def main() -> None:
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

    run_simulated(main())


def test_somebody_elses_transport_stays_open() -> None:
    """A transport that is handed out again is not closed when it was silent."""

    async def main() -> None:
        peer = Peer()
        only = peer.open()
        connection = Connection(
            "peer", lambda: only, Transport.close, silent_seconds=SILENT_SECONDS
        )
        loop = asyncio.get_running_loop()
        for seconds in (0.05, 2.5):
            only.seconds = seconds
            until = loop.time() + CALL_SECONDS
            await connection.call(Transport.ask, until=until, attempt_seconds=4.0)
        assert not only.is_closed

    run_simulated(main())
