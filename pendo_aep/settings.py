"""The settings: environment variables, validated once, with an error that names every wrong one.

A field's name is the variable's, in lower case, and the text below it what `docs/configuration.md`
says of it. Secrets may also come as `NAME_FILE`, see `secret`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pendo_aep.secret import NO_SECRET, Secret
from pendo_aep.setting_types import (
    EventTypes,
    Header,
    Inlet,
    NamespaceCode,
    Project,
    RedactedPaths,
    Subscription,
    Tenant,
    Topic,
    Url,
)


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

    # Which of them are secrets, and may come as files.
    secrets: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:  # noqa: ARG003 (subclasses')
        """The names that what is given makes necessary, beyond those that always are."""
        return ()


class _GoogleSettings(_Settings):
    google_cloud_project: Project
    """The project that short names of topics and subscriptions are in. `my-project`"""
    dead_letter_topic: Topic = "pendo-events-dead"
    """Where what can never be delivered is kept. A name, or `projects/P/topics/T`."""

    def topic_path(self, topic: str) -> str:
        """`projects/P/topics/T` of a topic that may be given by its name alone."""
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
    """The code of the namespace of visitor ids, for `xdm` and for the mapping set."""
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


class ReceiveSettings(_GoogleSettings):
    """What `receive` reads."""

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
        """A secret, unless unsigned webhooks are wanted: in Pendo it is optional too."""
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
    """What `deliver` reads."""

    aep_endpoint: Inlet
    """The streaming endpoint as AEP shows it. `https://dcs.adobedc.net/collection/INLET`"""
    aep_flow_id: Header
    """The id of the dataflow."""
    aep_format: Literal["raw", "xdm"] = "raw"
    """`raw` sends the normalised event, which the dataflow maps; `xdm` an XDM ExperienceEvent."""
    aep_raw_mode: Literal["batch", "enveloped", "single"] = "batch"
    """How `raw` events are sent: as they are in batches; in batches, each in an envelope with a
    header; or one in each request. `aep apply --test-event` finds out which of them the inlet
    takes. `xdm` ignores it."""
    aep_schema_id: str = ""
    """The schema; required for `xdm`. `https://ns.adobe.com/acme/schemas/1`"""
    aep_dataset_id: str = ""
    """The dataset; required for `xdm`, and for `raw` in an envelope."""
    aep_trim_properties: bool = False
    """`true` leaves out the largest properties of an event over 10 KB, which Profile would drop."""
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
        """What the format needs, and the other half of the credentials."""
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
        """Does each event go in a request of its own?"""
        return self.aep_format == "raw" and self.aep_raw_mode == "single"


class DrainSettings(DeliverSettings):
    """What `drain` reads: all that `deliver` does, and what it empties."""

    drain_subscription: Subscription
    """The pull subscription. A name, or `projects/P/subscriptions/S`."""
    drain_seconds: Annotated[float, Field(gt=0, le=540)] = 50.0
    """How long one run may take."""

    @property
    def subscription_path(self) -> str:
        """`projects/P/subscriptions/S` of a subscription that may be given by its name alone."""
        return self._path(self.drain_subscription, "subscriptions")


class PlatformSettings(_AdobeSettings):
    """What `aep` reads: as `deliver`, so that both speak of the same AEP."""

    aep_platform_url: Url = "https://platform.adobe.io"
    """Where AEP's APIs are."""
    push_subscription: Subscription = "pendo-events-deliver"
    """What pushes to `deliver`, for the commands that pause and resume it."""

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:  # noqa: ARG003 (the base's)
        """Who is asking, and for which organisation."""
        return ("AEP_CLIENT_ID", "AEP_CLIENT_SECRET", "AEP_IMS_ORG_ID")


S = TypeVar("S", bound=_Settings)


def load(model: type[S], environ: Mapping[str, str]) -> S:
    """The settings of one function; a variable that is set to nothing counts as not set.

    Raises:
        SettingsError: some are missing or wrong. Its lines name them all, and show no secret.
    """
    odd = [name for name in _names(model) if not _is_utf8(environ.get(name, ""))]
    environ = {**environ, **dict.fromkeys(odd, "")}
    given: dict[str, object] = {name: text for name, text in environ.items() if text.strip()}
    problems: list[str] = []
    for name in model.secrets:
        try:
            if secret := _secret(name, environ):
                given[name] = secret
        except ValueError as error:
            given[name] = NO_SECRET  # what is wrong is not missing as well
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
    # What cannot be read is not missing as well.
    problems = [problem for problem in problems if problem.partition(":")[0] not in odd]
    problems += [f"{name}: is not text in UTF-8" for name in odd]
    if problems:
        raise SettingsError(sorted(problems))
    return settings


def _names(model: type[_Settings]) -> list[str]:
    return [name.upper() for name in model.model_fields] + [f"{n}_FILE" for n in model.secrets]


def _is_utf8(text: str) -> bool:
    """False: it holds bytes that no request, header or log line could carry."""
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
