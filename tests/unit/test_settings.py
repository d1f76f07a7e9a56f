"""Settings: the specification's defaults, and one error that names all wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pendo_aep.settings import (
    CatalogSettings,
    DeliverSettings,
    DrainSettings,
    PlatformSettings,
    ReceiveSettings,
    SettingsError,
    load,
)
from tests.cases import Case, cases

RECEIVE = {"GOOGLE_CLOUD_PROJECT": "p", "PENDO_WEBHOOK_SECRETS": "s3cret"}
DELIVER = {
    "GOOGLE_CLOUD_PROJECT": "p",
    "AEP_ENDPOINT": "https://dcs.adobedc.net/collection/inlet",
    "AEP_FLOW_ID": "flow",
}
XDM = DELIVER | {
    "AEP_FORMAT": "xdm",
    "AEP_SCHEMA_ID": "https://ns.adobe.com/acme/schemas/1",
    "AEP_DATASET_ID": "d",
    "AEP_IMS_ORG_ID": "o@AdobeOrg",
    "AEP_TENANT_ID": "_acme",
}


PLATFORM = {"AEP_CLIENT_ID": "i", "AEP_CLIENT_SECRET": "s3cret", "AEP_IMS_ORG_ID": "o@AdobeOrg"}
CATALOG = {"PENDO_INTEGRATION_KEY": "s3cret"}
DRAIN = DELIVER | {"DRAIN_SUBSCRIPTION": "backlog"}
ENVIRONMENTS = {
    "receive": RECEIVE,
    "deliver": DELIVER,
    "drain": DRAIN,
    "platform": PLATFORM,
    "catalog": CATALOG,
}


def load_of(
    function: str, environ: Mapping[str, str]
) -> ReceiveSettings | DeliverSettings | PlatformSettings | CatalogSettings:
    """Loads the settings of a function or of a command."""
    if function == "receive":
        return load(ReceiveSettings, environ)
    if function == "drain":
        return load(DrainSettings, environ)
    if function == "platform":
        return load(PlatformSettings, environ)
    if function == "catalog":
        return load(CatalogSettings, environ)
    return load(DeliverSettings, environ)


def problems_of(function: str, environ: Mapping[str, str]) -> list[str]:
    """Returns the problems of the error."""
    with pytest.raises(SettingsError) as error:
        load_of(function, environ)
    assert str(error.value) == "; ".join(error.value.problems)
    return error.value.problems


def wrong(row: Case) -> list[str]:
    """Returns the problems for a row of the table of wrong settings."""
    environ = ENVIRONMENTS[row["function"]] | row.get("with", {})
    return problems_of(
        row["function"],
        {name: text for name, text in environ.items() if name not in row.get("without", ())},
    )


@pytest.mark.parametrize("case", cases("setting_defaults"))
def test_default(case: Case) -> None:
    """A setting that is missing or empty has the default of the specification."""
    environ = ENVIRONMENTS[case["function"]]
    name = case["name"].lower()
    plain = load_of(case["function"], environ)
    written = load_of(case["function"], environ | {case["name"]: case["default"]})
    empty = load_of(case["function"], environ | {case["name"]: ""})
    assert getattr(plain, name) == getattr(written, name) == getattr(empty, name)
    assert name in written.model_fields_set
    assert name not in plain.model_fields_set


def test_all_events_by_default() -> None:
    """Without `PENDO_EVENTS` no event is ignored."""
    assert load(ReceiveSettings, RECEIVE).pendo_events == frozenset()


def test_an_open_inlet_by_default() -> None:
    """Without credentials the inlet is an open one."""
    settings = load(DeliverSettings, DELIVER)
    assert settings.aep_client_id == settings.aep_client_secret.read() == ""


@pytest.mark.parametrize("case", cases("wrong_settings"))
def test_every_wrong_one_is_named(case: Case) -> None:
    """One error names each wrong setting once, and says what is wrong."""
    problems = wrong(case)
    assert [problem.split(":")[0] for problem in problems] == case["wrong"]
    assert all(problem.partition(": ")[2] for problem in problems)
    assert "Value error" not in str(problems)  # the validator's words, not the reader's


@pytest.mark.parametrize("case", cases("wrong_settings"))
def test_no_value_is_shown(case: Case) -> None:
    """The error is logged, and a value may be a secret in the wrong variable.

    Only the wrong element of a list is shown: it could not be found otherwise.
    """
    assert ("canary" in "; ".join(wrong(case))) is case.get("shown", False)


def test_other_variables_are_ignored() -> None:
    """Other environment variables are ignored."""
    environ = RECEIVE | {"PATH": "/bin", "PORT": "x", "AEP_FORMAT": "y", "redact": "a..b"}
    assert load(ReceiveSettings, environ).google_cloud_project == "p"


@pytest.mark.parametrize("allowed", ["true", "True", "1", "yes", "on"])
def test_unsigned_needs_no_secret(allowed: str) -> None:
    """With unsigned webhooks allowed, a secret is optional."""
    environ = {"GOOGLE_CLOUD_PROJECT": "p", "PENDO_ALLOW_UNSIGNED": allowed}
    assert load(ReceiveSettings, environ).pendo_allow_unsigned
    assert load(ReceiveSettings, RECEIVE | environ).pendo_webhook_secrets.read() == "s3cret"


def test_lists() -> None:
    """Lists are separated by commas; white space around elements is ignored."""
    settings = load(
        ReceiveSettings,
        RECEIVE | {"PENDO_EVENTS": "nps.submitted, pendo.pageLoaded,", "REDACT": " visitorId ,a.b"},
    )
    assert settings.pendo_events == {"nps.submitted", "pendo.pageLoaded"}
    assert settings.redact == (("visitorId",), ("a", "b"))


def test_topics() -> None:
    """A topic is given by its name, or by its full path for another project."""
    settings = load(ReceiveSettings, RECEIVE | {"PUBSUB_TOPIC": "projects/q/topics/events"})
    assert settings.topic_path(settings.pubsub_topic) == "projects/q/topics/events"
    assert settings.topic_path(settings.dead_letter_topic) == "projects/p/topics/pendo-events-dead"


@pytest.mark.parametrize(
    "url",
    [
        "https://dcs.adobedc.net/collection/inlet",
        "http://127.0.0.1:8081/collection/inlet",
        "http://localhost:8081/collection/inlet",
        "http://[::1]:8081/collection/inlet",
    ],
)
def test_endpoints(url: str) -> None:
    """The endpoint is as AEP shows it; without TLS only on this machine."""
    assert load(DeliverSettings, DELIVER | {"AEP_ENDPOINT": url}).aep_endpoint == url
    assert load(DeliverSettings, DELIVER | {"AEP_ENDPOINT": url + "/"}).aep_endpoint == url


def test_xdm() -> None:
    """The format `xdm` requires five settings, one of which `raw` requires too."""
    needed = XDM.keys() - DELIVER.keys() - {"AEP_FORMAT"} | {"AEP_FLOW_ID"}
    assert needed
    for name in needed:
        assert problems_of("deliver", XDM | {name: ""}) == [f"{name}: is missing"]


@pytest.mark.parametrize("tenant", ["acme", "_acme", "accenture_partner", "_a_1_", "2acme"])
def test_the_tenant(tenant: str) -> None:
    """A tenant ID may have underscores, and `aep` and `deliver` agree on it."""
    for function, environ in (("deliver", XDM), ("platform", PLATFORM)):
        settings = load_of(function, environ | {"AEP_TENANT_ID": tenant})
        assert not isinstance(settings, ReceiveSettings | CatalogSettings)
        assert settings.aep_tenant_id == tenant


@pytest.mark.parametrize("mode", ["batch", "enveloped", "single"])
def test_the_raw_mode(mode: str) -> None:
    """The mode applies to raw events only."""
    raw = DELIVER | {"AEP_RAW_MODE": mode, "AEP_DATASET_ID": "d", "AEP_IMS_ORG_ID": "o@AdobeOrg"}
    assert load(DeliverSettings, raw).is_single is (mode == "single")
    assert not load(DeliverSettings, XDM | {"AEP_RAW_MODE": mode}).is_single


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A mounted secret."""
    path = tmp_path / "mounted"
    path.write_text("one\ntwo\n")
    return path


