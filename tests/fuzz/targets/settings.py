"""Settings: with any environment, a function either starts or reports what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import yarl

from pendo_aep.aep.client import batch_url
from pendo_aep.pendo.webhook import redact
from pendo_aep.settings import (
    DeliverSettings,
    DrainSettings,
    PlatformSettings,
    ReceiveSettings,
    SettingsError,
    load,
)
from tests.fuzz.common import rows

Settings: TypeAlias = ReceiveSettings | DeliverSettings | DrainSettings | PlatformSettings

_SECRET: Final = "canary-secret"
_MODELS: Final[tuple[type[Settings], ...]] = (
    ReceiveSettings,
    DeliverSettings,
    DrainSettings,
    PlatformSettings,
)
_RIGHT: Final[Mapping[str, str]] = {
    "GOOGLE_CLOUD_PROJECT": "p",
    "PENDO_WEBHOOK_SECRETS": _SECRET,
    "AEP_ENDPOINT": "https://dcs.adobedc.net/collection/inlet",
    "AEP_FLOW_ID": "flow",
    "AEP_CLIENT_ID": "client",
    "AEP_CLIENT_SECRET": _SECRET,
    "AEP_IMS_ORG_ID": "o@AdobeOrg",
    "DRAIN_SUBSCRIPTION": "backlog",
}
# Addresses that one reader may take for this machine, and another for somebody else's.
_HOSTS: Final = (
    "127.0.0.1",
    "localhost:81",
    "[::1]",
    "[::1]x.test",
    "127.0.0.1\\@x.test",
    "127.0.0.1\t.x.test",
    "x.test#@127.0.0.1",
    "[::ffff:127.0.0.1]",
    "127.1",
    "%31.test",
)
# The bounds of numbers that functions rely on.
_NUMBERS: Final = {
    "max_body_bytes": (1, 8_000_000),
    "batch_max_bytes": (1, 1_000_000),
    "batch_max_messages": (1, 10_000),
    "batch_linger_ms": (0, 10_000),
    "batch_max_in_flight": (1, 100),
    "deliver_deadline_seconds": (0, 540),
    "drain_seconds": (0, 540),
}


def check(data: bytes) -> None:
    """Loads settings: a byte picks the function, lines `NAME=value` override valid settings.

    Raises:
        AssertionError: Invalid settings were accepted, valid ones rejected, or a secret shown.
    """
    model = _MODELS[data[0] % len(_MODELS) if data else 0]
    given = dict(_environ(data[1:]))
    environ = {**_RIGHT, **given}
    # If the input itself puts the secret into another setting, an error may quote it.
    may_show = _SECRET.encode() in data
    try:
        settings = load(model, environ)
    except SettingsError as error:
        assert error.problems
        for problem in error.problems:
            name, _, what = problem.partition(": ")
            assert name.lower() in model.model_fields
            assert what
        assert any(name.lower() in model.model_fields for name in given), "the settings were valid"
        assert may_show or _SECRET.encode() not in str(error).encode()  # it goes into the log
        return
    assert may_show or _SECRET not in repr(settings)
    check_use(settings)


def check_use(settings: Settings) -> None:
    """Checks that what a function does with its settings at its first request works."""
    for name, (least, most) in _NUMBERS.items():
        assert least <= getattr(settings, name, least) <= most
    if isinstance(settings, ReceiveSettings):
        secrets = settings.pendo_webhook_secrets.read().encode().split()
        assert all(secrets)
        assert secrets or settings.pendo_allow_unsigned, "nobody could get in"
        redact({"event": "x", "a": [{"b": 1}]}, settings.redact)
        assert ("event",) not in settings.redact
        assert settings.topic_path(settings.pubsub_topic).encode().count(b"/") == 3
        return
    check_url(settings.aep_ims_url)
    headers = [settings.aep_sandbox, settings.aep_ims_org_id, settings.aep_client_id]
    form = f"{settings.aep_client_secret.read()}{settings.aep_scopes}"
    assert form.encode().decode() == form
    assert bool(settings.aep_client_id) == bool(settings.aep_client_secret.read())
    if isinstance(settings, DeliverSettings):
        check_url(batch_url(settings.aep_endpoint))
        assert "/collection/batch/" in batch_url(settings.aep_endpoint)
        headers.append(settings.aep_flow_id)
        assert settings.topic_path(settings.dead_letter_topic).encode().count(b"/") == 3
        assert settings.aep_flow_id if settings.aep_format == "raw" else settings.aep_schema_id
    else:
        check_url(settings.aep_platform_url)
    for header in headers:
        assert header.isascii()
        assert header.isprintable()


def check_url(text: str) -> None:
    """Checks that a client can call it, and sends nothing unencrypted to another machine."""
    url = yarl.URL(text)
    assert url.host
    assert url.scheme == "https" or url.host in {"127.0.0.1", "localhost", "::1"}
    assert not url.user


def _environ(data: bytes) -> Iterator[tuple[str, str]]:
    """Yields an environment like Python's: bytes that are not UTF-8 become lone surrogates.

    `_FILE` settings are left out, because the fuzzer must not choose which file is read.
    """
    for line in data.replace(b"\0", b"").split(b"\n"):
        name, _, value = line.partition(b"=")
        if name and not name.endswith(b"_FILE"):
            yield name.decode("ascii", "replace"), value.decode("utf-8", "surrogateescape")


def seeds() -> Iterator[bytes]:
    """Yields each setting with its default, the wrong ones of the tests, and odd addresses."""
    for place, model in enumerate(_MODELS):
        for name, field in model.model_fields.items():
            yield bytes([place]) + f"{name.upper()}={field.default}".encode()
    for row in rows("setting_defaults"):
        yield _seed(row["function"], {row["name"]: row["default"]})
    for row in rows("wrong_settings"):
        yield _seed(row["function"], row.get("with", {}))
    for host in _HOSTS:
        for scheme in ("http", "https", "HTTP"):
            yield _seed("deliver", {"AEP_ENDPOINT": f"{scheme}://{host}/collection/inlet"})
            yield _seed("deliver", {"AEP_IMS_URL": f"{scheme}://{host}"})
    yield _seed("deliver", {"AEP_FLOW_ID": "flow\rX-Other: 1"})
    yield _seed("receive", {"PENDO_WEBHOOK_SECRETS": "\u2003", "PENDO_ALLOW_UNSIGNED": "true"})
    yield _seed("receive", {"PENDO_WEBHOOK_SECRETS": "a\u2003b\x1c"})


def _seed(function: str, values: Mapping[str, str]) -> bytes:
    lines = [f"{name}={value}" for name, value in values.items()]
    return bytes([0 if function == "receive" else 1]) + "\n".join(lines).encode()
