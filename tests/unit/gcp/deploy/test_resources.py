"""Which commands create, change and delete resources; only gcloud is fake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pendo_aep.gcp.config import TEMPLATE, Config, read_config
from pendo_aep.gcp.deploy import desired_resources, iam_bindings, monitoring
from pendo_aep.gcp.deploy.resource import Field, Inventory, ensure, includes
from pendo_aep.gcp.gcloud import GcloudFailed
from tests.cases import Case, rows
from tests.unit.gcp.conftest import FakeGcloud, Rule
from tests.unit.gcp.deploy.deploy_env import write_config

_TABLES = json.loads(Path(__file__).with_name("data").joinpath("resources.json").read_text("utf-8"))


def configured(folder: Path, **changes: str) -> Config:
    """Returns the config with some changes."""
    return read_config(write_config(folder, **changes))


@pytest.mark.parametrize("case", rows(_TABLES["included"]))
def test_google_may_show_the_same_in_another_way(case: Case) -> None:
    """What is left out, added, or written as text is no difference; another value is one."""
    assert includes(case["seen"], case["wanted"]) is case["is_right"]


def test_a_field_is_found_at_its_path() -> None:
    """A path that ends early shows nothing."""
    field = Field(("retryPolicy", "minimumBackoff"), "10s")

    assert field.matches({"retryPolicy": {"minimumBackoff": "10s"}})
    assert not field.matches({"retryPolicy": "10s"})
    assert not field.matches({})


_UPDATE_TOPIC = "pubsub topics update pendo-events"
_REGIONS = "--message-storage-policy-allowed-regions"


def topic(*regions: str) -> dict[str, Any]:
    """Returns what `gcloud pubsub topics list` shows of the topic of events."""
    policy = {"messageStoragePolicy": {"allowedPersistenceRegions": regions}} if regions else {}
    name = "projects/acme-demo/topics/pendo-events"
    return {"name": name, "messageRetentionDuration": "604800s", **policy}


@pytest.mark.parametrize(
    ("given", "seen", "commands"),
    [
        ("", None, [f"pubsub topics create pendo-events {_REGIONS}=us-east1"]),
        ("", topic(), [f"{_UPDATE_TOPIC} {_REGIONS}=us-east1"]),
        ("", topic("us-east1"), []),
        ("", topic("us-east1", "us-east4"), [f"{_UPDATE_TOPIC} {_REGIONS}=us-east1"]),
        (
            "us-east1,us-east4",
            topic("us-east1"),
            [f"{_UPDATE_TOPIC} {_REGIONS}=us-east1,us-east4"],
        ),
        ("us-east1,us-east4", topic("us-east4", "us-east1"), []),
        ("any", None, ["pubsub topics create pendo-events"]),
        ("any", topic(), []),
        ("any", topic("us-east1"), [f"{_UPDATE_TOPIC} --recompute-message-storage-policy"]),
    ],
)
def test_messages_are_stored_where_the_config_says(
    given: str, seen: dict[str, Any] | None, commands: list[str], fake: FakeGcloud, tmp_path: Path
) -> None:
    """By default in the functions' region; an existing topic is changed only if it differs."""
    config = configured(tmp_path, REGION="us-east1", MESSAGE_REGIONS=given)
    fake.answer(Rule("topics list", json.dumps([seen] if seen else [])))
    events, dead_letters = desired_resources.topics(config)

    ensure(events, Inventory(config, fake.gcloud, ["topics"]), fake.gcloud)

    retention = " --message-retention-duration=604800s"
    assert [words.replace(retention, "") for words in fake.changed] == commands
    assert [field.flag for field in dead_letters.fields if "storage" in field.flag] == [
        field.flag for field in events.fields if "storage" in field.flag
    ]


