"""What a setting may be: the text of an environment variable, checked and taken apart."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from pendo_aep.event import EVENT_TYPES, OTHER_TYPES
from pendo_aep.redaction import Path, parse_path

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Where readers of addresses might disagree about the host, there is none.
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


def _paths(text: str) -> tuple[Path, ...]:
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
Inlet: TypeAlias = Annotated[Url, AfterValidator(_inlet)]
Subscription: TypeAlias = Annotated[str, AfterValidator(_subscription_name)]
EventTypes: TypeAlias = Annotated[frozenset[str], BeforeValidator(_event_types)]
RedactedPaths: TypeAlias = Annotated[tuple[Path, ...], BeforeValidator(_paths)]
