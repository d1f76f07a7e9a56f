"""The settings: the specification's defaults, and one error that names all that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pendo_aep.settings import (
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
DRAIN = DELIVER | {"DRAIN_SUBSCRIPTION": "backlog"}
ENVIRONMENTS = {"receive": RECEIVE, "deliver": DELIVER, "drain": DRAIN, "platform": PLATFORM}


def load_of(
    function: str, environ: Mapping[str, str]
) -> ReceiveSettings | DeliverSettings | PlatformSettings:
    """The settings of a function by its name, or of the command that sets AEP up."""
    if function == "receive":
        return load(ReceiveSettings, environ)
    if function == "drain":
        return load(DrainSettings, environ)
    if function == "platform":
        return load(PlatformSettings, environ)
    return load(DeliverSettings, environ)


def problems_of(function: str, environ: Mapping[str, str]) -> list[str]:
    """The lines of the error."""
    with pytest.raises(SettingsError) as error:
        load_of(function, environ)
    assert str(error.value) == "; ".join(error.value.problems)
    return error.value.problems


def wrong(row: Case) -> list[str]:
    """The error's lines for a row of the table of wrong settings."""
    environ = ENVIRONMENTS[row["function"]] | row.get("with", {})
    return problems_of(
        row["function"],
        {name: text for name, text in environ.items() if name not in row.get("without", ())},
    )


@pytest.mark.parametrize("case", cases("setting_defaults"))
def test_default(case: Case) -> None:
    """What is not set is as if it were set to the default of the specification."""
    environ = ENVIRONMENTS[case["function"]]
    name = case["name"].lower()
    plain = load_of(case["function"], environ)
    written = load_of(case["function"], environ | {case["name"]: case["default"]})
    empty = load_of(case["function"], environ | {case["name"]: ""})
    assert getattr(plain, name) == getattr(written, name) == getattr(empty, name)
    assert name in written.model_fields_set
    assert name not in plain.model_fields_set


def test_all_events_by_default() -> None:
    """Without `PENDO_EVENTS` no event is left out."""
    assert load(ReceiveSettings, RECEIVE).pendo_events == frozenset()


def test_an_open_inlet_by_default() -> None:
    """Without credentials the inlet is an open one."""
    settings = load(DeliverSettings, DELIVER)
    assert settings.aep_client_id == settings.aep_client_secret.read() == ""


@pytest.mark.parametrize("case", cases("wrong_settings"))
def test_every_wrong_one_is_named(case: Case) -> None:
    """One error names each wrong setting, once, and says something of it."""
    problems = wrong(case)
    assert [problem.split(":")[0] for problem in problems] == case["wrong"]
    assert all(problem.partition(": ")[2] for problem in problems)
    assert "Value error" not in str(problems)  # the validator's words, not the reader's


@pytest.mark.parametrize("case", cases("wrong_settings"))
def test_no_value_is_shown(case: Case) -> None:
    """The error goes to the log; a value may be a secret that was put in the wrong place.

    Only of a list the wrong element is named: nobody could find it otherwise.
    """
    assert ("canary" in "; ".join(wrong(case))) is case.get("shown", False)


def test_other_variables_do_no_harm() -> None:
    """An environment holds much else."""
    environ = RECEIVE | {"PATH": "/bin", "PORT": "x", "AEP_FORMAT": "y", "redact": "a..b"}
    assert load(ReceiveSettings, environ).google_cloud_project == "p"


@pytest.mark.parametrize("allowed", ["true", "True", "1", "yes", "on"])
def test_unsigned_needs_no_secret(allowed: str) -> None:
    """Whoever allows unsigned webhooks may have no secret; to have one is no mistake."""
    environ = {"GOOGLE_CLOUD_PROJECT": "p", "PENDO_ALLOW_UNSIGNED": allowed}
    assert load(ReceiveSettings, environ).pendo_allow_unsigned
    assert load(ReceiveSettings, RECEIVE | environ).pendo_webhook_secrets.read() == "s3cret"


def test_lists() -> None:
    """Lists are separated by commas, with white space as people write it."""
    settings = load(
        ReceiveSettings,
        RECEIVE | {"PENDO_EVENTS": "nps.submitted, pendo.pageLoaded,", "REDACT": " visitorId ,a.b"},
    )
    assert settings.pendo_events == {"nps.submitted", "pendo.pageLoaded"}
    assert settings.redact == (("visitorId",), ("a", "b"))