_PLACE = "--region=europe-west1"
_RECEIVE = f"run services update receive {_PLACE}"
_COMMANDS = {
    "grant": f"run services add-iam-policy-binding receive {_PLACE} --member=allUsers "
    "--role=roles/run.invoker",
    "uncheck": f"{_RECEIVE} --no-invoker-iam-check",
    "check": f"{_RECEIVE} --invoker-iam-check",
}
_REFUSALS = {
    "grant": "ERROR: Policy modification failed.\nERROR: (gcloud.run.services.add-iam-policy-"
    "binding) FAILED_PRECONDITION: One or more users named in the policy do not belong to a "
    "permitted customer,  perhaps due to an organization policy.",
    "uncheck": "ERROR: (gcloud.run.services.update) FAILED_PRECONDITION: constraints/"
    "run.managed.requireInvokerIam: invoker_iam_disabled is not currently available.",
}
_DENIED = "ERROR: (gcloud.run.services.add-iam-policy-binding) PERMISSION_DENIED: no"


def service(name: str, unchecked: str | None = None) -> dict[str, Any]:
    """Returns what `gcloud run services list` shows of a service."""
    disabled = {"run.googleapis.com/invoker-iam-disabled": unchecked} if unchecked else {}
    return {
        "metadata": {"name": name, "annotations": {"run.googleapis.com/ingress": "all"} | disabled}
    }


def functions_and_services(fake: FakeGcloud, config: Config) -> Inventory:
    """Lists what exists."""
    return Inventory(config, fake.gcloud, ["functions", "services"])


@pytest.mark.parametrize("case", rows(_TABLES["receive_access"]))
def test_receive_is_made_public_as_the_config_says(
    case: Case, fake: FakeGcloud, tmp_path: Path
) -> None:
    """The commands are those of the table; a refusal says where to read on."""
    config = configured(tmp_path, RECEIVE_ACCESS=case["way"])
    members = ["allUsers"] if case.get("granted") else []
    policy = {"bindings": [{"role": "roles/run.invoker", "members": members}]}
    shown = [service("receive", "true" if case.get("unchecked") else None)]
    name = "projects/acme-demo/locations/europe-west1/functions/receive"
    forbidden = [Rule(_COMMANDS[one], err=_REFUSALS[one]) for one in case.get("forbidden", ())]
    denied = [Rule(_COMMANDS["grant"], err=_DENIED)] if case.get("denied") else []
    fake.answer(
        Rule("run services list", json.dumps(shown)),
        Rule("functions list", json.dumps([{"name": name}])),
        Rule("get-iam-policy", json.dumps(policy)),
        *forbidden,
        *denied,
    )
    existing = functions_and_services(fake, config)

    if "fails" in case:
        with pytest.raises(GcloudFailed, match=case["fails"]) as failed:
            iam_bindings.make_receive_public(config, existing, existing, fake.gcloud)
        assert "docs/operations.md" in str(failed.value)
        assert fake.gcloud.changes == 0
    else:
        iam_bindings.make_receive_public(config, existing, existing, fake.gcloud)

    assert fake.changed == [_COMMANDS[name] for name in case["commands"]]


def test_a_new_service_has_no_annotations(fake: FakeGcloud, tmp_path: Path) -> None:
    """Then its IAM check is on, and the right is granted without reading its policy."""
    config = configured(tmp_path)
    nothing = functions_and_services(fake, config)
    fake.answer(Rule("run services list", '[{"metadata": {"name": "receive"}}]'))

    deployed = functions_and_services(fake, config)
    iam_bindings.make_receive_public(config, nothing, deployed, fake.gcloud)

    assert fake.changed == [_COMMANDS["grant"]]


def test_the_check_of_private_functions_is_enabled_again(fake: FakeGcloud, tmp_path: Path) -> None:
    """It is reported; the check of `receive` is left alone."""
    config = configured(tmp_path)
    shown = [service("receive", "true"), service("deliver", "True"), service("drain", "false")]
    fake.answer(Rule("run services list", json.dumps(shown)))

    existing = functions_and_services(fake, config)
    iam_bindings.require_invoker_check(config, existing, fake.gcloud)

    assert fake.changed == [f"run services update deliver {_PLACE} --invoker-iam-check"]
    assert fake.said[0].startswith("! everybody can call deliver")


