"""A release is made of what the changelog says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local.functions import PROJECT

RELEASE = PROJECT / ".ci" / "release"
CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n### Added\n- A thing.\n\n## 0.1.0 - 2026-01-01\n\nFirst.\n"
)


def git(repository: Path, *arguments: str) -> str:
    """What git says."""
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    command = ("git", *who, *arguments)
    return subprocess.run(
        command, cwd=repository, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A project with something to release."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n', "utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "Test")
    git(tmp_path, "config", "user.email", "test@example.org")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=First")
    return tmp_path


def release(repository: Path, version: str) -> subprocess.CompletedProcess[str]:
    """What `.ci/release` answers."""
    return subprocess.run(
        (RELEASE, version), cwd=repository, check=False, capture_output=True, text=True
    )


def test_a_release_is_tagged_with_its_notes(repository: Path) -> None:
    """Changelog and project have the version, and the tag says what changed."""
    done = release(repository, "0.2.0")

    assert (done.returncode, done.stderr) == (0, "")
    changelog = (repository / "CHANGELOG.md").read_text("utf-8")
    assert changelog.startswith("# Changelog\n\n## Unreleased\n\n## 0.2.0 - 20")
    assert changelog.endswith("### Added\n- A thing.\n\n## 0.1.0 - 2026-01-01\n\nFirst.\n")
    assert 'version = "0.2.0"' in (repository / "pyproject.toml").read_text("utf-8")
    assert git(repository, "tag", "--list", "--format=%(contents)") == "### Added\n- A thing.\n\n"
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("version", "why"),
    [("1.2", "is no version"), ("0.2.0", "not committed"), ("0.1.0", "there already")],
)
def test_what_is_not_ready_is_not_released(repository: Path, version: str, why: str) -> None:
    """A wrong version, one that is there, uncommitted changes: an error, and nothing changes."""
    git(repository, "tag", "v0.1.0")
    if version == "0.2.0":
        (repository / "new.txt").write_text("new\n", "utf-8")
    before = git(repository, "log", "--format=%H")

    done = release(repository, version)

    assert done.returncode == 1
    assert why in done.stderr
    assert git(repository, "log", "--format=%H") == before


def test_nothing_to_release(repository: Path) -> None:
    """A second release with nothing new in the changelog is refused."""
    assert release(repository, "0.2.0").returncode == 0

    done = release(repository, "0.3.0")

    assert done.returncode == 1
    assert "nothing stands under" in done.stderr
