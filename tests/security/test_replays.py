"""Who has heard a webhook and says it again makes the same event once more, and nothing else."""

from __future__ import annotations

import aiohttp
import orjson

from local.aep import AepServer
from local.functions import Function
from local.pipeline import DEAD, EVENTS, SECRET, XDM_SETTINGS
from local.pubsub import PubSubServer
from tests.hostile.mouths import push_of
from tests.webhooks import send, send_signed, unique_id, webhook

TOPIC = f"projects/local/topics/{EVENTS}"


async def test_a_replay(server: PubSubServer, aep: AepServer, http: aiohttp.ClientSession) -> None:
    """Three times the same webhook: three messages of one id, one `_id` in AEP, nothing dead.

    Pendo signs no time, so a replay cannot be told from Pendo's own retry; it needs none.
    """
    dead = f"projects/local/topics/{DEAD}"
    server.create_topic(TOPIC)
    server.create_topic(dead)
    pubsub = {"PUBSUB_EMULATOR_HOST": server.host}
    inlet = {**XDM_SETTINGS, "AEP_ENDPOINT": aep.endpoint}
    async with (
        Function("receive", {**pubsub, "PENDO_WEBHOOK_SECRETS": SECRET}) as receive,
        Function("deliver", {**pubsub, **inlet}) as deliver,
    ):
        for trace in ("1", "2", "3"):
            parent = f"00-{trace * 32}-{trace * 16}-01"
            answer = await send_signed(http, receive.url, webhook(1), traceparent=parent)
            assert answer.json() == {"status": "accepted", "id": unique_id(1)}
        for message in server.published(TOPIC):
            pushed = push_of(message.data, **message.attributes)
            assert (await send(http, deliver.url, pushed)).status == 204

    ids = [orjson.loads(message.data)["id"] for message in server.published(TOPIC)]
    assert ids == [unique_id(1)] * 3
    assert [accepted.id for accepted in aep.accepted] == [unique_id(1)] * 3
    assert aep.distinct_ids == {unique_id(1)}
    assert not server.published(dead)