def test_topics() -> None:
    """A topic is given by its name, of this project, or by its full path, of any."""
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
    """The endpoint is as AEP shows it; in the clear only on this machine."""
    assert load(DeliverSettings, DELIVER | {"AEP_ENDPOINT": url}).aep_endpoint == url
    assert load(DeliverSettings, DELIVER | {"AEP_ENDPOINT": url + "/"}).aep_endpoint == url


def test_xdm() -> None:
    """The format `xdm` needs its five names, and the flow id that `raw` needs too."""
    needed = XDM.keys() - DELIVER.keys() - {"AEP_FORMAT"} | {"AEP_FLOW_ID"}
    assert len(needed) == 5
    for name in needed:
        assert problems_of("deliver", XDM | {name: ""}) == [f"{name}: is missing"]


@pytest.mark.parametrize("tenant", ["acme", "_acme", "accenture_partner", "_a_1_", "2acme"])
def test_the_tenant(tenant: str) -> None:
    """A tenant id may hold underscores, and `aep` and `deliver` agree on it."""
    for function, environ in (("deliver", XDM), ("platform", PLATFORM)):
        settings = load_of(function, environ | {"AEP_TENANT_ID": tenant})
        assert not isinstance(settings, ReceiveSettings)
        assert settings.aep_tenant_id == tenant


@pytest.mark.parametrize("mode", ["batch", "enveloped", "single"])
def test_the_raw_mode(mode: str) -> None:
    """It says how raw events go, and nothing of events in XDM, whatever stands there."""
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
    """The environment with the secrets in a file."""
    return {"GOOGLE_CLOUD_PROJECT": "p", "PENDO_WEBHOOK_SECRETS_FILE": str(path)}


def test_a_secret_in_a_file(mounted: Path) -> None:
    """`X_FILE` names the file that holds the secret; how a change is seen: `test_secret.py`."""
    secrets = load(ReceiveSettings, from_file(mounted)).pendo_webhook_secrets
    assert secrets.read().split() == ["one", "two"]


def test_the_client_secret_in_a_file(mounted: Path) -> None:
    """The credentials of AEP may stand in a file too."""
    environ = DELIVER | {"AEP_CLIENT_ID": "c", "AEP_CLIENT_SECRET_FILE": str(mounted)}
    assert load(DeliverSettings, environ).aep_client_secret.read() == "one\ntwo"
    assert problems_of("deliver", environ | {"AEP_CLIENT_ID": ""}) == ["AEP_CLIENT_ID: is missing"]


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_wrong_file(content: bytes | None, mounted: Path) -> None:
    """A file that is missing, empty or no text is named at the start, once."""
    if content is None:
        mounted.unlink()
    else:
        mounted.write_bytes(content)
    [problem] = problems_of("receive", from_file(mounted))
    assert problem.startswith("PENDO_WEBHOOK_SECRETS: ")
    assert "PENDO_WEBHOOK_SECRETS_FILE" in problem


def test_a_secret_given_twice(mounted: Path) -> None:
    """A secret both as text and as a file is a mistake: nobody could say which holds."""
    [problem] = problems_of("receive", from_file(mounted) | RECEIVE)
    assert problem.startswith("PENDO_WEBHOOK_SECRETS: ")
    assert "s3cret" not in problem


def test_a_wrong_file_beside_other_mistakes() -> None:
    """A wrong file does not hide what else is wrong."""
    problems = problems_of(
        "receive", {"PENDO_WEBHOOK_SECRETS_FILE": "/none", "MAX_BODY_BYTES": "x"}
    )
    assert [problem.split(":")[0] for problem in problems] == [
        "GOOGLE_CLOUD_PROJECT",
        "MAX_BODY_BYTES",
        "PENDO_WEBHOOK_SECRETS",
    ]


def test_settings_show_no_secret() -> None:
    """Settings can be printed: their secrets are not in it."""
    environ = XDM | {"AEP_CLIENT_ID": "c", "AEP_CLIENT_SECRET": "s3cret"}
    for settings in (load(ReceiveSettings, RECEIVE), load(DeliverSettings, environ)):
        assert "s3cret" not in f"{settings} {settings!r}"


def test_what_is_not_utf8() -> None:
    """Bytes that are no text are named beside all else that is wrong, and can be said in a log.

    Python has them in `os.environ` as lone surrogates, which no header or request could carry.
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
