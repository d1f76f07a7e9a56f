"""Reads guides and their polls from Pendo's API.

Pendo's reference ("Engage API", engageapi.pendo.io) could not be read, and nothing was tried on a
live subscription. Who says what:

- `GET /api/v1/guide?expand=*`, header `x-pendo-integration-key`, answers one array with the guides
  of all applications: Estuary's connector (estuary/connectors, source-pendo). No public client
  knows of pages, so there is one request.
- A key that is not valid is answered 403: the same connector. 401 is assumed to mean the same.
- `polls[]` of a guide have `id`, `question`, `attributes.type`, `numericResponses` and, an object
  with any keys, `idResponses`: the schema of Airbyte's connector (airbytehq/airbyte, source-pendo).
- A pick list sends the id of a choice, and a poll with `numericResponses` a number: Pendo's Web SDK
  (`@pendo/agent` 2.291.4).
- Assumed: that the keys of `idResponses` are the ids of the choices, and what its values look like.
  So texts, objects with a text, and an array of objects are all read; anything else is counted.
- Assumed: that 429 comes with a `Retry-After`. Pendo documents no limit of its rate.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import aiohttp
import orjson

from pendo_aep.cli.terminal import CommandFailed, ShowProgress
from pendo_aep.http import retry_after_seconds
from pendo_aep.provisioning.client import RetryPolicy

_PATH: Final = "/api/v1/guide"
_ALL_APPLICATIONS: Final = {"expand": "*"}
# Guides come with the HTML of their steps. As long as other clients wait for a large answer (300 s,
# singer-io/tap-pendo), and as much as fits into the memory of a small machine when it is parsed.
PATIENT: Final = RetryPolicy(initial_seconds=1.0, timeout_seconds=300.0)
MAX_ANSWER_BYTES: Final = 100_000_000
_SILENT_SECONDS: Final = 60.0
_KEY: Final = re.compile(r"[\x21-\x7e]+")
# Where the text of a choice is, if it is not a text itself (assumed).
_TEXT_KEYS: Final = ("text", "label", "name", "value")

Json: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class PollTexts:
    """The texts of all polls, as the file has them.

    Attributes:
        polls: by id.
        guides: how many guides have a poll.
        skipped: how many guides, polls and choices had a form that is not known.
    """

    polls: dict[str, Json] = field(default_factory=dict)
    guides: int = 0
    skipped: int = 0

    @property
    def choices(self) -> int:
        """How many choices the polls have."""
        return sum(len(poll.get("choices", ())) for poll in self.polls.values())


def read_polls(guides: list[Any]) -> PollTexts:
    """Returns the texts of the polls of guides. What cannot be read is counted, and left out."""
    found = PollTexts()
    for guide in guides:
        polls = guide.get("polls") or [] if isinstance(guide, dict) else None
        if not isinstance(polls, list):
            found.skipped += 1
            continue
        known = len(found.polls)
        for poll in polls:
            _read_poll(poll, found)
        found.guides += len(found.polls) > known
    return found


def _read_poll(poll: Any, found: PollTexts) -> None:
    poll_id = _id(poll.get("id")) if isinstance(poll, dict) else ""
    if not poll_id:
        found.skipped += 1
        return
    attributes = poll.get("attributes")
    texts: Json = {
        "question": _text(poll.get("question")),
        "type": _text(attributes.get("type")) if isinstance(attributes, dict) else "",
        "choices": {},
    }
    for choice_id, text in _choices(poll.get("idResponses")):
        if choice_id and text:
            texts["choices"][choice_id] = text
        else:
            found.skipped += 1
    if texts := {key: value for key, value in texts.items() if value}:
        found.polls[poll_id] = texts
    else:
        found.skipped += 1


def _choices(responses: Any) -> Iterator[tuple[str, str]]:
    """Yields id and text of each choice; one of them is empty where the form is not known."""
    if isinstance(responses, dict):
        for choice_id, value in responses.items():
            yield choice_id, _choice_text(value)
    elif isinstance(responses, list):
        for value in responses:
            yield (_id(value.get("id")) if isinstance(value, dict) else ""), _choice_text(value)
    elif responses is not None:
        yield "", ""


def _choice_text(value: Any) -> str:
    if isinstance(value, dict):
        return next((text for key in _TEXT_KEYS if (text := _text(value.get(key)))), "")
    return _text(value)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _id(value: Any) -> str:
    """Returns an id as text: some ids of Pendo's, as those of apps, are numbers."""
    return str(value) if type(value) in {int, str} else ""


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    body: bytes
    retry_after: float


