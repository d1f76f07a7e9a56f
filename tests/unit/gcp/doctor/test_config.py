"""The names of a deployment's parts, from the file that deploys it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from local.functions import PROJECT
from pendo_aep.gcp.doctor.config import ConfigWrong, read_config
from pendo_aep.gcp.doctor.deployment import Deployment, Values
from tests.unit.gcp.doctor.clinic import DEPLOYMENT, VALUES
from tests.unit.gcp.doctor.test_checks import DRAIN_ALONE, PUSH_ALONE

OURS = PROJECT / "deploy" / "config.env"


@pytest.mark.parametrize(
    ("push", "drain", "expected"),
    [
        ("true", "true", DEPLOYMENT),
        ("true", "false", PUSH_ALONE),
        ("false", "true", DRAIN_ALONE),
    ],
)
def test_our_own_file_names_every_part(
    push: str, drain: str, expected: Deployment, tmp_path: Path
) -> None:
    """`deploy/config.env` has all that is needed but the project, and says what is used."""
    path = tmp_path / "my.env"
    choices = f"\nDEPLOY_PUSH={push}\nDEPLOY_DRAIN={drain}\n"
    path.write_text(OURS.read_text("utf-8") + choices, "utf-8")

    assert read_config(path, "demo", None) == replace(expected, config=str(path))


def test_what_the_file_does_not_name_is_as_it_is_deployed(tmp_path: Path) -> None:
    """deploy.sh takes it from `deploy/config.env`, and so does the doctor."""
    path = tmp_path / "my.env"
    path.write_text("PROJECT=demo\n", "utf-8")

    assert read_config(path, None, None) == replace(PUSH_ALONE, config=str(path))


def test_without_a_project_it_says_so() -> None:
    """The file as it comes has none; the error names it."""
    with pytest.raises(ConfigWrong, match=r"not set: PROJECT$"):
        read_config(OURS, None, None)


def test_lines_are_read_as_a_shell_reads_them(tmp_path: Path) -> None:
    """Quotes, comments, `export` and earlier names; the last line of a name counts."""
    path = tmp_path / "my.env"
    more = "export PROJECT='demo'  # ours\nREGION=x\nREGION=\"europe-north1\"\n"
    path.write_text(OURS.read_text("utf-8") + more + "EVENTS_TOPIC=${PROJECT}-events\n", "utf-8")

    deployment = read_config(path, None, None)

    assert (deployment.project, deployment.region) == ("demo", "europe-north1")
    assert deployment.events == "demo-events"


def test_what_the_parts_should_be_is_read_as_well(tmp_path: Path) -> None:
    """Times in seconds, whatever unit the file has; what it leaves out is as in ours."""
    path = tmp_path / "my.env"
    path.write_text(
        "PROJECT=demo\nEVENTS_RETENTION=36h\nDEAD_LETTERS_RETENTION=90m\n"
        "MAX_DELIVERY_ATTEMPTS=50\nRETRY_MAX_SECONDS=60\nINGRESS=internal-only\n"
        "RECEIVE_ACCESS=no-iam-check\nMESSAGE_REGIONS=us-east1,us-east4\n",
        "utf-8",
    )

    assert read_config(path, None, None).values == Values(
        events_kept=36 * 3600,
        letters_kept=90 * 60,
        attempts=50,
        least_pause=VALUES.least_pause,
        longest_pause=60,
        ingress="internal-only",
        receive_access="no-iam-check",
        regions=("us-east1", "us-east4"),
    )


@pytest.mark.parametrize(
    ("line", "regions"), [("", ("us-east1",)), ("MESSAGE_REGIONS=any\n", ())], ids=["empty", "any"]
)
def test_messages_are_stored_in_the_region_unless_the_file_says_otherwise(
    line: str, regions: tuple[str, ...], tmp_path: Path
) -> None:
    """The one that is given goes before the file's here, too."""
    path = tmp_path / "my.env"
    path.write_text(f"PROJECT=demo\n{line}", "utf-8")

    assert read_config(path, None, "us-east1").values.regions == regions


def test_what_is_given_goes_before_the_file(tmp_path: Path) -> None:
    """Another project and another region, under the same names."""
    path = tmp_path / "my.env"
    path.write_text(OURS.read_text("utf-8") + "PROJECT=demo\n", "utf-8")

    deployment = read_config(path, "other", "us-east1")

    assert (deployment.project, deployment.region) == ("other", "us-east1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"PROJECT=demo\nDEPLOY_PUSH=false", "neither DEPLOY_PUSH nor DEPLOY_DRAIN is true"),
        (b"EVENTS_TOPIC=\nDELIVER_FUNCTION=", "not set: DELIVER_FUNCTION, EVENTS_TOPIC, PROJECT"),
        (b"A=1\nB='2", "line 2: No closing quotation"),
        (b"PROJECT=demo\nEVENTS_RETENTION=7 days", "EVENTS_RETENTION: must be a number with d"),
        (b"PROJECT=demo\nMAX_DELIVERY_ATTEMPTS=4", "MAX_DELIVERY_ATTEMPTS: must be a whole"),
        (b"PROJECT=demo\nINGRESS=", "INGRESS: must be all or internal-only"),
        (b"PROJECT=demo\nRECEIVE_ACCESS=", "RECEIVE_ACCESS: must be auto or all-users or"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_wrong_file_is_told(text: bytes, told: str, tmp_path: Path) -> None:
    """It says what is wrong, and where."""
    path = tmp_path / "my.env"
    path.write_bytes(text)

    with pytest.raises(ConfigWrong) as error:
        read_config(path, None, None)

    assert str(error.value).startswith(str(path))
    assert told in str(error.value)
