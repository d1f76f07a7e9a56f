"""In front of Google's Pub/Sub emulator: the policies that it lacks, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web

from local.gcp.api import ApiError, invalid, not_found
from local.gcp.iam import Policies
from local.gcp.state import GoogleState, Json

_PREFIX: Final = "pubsub/"
# In seconds. Google: Pub/Sub "quotas", a subscription keeps messages for 31 days at most; the
# emulator (0.8.20) still says 7.
_LONGEST: Final = 31 * 86_400
_EMULATORS_LONGEST: Final = 7 * 86_400
_RETENTION: Final = "messageRetentionDuration"
_STORAGE: Final = "messageStoragePolicy"


@dataclass(frozen=True, slots=True)
class PubSubFront:
    """Answers what the emulator cannot, and forwards the rest.

    Attributes:
        host: the emulator's.
        session: to it.
        state: loses the policies of what is deleted.
        policies: also those of topics and subscriptions.
        retentions: of the subscriptions that keep messages longer than the emulator can.
        storage: the policies of the topics that say where messages may be stored.
    """

    host: str
    session: aiohttp.ClientSession
    state: GoogleState
    policies: Policies
    retentions: dict[str, str] = field(default_factory=dict)
    storage: dict[str, Json] = field(default_factory=dict)

    async def answer(self, method: str, path: str, query: str, body: bytes) -> web.Response:
        """Returns what the service would answer.

        Args:
            method: in capitals.
            path: with `pubsub/` in front.
            query: as it came.
            body: as it came.

        Raises:
            ApiError: by the policies, or in the emulator's place.
        """
        target, _, verb = path.removeprefix(_PREFIX).partition(":")
        thing = "/".join(target.split("/")[-2:])
        if verb in {"getIamPolicy", "setIamPolicy"}:
            return await self._policy(target, thing, verb, body)
        if method in {"PUT", "PATCH"} and thing.startswith("subscriptions/"):
            body = self._for_emulator(target.removeprefix("v1/"), body)
        if method in {"PUT", "PATCH"} and thing.startswith("topics/"):
            body = self._topic_for_emulator(target.removeprefix("v1/"), body)
            if not body:  # nothing is left to be changed
                method = "GET"
        status, answer = await self._forward(method, f"{path.removeprefix(_PREFIX)}?{query}", body)
        if method == "DELETE" and status == 200:
            self.state.policies.pop(thing, None)
            self.retentions.pop(target.removeprefix("v1/"), None)
            self.storage.pop(target.removeprefix("v1/"), None)
        return web.json_response(self._as_google(answer), status=status)

    async def _policy(self, target: str, thing: str, verb: str, body: bytes) -> web.Response:
        status, _ = await self._forward("GET", target, b"")
        if status != 200:
            raise not_found(thing)
        if verb == "getIamPolicy":
            return web.json_response(self.policies.get(thing))
        return web.json_response(self.policies.set(thing, orjson.loads(body)["policy"]))

    def _for_emulator(self, name: str, body: bytes) -> bytes:
        """Returns a subscription without what the emulator refuses."""
        sent = orjson.loads(body)
        subscription = sent.get("subscription", sent)
        if _RETENTION in subscription:
            self.retentions.pop(name, None)
            given = subscription[_RETENTION]
            if float(given.removesuffix("s")) > _LONGEST:
                raise invalid("message_retention_duration out of bounds.")
            if float(given.removesuffix("s")) > _EMULATORS_LONGEST:
                self.retentions[name] = given
                subscription[_RETENTION] = f"{_EMULATORS_LONGEST}s"
        if "updateMask" in sent:
            if subscription.pop("expirationPolicy", {}):
                raise ApiError(501, "the emulator knows subscriptions that never expire, no others")
            mask = [name for name in sent["updateMask"].split(",") if name != "expirationPolicy"]
            sent["updateMask"] = ",".join(mask)
        return orjson.dumps(sent)

    def _topic_for_emulator(self, name: str, body: bytes) -> bytes:
        """Returns a topic without its storage policy, which is kept here; empty if nothing is left.

        Google: MessageStoragePolicy, an empty list of regions "is not a valid configuration".
        """
        sent = orjson.loads(body)
        mask = sent["updateMask"].split(",") if "updateMask" in sent else [_STORAGE]
        topic = sent.get("topic", sent)
        policy = topic.pop(_STORAGE, None)
        if policy is not None and not policy.get("allowedPersistenceRegions"):
            raise invalid("message_storage_policy.allowed_persistence_regions must not be empty.")
        if _STORAGE in mask:
            self.storage.pop(name, None)
            if policy:
                self.storage[name] = policy
        if "updateMask" in sent:
            sent["updateMask"] = ",".join(path for path in mask if path != _STORAGE)
            if not sent["updateMask"]:
                return b""
        return orjson.dumps(sent)

    def _as_google(self, answer: Any) -> Any:
        """Returns what the emulator answers, with what was kept from it."""
        if isinstance(answer, dict):
            shown: Json = {key: self._as_google(value) for key, value in answer.items()}
            if answer.get("name") in self.retentions:
                shown[_RETENTION] = self.retentions[answer["name"]]
            if answer.get("name") in self.storage:
                shown[_STORAGE] = self.storage[answer["name"]]
            return shown
        return [self._as_google(one) for one in answer] if isinstance(answer, list) else answer

    async def _forward(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        url = f"http://{self.host}/{path}"
        headers = {"Content-Type": "application/json"}
        async with self.session.request(method, url, data=body or None, headers=headers) as answer:
            return answer.status, orjson.loads(await answer.read() or b"{}")
