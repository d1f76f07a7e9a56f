"""Who may call a function without a Google account: everybody `receive`, nobody the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pendo_aep.gcp.deploy import access
from pendo_aep.gcp.deploy.config import Config, read_config
from pendo_aep.gcp.deploy.gcloud import GcloudFailed
from pendo_aep.gcp.deploy.inventory import Inventory
from tests.cases import Case
from tests.unit.gcp.deploy.fake_gcloud import FakeGcloud, Rule
from tests.unit.gcp.deploy.site import FILLED, filled_in

CASES = json.loads(Path(__file__).with_name("data").joinpath("access.json").read_text("utf-8"))
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
    """As `gcloud run services list` shows it."""
    disabled = {"run.googleapis.com/invoker-iam-disabled": unchecked} if unchecked else {}
    return {
        "metadata": {"name": name, "annotations": {"run.googleapis.com/ingress": "all"} | disabled}
    }


def see(fake: FakeGcloud, config: Config) -> Inventory:
    """What there is."""
    return Inventory(config, fake.gcloud, ["functions", "services"])


def configured(folder: Path, **changes: str) -> Config:
    """The config with some changes."""
    path = folder / "my.env"
    path.write_text(filled_in({**FILLED, **changes}), "utf-8")
    return read_config(path)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_everybody_may_call_receive_in_the_way_that_is_set(
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
    seen = see(fake, config)

    if "fails" in case:
        with pytest.raises(GcloudFailed, match=case["fails"]) as failed:
            access.open_receive(config, seen, seen, fake.gcloud)
        assert "docs/operations.md" in str(failed.value)
        assert fake.gcloud.changes == 0
    else:
        access.open_receive(config, seen, seen, fake.gcloud)

    assert fake.changed == [_COMMANDS[name] for name in case["commands"]]


def test_a_new_service_has_no_annotations(fake: FakeGcloud, tmp_path: Path) -> None:
    """Then its check is on, and the right is granted without a look at its policy."""
    config = configured(tmp_path)
    nothing = see(fake, config)
    fake.answer(Rule("run services list", '[{"metadata": {"name": "receive"}}]'))

    access.open_receive(config, nothing, see(fake, config), fake.gcloud)

    assert fake.changed == [_COMMANDS["grant"]]


def test_the_check_of_private_functions_is_enabled_again(fake: FakeGcloud, tmp_path: Path) -> None:
    """Whoever has disabled it is told; the one of receive is left alone."""
    config = configured(tmp_path)
    shown = [service("receive", "true"), service("deliver", "True"), service("drain", "false")]
    fake.answer(Rule("run services list", json.dumps(shown)))

    access.close(config, see(fake, config), fake.gcloud)

    assert fake.changed == [f"run services update deliver {_PLACE} --invoker-iam-check"]
    assert fake.said[0].startswith("! everybody can call deliver")
