"""The settings: environment variables, validated once, with an error that names every wrong one.

The name of a field is that of the variable, in lower case; the text below it is what
docs/configuration.md says about it. A secret `NAME` may also come as `NAME_FILE`: see `Secret`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from pendo_aep.chosen_fields import ChosenField, parse_chosen_fields
from pendo_aep.event import EVENT_TYPES, OTHER_TYPES

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Anything that URL parsers might read as different hosts is not accepted.
_HOST = re.compile(r"(\[::1\]|[A-Za-z0-9._-]+)(:[0-9]+)?")
# Google: "Resource names" of Pub/Sub, on the page "Create a topic".
_RESOURCE_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~%+-]{2,254}")
# Google: "Creating and managing projects"; a number, and a domain before the id, are allowed too.
# The lengths are Google's to check: the emulator takes shorter ids.
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]*")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def _https(url: str) -> str:
    try:
        parts = urlsplit(url)
        has_address = bool(_HOST.fullmatch(parts.netloc)) and parts.port != 0
    except ValueError:  # its text would show the value, and with it a password
        has_address = False
    if not has_address or parts.fragment or not _PRINTABLE.fullmatch(url):
        raise ValueError("write a URL like https://host/path, without a user or a fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("must begin with https:// (http:// only for this machine, 127.0.0.1)")
    return url.rstrip("/")


def _inlet(url: str) -> str:
    if not all(urlsplit(url).path.partition("/collection/")[1:]):
        raise ValueError(
            "copy the streaming endpoint as AEP shows it, "
            "like https://dcs.adobedc.net/collection/INLET"
        )
    return url


def _event_types(text: str) -> frozenset[str]:
    types = frozenset(_parts(text))
    for name in types:
        if name not in EVENT_TYPES.values() and not name.startswith(OTHER_TYPES):
            raise ValueError(
                f"{name!r} is no event type; choose from {', '.join(EVENT_TYPES.values())}, "
                f"or {OTHER_TYPES}NAME for another event of Pendo's"
            )
    return types


def parse_path(text: str) -> tuple[str, ...]:
    """Splits a path such as `properties.guideProperties.createdByUser` into its keys.

    Raises:
        ValueError: a key is empty, or the path is `event`, which every webhook must have.
    """
    path = tuple(part.strip() for part in text.split("."))
    if not all(path):
        raise ValueError(f"{text!r} is not a path: write keys joined by dots, as properties.nps")
    if path == ("event",):
        raise ValueError("'event' cannot be redacted: it says what kind of event this is")
    return path


def _paths(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(parse_path(path) for path in _parts(text))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _project(name: str) -> str:
    if not _PROJECT.fullmatch(name):
        raise ValueError("write the project's id: lower-case letters, digits and hyphens")
    return name


def _resource_name(name: str, kind: str) -> str:
    match name.split("/"):
        case [short]:
            pass
        case ["projects", project, given, short] if given == kind:
            _project(project)
        case _:
            raise ValueError(f"write the {kind[:-1]}'s name, or projects/PROJECT/{kind}/NAME")
    if not _RESOURCE_ID.fullmatch(short):
        raise ValueError(
            f"a {kind[:-1]}'s name has 3 to 255 letters, digits and any of - . _ ~ % +, "
            "and begins with a letter, but not with goog"
        )
    return name


def _topic_name(name: str) -> str:
    return _resource_name(name, "topics")


def _subscription_name(name: str) -> str:
    return _resource_name(name, "subscriptions")


Url: TypeAlias = Annotated[str, AfterValidator(_https)]
Project: TypeAlias = Annotated[str, AfterValidator(_project)]
Topic: TypeAlias = Annotated[str, AfterValidator(_topic_name)]
# What goes into a header: a line break in it would be one in the request.
Header: TypeAlias = Annotated[str, Field(pattern=r"^[\x21-\x7e]*$")]
# Adobe's documentation shows tenants with an underscore inside, such as `accenture_partner`.
Tenant: TypeAlias = Annotated[str, Field(pattern=r"^_?[A-Za-z0-9][A-Za-z0-9_]*$")]
# Adobe: Identity Service, "code: letters and digits only".
NamespaceCode: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")]
AnonymousVisitors: TypeAlias = Literal["separate", "same", "none"]
KeptProperties: TypeAlias = Literal["rest", "all", "none"]
StreamingEndpoint: TypeAlias = Annotated[Url, AfterValidator(_inlet)]
Subscription: TypeAlias = Annotated[str, AfterValidator(_subscription_name)]
EventTypes: TypeAlias = Annotated[frozenset[str], BeforeValidator(_event_types)]
ChosenFields: TypeAlias = Annotated[tuple[ChosenField, ...], BeforeValidator(parse_chosen_fields)]
RedactedPaths: TypeAlias = Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_paths)]


ANONYMOUS_NAMESPACE: Final = "PendoAnonymous"
"""The code of the namespace of anonymous visitors, if they have one of their own."""
POLL_SECONDS: Final = 10.0
"""Age of the text at which the next request starts reading the file again."""
LEAST_SECONDS: Final = 1.0
"""Age below which the file is never read again."""
# Assumed: Secret Manager answers in tens of milliseconds. After this, the known text is used.
_READ_SECONDS: Final = 2.0


class MountedFile:
    """A file that may change at run time, and is read again while requests are answered.

    On Cloud Run each read of a mounted secret is a lookup in Secret Manager (Google: "Configure
    secrets for services"), and what `stat` reports for it is not documented. So only the content
    tells whether a file has changed, and a read is treated as a network call: rare, in a thread,
    and with a timeout. A file is never read twice at the same time, no matter how many requests
    ask. Nothing runs between requests: a request starts each read.
    """

    __slots__ = ("_path", "_reading", "_started")

    def __init__(self, path: Path | None) -> None:
        """Takes the path, or None if there is no file; whoever inherits this reads it at once."""
        self._path = path
        self._started = time.monotonic()
        self._reading: asyncio.Task[None] | None = None

    def poll(self, age: float = POLL_SECONDS) -> None:
        """Starts reading the file again if the last read is so many seconds old; does not wait."""
        self._read_under_way(age)

    def _read_under_way(self, age: float) -> asyncio.Task[None] | None:
        """Returns the read in progress; starts one if the last began `age` seconds ago or more."""
        if self._path is None:
            return None
        if self._reading is None or self._reading.done():
            now = time.monotonic()
            if now - self._started < age:
                return None
            self._started = now
            self._reading = asyncio.create_task(self._reload(self._path))
        return self._reading

    async def _reload(self, path: Path) -> None:
        """Reads the file, and keeps what it holds."""
        raise NotImplementedError


class Secret(MountedFile):
    """A secret that no `repr`, log line or traceback shows; its file may change at run time.

    A file (`X_FILE`) is read at most once a second: see `MountedFile`.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str = "", *, path: Path | None = None) -> None:
        """Takes the text itself, or the path of the file that holds it, which is read at once.

        Raises:
            OSError: the file cannot be read.
            UnicodeDecodeError: the file is not UTF-8 text.
        """
        super().__init__(path)
        self._text = text if path is None else _content(path)

    def read(self) -> str:
        """Returns the secret as last read, without surrounding white space."""
        return self._text

    async def refreshed(self) -> str:
        """Returns the secret as it is in the file now, or was within the last second.

        Concurrent callers share one read and wait two seconds at most. A slower read goes on in the
        background, and its text is used from then on.
        """
        if reading := self._read_under_way(LEAST_SECONDS):
            seconds = self._started + _READ_SECONDS - time.monotonic()
            await asyncio.wait([reading], timeout=seconds)
        return self._text

    async def _reload(self, path: Path) -> None:
        try:
            text = await asyncio.to_thread(_content, path)
        except (OSError, UnicodeDecodeError):
            return  # missing, or half written: keep the last good text
        # An empty file is about to be written: keep the last good text.
        self._text = text or self._text

    def __repr__(self) -> str:
        return f"Secret({'file ' + str(self._path) if self._path else '***'})"


