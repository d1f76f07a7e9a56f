"""The config: what the deployment checks before it calls anything, and what the doctor reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pendo_aep.gcp.config import TEMPLATE, InvalidConfig, read_config
from pendo_aep.gcp.deploy.functions import desired_functions
from pendo_aep.gcp.deploy.iam_bindings import resource_bindings
from pendo_aep.gcp.doctor.deployment import Deployment, Values, read_deployment
from pendo_aep.settings import DeliverSettings, DrainSettings, ReceiveSettings, load
from tests.cases import Case, cases
from tests.unit.gcp.deploy.deploy_env import FILLED, write_config
from tests.unit.gcp.doctor.doctor_fixtures import DEPLOYMENT, RECONCILE, VALUES
from tests.unit.gcp.doctor.test_checks import DRAIN_ALONE, PUSH_ALONE


@pytest.mark.parametrize("case", cases("unit/gcp/config"))
def test_every_wrong_value_is_named_at_once(case: Case, tmp_path: Path) -> None:
    """The message has a line for each name of the case, in any order, and no other."""
    with pytest.raises(InvalidConfig) as error:
        read_config(write_config(tmp_path, **case["config"]))

    lines = [line.strip() for line in str(error.value).splitlines()[1:]]
    assert sorted(line.partition(":")[0] for line in lines) == sorted(case["names"])


@pytest.mark.parametrize("line", ["NAME", "A=b c", "A='b", "1A=b"])
def test_a_line_that_a_shell_would_not_read_is_named(line: str, tmp_path: Path) -> None:
    """By its number, for the deployment and for the doctor."""
    path = write_config(tmp_path)
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines, line]), "utf-8")

    with pytest.raises(InvalidConfig, match=f"line {len(lines) + 1}:"):
        read_config(path)
    with pytest.raises(InvalidConfig, match=f"line {len(lines) + 1}:"):
        read_deployment(path, None, None)


def test_lines_are_read_as_a_shell_reads_them(tmp_path: Path) -> None:
    """Quotes, comments, `export` and earlier names; the last line of a name counts."""
    path = write_config(tmp_path)
    more = "export PROJECT='other-demo'  # ours\nREGION=x-y1\nREGION=\"europe-north1\"\n"
    path.write_text(path.read_text("utf-8") + more + "EVENTS_TOPIC=${PROJECT}-events\n", "utf-8")

    config, deployment = read_config(path), read_deployment(path, None, None)

    assert (config["PROJECT"], deployment.project) == ("other-demo",) * 2
    assert (config["REGION"], deployment.region) == ("europe-north1",) * 2
    assert (config["EVENTS_TOPIC"], deployment.events_topic) == ("other-demo-events",) * 2


def test_what_a_config_leaves_out_is_as_shipped(tmp_path: Path) -> None:
    """A short file is enough, and so is one that was copied from an earlier version."""
    path = tmp_path / "short.env"
    path.write_text("\n".join(f"{k}='{v}'" for k, v in FILLED.items()), "utf-8")

    assert read_config(path).values == read_config(write_config(tmp_path)).values


def test_the_functions_accept_the_settings_that_are_deployed(tmp_path: Path) -> None:
    """Each function starts with what the config gives it."""
    models: dict[str, type[ReceiveSettings | DeliverSettings]] = {
        "RECEIVE": ReceiveSettings,
        "DELIVER": DeliverSettings,
        "DRAIN": DrainSettings,
    }
    secret = tmp_path / "secret"
    secret.write_text("a-secret", "utf-8")

    given = {f.kind: f for f in desired_functions(read_config(write_config(tmp_path)))}

    assert given.keys() == models.keys()
    for kind, function in given.items():
        mounted = {name: str(secret) for name in function.environment if name.endswith("_FILE")}
        load(models[kind], function.environment | mounted)


def test_every_setting_of_the_functions_can_be_set(tmp_path: Path) -> None:
    """A new setting of the functions needs a name in the config, or a fixed value."""
    text = TEMPLATE.read_text("utf-8")
    fixed = {"GOOGLE_CLOUD_PROJECT", "PUBSUB_TOPIC"}  # PROJECT and EVENTS_TOPIC
    models = (ReceiveSettings, DrainSettings)
    names = {name.upper() for model in models for name in model.model_fields} - fixed
    secrets = {name for model in models for name in model.secrets}

    missing = [name for name in names - secrets if f"\n{name}=" not in text]
    assert missing == []
    assert all(f"\n{name}_FILE=" in text for name in secrets)
    assert read_config(write_config(tmp_path)).values.keys() >= names - secrets


def test_a_catalogue_of_polls_is_mounted_and_readable(tmp_path: Path) -> None:
    """`deliver` and `drain` get the file, and their accounts the right to read the secret."""
    config = read_config(write_config(tmp_path, PENDO_CATALOG_SECRET="pendo-catalog"))

    for function in desired_functions(config):
        file = function.environment.get("PENDO_CATALOG_FILE")
        assert (file is None) is (function.kind == "RECEIVE")
        assert file is None or function.secrets[file] == "pendo-catalog"
    readers = {one.member for one in resource_bindings(config) if one.name == "pendo-catalog"}
    assert readers == {config.member("DELIVER_ACCOUNT"), config.member("DRAIN_ACCOUNT")}


def test_a_catalogue_comes_from_one_place(tmp_path: Path) -> None:
    """A secret, or a file that somebody mounts: not both, and no secret of another use."""
    path = write_config(
        tmp_path, PENDO_CATALOG_SECRET="aep-client-secret", PENDO_CATALOG_FILE="/catalog/polls"
    )
    with pytest.raises(InvalidConfig) as error:
        read_config(path)
    assert "PENDO_CATALOG_FILE: must be empty" in str(error.value)
    assert "PENDO_CATALOG_SECRET: must be a secret of its own" in str(error.value)


@pytest.mark.parametrize(
    ("push", "drain", "expected"),
    [("true", "true", DEPLOYMENT), ("true", "false", PUSH_ALONE), ("false", "true", DRAIN_ALONE)],
)
def test_the_shipped_config_names_every_resource(
    push: str, drain: str, expected: Deployment, tmp_path: Path
) -> None:
    """`deploy/config.env` has all that the doctor needs but the project."""
    path = tmp_path / "my.env"
    path.write_text(f"PROJECT=demo\nDEPLOY_PUSH={push}\nDEPLOY_DRAIN={drain}\n", "utf-8")

    seen = read_deployment(path, None, None)
    assert seen == replace(expected, config=str(path))
    with path.open("a", encoding="utf-8") as file:
        file.write("RECONCILE_SCHEDULE='0 6 * * *'\n")
    assert read_deployment(path, None, None).reconcile == RECONCILE


def test_the_doctor_compares_the_values_of_the_config(tmp_path: Path) -> None:
    """Times in seconds, whatever their unit; an account may be named by its whole address."""
    path = tmp_path / "my.env"
    path.write_text(
        "PROJECT=demo\nEVENTS_RETENTION=36h\nDEAD_LETTERS_RETENTION=90m\n"
        "MAX_DELIVERY_ATTEMPTS=50\nRETRY_MAX_SECONDS=60\nINGRESS=internal-only\n"
        "RECEIVE_ACCESS=no-iam-check\nMESSAGE_REGIONS=us-east1,us-east4\n"
        "RECEIVE_ACCOUNT=receive@example.com\n",
        "utf-8",
    )

    deployment = read_deployment(path, None, None)

    assert deployment.address(deployment.receive_account) == "receive@example.com"
    assert deployment.values == Values(
        events_retention=36 * 3600,
        dead_letters_retention=90 * 60,
        max_delivery_attempts=50,
        min_retry_seconds=VALUES.min_retry_seconds,
        max_retry_seconds=60,
        ingress="internal-only",
        receive_access="no-iam-check",
        message_regions=("us-east1", "us-east4"),
    )


@pytest.mark.parametrize(
    ("line", "regions"), [("", ("us-east1",)), ("MESSAGE_REGIONS=any\n", ())], ids=["empty", "any"]
)
def test_the_options_override_the_file(line: str, regions: tuple[str, ...], tmp_path: Path) -> None:
    """Another project and region; messages are stored in the region unless the file says where."""
    path = tmp_path / "my.env"
    path.write_text(f"PROJECT=demo\n{line}", "utf-8")

    deployment = read_deployment(path, "other", "us-east1")

    assert (deployment.project, deployment.region) == ("other", "us-east1")
    assert deployment.values.message_regions == regions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ["not set: PROJECT"]),
        (b"PROJECT=demo\nDEPLOY_PUSH=false", ["neither DEPLOY_PUSH nor DEPLOY_DRAIN is true"]),
        (
            b"EVENTS_TOPIC=\nDELIVER_FUNCTION=",
            ["not set: DELIVER_FUNCTION, EVENTS_TOPIC, PROJECT"],
        ),
        (b"A=1\nB='2", ["line 2: No closing quotation"]),
        (b"PROJECT=demo\nEVENTS_RETENTION='7 days'", ["EVENTS_RETENTION: must be a number with d"]),
        (
            b"PROJECT=demo\nMAX_DELIVERY_ATTEMPTS=4\nINGRESS=\nRECEIVE_ACCESS=x",
            [
                "MAX_DELIVERY_ATTEMPTS: must be a whole number from 5 to 100",
                "INGRESS: is not set; it must be all or internal-only",
                "RECEIVE_ACCESS: must be auto, all-users or no-iam-check",
            ],
        ),
        (b"\xff", ["cannot be read"]),
    ],
)
def test_the_doctor_says_what_is_wrong_with_a_file(
    text: bytes, expected: list[str], tmp_path: Path
) -> None:
    """The message begins with the path, and names every value that is wrong."""
    path = tmp_path / "my.env"
    path.write_bytes(text)

    with pytest.raises(InvalidConfig) as error:
        read_deployment(path, None, None)

    assert str(error.value).startswith(str(path))
    assert [one for one in expected if one not in str(error.value)] == []
