"""The configuration file of a command, and what goes before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pendo_aep.cli.config_file import read_environment
from pendo_aep.settings import LakeSettings, SettingsError, load

FILE = """\
# of the deployment
AEP_CLIENT_ID=of-file
AEP_CLIENT_SECRET=secret-of-file
AEP_IMS_ORG_ID="ACME@AdobeOrg"
export AEP_SANDBOX=dev
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pendo-aep.env"
    path.write_text(FILE, "utf-8")
    return path


@pytest.mark.parametrize("is_named", [True, False])
def test_the_environment_goes_before_the_file(file: Path, is_named: bool) -> None:
    """A variable that is empty is none; a file that is not named is read where it lies."""
    path = file.rename(file.with_name("other.env")) if is_named else None
    found = read_environment(path, {"AEP_SANDBOX": "prod", "AEP_CLIENT_ID": ""})

    settings = load(LakeSettings, found)

    assert (settings.aep_sandbox, settings.aep_client_id) == ("prod", "of-file")
    assert settings.aep_ims_org_id == "ACME@AdobeOrg"


def test_without_a_file_the_environment_is_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default file need not exist."""
    monkeypatch.chdir(tmp_path)

    assert read_environment(None, {"A": "b"}) == {"A": "b"}


def test_a_secret_of_the_environment_replaces_that_of_the_file(file: Path, tmp_path: Path) -> None:
    """In either spelling: otherwise it would be set twice."""
    secret = tmp_path / "secret"
    secret.write_text("secret of a mounted file", "utf-8")

    found = read_environment(file, {"AEP_CLIENT_SECRET_FILE": str(secret)})

    assert load(LakeSettings, found).aep_client_secret.read() == "secret of a mounted file"


@pytest.mark.parametrize(
    ("text", "says"), [(None, "cannot be read"), ("AEP_SANDBOX prod\n", "line 1")]
)
def test_a_file_that_is_none(tmp_path: Path, text: str | None, says: str) -> None:
    """The error names the file, and the line."""
    path = tmp_path / "x.env"
    if text is not None:
        path.write_text(text, "utf-8")

    with pytest.raises(SettingsError, match=says) as error:
        read_environment(path, {})

    assert str(path) in str(error.value)