def from_file(path: Path) -> dict[str, str]:
    """Returns an environment with the secrets in a file."""
    return {"GOOGLE_CLOUD_PROJECT": "p", "PENDO_WEBHOOK_SECRETS_FILE": str(path)}


def test_a_secret_in_a_file(mounted: Path) -> None:
    """`X_FILE` names the file that holds the secret; `test_secret.py` tests its changes."""
    secrets = load(ReceiveSettings, from_file(mounted)).pendo_webhook_secrets
    assert secrets.read().split() == ["one", "two"]


def test_the_client_secret_in_a_file(mounted: Path) -> None:
    """The client secret of AEP may be in a file too."""
    environ = DELIVER | {"AEP_CLIENT_ID": "c", "AEP_CLIENT_SECRET_FILE": str(mounted)}
    assert load(DeliverSettings, environ).aep_client_secret.read() == "one\ntwo"
    assert problems_of("deliver", environ | {"AEP_CLIENT_ID": ""}) == ["AEP_CLIENT_ID: is missing"]


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_wrong_file(content: bytes | None, mounted: Path) -> None:
    """A file that is missing, empty or not UTF-8 is named at start, once."""
    if content is None:
        mounted.unlink()
    else:
        mounted.write_bytes(content)
    [problem] = problems_of("receive", from_file(mounted))
    assert problem.startswith("PENDO_WEBHOOK_SECRETS: ")
    assert "PENDO_WEBHOOK_SECRETS_FILE" in problem


