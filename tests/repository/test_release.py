"""Releases: the tag and its notes, the audit, pinned dependencies and their licences."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import files, packages_distributions
from pathlib import Path

import pytest

from local.functions import PROJECT

RELEASE = PROJECT / ".ci" / "release"
CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\n### Added\n- A thing.\n\n## 0.1.0 - 2026-01-01\n\nFirst.\n"
)


def git(repository: Path, *arguments: str) -> str:
    """Runs git, and returns its output."""
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    command = ("git", *who, *arguments)
    return subprocess.run(
        command, cwd=repository, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with something to release."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n', "utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "Test")
    git(tmp_path, "config", "user.email", "test@example.org")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=First")
    return tmp_path


def release(repository: Path, version: str) -> subprocess.CompletedProcess[str]:
    """Runs `.ci/release`."""
    return subprocess.run(
        (RELEASE, version), cwd=repository, check=False, capture_output=True, text=True
    )


def test_a_release_is_tagged_with_its_notes(repository: Path) -> None:
    """Changelog and project get the version, and the tag has the notes."""
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
def test_an_invalid_release_is_refused(repository: Path, version: str, why: str) -> None:
    """A wrong version, an existing one, or uncommitted changes are an error, and change nothing."""
    git(repository, "tag", "v0.1.0")
    if version == "0.2.0":
        (repository / "new.txt").write_text("new\n", "utf-8")
    before = git(repository, "log", "--format=%H")

    done = release(repository, version)

    assert done.returncode == 1
    assert why in done.stderr
    assert git(repository, "log", "--format=%H") == before


def test_a_release_without_changes_is_refused(repository: Path) -> None:
    """A release with nothing new in the changelog is refused."""
    assert release(repository, "0.2.0").returncode == 0

    done = release(repository, "0.3.0")

    assert done.returncode == 1
    assert "nothing stands under" in done.stderr


# The audit in `.ci/run` is skipped only where there is no advisory database. The stand-in of
# pip-audit answers as version 2.10.1 did; only a run against PyPI shows how the real one handles
# an answer in a new form.

SKIPPED = "audit: SKIPPED"
VULNERABLE = (
    '{"dependencies": [{"name": "aiohttp", "version": "3.9.0",'
    ' "vulns": [{"id": "PYSEC-2024-24", "fix_versions": ["3.9.2"]}]}], "fixes": []}'
)
UNKNOWN = (
    '{"dependencies": [{"name": "aiohttp", "skip_reason": "Dependency not found on PyPI and could'
    ' not be audited: aiohttp (3.9.0)"}], "fixes": []}'
)
# What the first call prints and exits with; the exit codes of the audit of requirements.txt and of
# the script; whether it is skipped.
CASES = {
    "out of reach": ("", 1, 1, 0, True),
    "a mirror without advisories": (UNKNOWN, 0, 0, 0, True),
    "nothing found": (VULNERABLE, 1, 0, 0, False),
    "a vulnerability": (VULNERABLE, 1, 1, 2, False),
}


@pytest.mark.parametrize(("printed", "probe", "audit", "exits", "skips"), CASES.values(), ids=CASES)
def test_the_audit(
    printed: str, probe: int, audit: int, exits: int, skips: bool, tmp_path: Path
) -> None:
    """A vulnerability fails the run; an unreachable database is reported, and fails nothing."""
    program = tmp_path / "bin" / "pip-audit"
    program.parent.mkdir()
    program.write_text(
        "#!/usr/bin/env bash\n"
        f"[[ $2 == requirements.txt ]] && exit {audit}\n"
        f"printf %s '{printed}'\n"
        f"exit {probe}\n"
    )
    program.chmod(0o755)
    (tmp_path / "release").touch()  # nothing to install

    environ = {**os.environ, "VENV": str(tmp_path)}
    done = subprocess.run(
        [PROJECT / ".ci" / "audit"], env=environ, capture_output=True, text=True, check=False
    )

    assert (done.returncode, SKIPPED in done.stdout) == (exits, skips), done.stdout + done.stderr


REQUIREMENTS = (PROJECT / "requirements.txt").read_text("utf-8")
PINNED = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", REQUIREMENTS, re.MULTILINE))
PACKAGE = PROJECT / "pendo_aep"
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]


def test_requirements_are_pinned_and_hashed() -> None:
    """Each requirement has one version, and hashes of its files."""
    entries = re.findall(r"^[^\s#].*(?:\n +--hash.*)*", REQUIREMENTS, re.MULTILINE)

    assert len(entries) == len(PINNED) > 0
    assert all("--hash=sha256:" in entry for entry in entries)


def test_dependencies_are_pinned() -> None:
    """Each dependency of the project is in requirements.txt."""
    assert set(DECLARED["dependencies"]) <= PINNED.keys()


def test_imports_are_declared() -> None:
    """Each package that is imported is declared; only the commands may need those of `ops`."""
    of_all = {*DECLARED["dependencies"]}
    of_ops = {re.split(r"[\[=]", line)[0] for line in DECLARED["optional-dependencies"]["ops"]}
    rooms = {"cli": of_ops, "lake": of_ops}
    undeclared = {
        (str(path.relative_to(PROJECT)), module)
        for path in (PROJECT / "main.py", *PACKAGE.rglob("*.py"))
        for module in imported(path)
        if package_of(module) not in of_all | rooms.get(path.parent.name, set())
    }
    assert undeclared == set()


def imported(path: Path) -> Iterator[str]:
    """Yields the third-party modules that a file imports, at its top or in a function."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.partition(".")[0] not in {*sys.stdlib_module_names, "pendo_aep", "main"}:
                yield name


def has_file(package: str, path: Path) -> bool:
    """Returns whether the file belongs to the package."""
    return any(path == Path(str(file.locate())) for file in files(package) or ())


_packages = cache(packages_distributions)


@cache
def package_of(module: str) -> str:
    """Returns the name of the package that has a module: `google-auth` has `google.auth`."""
    names = {*_packages()[module.partition(".")[0]]}
    if len(names) > 1:  # as `google`
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None, f"{module} belongs to several packages"
        names = {name for name in names if has_file(name, Path(spec.origin))}
    (name,) = names
    return re.sub(r"[-_.]+", "-", name).lower()


def test_licences_are_listed() -> None:
    """docs/licences.md lists each package with its version: `make licences` after `make lock`."""
    page = (PROJECT / "docs" / "licences.md").read_text("utf-8")
    rows = [[cell.strip() for cell in row.split("|")[1:3]] for row in page.splitlines()[2:]]

    assert {name.lower().replace("_", "-"): version for name, version in rows} == PINNED
