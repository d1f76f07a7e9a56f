"""Further inlets of the streaming edge: opened, closed, each with manners of its own."""

from __future__ import annotations

from local.aep import AepServer, MessageFormat
from tests.local.aep_platform.world import World


async def test_an_opened_inlet_gives_what_it_accepts_to_its_taker(
    aep: AepServer, empty: World
) -> None:
    """A further inlet hands over each message with the flow id of its request, in order."""
    taken: list[tuple[str | None, object]] = []
    aep.open_inlet(
        "own",
        take=lambda flow, message: taken.append((flow, message)),
        expects=MessageFormat.RAW,
        needs_token=False,
    )
    url = f"{aep.url}/collection/own"
    await empty.client.send(url, [{"a": 1}, 7, {"b": 2}], {"x-adobe-flow-id": "f"})

    assert taken == [("f", {"a": 1}), ("f", {"b": 2})]


async def test_a_closed_inlet_is_unknown(aep: AepServer, empty: World) -> None:
    """A further inlet that is closed answers as one that never was; the first stays."""
    aep.open_inlet("own", take=lambda _, __: None, expects=MessageFormat.RAW, needs_token=False)
    aep.close_inlet("own")
    header = {"x-adobe-flow-id": "f"}

    closed = await empty.client.send(f"{aep.url}/collection/own", [{"a": 1}], header)
    first = await empty.client.send(f"{aep.url}/collection/{aep.inlet}", [{"id": "a"}], header)

    assert (closed.status, first.status) == (404, 207)


async def test_an_authenticated_inlet_wants_a_token(aep: AepServer, empty: World) -> None:
    """Whether a token is needed is the inlet's own, whatever holds for the first."""
    aep.open_inlet("own", take=lambda _, __: None, expects=MessageFormat.RAW, needs_token=True)
    url, header = f"{aep.url}/collection/own", {"x-adobe-flow-id": "f"}

    without = await empty.client.send(url, [{"a": 1}], header)
    token = {"Authorization": f"Bearer {empty.client.token}"}
    having = await empty.client.send(url, [{"a": 1}], header | token)

    assert (without.status, having.status) == (401, 207)