@dataclass(frozen=True, slots=True)
class PendoApi:
    """Pendo's API at one address, with one key.

    Attributes:
        session: makes the calls.
        url: where the API is.
        key: an integration key.
        retry_policy: how long to try.
        max_bytes: of one answer.
    """

    session: aiohttp.ClientSession
    url: str
    key: str
    retry_policy: RetryPolicy = PATIENT
    max_bytes: int = MAX_ANSWER_BYTES

    async def guides(self, show: ShowProgress) -> list[Any]:
        """Returns all guides, as Pendo answers them.

        Raises:
            CommandFailed: Pendo refuses the call, or does not answer within the retry policy.
        """
        if not _KEY.fullmatch(self.key):
            raise CommandFailed(
                "PENDO_INTEGRATION_KEY holds white space or control characters: copy the key again"
            )
        failures = 0
        while True:
            retry_after = 0.0
            try:
                response = await self._get(show)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                cause = type(error).__name__  # its text may hold the address of a proxy
            else:
                if not _is_transient(response.status):
                    return self._parse(response)
                cause, retry_after = f"status {response.status}", response.retry_after
            failures += 1
            await self._back_off(failures, retry_after, cause, show)

    async def _back_off(
        self, failures: int, retry_after: float, cause: str, show: ShowProgress
    ) -> None:
        policy = self.retry_policy
        if failures >= policy.attempts:
            raise CommandFailed(
                f"no answer from Pendo at {self.url} in {failures} tries ({cause}): try again "
                "later, or check --url"
            )
        if retry_after > policy.max_seconds:
            raise CommandFailed(
                f"Pendo asks to wait {retry_after:.0f} s ({cause}): run the command again then"
            )
        seconds = policy.pause(failures, retry_after)
        show(f"{cause}: trying again in {seconds:.0f} s")
        await asyncio.sleep(seconds)

    async def _get(self, show: ShowProgress) -> _Response:
        async with self.session.get(
            self.url + _PATH,
            params=_ALL_APPLICATIONS,
            headers={"x-pendo-integration-key": self.key, "Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(
                total=self.retry_policy.timeout_seconds,
                sock_connect=_SILENT_SECONDS,
                sock_read=_SILENT_SECONDS,
            ),
            allow_redirects=False,  # the key is sent only where the settings say
        ) as response:
            retry_after = retry_after_seconds(response.headers.get("Retry-After"))
            body = await self._body(response, show) if response.status == 200 else b""
            return _Response(response.status, body, retry_after)

    async def _body(self, response: aiohttp.ClientResponse, show: ShowProgress) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self.max_bytes:
                raise CommandFailed(
                    f"Pendo's answer is over {self.max_bytes:,} bytes, which nobody expects of "
                    "guides: report it as a defect"
                )
            show(f"reading guides: {len(body) / 1e6:.1f} MB")
        return bytes(body)

    def _parse(self, response: _Response) -> list[Any]:
        if response.status in {401, 403}:
            raise CommandFailed(
                f"Pendo at {self.url} refuses the integration key: copy PENDO_INTEGRATION_KEY "
                "again from Settings > Integrations > Integration Keys, and see that --url is the "
                "address of your region, as a key is valid in one region only "
                f"(Pendo: {response.status})"
            )
        if response.status != 200:
            raise CommandFailed(
                f"Pendo answers {response.status}: is {self.url} the address of Pendo's API?"
            )
        try:
            guides = orjson.loads(response.body)
        except orjson.JSONDecodeError:
            guides = None
        if not isinstance(guides, list):
            what = "a web page" if response.body.lstrip().startswith(b"<") else "no list of guides"
            raise CommandFailed(
                f"the answer is {what}: is {self.url} the address of Pendo's API, such as "
                "https://app.pendo.io or https://app.eu.pendo.io?"
            )
        return guides


def _is_transient(status: int) -> bool:
    return status in {408, 429} or status >= 500
