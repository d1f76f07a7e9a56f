"""In front of Google's Pub/Sub emulator: the policies that it lacks, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson

from local.gcp.api import ApiError, Call, invalid, not_found
from local.gcp.iam import Policies
from local.gcp.state import GoogleState, Json
from local.http_server import JsonResponse

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
        state: loses the policies of what is deleted.
        policies: also those of topics and subscriptions.
        kept: fields that the emulator refuses, by the full name of the topic or subscription.
    """

    host: str
    state: GoogleState
    policies: Policies
    kept: dict[str, Json] = field(default_factory=dict)

    @staticmethod
    def changes(call: Call) -> bool:
        """Returns whether a call changes something; a POST may only read."""
        return call.method != "GET" and not call.path.endswith((":getIamPolicy", ":pull"))

    async def answer(self, call: Call) -> JsonResponse:
        """Returns what the service would answer to a call, whose path has `pubsub/` in front.

        Raises:
            ApiError: by the policies, or in the emulator's place.
        """
        target, _, verb = call.path.partition(":")
        name = target.removeprefix("pubsub/v1/")
        thing = "/".join(name.split("/")[-2:])
        if verb in {"getIamPolicy", "setIamPolicy"}:
            return await self._policy(name, thing, verb, call)
        method, body = call.method, call.body
        if method in {"PUT", "PATCH"} and thing.startswith("subscriptions/"):
            body = self._subscription_for_emulator(name, body)
        if method in {"PUT", "PATCH"} and thing.startswith("topics/"):
            body = self._topic_for_emulator(name, body)
            if not body:  # nothing is left to be changed
                method = "GET"
        path = call.path.removeprefix("pubsub/")
        status, answer = await self._forward(method, path, body, call.query)
        if method == "DELETE" and status == 200:
            self.state.policies.pop(thing, None)
            self.kept.pop(name, None)
        return JsonResponse(status, self._as_google(answer))

    async def _policy(self, name: str, thing: str, verb: str, call: Call) -> JsonResponse:
        status, _ = await self._forward("GET", f"v1/{name}")
        if status != 200:
            raise not_found(thing)
        if verb == "getIamPolicy":
            return JsonResponse(200, self.policies.get(thing))
        return JsonResponse(200, self.policies.set(thing, call.fields()["policy"]))

    def _subscription_for_emulator(self, name: str, body: bytes) -> bytes:
        """Returns a subscription without what the emulator refuses."""
        sent = orjson.loads(body)
        subscription = sent.get("subscription", sent)
        if _RETENTION in subscription:
            self.kept.pop(name, None)
            given = subscription[_RETENTION]
            if float(given.removesuffix("s")) > _LONGEST:
                raise invalid("message_retention_duration out of bounds.")
            if float(given.removesuffix("s")) > _EMULATORS_LONGEST:
                self.kept[name] = {_RETENTION: given}
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
            self.kept.pop(name, None)
            if policy:
                self.kept[name] = {_STORAGE: policy}
        if "updateMask" in sent:
            sent["updateMask"] = ",".join(path for path in mask if path != _STORAGE)
            if not sent["updateMask"]:
                return b""
        return orjson.dumps(sent)

    def _as_google(self, answer: Any) -> Any:
        """Returns what the emulator answers, with what was kept from it."""
        if isinstance(answer, dict):
            shown: Json = {key: self._as_google(value) for key, value in answer.items()}
            return shown | self.kept.get(str(answer.get("name")), {})
        return [self._as_google(one) for one in answer] if isinstance(answer, list) else answer

    async def _forward(
        self, method: str, path: str, body: bytes = b"", query: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        url = f"http://{self.host}/{path}"
        headers = {"Content-Type": "application/json"}
        async with aiohttp.request(
            method, url, params=query, data=body or None, headers=headers
        ) as answer:
            return answer.status, orjson.loads(await answer.read() or b"{}")
