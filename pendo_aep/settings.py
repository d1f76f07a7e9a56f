"""The settings: environment variables, validated once, with an error that names every wrong one.

A field's name is the variable's, in lower case. Secrets may also come as `NAME_FILE`, see `secret`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pendo_aep.event import EVENT_TYPES, OTHER_TYPES
from pendo_aep.redaction import Path as RedactionPath
from pendo_aep.redaction import parse_path
from pendo_aep.secret import NO_SECRET, Secret

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SettingsError(Exception):
    """Some settings are wrong; `problems` has one line for each, `NAME: what is wrong`."""

    def __init__(self, problems: list[str]) -> None:
        """Takes one line for each wrong setting."""
        super().__init__("; ".join(problems))
        self.problems = problems


def _https(url: str) -> str:
    try:
        parts = urlsplit(url)
        has_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text would show the value, and with it a password
        has_address = False
    if not has_address or parts.username or parts.fragment:
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


def _paths(text: str) -> tuple[RedactionPath, ...]:
    return tuple(parse_path(path) for path in _parts(text))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _resource_name(name: str, kind: str) -> str:
    parts = name.split("/")
    is_path = len(parts) == 4 and parts[::2] == ["projects", kind]
    if all(parts) and (is_path or len(parts) == 1):
        return name
    raise ValueError(f"write the {kind[:-1]}'s name, or projects/PROJECT/{kind}/NAME")


def _topic_name(name: str) -> str:
    return _resource_name(name, "topics")


def _subscription_name(name: str) -> str:
    return _resource_name(name, "subscriptions")


Url: TypeAlias = Annotated[str, AfterValidator(_https)]
Topic: TypeAlias = Annotated[str, AfterValidator(_topic_name)]
# What goes into a header: a line break in it would be one in the request.
Header: TypeAlias = Annotated[str, Field(pattern=r"^[\x21-\x7e]*$")]


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
    google_cloud_project: str
    dead_letter_topic: Topic = "pendo-events-dead"

    def topic_path(self, topic: str) -> str:
        """`projects/P/topics/T` of a topic that may be given by its name alone."""
        return self._path(topic, "topics")

    def _path(self, name: str, kind: str) -> str:
        return name if "/" in name else f"projects/{self.google_cloud_project}/{kind}/{name}"


class _AdobeSettings(_Settings):
    secrets: ClassVar = ("AEP_CLIENT_SECRET",)

    aep_ims_org_id: Header = ""
    aep_tenant_id: Annotated[str, Field(pattern=r"^_?[A-Za-z0-9]+$")] = ""
    aep_sandbox: Header = "prod"
    # Adobe: Identity Service, "code: letters and digits only".
    aep_identity_namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")] = "PendoVisitor"
    aep_client_id: Header = ""
    aep_client_secret: Secret = NO_SECRET
    # The scopes that Adobe's own Kafka sink asks for.
    aep_scopes: str = (
        "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session"
    )
    aep_ims_url: Url = "https://ims-na1.adobelogin.com"


class ReceiveSettings(_GoogleSettings):
    """What `receive` reads."""

    secrets: ClassVar = ("PENDO_WEBHOOK_SECRETS",)

    pubsub_topic: Topic = "pendo-events"
    pendo_webhook_secrets: Secret = NO_SECRET
    pendo_allow_unsigned: bool = False
    pendo_events: Annotated[frozenset[str], BeforeValidator(_event_types)] = frozenset()
    redact: Annotated[tuple[RedactionPath, ...], BeforeValidator(_paths)] = (
        ("properties", "guideProperties", "createdByUser"),
        ("properties", "guideProperties", "lastUpdatedByUser"),
    )
    max_body_bytes: Annotated[int, Field(ge=1, le=8_000_000)] = 1_048_576

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

    aep_endpoint: Annotated[Url, AfterValidator(_inlet)]
    aep_flow_id: Header = ""
    aep_format: Literal["raw", "xdm"] = "raw"
    aep_schema_id: str = ""
    aep_dataset_id: str = ""
    aep_trim_properties: bool = False
    # Adobe: 1 MB a request; the default leaves room for the envelope.
    batch_max_bytes: Annotated[int, Field(ge=1, le=1_000_000)] = 950_000
    batch_max_messages: Annotated[int, Field(ge=1, le=10_000)] = 1000
    batch_linger_ms: Annotated[int, Field(ge=0, le=10_000)] = 20
    batch_max_in_flight: Annotated[int, Field(ge=1, le=100)] = 4
    deliver_deadline_seconds: Annotated[float, Field(gt=0, le=540)] = 30.0

    @classmethod
    def needed(cls, given: Mapping[str, object]) -> tuple[str, ...]:
        """What the format needs, and the other half of the credentials."""
        of_format = {
            "raw": ("AEP_FLOW_ID",),
            "xdm": ("AEP_SCHEMA_ID", "AEP_DATASET_ID", "AEP_IMS_ORG_ID", "AEP_TENANT_ID"),
        }
        credentials = ("AEP_CLIENT_ID", "AEP_CLIENT_SECRET")
        return of_format.get(str(given.get("AEP_FORMAT", "raw")), ()) + (
            credentials if any(name in given for name in credentials) else ()
        )


class DrainSettings(DeliverSettings):
    """What `drain` reads: all that `deliver` does, and what it empties."""

    drain_subscription: Annotated[str, AfterValidator(_subscription_name)]
    drain_seconds: Annotated[float, Field(gt=0, le=540)] = 50.0

    @property
    def subscription_path(self) -> str:
        """`projects/P/subscriptions/S` of a subscription that may be given by its name alone."""
        return self._path(self.drain_subscription, "subscriptions")


class PlatformSettings(_AdobeSettings):
    """What the set-up command reads: as `deliver`, so that both speak of the same AEP."""

    aep_platform_url: Url = "https://platform.adobe.io"

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
    if problems:
        raise SettingsError(sorted(problems))
    return settings


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