def _content(path: Path) -> str:
    return path.read_text("utf-8").strip()


NO_SECRET = Secret()
"""The value of a secret that is not set."""


class SettingsError(Exception):
    """Some settings are wrong; `problems` has one line for each, `NAME: what is wrong`."""

    def __init__(self, problems: list[str]) -> None:
        """Takes one line for each wrong setting."""
        super().__init__("; ".join(problems))
        self.problems = problems


class _Settings(BaseModel):
    model_config = ConfigDict(
        alias_generator=str.upper,
        arbitrary_types_allowed=True,
        defer_build=True,  # a process has the settings of one function
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # The secrets among them, which may come as files.
    secrets: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:  # noqa: ARG003 (subclasses')
        """Returns the names that become required by what is given."""
        return ()


class _GoogleSettings(_Settings):
    google_cloud_project: Project
    """The project that short names of topics and subscriptions are in. `my-project`"""
    dead_letter_topic: Topic = "pendo-events-dead"
    """Where what can never be delivered is kept. A name, or `projects/P/topics/T`."""

    def topic_path(self, topic: str) -> str:
        """Returns `projects/P/topics/T` for a topic given by name or by path."""
        return self._path(topic, "topics")

    def _path(self, name: str, kind: str) -> str:
        return name if "/" in name else f"projects/{self.google_cloud_project}/{kind}/{name}"


class _AdobeSettings(_Settings):
    secrets: ClassVar = ("AEP_CLIENT_SECRET",)

    aep_ims_org_id: Header = ""
    """The organisation; required for `xdm`, for `raw` in an envelope, and for `aep`.
    `ABC@AdobeOrg`"""
    aep_tenant_id: Tenant = ""
    """The tenant, with or without its underscore; required for `xdm`. `acme`"""
    aep_sandbox: Header = "prod"
    """The sandbox's name, in lower case."""
    aep_identity_namespace: NamespaceCode = "PendoVisitor"
    """The code of the namespace of visitor ids, for `xdm` and for the mapping set. One for each
    Pendo subscription whose visitor ids may collide with another's."""
    aep_anonymous_visitors: AnonymousVisitors = "separate"
    """Where the ids of Pendo's anonymous visitors (`_PENDO_T_...`) go: `separate`, the namespace
    `PendoAnonymous`; `same`, that of all visitors; `none`, no identity. Set it for `aep` as for
    `deliver`."""
    aep_email_namespace: NamespaceCode = ""
    """Where visitor ids that are e-mail addresses go as well, in lower case; nowhere, if it is not
    set. Set it for `aep` as for `deliver`. `Email`"""
    aep_properties: KeptProperties = "rest"
    """What `_TENANT.pendo.properties` keeps of Pendo's `properties`: `rest`, what has no field of
    its own; `all`; `none`."""
    aep_fields: ChosenFields = ()
    """Properties that become typed fields of their own, such as
    `properties.eventProperties.plan:string`, with white space or commas between them; see
    [mapping](mapping.md#fields-of-your-own). Set it for `aep` as for `deliver`."""
    aep_client_id: Header = ""
    """Of a server-to-server credential of Adobe's developer console; without one, the inlet must be
    an open one. `aep` requires it."""
    aep_client_secret: Secret = NO_SECRET
    """The credential's secret."""
    # The scopes that Adobe's own Kafka sink asks for.
    aep_scopes: str = (
        "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session"
    )
    """What the token is for, separated by commas."""
    aep_ims_url: Url = "https://ims-na1.adobelogin.com"
    """Where tokens come from."""

    @field_validator("aep_identity_namespace", "aep_email_namespace")
    @classmethod
    def _other_than_the_anonymous(cls, code: str) -> str:
        if code.lower() == ANONYMOUS_NAMESPACE.lower():
            raise ValueError(f"{ANONYMOUS_NAMESPACE} is for anonymous visitors; choose another")
        return code

    @field_validator("aep_email_namespace")
    @classmethod
    def _other_than_the_visitors(cls, code: str, info: ValidationInfo) -> str:
        if code.lower() == str(info.data.get("aep_identity_namespace", "")).lower():
            raise ValueError("must differ from AEP_IDENTITY_NAMESPACE, where all visitor ids go")
        return code


class ReceiveSettings(_GoogleSettings):
    """The settings of `receive`."""

    secrets: ClassVar = ("PENDO_WEBHOOK_SECRETS",)

    pubsub_topic: Topic = "pendo-events"
    """Where events go. A name, or `projects/P/topics/T`."""
    pendo_webhook_secrets: Secret = NO_SECRET
    """One or more, separated by white space; all are active, so that one can follow another without
    a gap. Required, unless `PENDO_ALLOW_UNSIGNED` is `true`."""
    pendo_allow_unsigned: bool = False
    """`true` takes webhooks without a signature; a wrong one is still refused."""
    pendo_events: EventTypes = frozenset()
    """The types to keep; all, if it is not set. `nps.submitted,poll.submitted`"""
    redact: RedactedPaths = (
        ("properties", "guideProperties", "createdByUser"),
        ("properties", "guideProperties", "lastUpdatedByUser"),
    )
    """Paths in the webhook that are removed, separated by commas; by default the e-mail addresses
    of your own staff. `none` removes nothing."""
    max_body_bytes: Annotated[int, Field(ge=1, le=8_000_000)] = 1_048_576
    """A larger webhook is refused with 413, while it is read."""

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:
        """Returns the secrets, unless unsigned webhooks are allowed: Pendo need not sign."""
        unsigned = str(given.get("PENDO_ALLOW_UNSIGNED")).lower() in {
            "true",
            "t",
            "1",
            "yes",
            "y",
            "on",
        }
        return () if unsigned else ("PENDO_WEBHOOK_SECRETS",)


class DeliverSettings(_GoogleSettings, _AdobeSettings):
    """The settings of `deliver`."""

    aep_endpoint: StreamingEndpoint
    """The streaming endpoint as AEP shows it. `https://dcs.adobedc.net/collection/INLET`"""
    aep_flow_id: Header
    """The id of the dataflow. `status` and `reconcile` look for the one that `aep apply` made, if
    it is not set."""
    aep_format: Literal["raw", "xdm"] = "raw"
    """`raw` sends the normalised event, which the dataflow maps; `xdm` an XDM ExperienceEvent."""
    aep_raw_mode: Literal["batch", "enveloped", "single"] = "batch"
    """How `raw` events are sent: as they are in batches; in batches, each in an envelope with a
    header; or one in each request. `aep apply --test-event` finds out which of them the inlet
    takes. `xdm` ignores it."""
    aep_schema_id: str = ""
    """The schema; required for `xdm`. `https://ns.adobe.com/acme/schemas/1`"""
    aep_dataset_id: str = ""
    """The dataset; required for `xdm`, and for `raw` in an envelope. `status` and `reconcile` take
    that of the dataflow, if it is not set."""
    aep_trim_properties: bool = False
    """`true` leaves out the largest properties of an event over 10 KB, which Profile would drop."""
    pendo_catalog_file: str = ""
    """The file that `pendo-aep catalog` writes: poll answers then also have question, choice and
    type in words. It is read again when it changes; without it, events are sent all the same."""
    # Adobe: 1 MB a request; the default leaves room for the envelope.
    batch_max_bytes: Annotated[int, Field(ge=1, le=1_000_000)] = 950_000
    """Of one AEP request; Adobe's limit is 1 MB with its envelope."""
    batch_max_messages: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Of one AEP request."""
    batch_linger_ms: Annotated[int, Field(ge=0, le=10_000)] = 20
    """How long the first message of a batch waits for others, while a request could start."""
    batch_max_in_flight: Annotated[int, Field(ge=1, le=100)] = 4
    """AEP requests at the same time."""
    deliver_deadline_seconds: Annotated[float, Field(gt=0, le=540)] = 30.0
    """How long a message may wait for AEP, retries included, before it goes back to Pub/Sub."""

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:
        """Returns what the format needs, and the other half of the credentials."""
        header = ("AEP_DATASET_ID", "AEP_IMS_ORG_ID")
        needed: tuple[str, ...] = ()
        if given.get("AEP_FORMAT") == "xdm":
            needed += ("AEP_SCHEMA_ID", "AEP_TENANT_ID", *header)
        elif given.get("AEP_RAW_MODE") == "enveloped":
            needed += header
        credentials = ("AEP_CLIENT_ID", "AEP_CLIENT_SECRET")
        if any(name in given for name in credentials):
            needed += credentials
        return needed

    @property
    def is_single(self) -> bool:
        """Whether each event is sent in a request of its own."""
        return self.aep_format == "raw" and self.aep_raw_mode == "single"


class DrainSettings(DeliverSettings):
    """The settings of `drain`: those of `deliver`, and what to drain."""

    drain_subscription: Subscription
    """The pull subscription. A name, or `projects/P/subscriptions/S`."""
    drain_seconds: Annotated[float, Field(gt=0, le=540)] = 50.0
    """How long one run may take."""

    @property
    def subscription_path(self) -> str:
        """Returns `projects/P/subscriptions/S`, also if only the name is given."""
        return self._path(self.drain_subscription, "subscriptions")


class PlatformSettings(_AdobeSettings):
    """The settings of `aep`, named as those of `deliver`: both mean the same AEP."""

    aep_platform_url: Url = "https://platform.adobe.io"
    """Where AEP's APIs are."""
    push_subscription: Subscription = "pendo-events-deliver"
    """What pushes to `deliver`, for the commands that pause and resume it."""

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:  # noqa: ARG003 (the base's)
        """Returns the credentials and the organisation."""
        return ("AEP_CLIENT_ID", "AEP_CLIENT_SECRET", "AEP_IMS_ORG_ID")


class LakeSettings(PlatformSettings, _GoogleSettings):
    """The settings of `status` and `reconcile`, which follow events into the data lake.

    Named as those of the functions: all of them mean the same deployment.
    """

    google_cloud_project: Project = ""
    """The project that short names of topics and subscriptions are in; `reconcile` requires it."""
    aep_flow_id: Header = ""
    """The id of the dataflow; empty for the one that `aep apply` made."""
    aep_dataset_id: Header = ""
    """The dataset; empty for the one that the dataflow writes to."""
    pubsub_topic: Topic = "pendo-events"
    """Where events were published, as for `receive`."""
    dead_letter_subscription: Subscription = "pendo-events-dead-kept"
    """What keeps the dead letters. A name, or `projects/P/subscriptions/S`."""
    drain_subscription: Subscription = ""
    """What `drain` pulls from, if there is one."""

    def subscription_path(self, subscription: str) -> str:
        """Returns `projects/P/subscriptions/S` of a subscription, given by name or by path."""
        return self._path(subscription, "subscriptions")


class CatalogSettings(_Settings):
    """The settings of `catalog`, which reads Pendo's guides."""

    secrets: ClassVar = ("PENDO_INTEGRATION_KEY",)

    pendo_integration_key: Secret = NO_SECRET
    """The key of Pendo's API, from Settings > Integrations > Integration Keys in Pendo. Required by
    `catalog`; no function reads it."""
    # The US; Pendo: "Global data hosting" has the other regions.
    pendo_api_url: Url = "https://app.pendo.io"
    """Where Pendo's API is; `https://app.eu.pendo.io` in the EU."""

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:  # noqa: ARG003 (the base's)
        """Returns the key."""
        return ("PENDO_INTEGRATION_KEY",)


S = TypeVar("S", bound=_Settings)


def load(model: type[S], environ: Mapping[str, str]) -> S:
    """Reads the settings of one function; a variable that is empty counts as not set.

    Raises:
        SettingsError: settings are missing or wrong. It names every one, and shows no secret.
    """
    undecodable = [name for name in _names(model) if not _is_utf8(environ.get(name, ""))]
    environ = {**environ, **dict.fromkeys(undecodable, "")}
    given: dict[str, object] = {name: text for name, text in environ.items() if text.strip()}
    problems: list[str] = []
    for name in model.secrets:
        try:
            if secret := _secret(name, environ):
                given[name] = secret
        except ValueError as error:
            given[name] = NO_SECRET  # wrong, so do not report it as missing too
            problems.append(f"{name}: {error}")
    problems += [f"{name}: is missing" for name in model.needed(given) if name not in given]
    try:
        settings = model.model_validate(given)
    except ValidationError as invalid:
        problems += [
            f"{error['loc'][0]}: "
            + (
                "is missing"
                if error["type"] == "missing"
                else error["msg"].removeprefix("Value error, ")
            )
            for error in invalid.errors(include_url=False, include_input=False)
        ]
    # Do not report what cannot be read as missing too.
    problems = [problem for problem in problems if problem.partition(":")[0] not in undecodable]
    problems += [f"{name}: is not text in UTF-8" for name in undecodable]
    if problems:
        raise SettingsError(sorted(problems))
    return settings


def _names(model: type[_Settings]) -> list[str]:
    return [name.upper() for name in model.model_fields] + [f"{n}_FILE" for n in model.secrets]


def _is_utf8(text: str) -> bool:
    """Returns False for text with bytes that no request, header or log line could carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _secret(name: str, environ: Mapping[str, str]) -> Secret | None:
    text, file = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "").strip()
    if text and file:
        raise ValueError(f"is set twice, here and as {name}_FILE; keep one")
    if text:
        return Secret(text)
    if not file:
        return None
    try:
        secret = Secret(path=Path(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file {file} of {name}_FILE cannot be read: {error}") from None
    if not secret.read():
        raise ValueError(f"the file {file} of {name}_FILE is empty")
    return secret
