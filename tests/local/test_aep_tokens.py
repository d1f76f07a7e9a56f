"""The stand-in's token endpoint, and what an authenticated inlet does with tokens."""

import pytest

from local.aep import AepServer, Behaviour, token_endpoint_down
from tests.local.aep_client import AepClient, raw, run

NEEDS_TOKEN = Behaviour(needs_token=True)


async def bearer(client: AepClient) -> dict[str, str]:
    """Return the header with a fresh token."""
    return {"Authorization": f"Bearer {(await client.token()).json['access_token']}"}


def test_token() -> None:
    """The right credentials get a bearer token that lives about a day, counted as issued."""

    async def scenario(aep: AepServer, client: AepClient) -> None:
        answered = await client.token()

        assert answered.status == 200
        assert answered.json["token_type"] == "bearer"
        assert answered.json["expires_in"] == 86_399
        assert answered.json["access_token"]
        assert aep.tokens_issued == 1
        assert aep.token_requests[0].scopes == ("openid", "AdobeID")

    run(scenario)


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": ""}, 400, "invalid_scope"),
    ],
)
def test_token_refused(form: dict[str, str], status: int, error: str) -> None:
    """A wrong request for a token names its error, and no token is issued."""

    async def scenario(aep: AepServer, client: AepClient) -> None:
        answered = await client.token(**form)

        assert (answered.status, answered.json) == (status, {"error": error})
        assert aep.tokens_issued == 0

    run(scenario)


def test_good_token_opens_the_inlet() -> None:
    """An authenticated inlet takes a batch that comes with an issued token."""

    async def scenario(aep: AepServer, client: AepClient) -> None:
        answered = await client.batch(raw("a"), await bearer(client))

        assert answered.status == 207
        assert aep.distinct_ids == {"a"}

    run(scenario, AepServer(NEEDS_TOKEN))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "empty"),
        ({"Authorization": "Basic abc"}, "empty"),
        ({"Authorization": "Bearer "}, "empty"),
        ({"Authorization": "Bearer made-up"}, "invalid or expired"),
    ],
)
def test_bad_token(headers: dict[str, str], reason: str) -> None:
    """Without a good token the answer is the documented 401, whose status is text."""

    async def scenario(aep: AepServer, client: AepClient) -> None:
        answered = await client.batch(raw("a"), headers)

        assert answered.status == 401
        assert answered.json["status"] == "401"
        assert answered.json["title"] == "Authorization"
        assert reason in answered.json["report"]["message"]
        assert not aep.accepted

    run(scenario, AepServer(NEEDS_TOKEN))


def test_revoked_token() -> None:
    """A revoked token is refused at once, and a new one is good."""

    async def scenario(aep: AepServer, client: AepClient) -> None:
        old = await bearer(client)
        aep.revoke_tokens()

        assert (await client.batch(raw("a"), old)).status == 401
        assert (await client.batch(raw("a"), await bearer(client))).status == 207

    run(scenario, AepServer(NEEDS_TOKEN))


def test_expired_token() -> None:
    """A token is refused once its lifetime is over."""

    async def scenario(aep: AepServer, client: AepClient) -> None:
        answered = await client.batch(raw("a"), await bearer(client))

        assert answered.status == 401
        assert aep.tokens_issued == 1

    run(scenario, AepServer(Behaviour(needs_token=True, token_seconds=0)))


def test_token_endpoint_down() -> None:
    """The token endpoint can be down for some requests, without harm to the inlet."""

    async def scenario(aep: AepServer, client: AepClient) -> None:
        aep.faults.add(token_endpoint_down(503).times(1))

        assert (await client.batch(raw("a"))).status == 207
        assert [(await client.token()).status for _ in range(2)] == [503, 200]
        assert [request.status for request in aep.token_requests] == [503, 200]

    run(scenario)