_OLD = Rule(
    "monitoring policies list",
    err="ERROR: (gcloud.monitoring) Invalid choice: 'policies'.\nMaybe you meant: ...",
    code=2,
)
_ALPHA = Rule("alpha monitoring policies list", "[]")
_CHANNELS = Rule(
    "channels list", json.dumps([{"displayName": "pendo-to-aep", "name": "channels/1"}])
)


@pytest.mark.parametrize(
    ("rules", "group"),
    [((), "monitoring policies"), ((_ALPHA, _OLD), "alpha monitoring policies")],
    ids=["a gcloud that has it", "an older one"],
)
def test_alerts_are_created_with_the_command_that_gcloud_has(
    rules: tuple[Rule, ...], group: str, fake: FakeGcloud, tmp_path: Path
) -> None:
    """One list finds out which; each alert is then created with the same command."""
    config = configured(tmp_path)
    fake.answer(*rules, _CHANNELS)

    inventory = Inventory(config, fake.gcloud, monitoring.KINDS)
    monitoring.apply_alerts(config, inventory, fake.gcloud, tmp_path)

    alerts = [*(TEMPLATE.parent / "monitoring" / "alerts").iterdir()]
    created = [words.partition(" --policy-from-file")[0] for words in fake.changed]
    assert created == [f"{group} create"] * len(alerts)


def test_a_command_that_no_version_has_is_a_failure(fake: FakeGcloud, tmp_path: Path) -> None:
    """It shows what gcloud says."""
    config = configured(tmp_path)
    fake.answer(Rule("policies list", err="ERROR: Invalid choice: 'policies'.", code=2))

    with pytest.raises(GcloudFailed, match="Invalid choice"):
        Inventory(config, fake.gcloud, ["policies"])


_OURS = {"name": "pendo-to-aep-receive", "filter": "x"}
_THEIRS = {"name": "theirs", "filter": "y"}
_UPDATE_SINK = "logging sinks update _Default"


@pytest.mark.parametrize(
    ("switch", "exclusions", "changes"),
    [
        ("true", [_THEIRS], [f"{_UPDATE_SINK} --add-exclusion=name={_OURS['name']},filter="]),
        ("true", [_OURS], [f"{_UPDATE_SINK} --update-exclusion=name={_OURS['name']},filter="]),
        ("false", [_OURS, _THEIRS], [f"{_UPDATE_SINK} --remove-exclusions={_OURS['name']}"]),
        ("false", [_THEIRS], []),
    ],
)
def test_request_logs_are_excluded_as_the_config_says(
    switch: str,
    exclusions: list[dict[str, str]],
    changes: list[str],
    fake: FakeGcloud,
    tmp_path: Path,
) -> None:
    """Those of the functions that are deployed; other exclusions stay, and a rerun adds nothing."""
    config = configured(tmp_path, EXCLUDE_REQUEST_LOGS=switch, DEPLOY_DRAIN="false")
    fake.answer(Rule("sinks describe", json.dumps({"exclusions": exclusions})))

    monitoring.apply_log_exclusion(config, fake.gcloud)

    assert [words.partition("log_id")[0] for words in fake.changed] == changes
    if switch == "true":
        [words] = fake.changed
        assert 'service_name=("receive" OR "deliver")' in words
        ours = _OURS | {"filter": words.partition("filter=")[2]}
        fake.answer(Rule("sinks describe", json.dumps({"exclusions": [ours]})))
        monitoring.apply_log_exclusion(config, fake.gcloud)
        assert len(fake.changed) == 1


def test_without_the_default_sink_nothing_fails(fake: FakeGcloud, tmp_path: Path) -> None:
    """Somebody deleted it: nothing is stored there, which is reported."""
    fake.answer(Rule("sinks describe", "null"))

    monitoring.apply_log_exclusion(configured(tmp_path), fake.gcloud)

    assert fake.changed == []
    assert "no log sink _Default" in fake.said[0]