def test_a_secret_given_twice(mounted: Path) -> None:
    """A secret both as text and as a file is ambiguous, and an error."""
    [problem] = problems_of("receive", from_file(mounted) | RECEIVE)
    assert problem.startswith("PENDO_WEBHOOK_SECRETS: ")
    assert "s3cret" not in problem


def test_a_wrong_file_beside_other_mistakes() -> None:
    """A wrong file does not hide other errors."""
    problems = problems_of(
        "receive", {"PENDO_WEBHOOK_SECRETS_FILE": "/none", "MAX_BODY_BYTES": "x"}
    )
    assert [problem.split(":")[0] for problem in problems] == [
        "GOOGLE_CLOUD_PROJECT",
        "MAX_BODY_BYTES",
        "PENDO_WEBHOOK_SECRETS",
    ]


def test_settings_show_no_secret() -> None:
    """Printed settings do not show their secrets."""
    environ = XDM | {"AEP_CLIENT_ID": "c", "AEP_CLIENT_SECRET": "s3cret"}
    for settings in (load(ReceiveSettings, RECEIVE), load(DeliverSettings, environ)):
        assert "s3cret" not in f"{settings} {settings!r}"


def test_values_that_are_not_utf8() -> None:
    """Values that are not UTF-8 are named beside other errors, and the error can be logged.

    Python has them in `os.environ` as lone surrogates, which no header or request can hold.
    """
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    environ = RECEIVE | {"GOOGLE_CLOUD_PROJECT": odd, "MAX_BODY_BYTES": "many", "UNRELATED": odd}
    environ |= {"PENDO_WEBHOOK_SECRETS": "", "PENDO_WEBHOOK_SECRETS_FILE": odd}
    with pytest.raises(SettingsError) as raised:
        load(ReceiveSettings, environ)
    assert [problem.split(":")[0] for problem in raised.value.problems] == [
        "GOOGLE_CLOUD_PROJECT",
        "MAX_BODY_BYTES",
        "PENDO_WEBHOOK_SECRETS",
        "PENDO_WEBHOOK_SECRETS_FILE",
    ]
    assert str(raised.value).encode()
